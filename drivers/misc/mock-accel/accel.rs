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
use smmuv3::api::Dma;
use sva::{
    End,
    Features, //
};

/// What the device may use, and how its jobs reach it. All accesses go by ranges, each with the addresses of
/// its own process only, so that processes may share those of a device without PASIDs.
const FEATURES: Features = Features::ANY_SHARED;

/// Tells a bond from others.
pub(crate) struct Process {
    /// Two without contents could be one.
    _some: u8,
}

/// What lives on while a file is open, even if the device is gone.
///
/// Lock order: a context's bond → `contexts`; a context's state → `workers`. No lock of a context
/// is taken under `contexts`, save to ask whether it is quiet, and to tell it of refusals.
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
    fn stop_contexts(&self, why: Error, which: impl Fn(&Context) -> bool) {
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

impl sva::Handler for Accel {
    /// By which the contexts of a process are found: on a device without PASIDs all have the same.
    type BondData = Process;

    fn stop(&self, _pasid: u32, process: &Arc<Process>, why: End) {
        let why = match why {
            End::Shutdown => ENODEV,
            End::Exit | End::Unbind => ESRCH,
        };

        self.stop_contexts(why, |context| context.is_of(process));
    }

    const HEARS_REFUSALS: bool = true;

    fn refused(&self, _pasid: u32, process: &Arc<Process>, refusal: &sva::Refusal) {
        let contexts = self.contexts.lock();

        // Whichever of them it is whose job asks: the page is the same to all.
        for context in contexts.iter().filter(|there| there.is_of(process)) {
            context.refused(refusal);
        }
    }
}

/// The device while it has its driver.
pub(crate) struct BoundAccel {
    // Dropped in this order: no file can be opened any more, and those that are open lose the
    // device; first each bond, before which `stop` ends its jobs.
    sva: sva::Device<Accel>,
    accel: Working,
}

impl BoundAccel {
    /// Starts the device. May sleep.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the device is not behind a mock SMMU, or has no PASIDs and is not alone in its
    ///   group. Such devices are not for this driver.
    /// - `ENOMEM`.
    pub(crate) fn new(dev: &Device<Bound>) -> Result<Self> {
        let accel = Working(Accel::new(dev)?);
        // Its reason is told.
        let sva = sva::Device::init(dev, FEATURES, 0, accel.0.clone()).map_err(|e| {
            if e == EOPNOTSUPP {
                ENODEV
            } else {
                e.into()
            }
        })?;

        Ok(Self { sva, accel })
    }

    /// Opens a context for `mm`. May sleep; takes `mmap_lock`.
    ///
    /// # Errors
    ///
    /// Those of [`sva::Device::bind_group`].
    pub(crate) fn open(&self, mm: &MmWithUser) -> Result<(Arc<Accel>, Arc<Context>)> {
        let accel = &self.accel.0;
        // These devices do not reach each other but through the memory of processes, so it does
        // not matter whether their SMMU can tell them apart.
        let make = || Ok(Arc::new(Process { _some: 0 }, GFP_KERNEL)?);
        let bond = self.sva.bind_group_with(mm, FEATURES, make)?;
        let context = Context::new(accel.clone(), mm, bond)?;

        context.start(|| accel.contexts.lock().push(context.clone(), GFP_KERNEL))??;
        Ok((accel.clone(), context))
    }
}

/// An [`Accel`] that can run jobs, until this is dropped.
struct Working(Arc<Accel>);

impl Drop for Working {
    fn drop(&mut self) {
        let workers = self.0.workers.lock().take();

        drop(workers);
    }
}
