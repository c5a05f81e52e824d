// SPDX-License-Identifier: GPL-2.0

//! A process's queue: with a ring or without, started or stopped.

use crate::{
    device::Slot,
    isolation::Isolation,
    ring::{
        Ring,
        Worker, //
    },
};
use kernel::{
    mm::{
        virt::{
            flags,
            VmaNew, //
        },
        Mm,
        MmWithUser, //
    },
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc,
        Mutex, //
    }, //
};
use kernel_ext::{
    bindings::MOCK_UACCE_SHARED_SIZE,
    phys::PhysPages,
    thread::KThread,
    uacce::Waiters, //
};
use smmuv3::api::Dma;

/// The page of registers (`struct mock_uacce_doorbell`).
///
/// # Invariants
///
/// The memory is one page.
pub(crate) struct Doorbell(PhysPages);

impl Doorbell {
    const TAIL: usize = 0;
    const SEEN: usize = 4;
    const HEAD: usize = 8;

    fn new() -> Result<Self> {
        // INVARIANT: One page.
        Ok(Self(PhysPages::alloc(PAGE_SIZE)?))
    }

    fn load(&self, register: usize) -> u32 {
        let window = self.0.window();

        // The registers are all in the page.
        window.atomic32(register).map_or(0, |r| r.load(Acquire))
    }

    fn store(&self, register: usize, value: u32) {
        if let Ok(register) = self.0.window().atomic32(register) {
            register.store(value, Release);
        }
    }

    /// How many descriptors the process has put into the ring.
    pub(crate) fn tail(&self) -> u32 {
        self.load(Self::TAIL)
    }

    /// Tells the process how many are carried out.
    pub(crate) fn set_head(&self, head: u32) {
        self.store(Self::HEAD, head);
    }

    fn reset(&self) {
        for register in [Self::TAIL, Self::SEEN, Self::HEAD] {
            self.store(register, 0);
        }
    }

    fn unseen(&self) -> bool {
        self.load(Self::SEEN) != self.load(Self::HEAD)
    }
}

/// How much memory device and process share by a mapping of the queue: whole pages of any size.
pub(crate) const SHARED_SIZE: usize = MOCK_UACCE_SHARED_SIZE as usize;
const _: () = assert!(SHARED_SIZE % PAGE_SIZE == 0);

struct QueueState {
    ring: Option<Ring>,
    /// Works while the queue is started.
    worker: Option<KThread>,
}

/// A queue.
#[pin_data]
pub(crate) struct Queue {
    dma: Dma,
    isolation: Arc<Isolation>,
    /// The only address space whose pointers mean something here.
    mm: ARef<Mm>,
    pasid: u32,
    doorbell: Arc<Doorbell>,
    /// For what the process likes: the ring, data, completion records. The device reaches it by the
    /// process's addresses, as all of its memory.
    shared: PhysPages,
    waiters: Arc<Waiters>,
    /// Set while no access may begin.
    stopped: Arc<Atomic<bool>>,
    #[pin]
    state: Mutex<QueueState>,
    _place: Slot,
}

impl Queue {
    /// Makes a queue for `mm`, which is bound to the device under `pasid`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(
        place: Slot,
        dma: Dma,
        isolation: Arc<Isolation>,
        mm: &MmWithUser,
        pasid: u32,
        waiters: Arc<Waiters>,
    ) -> Result<Pin<KBox<Self>>> {
        let doorbell = Arc::new(Doorbell::new()?, GFP_KERNEL)?;
        let stopped = Arc::new(Atomic::new(true), GFP_KERNEL)?;
        let state = QueueState {
            ring: None,
            worker: None,
        };

        KBox::pin_init(
            try_pin_init!(Self {
                dma,
                isolation,
                mm: ARef::from(&**mm),
                pasid,
                doorbell,
                shared: PhysPages::alloc(SHARED_SIZE)?,
                waiters,
                stopped,
                state <- new_mutex!(state, "mock_uacce_queue"),
                _place: place,
            }? Error),
            GFP_KERNEL,
        )
    }

    /// Remembers where the ring is, and returns the PASID.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an impossible ring, `EBUSY` while the queue is started, `EPERM` if the
    /// caller's addresses mean something else.
    pub(crate) fn set_ring(&self, addr: u64, entries: u32) -> Result<u32> {
        let ring = Ring::new(addr, entries)?;
        let mut state = self.state.lock();

        match current!().mm() {
            Some(mm) if core::ptr::eq(mm.as_raw(), self.mm.as_raw()) => (),
            _ => return Err(EPERM),
        }
        if state.worker.is_some() {
            return Err(EBUSY);
        }
        state.ring = Some(ring);
        Ok(self.pasid)
    }

    /// Starts the queue, which is empty then. May sleep.
    ///
    /// # Errors
    ///
    /// `EIO` if the device is isolated; `EINVAL` without a ring; `ENOMEM`; `EINTR`.
    pub(crate) fn start(&self) -> Result {
        self.isolation.check()?;

        let mut state = self.state.lock();
        let ring = state.ring.ok_or(EINVAL)?;
        let worker = Worker::new(
            self.dma.clone(),
            self.isolation.clone(),
            self.pasid,
            ring,
            self.doorbell.clone(),
            self.waiters.clone(),
            self.stopped.clone(),
        )?;

        self.doorbell.reset();
        self.stopped.store(false, Relaxed);
        state.worker = Some(KThread::spawn(c"mock_uacce", |stop| worker.run(stop))?);
        Ok(())
    }

    /// Stops the queue: when this returns, no access is under way. May sleep.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Relaxed);
        let worker = self.state.lock().worker.take();

        drop(worker);
    }

    /// Maps the page of registers into the process that calls mmap(2).
    ///
    /// # Errors
    ///
    /// `EINVAL` for a private mapping, or one of another size; `ENOMEM`.
    pub(crate) fn map_doorbell(&self, vma: &VmaNew) -> Result {
        if vma.flags() & flags::SHARED == 0 {
            return Err(EINVAL);
        }
        self.doorbell.0.insert_into(vma)
    }

    /// Maps the memory that is shared into the process that calls mmap(2), all of it.
    ///
    /// # Errors
    ///
    /// As [`Self::map_doorbell`].
    pub(crate) fn map_shared(&self, vma: &VmaNew) -> Result {
        if vma.flags() & flags::SHARED == 0 {
            return Err(EINVAL);
        }
        self.shared.insert_into(vma)
    }

    /// Whether there are completions that the process has not seen.
    pub(crate) fn is_updated(&self) -> bool {
        self.doorbell.unseen()
    }
}
