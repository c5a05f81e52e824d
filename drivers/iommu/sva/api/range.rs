// SPDX-License-Identifier: GPL-2.0

//! Ranges for drivers in Rust: memory that a device reaches, whatever it can.

use super::{pinned::OnePin, Bond, Handler};
use crate::{fault::refusal::Reason, features::Mode};
use kernel::prelude::*;

impl<T: Handler> Bond<T> {
    /// How the device reaches the process's memory. It does not change. Any context.
    pub fn mode(&self) -> Mode {
        self.own().mode()
    }

    /// Has the device reach the `len` bytes at `addr` of the process, for reading, and with `write` for
    /// writing, as long as the result lives: the one call for any device. The result tells at which
    /// address.
    ///
    /// What it takes depends on the [mode](Self::mode). [`Mode::Shared`]: nothing, and nothing is
    /// looked at: that the process has no memory there, the device finds out. Else the pages that
    /// the bytes touch are pinned, as by [`Self::pin`], also when the bond is a group's: for the
    /// device that was bound. [`Mode::Mapped`]: and mapped, at the process's own address if nothing
    /// has that in the device's space of addresses, else at another.
    ///
    /// If the process unmaps the memory, a device in mode `Pinned` loses it; in mode `Mapped` it goes
    /// on with the pages that were there. Ranges may overlap: each is one of its own, and counted.
    /// The end of the bond, and before the driver hears of it the exit of the process, take
    /// all from the device. In a kernel thread the limit is that of who bound the process.
    ///
    /// May sleep for pages that are not there, as [`Self::write`] does; takes `mmap_lock`. Not in
    /// [`Mode::Shared`].
    ///
    /// ```
    /// // Whatever this device can.
    /// let device = sva::Device::init(dev, sva::Features::ANY, 0, engine)?;
    /// let bond = device.bind(mm, sva::Features::ANY, queue.clone())?;
    ///
    /// let range = bond.range(queue.buffer() as u64, 100, true)?;
    /// assert!(bond.mode() == sva::Mode::Mapped || range.device_addr() == queue.buffer() as u64);
    /// bond.start(|pasid| queue.start(pasid))?;
    /// queue.stop();
    /// drop(range);
    /// ```
    ///
    /// # Errors
    ///
    /// - `EINVAL`: no bytes, or they wrap.
    /// - `ESRCH`: the bond has ended, or its process has exited.
    /// - `EFAULT`: see [`Self::pin`]; [`Self::why_not`] tells more.
    /// - `EOPNOTSUPP`: a file that lies in memory itself (DAX).
    /// - `ENOSPC`: the device has no addresses left.
    /// - `ETIMEDOUT`, `EBUSY`: see [`Self::write`].
    /// - `ENOMEM`: more than `RLIMIT_MEMLOCK`, or no memory.
    /// - `EINTR`: the calling task is being killed.
    pub fn range(&self, addr: u64, len: u64, write: bool) -> Result<Range> {
        let (device_addr, id) = self.own().range(addr, len, write)?;

        Ok(Range {
            device_addr,
            held: id.map(|id| OnePin::new(self.own(), id)),
        })
    }

    /// Why the process may not do that at `addr`, or why the page cannot be had; `None` if it can. For a
    /// driver that was refused a [range](Self::range), which no page request has been for.
    ///
    /// May sleep for the page, as [`Self::write`].
    ///
    /// # Errors
    ///
    /// `ESRCH`: the bond has ended, or its process has exited. `EINTR`: the calling task is being
    /// killed.
    pub fn why_not(&self, addr: u64, write: bool) -> Result<Option<Reason>> {
        self.own().why_not(addr, write)
    }
}

/// Memory that a bond's device reaches; dropping it takes that back.
///
/// The device should not use it any more by then. The end of the bond and the exit of the process do
/// the same, and then the drop does nothing. It may sleep, if anything [is held](Self::is_held).
#[must_use = "dropping it takes the memory from the device"]
pub struct Range {
    device_addr: u64,
    held: Option<OnePin>,
}

impl Range {
    /// The address of its first byte for the device. Any context.
    pub fn device_addr(&self) -> u64 {
        self.device_addr
    }

    /// Whether memory is kept for it: not in [`Mode::Shared`], where it is worth nothing to keep a
    /// range. Any context.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }
}
