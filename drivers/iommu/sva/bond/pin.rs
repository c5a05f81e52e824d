// SPDX-License-Identifier: GPL-2.0

//! Pins: memory that a device can touch without waiting for a page fault (S7).
//!
//! They belong to a bond. They make no access possible that was not before: the device walks the
//! process's page table, which they keep filled. So releasing them needs no order with the device
//! for the sake of memory; it is done after the detach, so that the device never sees them go.

use super::Bond;
use core::ops::Range;
use kernel::{
    mm::MmWithUser,
    new_mutex,
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::{Mutex, SetOnce},
};
use kernel_ext::pin::PinnedRange;

/// Names one pin of a bond: first address, length, and a number that no other pin of it has.
///
/// So pins of one range are neighbours, the oldest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PinId(usize, usize, u64);

/// The pins of one bond. Most bonds have none, and no room for any.
pub(crate) struct Pins(SetOnce<Pin<KBox<Room>>>);

/// Room for pins, made with the first under the lock of the address space.
#[pin_data]
struct Room {
    #[pin]
    state: Mutex<PinList>,
}

struct PinList {
    /// The bond has ended: nothing is to be pinned any more.
    ended: bool,
    made: u64,
    pages: usize,
    ranges: RBTree<PinId, PinnedRange>,
}

impl Pins {
    pub(crate) fn new() -> Self {
        Self(SetOnce::new())
    }

    /// Makes room, if there is none. Only one task at a time may call this.
    fn make_room(&self) -> Result {
        if self.0.as_ref().is_none() {
            self.0.populate(KBox::pin_init(Room::new(), GFP_KERNEL)?);
        }
        Ok(())
    }

    /// How many pages are pinned, counted as often as they are.
    pub(crate) fn pages(&self) -> usize {
        self.0.as_ref().map_or(0, |room| room.state.lock().pages)
    }

    /// Releases all. May sleep.
    pub(crate) fn release(&self) {
        if let Some(room) = self.0.as_ref() {
            room.release();
        }
    }

    /// Releases all, and lets nothing be pinned any more. May sleep.
    pub(crate) fn end(&self) {
        if let Some(room) = self.0.as_ref() {
            room.state.lock().ended = true;
            room.release();
        }
    }
}

impl Room {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            state <- new_mutex!(
                PinList {
                    ended: false,
                    made: 0,
                    pages: 0,
                    ranges: RBTree::new(),
                },
                "sva_pins"
            ),
        })
    }

    fn add(&self, range: &Range<usize>, pinned: PinnedRange) -> Result<PinId> {
        let pages = pinned.pages();
        let reserved = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let mut state = self.state.lock();

        if state.ended {
            // Released without the lock, as everywhere here.
            drop(state);
            drop(pinned);
            return Err(ESRCH);
        }
        let id = PinId(range.start, range.len(), state.made);

        state.made += 1;
        state.pages += pages;
        state.ranges.insert(reserved.into_node(id, pinned));
        Ok(id)
    }

    fn remove(&self, find: impl FnOnce(&PinList) -> Option<PinId>) -> Result {
        let mut state = self.state.lock();

        if state.ended {
            return Err(ESRCH);
        }
        let id = find(&state).ok_or(ENOENT)?;
        let node = state.ranges.remove_node(&id).ok_or(ENOENT)?;
        let (_, pinned) = node.to_key_value();

        state.pages -= pinned.pages();
        drop(state);
        drop(pinned);
        Ok(())
    }

    fn release(&self) {
        let mut state = self.state.lock();
        let ranges = core::mem::take(&mut state.ranges);

        state.pages = 0;
        drop(state);
        drop(ranges);
    }
}

impl Bond {
    /// Pins `range`; it is released by [`Self::unpin`], at the end of the bond and at the
    /// process's exit. May sleep; takes `mmap_lock` and the address space's lock.
    ///
    /// Pins may overlap: each is one of its own, and counted so.
    ///
    /// # Errors
    ///
    /// `ESRCH`: the bond has ended, or the process has exited. Else as [`PinnedRange::new`]; also
    /// `ENOMEM` and `EINTR` from watching for the exit.
    pub(crate) fn pin(&self, range: Range<usize>, write: bool) -> Result<PinId> {
        let mm = self.space.mm().mmget_not_zero().ok_or(ESRCH)?;
        let mm = MmWithUser::into_mmput_async(mm);
        let pinned = PinnedRange::new(&mm, range.clone(), write)?;

        // Without locks up to here: a fault may take as long as it likes. The exit cannot begin
        // before `mm` is dropped, and finds the pin then.
        self.prepare_pins(&mm)?;
        self.pins.0.as_ref().ok_or(ESRCH)?.add(&range, pinned)
    }

    /// Makes room for pins, and watches for the exit, which releases them.
    fn prepare_pins(&self, mm: &MmWithUser) -> Result {
        let mut inner = self.space.lock().ok_or(ESRCH)?;

        if !self.is_there(&inner) {
            return Err(ESRCH);
        }
        inner.watch_exit(&self.device.core, &self.space, mm)?;
        self.pins.make_room()
    }

    /// Releases one pin of exactly `range`, the oldest. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOENT`: there is none. `ESRCH`: the bond has ended.
    pub(crate) fn unpin(&self, range: &Range<usize>) -> Result {
        let room = self.pins.0.as_ref().ok_or(ENOENT)?;

        room.remove(|state| {
            let first = PinId(range.start, range.len(), 0);
            let (&id, _) = state.ranges.cursor_lower_bound(&first)?.current();

            (id.0 == first.0 && id.1 == first.1).then_some(id)
        })
    }

    /// Releases one pin, if it is still there. May sleep.
    pub(crate) fn unpin_one(&self, id: PinId) {
        // The pin is gone if the bond has ended or the process has exited.
        if let Some(room) = self.pins.0.as_ref() {
            let _ = room.remove(|_| Some(id));
        }
    }
}
