// SPDX-License-Identifier: GPL-2.0

//! The life of a bond: its states, and one function for each arrow between them.
//!
//! | from | to | by |
//! |---|---|---|
//! | making | live | [`Bond::go_live`]: all that may fail has been done |
//! | making | ended | [`Bond::discard`]: something has failed |
//! | live | stopping | [`Bond::begin_stop`]: the driver is to be called |
//! | live, stopping | ended | [`Bond::finish`]: detached, then unlisted, then its PASID given back |
//!
//! All of that happens under the lock of the bond's address space, which is given back only while
//! the driver is called: one task calls it, and others neither start the device nor bind or unbind
//! meanwhile. See `Documentation/bond-states.rst`.

mod end;

use super::{
    device::SvaDevice,
    group::GroupBond,
    owed::Debt,
    owner::{AnyOwner, Call, End, Identity},
    space::{AddressSpace, Inner, Locked},
    Bond,
};
use crate::{features::Features, trace};
use kernel::{
    current,
    mm::MmWithUser,
    prelude::*,
    sync::{Arc, LockedBy},
};
use kernel_ext::{
    endpoint::Held,
    task::TaskName,
    test_point::{self, TestPoint},
};

/// What of a bond its address space's lock protects.
pub(crate) struct Life(LockedBy<Record, Inner>);

struct Record {
    state: BondState,
    /// The driver's side; `None` when all that is left to come is the end.
    owner: Option<AnyOwner>,
    /// The bond of a group that this one is a part of, and is bound as often as.
    group: Option<Arc<GroupBond>>,
    /// Keeps the device, from the beginning to the end.
    held: Option<Held>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BondState {
    Making,
    /// So many tasks are just starting the device.
    Live {
        starting: u32,
    },
    /// The driver is being called by that task, or will be when no task is starting the device.
    Stopping {
        by: TaskName,
        starting: u32,
    },
    Ended,
}

impl BondState {
    fn is_live(&self) -> bool {
        matches!(self, Self::Live { .. })
    }

    fn is_stopping(&self) -> bool {
        matches!(self, Self::Stopping { .. })
    }

    /// How many tasks are starting the device, while the bond is there.
    fn starting(&mut self) -> Option<&mut u32> {
        match self {
            Self::Live { starting } | Self::Stopping { starting, .. } => Some(starting),
            Self::Making | Self::Ended => None,
        }
    }
}

/// What to do before a bond ends.
pub(crate) struct Stopping(Call);

/// Whether the driver is being called for a bond.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Called {
    No,
    /// By this task.
    Here,
    Elsewhere,
}

impl Life {
    /// Of a bond of `owner` in `space`, whose device is `held`, that is being made.
    pub(super) fn new(
        space: &AddressSpace,
        owner: AnyOwner,
        group: Option<Arc<GroupBond>>,
        held: Held,
    ) -> Self {
        Self(space.locked_by(Record {
            state: BondState::Making,
            owner: Some(owner),
            group,
            held: Some(held),
        }))
    }
}

// What there is to know.
impl Bond {
    fn record<'a>(&'a self, inner: &'a Inner) -> &'a Record {
        self.life.0.access(inner)
    }

    fn record_mut<'a>(&'a self, inner: &'a mut Inner) -> &'a mut Record {
        self.life.0.access_mut(inner)
    }

    fn starting<'a>(&'a self, inner: &'a mut Inner) -> Option<&'a mut u32> {
        self.record_mut(inner).state.starting()
    }

    /// Whether it is at work, and nothing has begun to end it.
    pub(crate) fn is_live_in(&self, inner: &Inner) -> bool {
        self.record(inner).state.is_live()
    }

    /// Whether it has been made and has not ended.
    pub(crate) fn is_there(&self, inner: &Inner) -> bool {
        let state = &self.record(inner).state;

        state.is_live() || state.is_stopping()
    }

    /// Whether the driver is being called.
    pub(crate) fn called(&self, inner: &Inner) -> Called {
        match self.record(inner).state {
            BondState::Stopping { by, .. } if by == TaskName::current() => Called::Here,
            BondState::Stopping { .. } => Called::Elsewhere,
            _ => Called::No,
        }
    }

    /// Whether the bond ends when the call returns that is under way, and not before.
    pub(super) fn is_end_left_to_call(&self, inner: &Inner) -> bool {
        let record = self.record(inner);

        record.state.is_stopping() && record.owner.is_none()
    }

