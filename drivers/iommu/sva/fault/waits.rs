// SPDX-License-Identifier: GPL-2.0

//! All page request groups that wait, and the bounds within which they may.
//!
//! Each process has a few workers at a time, so that one with any number of pages that never come
//! keeps no worker from another. How many groups may wait is bounded for each process and for each
//! device, and so is for how long. While any wait, a thread looks after them: it ends the wait of
//! those whose time is up, or whose process has gone but for us.

use super::{
    activity::Activity,
    refusal::Reason,
    stats::Counter,
    waiting::Waiting,
    GroupAttachment, //
};
use crate::module_parameters;
use kernel::{
    device::Device,
    mm::{Mm, MmWithUser},
    new_condvar, new_mutex, new_spinlock,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{ordering::Relaxed, Atomic},
        Arc, CondVar, Mutex, SpinLock,
    },
    time::{delay::fsleep, msecs_to_jiffies, Delta},
};
use kernel_ext::{
    exit_notifier,
    thread::{KThread, Stop},
    tree::{impl_tree_item, Links, Tree},
    workqueue::OwnedQueue,
};

/// How many groups of one process have a worker at a time.
const WORKERS: u32 = 8;

/// How often those that wait are looked at, in ms.
const TICK: u32 = 100;

/// How many are taken off the list at a time.
const BATCH: usize = 16;

/// Where a group stands: the address of its process's `mm_struct`, and a number that grows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(usize, u64);

impl Place {
    /// The first after this.
    fn next(self) -> Self {
        Self(self.0, self.1 + 1)
    }
}

/// The groups that wait.
#[pin_data]
pub(crate) struct Waits {
    #[pin]
    state: Mutex<Waiters>,
    /// Something waits that did not, or the module goes.
    #[pin]
    changed: CondVar,
    queue: OwnedQueue,
    /// Groups that were refused since too many waited.
    pub(crate) over_limit: Counter,
    /// Groups that were refused since their page did not come in time.
    pub(crate) timed_out: Counter,
    /// All groups that were refused, by the reason of the first request.
    refused: [Counter; Reason::ALL.len()],
    /// For the page requests of attachments that there was no memory for.
    pub(super) spare: Activity,
}

struct Waiters {
    /// Of a process the groups that have come first are first.
    groups: Tree<Waiting>,
    /// By process and by device: who has groups that wait.
    shares: Tree<Share>,
    made: u64,
    closed: bool,
    /// At which attachments nothing of which device waits any more.
    refused: KVec<(Arc<GroupAttachment>, ARef<Device>)>,
}

/// What one process, or one device, has of it all.
#[pin_data]
struct Share {
    /// The address of its `mm_struct`, or of the device.
    key: usize,
    /// How many groups wait. Changed under the lock of [`Waits`], as is the next.
    waiting: Atomic<u32>,
    /// Of a process: how many have a worker.
    running: Atomic<u32>,
    /// Of a process: how many workers keep its memory.
    #[pin]
    holding: SpinLock<usize>,
    links: Links,
}

impl_tree_item! {
    impl TreeItem<0> for Share { self.links, key: usize = |share| share.key }
}

impl Waiters {
    /// The share under `key`, made if there is none.
    fn share(&mut self, key: usize) -> Result<Arc<Share>> {
        if let Some(there) = self.shares.get(&key) {
            return Ok(there.into());
        }
        let share = Arc::pin_init(
            pin_init!(Share {
                key,
                waiting: Atomic::new(0),
                running: Atomic::new(0),
                holding <- new_spinlock!(0, "sva_waits_holding"),
                links: Links::new(),
            }),
            GFP_KERNEL,
        )?;

        self.shares.insert(share.clone()).map_err(|_| EEXIST)?;
        Ok(share)
    }

    /// Forgets a share that nothing waits in.
    fn tidy(&mut self, share: &Share) {
        if share.waiting.load(Relaxed) == 0 && share.links.is_listed() {
            drop(self.shares.remove(&share.key));
        }
    }

    /// The first group of a process that has no worker.
    fn first_idle(&self, process: usize) -> Option<Arc<Waiting>> {
        self.groups
            .from(&Place(process, 0))
            .take_while(|there| there.leave().place().0 == process)
            .find(|there| !there.has_worker())
            .map(Arc::from)
    }
}

/// Leave to wait, which counts in the shares of a process and of a device until it is dropped.
pub(super) struct Leave {
    waits: Arc<Waits>,
    process: Arc<Share>,
    device: Arc<Share>,
    place: Place,
}

