// SPDX-License-Identifier: GPL-2.0

//! The driver's hook of a bond: when it runs, and who starts the device before.
//!
//! One task runs it; meanwhile others neither start the device nor bind or unbind.

use crate::{
    address_space::{AddressSpace, Inner},
    bond::Bond,
    owner::{AnyOwner, Hook},
};
use core::{num::NonZeroUsize, ptr::NonNull};
use kernel::{
    current,
    prelude::*,
    sync::{
        lock::{mutex::MutexBackend, Guard},
        LockedBy,
    },
};

/// What of a bond its address space's lock protects.
pub(crate) struct Hooked(LockedBy<State, Inner>);

struct State {
    /// `None` when all that is left to come is the end.
    owner: Option<AnyOwner>,
    /// The task that runs the hook.
    handler: Option<HandlerTask>,
    /// How many tasks are just starting the device.
    starting: usize,
}

/// Names a task, and is compared only.
#[derive(Clone, Copy, PartialEq, Eq)]
struct HandlerTask(NonZeroUsize);

impl HandlerTask {
    fn current() -> Self {
        Self(NonNull::from(&*current!()).addr())
    }
}

/// Whether the hook of a bond runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Running {
    No,
    /// This task is in it.
    Here,
    Elsewhere,
}

impl Hooked {
    /// Of a bond of `owner` in `space`.
    pub(crate) fn new(space: &AddressSpace, owner: AnyOwner) -> Self {
        Self(space.locked_by(State {
            owner: Some(owner),
            handler: None,
            starting: 0,
        }))
    }

    /// The owner, unless all that is left to come is the end.
    pub(crate) fn owner<'a>(&'a self, inner: &'a Inner) -> Option<&'a AnyOwner> {
        self.0.access(inner).owner.as_ref()
    }

    /// Whether the hook runs.
    pub(crate) fn running(&self, inner: &Inner) -> Running {
        match self.0.access(inner).handler {
            None => Running::No,
            Some(task) if task == HandlerTask::current() => Running::Here,
            Some(_) => Running::Elsewhere,
        }
    }

    /// Whether the bond ends when the hook returns that is running, and not before.
    pub(crate) fn is_end_left_to_it(&self, inner: &Inner) -> bool {
        let state = self.0.access(inner);

        state.handler.is_some() && state.owner.is_none()
    }
}

impl Bond {
    /// Marks that the current task runs the driver's hook, and gives that; `None` if it has run,
    /// or if it is not one of those that `due` means. Waits, without the lock, for those who are
    /// starting the device.
    ///
    /// A hook that all ends have is called by none of them twice, so the bond's part in it goes.
    pub(crate) fn begin_hook(
        &self,
        inner: &mut Guard<'_, Inner, MutexBackend>,
        due: impl Fn(Hook) -> bool,
    ) -> Option<AnyOwner> {
        let state = self.hooked.0.access_mut(inner);

        if state.handler.is_some() {
            return None;
        }
        let hook = state.owner.as_ref()?.hook(&self.device);

        if !due(hook) {
            return None;
        }
        state.handler = Some(HandlerTask::current());

        let owner = match hook {
            Hook::Always => state.owner.take(),
            _ => state.owner.clone(),
        };

        // Who binds or unbinds from now on waits for the hook.
        self.users.unlink();
        while self.hooked.0.access(inner).starting > 0 {
            self.space.wait_for_hook(inner);
        }
        owner
    }

    /// Whether the driver wants to be called when the process exits, and has not been.
    pub(crate) fn is_hook_due(&self, inner: &Inner) -> bool {
        let state = self.hooked.0.access(inner);
        let owner = state.owner.as_ref();

        state.handler.is_none() && owner.is_some_and(|owner| owner.hook(&self.device) != Hook::None)
    }

    /// Calls `start` with the PASID, unless the bond is ending; the driver's hook is not called
    /// before `start` has returned. May sleep.
    ///
    /// # Errors
    ///
    /// `ESRCH`: the bond has ended, or is about to.
    pub(crate) fn start<R>(&self, start: impl FnOnce(u32) -> R) -> Result<R> {
        let mut inner = self.space.lock().ok_or(ESRCH)?;

        if !self.is_listed(&inner) || self.hooked.running(&inner) != Running::No {
            return Err(ESRCH);
        }
        self.hooked.0.access_mut(&mut inner).starting += 1;
        drop(inner);

        let started = start(self.pasid);

        // Nobody ends the bond meanwhile, so the address space has not retired.
        if let Some(mut inner) = self.space.lock() {
            self.hooked.0.access_mut(&mut inner).starting -= 1;
            if self.hooked.running(&inner) != Running::No {
                self.space.wake_hook_waiters();
            }
        }
        Ok(started)
    }

    /// Whether it has not ended, and nothing has begun to end it.
    pub(crate) fn is_live(&self) -> bool {
        self.space.lock().is_some_and(|inner| {
            self.is_listed(&inner) && self.hooked.running(&inner) == Running::No
        })
    }

    /// Whether it has not ended.
    pub(crate) fn is_listed(&self, inner: &Inner) -> bool {
        inner.bonds.has(self)
    }
}
