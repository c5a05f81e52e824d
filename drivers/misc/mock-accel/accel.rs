// SPDX-License-Identifier: GPL-2.0

//! The device: its contexts, and how they end.

use crate::context::Context;
use kernel::{
    device::{
        Bound,
        Device, //
    },
    mm::MmWithUser,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use kernel_ext::workqueue::OwnedQueue;
use smmu::api::Dma;
use sva::Features;

/// What lives on while a file is open, even if the device is gone.
///
/// Lock order: a context's state → `workers`. No lock of a context is taken under `contexts`, save
/// to ask whether it is quiet.
#[pin_data]
pub(crate) struct Accel {
    pub(crate) dma: Dma,
    /// Runs the contexts' jobs, side by side; gone with the device.
    #[pin]
    workers: Mutex<Option<OwnedQueue>>,
    /// The contexts of all open files.
    #[pin]
    contexts: Mutex<KVec<Arc<Context>>>,
}

impl Accel {
    fn new(dev: &Device<Bound>) -> Result<Arc<Self>> {
        let dma = Dma::of(dev)?;
        let workers = OwnedQueue::new(c"mock_accel")?;

        Arc::pin_init(
            pin_init!(Self {
                dma,
                workers <- new_mutex!(Some(workers), "mock_accel_workers"),
                contexts <- new_mutex!(KVec::new(), "mock_accel_contexts"),
            }),
            GFP_KERNEL,
        )
    }

    /// Has `context` run the jobs that it has.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device is gone.
    pub(crate) fn run(&self, context: Arc<Context>) -> Result {
        let workers = self.workers.lock();
        let workers = workers.as_ref().ok_or(ENODEV)?;

        workers.enqueue(context).map_err(|_| EBUSY)
    }

    /// Ends a context, whose file has been closed.
    pub(crate) fn close(&self, context: &Arc<Context>) {
        context.stop(ESRCH);
        context.unbind();
        self.contexts
            .lock()
            .retain(|other| !Arc::ptr_eq(other, context));
    }

    /// Stops the contexts that `which` means, and waits until they are quiet.
    fn stop(&self, why: Error, which: impl Fn(&Context) -> bool) {
        let busy = || {
            let contexts = self.contexts.lock();
            let mut busy = contexts.iter().filter(|c| which(c) && !c.is_quiet());

            busy.next().cloned()
        };

        while let Some(context) = busy() {
            context.stop(why);
        }
    }
}

/// What a bond ends with when its process exits: nothing may be sent under its PASID any more.
pub(crate) struct Exit;

impl sva::Handler for Exit {
    /// One for all bonds: it knows the contexts by their PASIDs.
    type BondData = Accel;

    fn mm_exit(&self, pasid: u32, accel: &Arc<Accel>) {
        accel.stop(ESRCH, |context| context.pasid == pasid);
    }
}

/// The device while it has its driver.
pub(crate) struct BoundAccel {
    sva: sva::Device<Exit>,
    accel: Arc<Accel>,
}

impl BoundAccel {
    /// Starts the device. May sleep.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the device is not behind a mock SMMU.
    /// - `EOPNOTSUPP`: its SMMU has no PASIDs, or cannot share address spaces.
    /// - `ENOMEM`.
    pub(crate) fn new(dev: &Device<Bound>) -> Result<Self> {
        let accel = Accel::new(dev)?;
        let handler = Arc::new(Exit, GFP_KERNEL)?;

        Ok(Self {
            sva: sva::Device::init(dev, Features::SHARED, 0, handler)?,
            accel,
        })
    }

    /// Opens a context for `mm`. May sleep; takes `mmap_lock`.
    ///
    /// # Errors
    ///
    /// Those of [`sva::Device::bind`].
    pub(crate) fn open(&self, mm: &MmWithUser) -> Result<(Arc<Accel>, Arc<Context>)> {
        let accel = &self.accel;
        let bond = self.sva.bind(mm, Features::SHARED, accel.clone())?;
        let context = Context::new(accel.clone(), mm, bond)?;

        accel.contexts.lock().push(context.clone(), GFP_KERNEL)?;
        Ok((accel.clone(), context))
    }
}

impl Drop for BoundAccel {
    fn drop(&mut self) {
        // No file can be opened any more. Those that are open lose the device: first their jobs,
        // then, when `sva` is dropped, the bonds.
        self.accel.stop(ENODEV, |_| true);
        let workers = self.accel.workers.lock().take();

        drop(workers);
    }
}
