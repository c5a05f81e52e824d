// SPDX-License-Identifier: GPL-2.0

//! Contexts: what one open file has of the device.

use crate::{
    accel::{
        Accel,
        Process, //
    },
    queue::{
        JobQueue,
        DEPTH, //
    },
    ranges::Ranges,
    refusals::Refusals,
    uapi::{
        Info,
        Status, //
    },
};
use accel_engine::{
    dma::PasidBus,
    engine::{
        self,
        Outcome,
        BUFFER, //
    },
    job, //
};
use core::{
    cell::RefCell,
    ops::Range, //
};
use kernel::{
    impl_has_work,
    mm::{
        Mm,
        MmWithUser, //
    },
    new_condvar,
    new_mutex,
    new_work,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        CondVar,
        Mutex, //
    },
    workqueue::{
        Work,
        WorkItem, //
    }, //
};
use kernel_ext::wake::EarlyEnd;

/// A queue of jobs for one address space.
#[pin_data]
pub(crate) struct Context {
    accel: Arc<Accel>,
    /// The only address space whose pointers mean something here.
    mm: ARef<Mm>,
    process: Arc<Process>,
    pasid: u32,
    mode: sva::Mode,
    /// Set when no access may begin any more.
    stopped: Atomic<bool>,
    /// Cuts short what the device waits for then.
    #[pin]
    early_end: EarlyEnd,
    #[pin]
    state: Mutex<ContextState>,
    /// A job has ended, or the context has.
    #[pin]
    changed: CondVar,
    /// What the device was just refused.
    #[pin]
    refusals: Mutex<Refusals>,
    /// The engine's, which is the only one to lock it.
    #[pin]
    buffer: Mutex<KVVec<u8>>,
    /// From here until the context's end, the device uses the address space.
    #[pin]
    bond: Mutex<Option<Arc<sva::Bond<Accel>>>>,
    #[pin]
    work: Work<Context>,
}

struct ContextState {
    jobs: JobQueue,
    /// Why nothing is accepted any more.
    ended: Option<Error>,
    /// The worker is queued or at work.
    running: bool,
    /// How many jobs have ended, how many of them badly, and what they moved.
    done: u64,
    errors: u64,
    bytes: u64,
}

impl_has_work! {
    impl HasWork<Self> for Context { self.work }
}

