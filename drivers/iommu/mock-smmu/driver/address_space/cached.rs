// SPDX-License-Identifier: GPL-2.0

//! What hardware may have cached of an address space, and making it forget: descriptors that sleep
//! and wake, and a process's flushes, which only concern those that are awake.
//!
//! The order, in all of this: who is to be awake is so in `all_sleep` before hardware sees its
//! descriptor; who sleeps is so there after hardware has forgotten all that came by it. In between
//! flushes wait for the lock, or are waited for.

use super::{
    tag,
    AddressSpace,
    Attached,
    Attachment, //
};
use crate::{
    driver::{
        asid::PARKED,
        invalidate::{
            self,
            Range, //
        },
        master::Master,
        report, //
    },
    fmt::cd::Cd,
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Full,
            Relaxed, //
        },
        barrier::smp_mb, //
    }, //
};

/// `cd`, as it sleeps. One word differs, so that each change is one store.
///
/// EPD0 alone would not do: it forbids walks, but what the TLB has for the ASID passes.
pub(super) fn asleep(cd: Cd) -> Cd {
    cd.with_epd0(true).with_asid(PARKED)
}

impl AddressSpace {
    /// Whether `cd` is one of ours, be it asleep.
    fn leads_here(&self, cd: Cd) -> bool {
        let asid = [self.asid(), PARKED].contains(&cd.asid());
        cd.v() && asid && cd.ttb0() == self.cd.ttb0()
    }

    /// Makes the SMMU and all devices that use the address space forget `range`. Any context.
    #[inline]
    pub(in crate::driver) fn invalidate(&self, range: Range) {
        // After the change of the page table. Pairs with `AllSleep::end`. The barrier of the CPUs'
        // own invalidation does not do: it may be one for stores alone, on this CPU alone.
        smp_mb(Full);
        if !self.all_sleep.pass() {
            self.invalidate_cached(range);
        }
    }

    /// Whether flushes have nobody to tell at the moment.
    #[cfg(CONFIG_KUNIT)]
    pub(crate) fn passes_flushes(&self) -> bool {
        self.all_sleep.holds()
    }

    #[cold]
    fn invalidate_cached(&self, range: Range) {
        let mut state = self.state.lock();

        if state.released {
            return;
        }
        for (&(sid, ssid), there) in state.attached.iter_mut() {
            if there.idle.flushed() {
                self.put_to_sleep(sid, ssid, there);
            }
        }
        let (mut begin, mut awake) = (false, false);
        for there in state.attached.values() {
            begin |= there.idle.begins();
            awake |= !there.idle.sleeps();
        }
        if !(begin || awake) {
            return;
        }
        // Of who sleeps from now on nothing may be left; but others who are awake have use for the
        // TLB.
        report(
            self.forget(
                &state,
                if awake { range } else { Range::All },
                |there| match there.idle.begins() {
                    true => Some(Range::All),
                    false => (!there.idle.sleeps()).then_some(range),
                },
            ),
        );
        self.settle(&state);
    }

    /// Makes the TLB forget `range`, and then each device the part that `of` gives, if any.
    fn forget(
        &self,
        state: &Attached,
        range: Range,
        of: impl Fn(&Attachment) -> Option<Range>,
    ) -> Result {
        let ranges = self.smmu.features.ranges;

        self.smmu.cmdq.run(|batch| {
            invalidate::tlbi(batch, self.asid(), range, ranges)?;
            // Only once the TLB has forgotten may a device ask anew.
            let mut synced = false;
            for (&(sid, ssid), there) in state.attached.iter().filter(|(_, a)| a.ats) {
                let Some(range) = of(there) else {
                    continue;
                };
                if !core::mem::replace(&mut synced, true) {
                    batch.sync()?;
                }
                batch.push(invalidate::atc_inv(sid, tag(ssid), range))?;
            }
            Ok(())
        })
    }

    /// Nothing is translated by a descriptor any more. What has come by it is still cached.
    fn put_to_sleep(&self, sid: u32, ssid: u32, there: &mut Attachment) {
        let stored = there.slot.update(
            |cd| self.leads_here(cd).then(|| asleep(cd)),
            || self.smmu.sync_cd(sid, ssid),
        );

        match stored {
            Ok(()) => {
                self.smmu.idle.sleeps.fetch_add(1, Relaxed);
                there.idle.sleep();
            }
            Err(error) => report(Err(error)),
        }
    }