impl Leave {
    /// Where the group stands.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Calls `work` with the memory of the process, which is `mm`, if it has not exited.
    pub(super) fn with_memory(&self, mm: &Mm, work: impl FnOnce(&MmWithUser)) {
        // What we hold and what we say we hold change together.
        let mut holding = self.process.holding.lock();
        let Some(user) = mm.mmget_not_zero() else {
            return;
        };
        // Were this the last reference, its exit would run right here.
        let user = MmWithUser::into_mmput_async(user);

        *holding += 1;
        drop(holding);
        work(&user);

        let mut holding = self.process.holding.lock();

        *holding -= 1;
        drop(user);
    }

    /// Whether nobody uses `mm`, the process, but our workers.
    pub(super) fn is_alone_with(&self, mm: &Mm) -> bool {
        let holding = self.process.holding.lock();

        exit_notifier::users(mm) <= *holding
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut state = self.waits.state.lock();

        for share in [&self.process, &self.device] {
            share.waiting.fetch_sub(1, Relaxed);
            state.tidy(share);
        }
    }
}

/// Keeps what [`Waits::refuse`] said in force.
pub(crate) struct Refusal {
    waits: Arc<Waits>,
    what: (Arc<GroupAttachment>, ARef<Device>),
}

impl Drop for Refusal {
    fn drop(&mut self) {
        let (at, of) = &self.what;
        let mut state = self.waits.state.lock();
        let same = |(there, device): &(Arc<GroupAttachment>, ARef<Device>)| {
            Arc::ptr_eq(there, at) && core::ptr::eq(&**device, &**of)
        };

        if let Some(place) = state.refused.iter().position(same) {
            let _ = state.refused.remove(place);
        }
    }
}

