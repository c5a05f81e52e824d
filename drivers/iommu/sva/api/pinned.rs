// SPDX-License-Identifier: GPL-2.0

//! Pins for drivers in Rust: memory that a device reaches without page faults (S7).

use super::{Bond, Handler};
use crate::bond::{self, pin::PinId};
use core::ops::Range;
use kernel::{prelude::*, sync::Arc};

impl<T: Handler> Bond<T> {
    /// Pins `range` of the address space, for a device that does not wait for page faults (S7):
    /// it then reaches the range for reading, and with `write` for writing, without any.
    ///
    /// Whole pages. The process goes on using them, may unmap them, and then the device loses
    /// them too. Each pin counts against `RLIMIT_MEMLOCK`, in a bond of a group once for each
    /// member; pins may overlap. A bond with [`Features::IOPF`](crate::Features::IOPF) may have
    /// pins as well.
    ///
    /// May sleep, also for I/O; takes `mmap_lock`.
    ///
    /// ```
    /// // A device that cannot wait for page faults.
    /// let device = sva::Device::init(dev, sva::Features::PASID, 0, engine)?;
    /// let bond = device.bind(mm, sva::Features::PASID, queue.clone())?;
    ///
    /// let (start, len) = (queue.buffer(), kernel::page::PAGE_SIZE);
    /// let pinned = bond.pin(start..start + len, true)?;
    /// bond.start(|pasid| queue.start(pasid))?;
    /// queue.stop();
    /// drop(pinned);
    /// ```
    ///
    /// # Errors
    ///
    /// After an error nothing more is pinned than before.
    ///
    /// - `EINVAL`: not whole pages, or none.
    /// - `ESRCH`: the bond has ended, or its process has exited.
    /// - `EFAULT`: part of the range is not mapped, is not memory, is not to be accessed so by the
    ///   process, or (with `write`) is shared with a file on a disk.
    /// - `EOPNOTSUPP`: a file that lies in memory itself (DAX); or the device has addresses of its own
    ///   ([`Mode::Mapped`](crate::Mode::Mapped)), and needs [`Self::range`].
    /// - `ENOMEM`: more than `RLIMIT_MEMLOCK`, or no memory.
    /// - `EINTR`: the calling task is being killed.
    pub fn pin(&self, range: Range<usize>, write: bool) -> Result<Pinned> {
        let all = self.all()?;
        let mut pins = KVec::with_capacity(all.len(), GFP_KERNEL)?;

        if all.is_empty() {
            return Err(ESRCH);
        }
        for bond in &all {
            let id = bond.pin(range.clone(), write)?;

            pins.push(OnePin::new(bond, id), GFP_KERNEL)?;
        }
        Ok(Pinned { _pins: pins })
    }
}

/// Memory that is pinned for a bond's device; dropping it releases the memory.
///
/// The device should not use it any more by then. The end of the bond and the exit of the process
/// release the memory too, and then the drop does nothing. It may sleep.
#[must_use = "dropping it releases the memory"]
pub struct Pinned {
    _pins: KVec<OnePin>,
}

/// A pin of one device's bond.
pub(super) struct OnePin {
    bond: Arc<bond::Bond>,
    id: PinId,
}

impl OnePin {
    pub(super) fn new(bond: &Arc<bond::Bond>, id: PinId) -> Self {
        Self {
            bond: bond.clone(),
            id,
        }
    }
}

impl Drop for OnePin {
    fn drop(&mut self) {
        self.bond.unpin_one(self.id);
    }
}
