// SPDX-License-Identifier: GPL-2.0

//! How bonds end.
//!
//! Whatever ends a bond, one task does: it marks that the driver's hook runs, calls it without
//! locks, and then detaches. Others wait for that.

use crate::{
    address_space::{AddressSpace, Inner},
    bond::Bond,
    device::SvaDevice,
    hook::Running,
    owner::{AnyOwner, End, Hook},
    trace,
};
use kernel::{
    prelude::*,
    sync::{
        lock::{mutex::MutexBackend, Guard},
        Arc,
    },
};

impl Bond {
    /// Takes back one bind; the last ends the bond.
    ///
    /// On return no page request of an ended bond is in flight. May sleep: waits for page requests
    /// in flight, and for the driver's hook if it runs, unless called from that. Called from a
    /// hook that all ends have, it leaves the end to who called the hook.
    ///
    /// # Errors
    ///
    /// `ESRCH`: the bond has ended.
    pub(crate) fn unbind(&self) -> Result {
        let inner = self.lock_without_hook().ok_or(ESRCH)?;
        let left = self.users.unlink_and_dec();

        if left > 0 {
            trace::unbind(self, left);
            if self.hooked.running(&inner) == Running::No {
                self.let_be_found();
            }
        } else if !self.hooked.is_end_left_to_it(&inner) {
            self.end_locked(inner, End::Unbind);
        }
        Ok(())
    }

    /// Ends the bond, however often it was bound; `false` if it had ended. As [`Self::unbind`].
    pub(crate) fn end(&self, why: End) -> bool {
        self.lock_without_hook()
            .is_some_and(|inner| self.end_locked(inner, why))
    }

    /// Calls the hook of a process's exit, in the task that marked it, and ends the bond.
    pub(crate) fn exit(&self, owner: AnyOwner) {
        trace::mm_exit(self);
        self.stop(owner, End::Exit);
        self.device.count(|totals| totals.exits.add(1));
        // The hook may have unbound; then there is nothing left to do.
        self.end(End::Exit);
    }

    /// Locks the address space at a time when no other task runs the hook of this bond; `None` if
    /// the bond has ended.
    fn lock_without_hook(&self) -> Option<Guard<'_, Inner, MutexBackend>> {
        let mut inner = self.space.lock()?;

        while self.is_listed(&inner) {
            if self.hooked.running(&inner) != Running::Elsewhere {
                return Some(inner);
            }
            self.space.wait_for_hook(&mut inner);
        }
        None
    }

    /// Has the driver stop the device, unless it was called already, and ends the bond.
    fn end_locked<'a>(&'a self, mut inner: Guard<'a, Inner, MutexBackend>, why: End) -> bool {
        if !self.is_listed(&inner) {
            return false;
        }
        if let Some(owner) = self.begin_hook(&mut inner, |hook| hook == Hook::Always) {
            drop(inner);
            self.stop(owner, why);
            match self.space.lock() {
                Some(again) => inner = again,
                // Shut down from within the hook.
                None => return false,
            }
        }
        self.finish(inner)
    }

    fn stop(&self, owner: AnyOwner, why: End) {
        owner.stop(&self.device, self.pasid, why);
    }

    /// Removes the bond from where it is listed, detaching first.
    fn finish(&self, mut inner: Guard<'_, Inner, MutexBackend>) -> bool {
        self.users.unlink();

        let found = inner.remove(self);

        if found {
            self.device.forget_bond(self);
            self.device.count(|totals| {
                totals.unbinds.add(1);
                totals.ended.absorb(&self.faults().stats);
            });
            // Nobody waits for a hook that has not run.
            if self.hooked.running(&inner) != Running::No {
                self.space.wake_hook_waiters();
            }
            trace::unbind(self, 0);
        }
        Self::unlock(&self.device, &self.space, inner);
        if found {
            self.pins.end();
        }
        found
    }

    /// Unlocks, and lets an address space go that has no bond.
    pub(crate) fn unlock(
        device: &SvaDevice,
        space: &Arc<AddressSpace>,
        mut inner: Guard<'_, Inner, MutexBackend>,
    ) {
        let retired = inner.retire_if_unused();

        drop(inner);
        if let Some(remains) = retired {
            device.core.forget_space(space);
            drop(remains);
        }
    }
}
