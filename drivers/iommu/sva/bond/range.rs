// SPDX-License-Identifier: GPL-2.0

//! Ranges: memory of a bond's process that its device reaches, whatever the device can.
//!
//! One call for all [modes](Mode): it costs nothing where the device waits for pages itself.

use super::{copy::untagged, pin::PinId, Bond};
use crate::{
    fault::refusal::Reason,
    features::{Feature, Features, Mode},
};
use kernel::{page::PAGE_SIZE, prelude::*, sync::atomic::ordering::Relaxed};

impl Bond {
    /// How its device reaches the process's memory. It does not change while the bond is there.
    pub(crate) fn mode(&self) -> Mode {
        if self.flags.contains(Feature::Mapped) {
            Mode::Mapped
        } else if self.asks.load(Relaxed) {
            Mode::Shared
        } else {
            Mode::Pinned
        }
    }

    /// What it has, for people.
    pub(crate) fn shown(&self) -> Features {
        self.flags.shown(Some(self.mode()))
    }

    /// Has the device reach the `len` bytes at `addr` of the process: by which address, and what there
    /// is to be [given back](Self::unpin_one) for that. In [`Mode::Shared`] it does nothing; else it
    /// pins whole pages, and may sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL`: no bytes, or they wrap. `ENOSPC`: the device has no addresses left. Else, in other
    /// modes than [`Mode::Shared`], as [`Self::pin`] and [`Self::write`].
    pub(crate) fn range(&self, addr: u64, len: u64, write: bool) -> Result<(u64, Option<PinId>)> {
        let start = untagged(addr);
        let end = start.checked_add(len).ok_or(EINVAL)?;

        if len == 0 {
            return Err(EINVAL);
        }
        if self.mode() == Mode::Shared {
            return Ok((addr, None));
        }
        // No process has addresses up there, so nothing is cut off.
        let first = usize::try_from(start)? & !(PAGE_SIZE - 1);
        let last = usize::try_from(end)?
            .checked_next_multiple_of(PAGE_SIZE)
            .ok_or(EFAULT)?;
        // Pages that are not there are waited for as a device would: who pins holds the process's memory
        // meanwhile, also beyond its end, and is then not to wait.
        self.touch(first as u64, last - first, write, |_, _, _| Ok(()))?;
        let (id, at) = self.pin_at(first..last, write)?;
        let device_addr = match at {
            // With its tag, as the process has it.
            None => addr,
            Some(at) => at as u64 + (start - first as u64),
        };

        Ok((device_addr, Some(id)))
    }

    /// Why the process may not do that at `addr`, or the page cannot be had; `None` if it can. For a
    /// driver that has been refused a range. May sleep for the page, as [`Self::write`].
    ///
    /// # Errors
    ///
    /// `ESRCH`: the bond has ended, or its process has exited. `EINTR`: the task is being killed.
    pub(crate) fn why_not(&self, addr: u64, write: bool) -> Result<Option<Reason>> {
        self.ask_for(untagged(addr), write)
    }
}