    /// The owner, unless all that is left to come is the end.
    pub(crate) fn owner<'a>(&'a self, inner: &'a Inner) -> Option<&'a AnyOwner> {
        self.record(inner).owner.as_ref()
    }

    /// Whether binds of `identity` count as this one.
    pub(crate) fn is_of(&self, inner: &Inner, identity: Identity) -> bool {
        self.owner(inner)
            .is_some_and(|owner| owner.identity() == identity)
    }

    /// The group's bond that it is a part of.
    pub(crate) fn group<'a>(&'a self, inner: &'a Inner) -> Option<&'a Arc<GroupBond>> {
        self.record(inner).group.as_ref()
    }

    /// Makes it a part of a group's bond, or of none.
    pub(super) fn set_group(
        &self,
        inner: &mut Inner,
        group: Option<Arc<GroupBond>>,
    ) -> Option<Arc<GroupBond>> {
        core::mem::replace(&mut self.record_mut(inner).group, group)
    }

    /// The device, unless the bond has ended.
    pub(super) fn held<'a>(&'a self, inner: &'a Inner) -> Option<&'a Held> {
        self.record(inner).held.as_ref()
    }

    /// How often it is bound: by itself, and as part of its group.
    pub(crate) fn refs_in(&self, inner: &Inner) -> i64 {
        let of_group = self.group(inner).map_or(0, |group| group.users(inner));

        i64::from(self.own.get()) + i64::from(of_group)
    }

    /// Whether the driver wants to be called when the process exits.
    pub(super) fn is_exit_heard(&self, inner: &Inner) -> bool {
        self.owner(inner)
            .is_some_and(|owner| owner.hears_of_exits(&self.device))
    }

    /// Whether the driver wants to be called when the process exits, and has not been.
    pub(super) fn is_exit_due(&self, inner: &Inner) -> bool {
        self.is_live_in(inner) && self.is_exit_heard(inner)
    }

