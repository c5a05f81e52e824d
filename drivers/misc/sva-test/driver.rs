// SPDX-License-Identifier: GPL-2.0

//! The driver of the test devices, and the handlers with which tests initialise them.

use crate::record::Record;
use kernel::{device::Core, platform, prelude::*, sync::Arc};
use smmuv3::api::Dma;
use sva::{End, Refusal};

/// The platform driver. Tests do the rest, when they want it.
pub(crate) struct TestDriver;

impl platform::Driver for TestDriver {
    type IdInfo = ();
    type Data<'bound> = Self;

    fn probe<'bound>(
        _pdev: &'bound platform::Device<Core<'_>>,
        _id_info: Option<&'bound ()>,
    ) -> impl PinInit<Self, Error> + 'bound {
        Ok(Self)
    }
}

/// The handler of most test devices: what happens is recorded in the bond's data.
pub(crate) struct Engine(pub(crate) Dma);

impl sva::Handler for Engine {
    type BondData = Record;

    fn stop(&self, pasid: u32, record: &Arc<Record>, why: End) {
        record.stopped(&self.0, pasid, why);
    }

    const HEARS_REFUSALS: bool = true;

    fn refused(&self, pasid: u32, record: &Arc<Record>, refusal: &Refusal) {
        record.refused(pasid, refusal);
    }
}

/// The handler of devices that another driver might have.
pub(crate) struct Other;

impl sva::Handler for Other {
    type BondData = ();

    fn stop(&self, _pasid: u32, _data: &Arc<()>, _why: End) {}
}
