// SPDX-License-Identifier: GPL-2.0

//! The device, as uacce sees it.

use crate::{
    isolation::Isolation,
    queue::{
        Queue,
        SHARED_SIZE, //
    },
    NAME, //
};
use kernel::{
    device::{
        self,
        Device, //
    },
    ioctl::{
        _IOC_SIZE,
        _IOWR, //
    },
    mm::virt::VmaNew,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};
use kernel_ext::{
    bindings::{
        mock_uacce_ring,
        MOCK_UACCE_IOC_MAGIC,
        MOCK_UACCE_MAX_QUEUES, //
    },
    uacce::{
        Accelerator,
        Description,
        Region,
        Registration,
        Waiters, //
    }, //
};
use smmuv3::api::Dma;

/// `MOCK_UACCE_IOC_SET_RING`.
const SET_RING: u32 = _IOWR::<mock_uacce_ring>(MOCK_UACCE_IOC_MAGIC, 0);

const DESCRIPTION: Description = Description {
    name: NAME,
    algorithms: c"copy\nfill\ncompare\ncrc32\nchase\natomic-add",
    api: c"mock_uacce_v1",
    mmio_pages: 1,
    shared_pages: SHARED_SIZE / PAGE_SIZE,
};

/// The device.
pub(crate) struct Uacce {
    dma: Dma,
    /// Shared with the queues, which may be dropped after an open that failed.
    free: Arc<Atomic<u32>>,
    /// Shared with the queues, which tell of errors.
    isolation: Arc<Isolation>,
}

/// One of the queues that the device has, given back on drop.
pub(crate) struct Slot(Arc<Atomic<u32>>);

impl Slot {
    /// Takes one of `free`.
    ///
    /// # Errors
    ///
    /// `EBUSY`: none is left.
    fn take(free: &Arc<Atomic<u32>>) -> Result<Self> {
        let mut count = free.load(Relaxed);

        while let Some(less) = count.checked_sub(1) {
            match free.cmpxchg(count, less, Relaxed) {
                Ok(_) => return Ok(Self(free.clone())),
                Err(now) => count = now,
            }
        }
        Err(EBUSY)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Accelerator for Uacce {
    type Queue = Pin<KBox<Queue>>;

    fn get_queue(&self, pasid: u32, waiters: Arc<Waiters>) -> Result<Pin<KBox<Queue>>> {
        self.isolation.check()?;
        let slot = Slot::take(&self.free)?;
        let task = current!();

        Queue::new(
            slot,
            self.dma.clone(),
            self.isolation.clone(),
            task.mm().ok_or(EPERM)?,
            pasid,
            waiters,
        )
    }

    fn start_queue(queue: &Self::Queue) -> Result {
        queue.start()
    }

    fn stop_queue(queue: &Self::Queue) {
        queue.stop();
    }

    fn map(queue: &Self::Queue, region: Region, vma: &VmaNew) -> Result {
        match region {
            Region::Mmio => queue.map_doorbell(vma),
            Region::Shared => queue.map_shared(vma),
        }
    }

    fn is_updated(queue: &Self::Queue) -> bool {
        queue.is_updated()
    }

    fn ioctl(queue: &Self::Queue, cmd: u32, arg: usize) -> Result<isize> {
        if cmd != SET_RING {
            return Err(ENOTTY);
        }
        let user = UserSlice::new(UserPtr::from_addr(arg), _IOC_SIZE(cmd));
        let (mut reader, mut writer) = user.reader_writer();
        let mut ring = mock_uacce_ring::default();

        reader.read_slice(ring.as_mut_bytes())?;
        ring.pasid = queue.set_ring(ring.addr, ring.entries)?;
        writer.write_slice(ring.as_bytes())?;
        Ok(0)
    }

    fn available(&self) -> u32 {
        self.free.load(Relaxed)
    }

    fn isolated(&self) -> bool {
        self.isolation.isolated()
    }

    fn error_threshold(&self) -> u32 {
        self.isolation.threshold()
    }

    fn set_error_threshold(&self, threshold: u32) -> Result {
        self.isolation.set_threshold(threshold)
    }
}

/// The device while it has its driver.
pub(crate) struct Bound {
    dma: Dma,
    registration: Option<Registration<Uacce>>,
}

impl Bound {
    /// Starts the device. May sleep.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the device is not behind a mock SMMU.
    /// - Those of [`Registration::new`].
    pub(crate) fn new(dev: &Device<device::Bound>) -> Result<Self> {
        let dma = Dma::of(dev)?;
        let uacce = Uacce {
            dma: dma.clone(),
            free: Arc::new(Atomic::new(MOCK_UACCE_MAX_QUEUES), GFP_KERNEL)?,
            isolation: Isolation::new()?,
        };

        // A driver that was here before has stopped it.
        dma.start();
        Ok(Self {
            registration: Some(Registration::new(
                dev,
                &DESCRIPTION,
                Arc::new(uacce, GFP_KERNEL)?,
            )?),
            dma,
        })
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // First what the queues do: they would wait for pages, and those for the lock of a memory
        // map whose holder waits for uacce, which is waiting for the queues.
        self.dma.stop();
        self.registration = None;
    }
}
