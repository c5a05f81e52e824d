// SPDX-License-Identifier: GPL-2.0

//! What a test learns of the end of a bond.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use smmuv3::api::Dma;
use sva::{End, Refusal};

/// How a device was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) pasid: u32,
    pub(crate) why: End,
    /// Whether the device could still read at [`Record::probe_at`] when it was told.
    pub(crate) reached: bool,
}

type Action = KBox<dyn FnMut() + Send>;

/// The data of a bond.
#[pin_data]
pub(crate) struct Record {
    #[pin]
    stops: Mutex<KVec<Stop>>,
    #[pin]
    refusals: Mutex<KVec<(u32, Refusal)>>,
    #[pin]
    probe_at: Mutex<Option<usize>>,
    #[pin]
    action: Mutex<Option<Action>>,
}

impl Record {
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                stops <- new_mutex!(KVec::new(), "sva_test_stops"),
                refusals <- new_mutex!(KVec::new(), "sva_test_refusals"),
                probe_at <- new_mutex!(None, "sva_test_probe_at"),
                action <- new_mutex!(None, "sva_test_action"),
            }),
            GFP_KERNEL,
        )
    }

    /// Has the device read at `addr` when it is stopped.
    pub(crate) fn probe_at(&self, addr: usize) {
        *self.probe_at.lock() = Some(addr);
    }

    /// Has `action` run when a device is stopped, before that is recorded.
    pub(crate) fn on_stop(&self, action: impl FnMut() + Send + 'static) -> Result {
        let action: Action = KBox::new(action, GFP_KERNEL)?;

        *self.action.lock() = Some(action);
        Ok(())
    }

    /// A device is stopped.
    pub(crate) fn stopped(&self, dma: &Dma, pasid: u32, why: End) {
        let addr = *self.probe_at.lock();
        let ssid = (pasid != 0).then_some(pasid);
        let reached = addr.is_some_and(|addr| dma.read(ssid, addr as u64, &mut [0; 8]).is_ok());
        let action = self.action.lock().take();

        if let Some(mut action) = action {
            (*action)();
        }
        let stop = Stop {
            pasid,
            why,
            reached,
        };

        if self.stops.lock().push(stop, GFP_KERNEL).is_err() {
            pr_err!("no memory for a record\n");
        }
    }

    /// A device was refused a page.
    pub(crate) fn refused(&self, pasid: u32, refusal: &Refusal) {
        if self
            .refusals
            .lock()
            .push((pasid, *refusal), GFP_KERNEL)
            .is_err()
        {
            pr_err!("no memory for a record\n");
        }
    }

    /// What a device was refused since the last call of this.
    pub(crate) fn take_refusals(&self) -> KVec<(u32, Refusal)> {
        core::mem::take(&mut *self.refusals.lock())
    }

    /// How often a device was stopped.
    pub(crate) fn count(&self) -> usize {
        self.stops.lock().len()
    }

    /// How a device was stopped, the first time.
    pub(crate) fn first(&self) -> Option<Stop> {
        self.stops.lock().first().copied()
    }
}
