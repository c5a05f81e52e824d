// SPDX-License-Identifier: GPL-2.0

//! How bonds end.
//!
//! Whatever ends a bond, one task does: it marks that the driver's hook runs, calls it without
//! locks, and then detaches. Others wait for that.

use crate::{
    address_space::{AddressSpace, Inner},
    bond::Bond,
    bond_list::HandlerTask,
    device::SvaDevice,
    owner::{End, Hook, Owner},
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
        let mut inner = self.lock_without_hook().ok_or(ESRCH)?;
        let entry = inner.bonds.entry(self).ok_or(ESRCH)?;

        let (ending, left_to_hook) = (entry.handler.is_some(), entry.is_left_to_hook());
        let left = self.users.unlink_and_dec();

        if left > 0 {
            trace::unbind(self, left);
            if !ending {
                self.let_be_found();
            }
        } else if !left_to_hook {
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
    pub(crate) fn exit(&self, owner: Arc<dyn Owner>) {
        trace::mm_exit(self);
        self.stop(owner, End::Exit);
        self.device.count(|totals| totals.exits.add(1));
        // The hook may have unbound; then there is nothing left to do.
        self.end(End::Exit);
    }

    /// Locks the address space at a time when no other task runs the hook of this bond.
    fn lock_without_hook(&self) -> Option<Guard<'_, Inner, MutexBackend>> {
        let mut inner = self.space.lock()?;

        while let Some(entry) = inner.bonds.entry(self) {
            match entry.handler {
                Some(task) if task != HandlerTask::current() => {
                    self.space.wait_for_handler(&mut inner);
                }
                _ => return Some(inner),
            }
        }
        None
    }

    /// Has the driver stop the device, unless it was called already, and ends the bond.
    fn end_locked<'a>(&'a self, mut inner: Guard<'a, Inner, MutexBackend>, why: End) -> bool {
        let Some(entry) = inner.bonds.entry(self) else {
            return false;
        };

        if let Some(owner) = entry.begin_hook(|hook| hook == Hook::Always) {
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

    fn stop(&self, owner: Arc<dyn Owner>, why: End) {
        // Who starts the device has done so, and is stopped next, or never will.
        *self.startable.lock() = false;
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
                totals.ended.absorb(&self.faults.stats);
            });
            self.space.wake_handler_waiters();
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
