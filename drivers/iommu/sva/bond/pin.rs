// SPDX-License-Identifier: GPL-2.0

//! Pins: memory that a device can touch without waiting for a page fault (S7).
//!
//! They belong to a bond. They make no access possible that was not before: the device walks the
//! process's page table, which they keep filled. So releasing them needs no order with the device
//! for the sake of memory; it is done after the detach, so that the device never sees them go.

use super::{mapped::Entered, Bond};
use crate::features::Feature;
use core::ops::Range;
use kernel::{
    mm::MmWithUser,
    new_mutex,
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::{Mutex, SetOnce},
};
use kernel_ext::{
    map_space::MappedRange,
    pin::{self, PinnedRange},
};

/// Names one pin of a bond: first address, length, and a number that no other pin of it has.
///
/// So pins of one range are neighbours, the oldest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PinId(usize, usize, u64);

impl PinId {
    /// As numbers, for those who keep it elsewhere.
    pub(crate) fn into_parts(self) -> (usize, usize, u64) {
        (self.0, self.1, self.2)
    }

    /// Undoes [`Self::into_parts`]. Numbers that are no pin's name none.
    pub(crate) fn from_parts((start, len, made): (usize, usize, u64)) -> Self {
        Self(start, len, made)
    }
}

/// The pins of one bond. Most bonds have none, and no room for any.
pub(crate) struct Pins(SetOnce<Pin<KBox<Room>>>);

/// Room for pins, made with the first under the lock of the address space.
#[pin_data]
struct Room {
    /// How many pages kernel threads may pin.
    limit: usize,
    #[pin]
    state: Mutex<PinList>,
}

struct PinList {
    /// The bond has ended: nothing is to be pinned any more.
    ended: bool,
    made: u64,
    pages: usize,
    ranges: RBTree<PinId, Kept>,
    /// Where they are mapped, if the device has no page tables of the process. Given up after them.
    entered: Option<Entered>,
}

/// Memory that is kept for a device, in one piece.
enum Kept {
    Pinned(PinnedRange),
    Mapped(MappedRange),
}

impl Kept {
    fn pages(&self) -> usize {
        match self {
            Self::Pinned(pinned) => pinned.pages(),
            Self::Mapped(mapped) => mapped.pinned().pages(),
        }
    }

    /// The device's address, if it is not the process's.
    fn at(&self) -> Option<usize> {
        match self {
            Self::Pinned(_) => None,
            Self::Mapped(mapped) => Some(mapped.start()),
        }
    }
}

impl Pins {
    /// None; those to come are mapped in what the bond has `entered`, if anything.
    pub(super) fn new(entered: Option<Entered>) -> Result<Self> {
        let pins = Self(SetOnce::new());

        if entered.is_some() {
            let room = Room::new(entered, pin::own_limit());

            pins.0.populate(KBox::pin_init(room, GFP_KERNEL)?);
        }
        Ok(pins)
    }

    /// Makes room, if there is none, for as many pages as the current process may pin. Only one task at
    /// a time may call this.
    pub(super) fn make_limited_room(&self) -> Result {
        self.make_room(pin::own_limit())
    }

    fn make_room(&self, limit: usize) -> Result {
        if self.0.as_ref().is_none() {
            self.0
                .populate(KBox::pin_init(Room::new(None, limit), GFP_KERNEL)?);
        }
        Ok(())
    }

    /// How many pages kernel threads may pin.
    fn limit(&self) -> usize {
        self.0.as_ref().map_or(usize::MAX, |room| room.limit)
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
            let entered = room.state.lock().entered.take();

            drop(entered);
        }
    }
}

impl Room {
    fn new(entered: Option<Entered>, limit: usize) -> impl PinInit<Self> {
        pin_init!(Self {
            limit,
            state <- new_mutex!(
                PinList {
                    ended: false,
                    made: 0,
                    pages: 0,
                    ranges: RBTree::new(),
                    entered,
                },
                "sva_pins"
            ),
        })
    }

    fn add(&self, range: &Range<usize>, pinned: PinnedRange) -> Result<(PinId, Option<usize>)> {
        let pages = pinned.pages();
        let list = self.state.lock();
        let space = list.entered.as_ref().map(|entered| entered.space().clone());

        drop(list);
        // A bond that ends meanwhile finds it when it is added, or is found to have ended.
        let kept = match space {
            Some(space) => Kept::Mapped(space.map(pinned, range.start)?),
            None => Kept::Pinned(pinned),
        };
        let at = kept.at();
        let reserved = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let mut state = self.state.lock();

        if state.ended {
            // Released without the lock, as everywhere here.
            drop(state);
            drop(kept);
            return Err(ESRCH);
        }
        let id = PinId(range.start, range.len(), state.made);

        state.made += 1;
        state.pages += pages;
        state.ranges.insert(reserved.into_node(id, kept));
        Ok((id, at))
    }

    fn remove(&self, find: impl FnOnce(&PinList) -> Option<PinId>) -> Result {
        let mut state = self.state.lock();

        if state.ended {
            return Err(ESRCH);
        }
        let id = find(&state).ok_or(ENOENT)?;
        let node = state.ranges.remove_node(&id).ok_or(ENOENT)?;
        let (_, kept) = node.to_key_value();

        state.pages -= kept.pages();
        drop(state);
        drop(kept);
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
    /// `ESRCH`: the bond has ended, or the process has exited. `EOPNOTSUPP`: the device does not use the
    /// process's addresses. Else as [`PinnedRange::new`]; also `ENOMEM` and `EINTR` from watching for
    /// the exit.
    pub(crate) fn pin(&self, range: Range<usize>, write: bool) -> Result<PinId> {
        if self.flags.contains(Feature::Mapped) {
            return Err(EOPNOTSUPP);
        }
        Ok(self.pin_at(range, write)?.0)
    }

    /// The same for any bond: also at which address the device has it, if not at the process's.
    pub(super) fn pin_at(
        &self,
        range: Range<usize>,
        write: bool,
    ) -> Result<(PinId, Option<usize>)> {
        let mm = self.space.mm().mmget_not_zero().ok_or(ESRCH)?;
        let mm = MmWithUser::into_mmput_async(mm);
        let pinned = PinnedRange::new(&mm, range.clone(), write, self.pins.limit())?;

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
        self.pins.make_room(usize::MAX)?;
        if let Some(translation) = self.attachment.translation() {
            translation.domain().keep_awake();
        }
        Ok(())
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