    /// How often the bond is bound; 0 if it has ended, or is not made yet.
    pub(crate) fn refs(&self) -> usize {
        match self.space.lock() {
            Some(inner) if self.is_there(&inner) => {
                usize::try_from(self.refs_in(&inner)).unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Whether it is at work, and nothing has begun to end it.
    pub(crate) fn is_live(&self) -> bool {
        self.space
            .lock()
            .is_some_and(|inner| self.is_live_in(&inner))
    }
}

// The arrows.
impl Bond {
    /// Making → live.
    pub(super) fn go_live(&self, inner: &mut Inner) {
        self.record_mut(inner).state = BondState::Live { starting: 0 };
        trace::bond_state(self.traced(), trace::State::Live);
    }

    /// Making → ended: nobody has seen it at work. It is not attached.
    pub(super) fn discard(&self, inner: &mut Inner) {
        let hearer = self.stop_hearing();
        let had_place = self.of_device.is_listed();

        self.device.unlist(self);

        let listed = inner.bonds.remove(self);
        let record = self.record_mut(inner);

        record.state = BondState::Ended;
        let left = (record.owner.take(), record.group.take(), record.held.take());

        if had_place {
            trace::bond_state(self.traced(), trace::State::Ended);
        }
        drop((left, listed, hearer));
    }

    /// Live → stopping, by this task, if the driver is to be called for an end like `why`, or somebody
    /// is starting the device. Waits, without the lock, for those who are. Gives the call, if one is
    /// due.
    pub(super) fn begin_stop(&self, inner: &mut Locked<'_>, why: End) -> Option<Stopping> {
        let record = self.record_mut(inner);

        let BondState::Live { starting } = record.state else {
            return None;
        };
        let owner = record.owner.as_ref()?;
        // As it is now: it may be unregistered before it is called, but not before it returns.
        let call = owner.call(&self.device, why);

        // The exit of a process ends no bond without a call.
        if call.is_none() && (starting == 0 || why == End::Exit) {
            return None;
        }
        // One that is called whatever ends the bond has no other part in it from here on.
        let owner = match call {
            Some(Call::Object(_)) => record.owner.take(),
            _ => None,
        };

        record.state = BondState::Stopping {
            by: TaskName::current(),
            starting,
        };
        trace::bond_state(self.traced(), trace::State::Stopping);
        // Who is starting the device may wait for it, which must not wait for a page then.
        let waits = &self.device.core.waits;
        let _refused =
            (starting > 0).then(|| waits.refuse(&self.attachment, self.device.endpoint.dev()));

        while self.starting(inner).is_some_and(|starting| *starting > 0) {
            self.space.wait(inner);
        }
        drop(owner);
        call.map(Stopping)
    }

    /// How often its driver, which has heard that the process has exited, may unbind it by mistake.
    fn late_unbinds(&self, inner: &Inner) -> u32 {
        match self.owner(inner) {
            Some(AnyOwner::Plain(plain)) if plain.names_by_pasid() => {
                u32::try_from(self.refs_in(inner)).unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Live or stopping → ended. Detaches first; then nothing lists the bond; then its PASID, or the
    /// place without one, is given back. `false` if it had ended.
    pub(super) fn finish(&self, mut inner: Locked<'_>, why: End) -> bool {
        if !self.is_there(&inner) {
            return false;
        }
        let waited_for = self.record(&inner).state.is_stopping();
        let late = match why {
            End::Exit => self.late_unbinds(&inner),
            _ => 0,
        };
        let record = self.record_mut(&mut inner);

        record.state = BondState::Ended;
        let left = (record.owner.take(), record.group.take());
        let held = record.held.take();
        // Nobody else ends it: the state has just said that it is there.
        let mut attached = held.as_ref().and_then(|held| inner.end_use(self, held));
        let was_attached = attached.is_some();
        let debt = match late {
            0 => None,
            times if self.pasid == 0 => {
                self.device.owe_without_pasid(times);
                None
            }
            times => {
                let others = inner.attachments.translations();

                Debt::new(self.pasid, times, attached.take(), others)
            }
        };

        let hearer = self.stop_hearing();

        test_point::pass(TestPoint::Detached);
        self.device.unlist(self);
        let listed = inner.bonds.remove(self);

        self.device.count(|totals| {
            totals.unbinds.add(1);
            // Others may use it still.
            if was_attached {
                totals.ended.add(&self.attachment);
            }
        });
        // While nobody else can have its PASID.
        trace::unbind(self.traced(), 0);
        trace::bond_state(self.traced(), trace::State::Ended);
        drop(attached);
        if let Some(debt) = debt {
            self.device.owe(debt);
        }
        if waited_for {
            self.space.wake();
        }
        self.space.unlock(&self.device.core, inner);
        self.pins.end();
        // Last of all: a device that leaves waits for this.
        drop((left, listed, hearer));
        drop(held);
        true
    }
}

// What uses a bond that is there.
impl Bond {
    /// Whether the calling task's memory is that of its process. Any context.
    pub(crate) fn is_callers(&self) -> bool {
        let task = current!();

        task.mm()
            .is_some_and(|mm| core::ptr::eq(mm.as_raw(), self.space.mm().as_raw()))
    }

    /// The driver's side of the bond of `device` and `mm` with `flags`, if there is one that is not about
    /// to end. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the device was not initialised with these flags. `ENOMEM`.
    pub(crate) fn owner_of(
        device: &SvaDevice,
        mm: &MmWithUser,
        flags: Features,
    ) -> Result<Option<AnyOwner>> {
        let mut candidates = device.features.candidates(flags).peekable();

        candidates.peek().ok_or(EINVAL)?;
        let space = device.core.space(mm)?;
        let Some(inner) = space.lock() else {
            device.core.forget_space(&space);
            return Ok(None);
        };
        let there = candidates.find_map(|flags| inner.bonds.of_device(device, flags));
        let owner = there.and_then(|bond| bond.owner(&inner).cloned());

        space.unlock(&device.core, inner);
        Ok(owner)
    }

    /// Calls `start` with the PASID, unless the bond is ending; the driver is not called before
    /// `start` has returned. May sleep.
    ///
    /// # Errors
    ///
    /// `ESRCH`: the bond has ended, or is about to.
    pub(crate) fn start<R>(&self, start: impl FnOnce(u32) -> R) -> Result<R> {
        let mut inner = self.space.lock().ok_or(ESRCH)?;

        let BondState::Live { starting } = &mut self.record_mut(&mut inner).state else {
            return Err(ESRCH);
        };

        *starting += 1;
        drop(inner);

        let started = start(self.pasid);
        let mut inner = self.space.lock_anyway();

        if let Some(starting) = self.starting(&mut inner) {
            *starting -= 1;
        }
        if self.called(&inner) != Called::No {
            self.space.wake();
        }
        Ok(started)
    }
}