impl Waits {
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            state <- new_mutex!(
                Waiters {
                    groups: Tree::new(),
                    shares: Tree::new(),
                    made: 0,
                    closed: false,
                    refused: KVec::new(),
                },
                "sva_waits"
            ),
            changed <- new_condvar!("sva_waits_changed"),
            queue: OwnedQueue::new(c"sva_faults")?,
            over_limit: Counter::default(),
            timed_out: Counter::default(),
            refused: Default::default(),
            spare: Activity::default(),
        })
    }

    /// All groups that were refused for `reason`.
    pub(crate) fn refused(&self, reason: Reason) -> &Counter {
        // They are numbered from 1 on.
        &self.refused[reason as usize - 1]
    }

    /// Starts the thread that looks after them. It ends when the result is dropped, after
    /// [`Self::close`].
    pub(crate) fn watch(self: &Arc<Self>) -> Result<KThread> {
        let waits = self.clone();

        KThread::spawn(c"sva_waits", move |stop| waits.look_after(stop))
    }

    /// How many groups wait, or have been given up and their workers are not done yet. May sleep.
    pub(crate) fn count(&self) -> usize {
        self.state.lock().groups.iter().count()
    }

    /// Lets nothing wait any more, and waits until no worker is left. May sleep.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
        self.abandon(|_| Some(Reason::Ending));
        self.queue.drain();
    }

    /// Leave for a group of the process whose `mm_struct` is at `process`, and of the device at
    /// `device`. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY`: too many wait. `ENOMEM`.
    pub(super) fn leave(self: &Arc<Self>, process: usize, device: usize) -> Result<Leave> {
        let mut state = self.state.lock();
        let process = state.share(process)?;
        let device = state.share(device).inspect_err(|_| state.tidy(&process))?;
        let room = process.waiting.load(Relaxed) < module_parameters::wait_limit_process.value()
            && device.waiting.load(Relaxed) < module_parameters::wait_limit_device.value();

        // A share that is not used is found by who comes next, or is counted and given back.
        for share in [&process, &device] {
            share.waiting.add(1, Relaxed);
        }
        state.made += 1;
        let leave = Leave {
            waits: self.clone(),
            place: Place(process.key, state.made),
            process,
            device,
        };

        // It locks when it is dropped.
        drop(state);
        room.then_some(leave).ok_or(EBUSY)
    }

    /// Lists a group, and gives it a worker if one is to be had. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the device is leaving, or the module. `EEXIST`: its place is taken.
    pub(super) fn add(&self, group: &Arc<Waiting>) -> Result {
        let mut state = self.state.lock();
        let process = &group.leave().process;
        let first = state.groups.is_empty();

        // Under the lock that `abandon` takes after the device has begun to leave.
        let refused =
            |(at, of): &(Arc<GroupAttachment>, ARef<Device>)| group.is_at(at) && group.is_of(of);
        if state.closed || group.device_leaves() || state.refused.iter().any(refused) {
            return Err(ENODEV);
        }
        state.groups.insert(group.clone()).map_err(|_| EEXIST)?;
        group.service().waiting.add(1, Relaxed);
        if process.running.load(Relaxed) < WORKERS {
            process.running.add(1, Relaxed);
            self.give_worker(group.clone());
        }
        if first {
            self.changed.notify_all();
        }
        Ok(())
    }

    fn give_worker(&self, group: Arc<Waiting>) {
        group.set_has_worker();
        // It has not been queued before: `has_worker` is set but once, under the lock.
        let _ = self.queue.enqueue(group);
    }

    /// A group has been answered, and its worker is done.
    pub(super) fn done(&self, group: &Waiting) {
        let mut state = self.state.lock();
        let removed = Self::unlist(&mut state, group);
        let process = &group.leave().process;

        match state.first_idle(process.key) {
            Some(next) => self.give_worker(next),
            None => {
                process.running.fetch_sub(1, Relaxed);
            }
        }
        drop(state);
        drop(removed);
    }

    fn unlist(state: &mut Waiters, group: &Waiting) -> Option<Arc<Waiting>> {
        let removed = state.groups.remove(&group.leave().place())?;

        group.service().waiting.fetch_sub(1, Relaxed);
        Some(removed)
    }

    /// Has nothing of `device` wait at `attachment` until the result is dropped, and answers what
    /// does: its driver stops the device, and there are devices that are not quiet before all that
    /// they have asked is answered. May sleep; waits for no page.
    pub(crate) fn refuse(
        self: &Arc<Self>,
        attachment: &Arc<GroupAttachment>,
        device: &Device,
    ) -> Refusal {
        let refused = || (attachment.clone(), ARef::from(device));
        let list = || self.state.lock().refused.push(refused(), GFP_KERNEL);

        // The driver must not wait for its device, and a few bytes will be had.
        while list().is_err() {
            fsleep(Delta::from_millis(1));
        }
        self.abandon(|there| {
            (there.is_at(attachment) && there.is_of(device)).then_some(Reason::Ending)
        });
        Refusal {
            waits: self.clone(),
            what: refused(),
        }
    }

    /// Answers the groups that are `unwanted`, and why, without what they wait for, and ends the
    /// wait of their workers. On return all that waited have been answered. May sleep; waits for no
    /// page.
    pub(crate) fn abandon(&self, unwanted: impl Fn(&Waiting) -> Option<Reason>) {
        let mut after = None;

        loop {
            let mut batch = [const { None }; BATCH];
            let state = self.state.lock();
            let from = after.map_or(Place(0, 0), Place::next);
            let mut slots = batch.iter_mut();

            for there in state.groups.from(&from) {
                if let Some(why) = unwanted(&there) {
                    let Some(slot) = slots.next() else {
                        break;
                    };

                    after = Some(there.leave().place());
                    *slot = Some((Arc::from(there), why));
                }
            }
            drop(state);
            if batch[0].is_none() {
                return;
            }
            for (group, why) in batch.iter().flatten() {
                self.give_up(group, *why);
            }
        }
    }

    /// Answers one group without what it waits for.
    pub(super) fn give_up(&self, group: &Arc<Waiting>, why: Reason) {
        group.give_up(why);

        let mut state = self.state.lock();
        // One without worker has nobody else to take it off the list.
        let removed = match group.has_worker() {
            true => None,
            false => Self::unlist(&mut state, group),
        };

        drop(state);
        drop(removed);
    }

    /// The thread: ends waits that have become pointless.
    fn look_after(&self, stop: &Stop) {
        let mut state = self.state.lock();

        while !stop.requested() && !state.closed {
            if state.groups.is_empty() {
                // Woken also by who stops the thread; or by nobody, which harms nothing.
                let _ = self
                    .changed
                    .wait_interruptible_timeout(&mut state, msecs_to_jiffies(u32::MAX >> 8));
                continue;
            }
            let _ = self
                .changed
                .wait_interruptible_timeout(&mut state, msecs_to_jiffies(TICK));
            drop(state);
            self.abandon(Waiting::why_pointless);
            state = self.state.lock();
        }
    }
}