impl Context {
    /// Makes a context for `mm`, to which `bond` binds the device.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(
        accel: Arc<Accel>,
        mm: &MmWithUser,
        bond: sva::Bond<Accel>,
    ) -> Result<Arc<Self>> {
        let state = ContextState {
            jobs: JobQueue::new()?,
            ended: None,
            running: false,
            done: 0,
            errors: 0,
            bytes: 0,
        };
        let buffer = KVVec::from_elem(0, BUFFER, GFP_KERNEL)?;
        let bond = Arc::new(bond, GFP_KERNEL)?;

        Arc::pin_init(
            pin_init!(Self {
                accel,
                mm: ARef::from(&**mm),
                process: bond.data().clone(),
                pasid: bond.pasid(),
                mode: bond.mode(),
                stopped: Atomic::new(false),
                early_end <- EarlyEnd::new(),
                state <- new_mutex!(state, "mock_accel_context"),
                changed <- new_condvar!("mock_accel_context_changed"),
                refusals <- new_mutex!(Refusals::default(), "mock_accel_refusals"),
                buffer <- new_mutex!(buffer, "mock_accel_buffer"),
                bond <- new_mutex!(Some(bond), "mock_accel_bond"),
                work <- new_work!("mock_accel_context"),
            }),
            GFP_KERNEL,
        )
    }

    /// Calls `start`, after which jobs may be submitted; unless the bond has ended, for then nobody
    /// would stop them. May sleep.
    ///
    /// # Errors
    ///
    /// `ESRCH`: the bond has ended.
    pub(crate) fn start<R>(&self, start: impl FnOnce() -> R) -> Result<R> {
        let bond = self.bond.lock();

        bond.as_ref().ok_or(ESRCH)?.start(|_pasid| start())
    }

    /// Whether the caller's pointers mean the same to this context.
    ///
    /// # Errors
    ///
    /// `EPERM` if not.
    pub(crate) fn check_caller(&self) -> Result {
        match current!().mm() {
            Some(mm) if core::ptr::eq(mm.as_raw(), self.mm.as_raw()) => Ok(()),
            _ => Err(EPERM),
        }
    }

    /// Queues the job whose descriptor is at `desc`, and returns its number.
    ///
    /// # Errors
    ///
    /// - `EBUSY`: there are [`DEPTH`] jobs.
    /// - `ESRCH`, `ENODEV`: why the context has ended.
    pub(crate) fn submit(self: &Arc<Self>, desc: u64) -> Result<u64> {
        let mut state = self.state.lock();

        if let Some(why) = state.ended {
            return Err(why);
        }
        let id = state.jobs.add(desc)?;

        if !state.running {
            if let Err(e) = self.accel.run(self.clone()) {
                state.jobs.cancel();
                return Err(e);
            }
            state.running = true;
        }
        Ok(id)
    }

    /// Waits until job `id` has ended, forgets it, and tells how it ended. May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOENT`: no such job.
    /// - `ERESTARTSYS`: a signal came; the call may be repeated.
    /// - `ESRCH`, `ENODEV`: why the context has ended.
    pub(crate) fn wait(&self, id: u64) -> Result<Outcome> {
        let mut state = self.state.lock();

        loop {
            if let Some(why) = state.ended {
                return Err(why);
            }
            if let Some(outcome) = state.jobs.reap(id)? {
                return Ok(outcome);
            }
            if self.changed.wait_interruptible(&mut state) {
                return Err(ERESTARTSYS);
            }
        }
    }

    /// Ends the context: nothing is accepted any more, and when this returns, no access is under
    /// way. May sleep. The first `why` counts.
    pub(crate) fn stop(&self, why: Error) {
        let mut state = self.state.lock();

        state.ended.get_or_insert(why);
        state.jobs.cancel();
        self.stopped.store(true, Relaxed);
        self.early_end.end();
        self.changed.notify_all();
        while state.running {
            self.changed.wait(&mut state);
        }
    }

    /// Has memory there before a job asks for it: how many pages. May sleep.
    ///
    /// # Errors
    ///
    /// `ESRCH`: the context has ended. `EINTR`: the caller is being killed.
    pub(crate) fn prefetch(&self, range: Range<u64>, write: bool) -> Result<u64> {
        let bond = self.bond.lock();

        bond.as_ref().ok_or(ESRCH)?.prefetch(range, write)
    }

    /// The device is about to hear that it does not get a page.
    pub(crate) fn refused(&self, refusal: &sva::Refusal) {
        // The numbers of both interfaces are the same.
        self.refusals
            .lock()
            .note(refusal.addr, refusal.reason as u32);
    }

    /// Whether its bond is that of `process`.
    pub(crate) fn is_of(&self, process: &Arc<Process>) -> bool {
        Arc::ptr_eq(&self.process, process)
    }

    /// Whether the context has ended and no access is under way.
    pub(crate) fn is_quiet(&self) -> bool {
        let state = self.state.lock();

        state.ended.is_some() && !state.running
    }

    /// Takes the device's access to the address space back. The context must be quiet. May sleep.
    pub(crate) fn unbind(&self) {
        let bond = self.bond.lock().take();

        drop(bond);
    }

    /// What a process may know of the context.
    pub(crate) fn info(&self) -> Info {
        let state = self.state.lock();

        Info {
            pasid: self.pasid,
            mode: self.mode as u32,
            reserved: 0,
            queue_depth: DEPTH as u32,
            operations: job::OPERATIONS,
            max_length: job::MAX_LENGTH,
            max_nodes: job::MAX_NODES,
            jobs: state.done,
            errors: state.errors,
            bytes: state.bytes,
        }
    }

    /// Runs the job whose descriptor is at `desc`.
    fn execute(&self, desc: u64, buffer: &mut [u8]) -> Outcome {
        // There until the context is quiet.
        let Some(bond) = self.bond.lock().clone() else {
            return Outcome::STOPPED;
        };
        let ranges = RefCell::new(Ranges::new(&bond));
        let bus = PasidBus {
            dma: &self.accel.dma,
            pasid: (self.pasid != 0).then_some(self.pasid),
            stopped: &self.stopped,
            reach: &|addr, len, write| ranges.borrow_mut().reach(addr, len, write),
            reason: &|addr| {
                // Without the lock from here on: a driver is told of refusals under it.
                let told = self.refusals.lock().take(addr);

                match told {
                    0 => ranges.borrow_mut().reason(addr),
                    reason => reason,
                }
            },
        };

        engine::run(&bus, desc, buffer)
    }
}

impl WorkItem for Context {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.early_end.run(|| this.work());

        // Ended before it began: nothing is accepted any more, and no job is left.
        let mut state = this.state.lock();

        if state.running && state.ended.is_some() {
            state.running = false;
            this.changed.notify_all();
        }
    }
}

impl Context {
    /// Runs the jobs that there are.
    fn work(&self) {
        let mut buffer = self.buffer.lock();

        loop {
            let mut state = self.state.lock();
            let Some((id, desc)) = state.jobs.start() else {
                state.running = false;
                self.changed.notify_all();
                return;
            };

            drop(state);
            let outcome = self.execute(desc, &mut buffer);
            let mut state = self.state.lock();

            state.done += 1;
            state.errors += u64::from(outcome.completion.status != Status::Success as u32);
            state.bytes += outcome.completion.bytes;
            state.jobs.end(id, outcome);
            self.changed.notify_all();
        }
    }
}
