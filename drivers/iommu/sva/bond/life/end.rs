// SPDX-License-Identifier: GPL-2.0

//! What ends a bond: an unbind, the exit of its process, a shutdown of its device.

use super::{Called, Stopping};
use crate::{
    bond::{owner::End, space::Locked, Bond},
    trace,
};
use kernel::prelude::*;
use kernel_ext::test_point::{self, TestPoint};

impl Bond {
    /// Takes back one bind; the last ends the bond.
    ///
    /// On return no page request of an ended bond is in flight. May sleep: waits for page requests
    /// in flight, and for the driver if it is being called, unless by this task. Called from a call
    /// that all ends have, it leaves the end to who made that.
    ///
    /// # Errors
    ///
    /// `ESRCH`: the bond has ended.
    pub(crate) fn unbind(&self) -> Result {
        if !trace::counts() && self.own.put_unless_last() {
            return Ok(());
        }
        let inner = self.lock_uncalled().ok_or(ESRCH)?;

        self.own.put();
        self.end_unless_bound(inner);
        Ok(())
    }

    /// Ends the bond, unless it is bound still.
    pub(in crate::bond) fn end_unless_bound(&self, inner: Locked<'_>) {
        let left = self.refs_in(&inner);

        if let Some(left) = usize::try_from(left).ok().filter(|&left| left > 0) {
            trace::unbind(self.traced(), left);
        } else if !self.is_end_left_to_call(&inner) {
            self.end_locked(inner, End::Unbind);
        }
    }

    /// Ends the bond, however often it was bound; `false` if it had ended. As [`Self::unbind`].
    pub(crate) fn end(&self, why: End) -> bool {
        self.lock_uncalled()
            .is_some_and(|inner| self.end_locked(inner, why))
    }

    /// Makes the call that [`Self::begin_stop`] gave when the process had exited, and ends the bond.
    pub(in crate::bond) fn exit(&self, stopping: Stopping) {
        trace::mm_exit(self.traced());
        // The driver may end the bond itself, and then a shutdown finds none to wait for.
        let call = self.device.core.exit_calls.begin(&self.device);

        self.stop(stopping, End::Exit);
        drop(call);
        self.device.count(|totals| totals.exits.add(1));
        // The driver may have unbound; then there is nothing left to do.
        self.end(End::Exit);
    }

    /// Locks the address space at a time when no other task calls the driver for this bond; `None`
    /// if the bond has ended.
    fn lock_uncalled(&self) -> Option<Locked<'_>> {
        let mut inner = self.space.lock()?;

        while self.called(&inner) == Called::Elsewhere {
            self.space.wait(&mut inner);
        }
        self.is_there(&inner).then_some(inner)
    }

    /// Calls the driver, unless it was called already, and ends the bond.
    pub(in crate::bond) fn end_locked<'a>(&'a self, mut inner: Locked<'a>, why: End) -> bool {
        if let Some(stopping) = self.begin_stop(&mut inner, why) {
            drop(inner);
            self.stop(stopping, why);
            // It may have been ended from within the call, and the address space retired.
            inner = self.space.lock_anyway();
        }
        self.finish(inner, why)
    }

    fn stop(&self, stopping: Stopping, why: End) {
        test_point::pass(TestPoint::Stopping);
        let waits = &self.device.core.waits;
        let _refused = waits.refuse(&self.attachment, self.device.endpoint.dev());

        stopping.0.run(&self.device, self.pasid, why);
    }
}
