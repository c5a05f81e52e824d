// SPDX-License-Identifier: GPL-2.0

//! What the examples in documentation use, and the examples as tests.
//!
//! Each is the body of a function with these arguments:
//!
//! - `dev`: a device that has its driver, but is not initialised for SVA
//! - `mm`: a process
//! - `engine`: the driver's own object for the device, a [`Handler`](sva::Handler)
//! - `queue`: work for the device on the memory of the process, which can be started and stopped

use crate::fixture::{check, Plugged, SPEC};
use kernel::{
    device::{Bound, Device},
    mm::MmWithUser,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};
use kernel_test_ext::mm::{Protection, TestMm};
use smmuv3::api::Dma;

/// A device that works on queues.
pub(crate) struct Engine;

impl sva::Handler for Engine {
    type BondData = Queue;

    fn stop(&self, _pasid: u32, queue: &Arc<Queue>, _why: sva::End) {
        queue.stop();
    }
}

/// Writes to the first page of a buffer when it is started.
pub(crate) struct Queue {
    dma: Dma,
    buffer: usize,
    running: Atomic<bool>,
    started: Atomic<bool>,
}

impl Queue {
    pub(crate) fn start(&self, pasid: u32) {
        let written = self.dma.write(Some(pasid), self.buffer as u64, &[1; 8]);

        self.started.store(written.is_ok(), Relaxed);
        self.running.store(true, Relaxed);
    }

    pub(crate) fn stop(&self) {
        self.running.store(false, Relaxed);
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Relaxed)
    }

    /// The address of the buffer, which is one page.
    pub(crate) fn buffer(&self) -> usize {
        self.buffer
    }
}

/// Runs an example. What it started must work, and be stopped at the end.
fn run(
    example: impl FnOnce(&Device<Bound>, &MmWithUser, Arc<Engine>, Arc<Queue>) -> Result,
) -> Result {
    let (mm, plugged) = (TestMm::new()?, Plugged::new(&SPEC)?);
    let queue = Arc::new(
        Queue {
            dma: plugged.with_bound(Dma::of)?,
            buffer: mm.map(1, Protection::ReadWrite)?,
            running: Atomic::new(false),
            started: Atomic::new(true),
        },
        GFP_KERNEL,
    )?;
    let engine = Arc::new(Engine, GFP_KERNEL)?;

    plugged.with_bound(|dev| example(dev, mm.mm(), engine, queue.clone()))?;
    check!(queue.started.load(Relaxed) && !queue.is_running());
    Ok(())
}

include!(concat!(
    env!("SVA_TEST_OBJ"),
    "/doc_examples_generated.rs" //
));