    /// Somebody is about to be awake: flushes wait for the lock from now on.
    pub(super) fn rouse(&self, state: &mut Attached) {
        let missed = self.all_sleep.end();

        for there in state.attached.values_mut() {
            there.idle.missed(missed);
        }
    }

    /// Flushes need no lock if all sleep. What they had cached has gone.
    pub(super) fn settle(&self, state: &Attached) {
        if state.attached.values().all(|there| there.idle.sleeps()) {
            self.all_sleep.begin(!state.attached.is_empty());
        }
    }

    /// The device has been told of a page, or will be: its descriptor is awake, now at the latest.
    /// Any context.
    pub(in crate::driver) fn wake(&self, sid: u32, ssid: u32) {
        let mut state = self.state.lock();
        let key = (sid, ssid);

        // After the exit it stays as it is.
        if state.released {
            return;
        }
        match state.attached.get_mut(&key) {
            None => {}
            Some(there) if !there.idle.sleeps() => there.idle.awake(),
            Some(_) => self.wake_some(&mut state, |there| there == key),
        }
    }

    fn wake_some(&self, state: &mut Attached, which: impl Fn((u32, u32)) -> bool) {
        // Before hardware can walk.
        self.rouse(state);
        for (&(sid, ssid), there) in state.attached.iter_mut() {
            if !which((sid, ssid)) || !there.idle.sleeps() {
                continue;
            }
            report(there.slot.update(
                |cd| {
                    self.leads_here(cd)
                        .then(|| cd.with_epd0(false).with_asid(self.asid()))
                },
                || self.smmu.sync_cd(sid, ssid),
            ));
            self.smmu.idle.wakes.fetch_add(1, Relaxed);
            there.idle.awake();
        }
    }

    /// Nothing that leads here sleeps from now on: somebody relies on what needs no page request.
    /// Any context.
    pub(in crate::driver) fn keep_awake(&self) {
        let mut state = self.state.lock();

        state.always = true;
        if !state.released {
            self.wake_some(&mut state, |_| true);
        }
        for there in state.attached.values_mut() {
            there.idle.never();
        }
    }

    /// Has nothing translated any more, for good. The devices may still be at it: their descriptors
    /// stay valid, so that they get refusals, not configuration errors. Any context.
    pub(in crate::driver) fn release(&self) {
        let mut state = self.state.lock();

        state.released = true;
        // Not under our ASID: the TLB still has what others brought, and who slept would get it.
        let blocked = self.smmu.features.exited_cd(PARKED);
        for (&(sid, ssid), there) in state.attached.iter() {
            report(there.slot.update(
                |cd| self.leads_here(cd).then_some(blocked),
                || self.smmu.sync_cd(sid, ssid),
            ));
        }
        let awake = |there: &Attachment| (!there.idle.sleeps()).then_some(Range::All);
        if state.attached.values().any(|there| awake(there).is_some()) {
            report(self.forget(&state, Range::All, awake));
        }
        // And nothing is cached from here on.
        self.all_sleep.begin(false);
    }

    /// Ends the membership of a device and PASID, whose descriptor leads elsewhere by now: hardware
    /// forgets what has come by it. Any context.
    pub(super) fn leave(&self, master: &Master, ssid: u32) {
        let key = (master.sid(), ssid);
        let node = {
            let mut state = self.state.lock();
            let there = state.attached.get(&key);
            if there.is_some_and(|there| !state.released && !there.idle.sleeps()) {
                report(self.smmu.cmdq.run(|batch| {
                    invalidate::tlbi(batch, self.asid(), Range::All, false)?;
                    if master.ats() {
                        batch.sync()?;
                        batch.push(invalidate::atc_inv(master.sid(), tag(ssid), Range::All))?;
                    }
                    Ok(())
                }));
            }
            let node = state.attached.remove_node(&key);
            if !state.released {
                self.settle(&state);
            }
            node
        };
        // Freed without the lock.
        drop(node);
    }
}
