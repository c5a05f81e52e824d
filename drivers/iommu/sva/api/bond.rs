// SPDX-License-Identifier: GPL-2.0

//! Bonds, as drivers in Rust have them.

use super::Handler;
use crate::bond::{self, group::GroupBond, members::Bound};
use core::ops::Range;
use kernel::{prelude::*, sync::Arc};

/// One bind of an address space to a device, or to the devices of a group; dropping it unbinds.
///
/// The last bind of an address space that is dropped has the device [stopped](Handler::stop), and
/// then ends the bond: on return no page request of it is in flight. The drop may sleep.
///
/// A bond ends before that if its process exits (S9) or the driver leaves the device. It is empty
/// then: nothing can be [started](Self::start) or [pinned](Self::pin), and dropping it does
/// nothing, since its PASID may belong to another process.
#[must_use = "dropping it unbinds"]
pub struct Bond<T: Handler> {
    binds: Binds,
    data: Arc<T::BondData>,
}

/// What a [`Bond`] has bound.
enum Binds {
    Device(Arc<bond::Bond>),
    /// A group's, and what was asked: the bond of a device, which is a part of it.
    Group {
        own: Arc<bond::Bond>,
        group: Arc<GroupBond>,
        left_out: usize,
    },
}

impl<T: Handler> Bond<T> {
    pub(super) fn of_device(bond: Arc<bond::Bond>, data: Arc<T::BondData>) -> Self {
        let binds = Binds::Device(bond);

        Self { binds, data }
    }

    pub(super) fn of_group(bound: Bound, data: Arc<T::BondData>) -> Result<Self> {
        let binds = Binds::Group {
            own: bound.own.ok_or(ENODEV)?,
            group: bound.group,
            left_out: bound.left_out,
        };

        Ok(Self { binds, data })
    }

    /// Calls `start` with the PASID, unless the bond has ended: the one way to have the device work
    /// in the address space.
    ///
    /// [`Handler::stop`] is not called before `start` has returned, so it finds what that started;
    /// nor does `start` run afterwards, when the PASID may belong to another process (S9).
    ///
    /// `start` may sleep. An end that is due waits for it, so it must wait for none: not drop a bind
    /// of this bond or the [`Device`](super::Device), nor bind this process, nor start the device
    /// again. May sleep.
    ///
    /// # Errors
    ///
    /// `ESRCH`: the bond has ended, or is about to.
    pub fn start<R>(&self, start: impl FnOnce(u32) -> R) -> Result<R> {
        self.own().start(start)
    }

    /// The PASID with which the device reaches the address space; 0 for a bond without. To tell
    /// bonds apart: the device gets it from [`Self::start`].
    pub fn pasid(&self) -> u32 {
        self.own().pasid
    }

    /// What the driver keeps for the bond.
    pub fn data(&self) -> &Arc<T::BondData> {
        &self.data
    }

    /// How many devices of the group have no part in the bond (S15); 0 if one device was bound.
    pub fn left_out(&self) -> usize {
        match &self.binds {
            Binds::Device(_) => 0,
            Binds::Group { left_out, .. } => *left_out,
        }
    }

    /// Whether the calling task's memory is what the bond is with: only then do its pointers mean the
    /// same to the device. Any context.
    pub fn is_callers(&self) -> bool {
        self.own().is_callers()
    }

    /// Whether the device may still use the address space: its process has not exited, nor has the
    /// driver left the device. It may change at any time. May sleep.
    pub fn is_live(&self) -> bool {
        self.own().is_live()
    }

    /// Writes `data` at `addr` of the process, where the process may write: such as a completion
    /// record that the device could not write. Never to another process, whatever has become of this
    /// one and of its PASID.
    ///
    /// The top byte of `addr` is ignored, as the device does. An aligned word is written at once.
    ///
    /// May sleep, for pages that are not there; not longer than a device may wait for them, and not
    /// beyond the end of the bond or of the process. Not to be called with `mmap_lock` held, nor in
    /// [`Handler::refused`].
    ///
    /// # Errors
    ///
    /// Bytes of earlier pages have been written.
    ///
    /// - `ESRCH`: the bond has ended, or its process has exited.
    /// - `EFAULT`: the process may not write there, or the page cannot be had.
    /// - `ETIMEDOUT`: the page did not come.
    /// - `EBUSY`: too much of the process, or of the device, waits already.
    /// - `ENOMEM`. `EINTR`: the calling task is being killed.
    pub fn write(&self, addr: u64, data: &[u8]) -> Result {
        self.own().write(addr, data)
    }

    /// Reads from `addr` of the process into `to`. Else as [`Self::write`].
    ///
    /// # Errors
    ///
    /// As [`Self::write`].
    pub fn read(&self, addr: u64, to: &mut [u8]) -> Result {
        self.own().read(addr, to)
    }

    /// Has the pages of `range` there, for writing if `write`, before the device asks for them. Gives
    /// how many are.
    ///
    /// As far as memory is plentiful, and nothing has to be waited for: pages of files, in swap and
    /// behind a `userfaultfd` are left to the device's requests. Nothing is kept there.
    ///
    /// May sleep for memory. Not to be called with `mmap_lock` held, nor in [`Handler::refused`].
    ///
    /// # Errors
    ///
    /// - `ESRCH`: the bond has ended, or its process has exited.
    /// - `EINTR`: the calling task is being killed.
    pub fn prefetch(&self, range: Range<u64>, write: bool) -> Result<u64> {
        let len = range.end.saturating_sub(range.start);

        self.own().prefetch(range.start, len, write)
    }

    /// The bond of the device itself.
    pub(super) fn own(&self) -> &Arc<bond::Bond> {
        match &self.binds {
            Binds::Device(bond) | Binds::Group { own: bond, .. } => bond,
        }
    }

    /// The bonds of all devices now. May sleep.
    pub(super) fn all(&self) -> Result<KVec<Arc<bond::Bond>>> {
        match &self.binds {
            Binds::Device(bond) => {
                let mut all = KVec::new();

                all.push(bond.clone(), GFP_KERNEL)?;
                Ok(all)
            }
            Binds::Group { group, .. } => group.members(),
        }
    }
}

impl<T: Handler> Drop for Bond<T> {
    fn drop(&mut self) {
        match &self.binds {
            Binds::Device(bond) => {
                // ESRCH tells that the bond has ended before.
                let _ = bond.unbind();
            }
            Binds::Group { group, .. } => {
                let _ = group.unbind();
            }
        }
    }
}
