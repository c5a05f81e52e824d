// SPDX-License-Identifier: GPL-2.0

//! Test devices behind the mock SMMU.

use crate::driver::{Engine, Other};
use kernel::{
    device::{Bound, Device},
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};
use kernel_test_ext::bound::with_bound;
use smmuv3::{
    api::{Dma, DmaError},
    device::{DeviceSpec, Numbers},
    host,
};
use sva::{Features, Handler};

/// Fails the test with a message, but lets destructors run: an assertion does not.
macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            pr_err!("{}:{}: {}\n", file!(), line!(), stringify!($condition));
            return Err(EINVAL);
        }
    };
}
pub(crate) use check;

/// Fails the test unless it is this error.
macro_rules! check_err {
    ($result:expr, $error:expr) => {
        check!(matches!($result.map(drop), Err(e) if e == $error))
    };
}
pub(crate) use check_err;

/// What most test devices are like.
pub(crate) const SPEC: DeviceSpec = DeviceSpec {
    pasid_bits: 10,
    ..DeviceSpec::DEFAULT
};

/// A group that no other device is in.
pub(crate) fn new_group() -> Option<u32> {
    static GROUPS: Atomic<u32> = Atomic::new(5000);

    Some(GROUPS.fetch_add(1, Relaxed))
}

/// What a test device is initialised with.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) features: Features,
    pub(crate) max_pasid: u32,
}

/// All that there is.
pub(crate) const SHARED: Setup = Setup {
    features: FLAGS,
    max_pasid: 0,
};

/// A plugged-in device that has its driver; unplugged when dropped.
pub(crate) struct Plugged(host::Plugged);

impl Plugged {
    pub(crate) fn new(spec: &DeviceSpec) -> Result<Self> {
        host::Plugged::new(c"sva_rust_test", Numbers::default(), spec).map(Self)
    }

    pub(crate) fn with_bound<R, E>(
        &self,
        f: impl FnOnce(&Device<Bound>) -> Result<R, E>,
    ) -> Result<R>
    where
        Error: From<E>,
    {
        Ok(with_bound(&self.0, f).ok_or(ENXIO)??)
    }
}

/// A device behind the mock SMMU, initialised for SVA. Dropping it shuts it down and unplugs it.
pub(crate) struct TestDevice<T: Handler = Engine> {
    // Dropped in this order.
    sva: Option<sva::Device<T>>,
    plugged: Plugged,
    dma: Dma,
}

impl<T: Handler> TestDevice<T> {
    fn with_handler(
        spec: &DeviceSpec,
        setup: Setup,
        handler: impl FnOnce(&Dma) -> T,
    ) -> Result<Self> {
        let plugged = Plugged::new(spec)?;
        let dma = plugged.with_bound(Dma::of)?;
        let handler = Arc::new(handler(&dma), GFP_KERNEL)?;
        let Setup {
            features,
            max_pasid,
        } = setup;
        let sva = plugged.with_bound(|dev| sva::Device::init(dev, features, max_pasid, handler))?;

        Ok(Self {
            sva: Some(sva),
            plugged,
            dma,
        })
    }

    /// The device as its driver has it.
    pub(crate) fn sva(&self) -> Result<&sva::Device<T>> {
        self.sva.as_ref().ok_or(ENXIO)
    }

    /// Shuts the device down.
    pub(crate) fn shut_down(&mut self) {
        let sva = self.sva.take();

        drop(sva);
    }

    /// The device is unplugged; its driver forgets to shut it down.
    pub(crate) fn unplug(&self) -> Result {
        self.plugged.0.unplug()
    }

    /// Reads a word as the device.
    pub(crate) fn read(&self, pasid: u32, addr: usize) -> Result<u64, DmaError> {
        let ssid = (pasid != 0).then_some(pasid);
        let mut word = [0; 8];

        self.dma.read(ssid, addr as u64, &mut word)?;
        Ok(u64::from_ne_bytes(word))
    }

    /// Writes a word as the device.
    pub(crate) fn write(&self, pasid: u32, addr: usize, word: u64) -> Result<(), DmaError> {
        let ssid = (pasid != 0).then_some(pasid);

        self.dma.write(ssid, addr as u64, &word.to_ne_bytes())
    }

    /// How many page requests the device has sent.
    pub(crate) fn page_requests(&self) -> u64 {
        self.dma.stats().page_requests
    }

    /// Whether the device reaches `addr`.
    pub(crate) fn reaches(&self, pasid: u32, addr: usize) -> bool {
        self.read(pasid, addr).is_ok()
    }
}

impl TestDevice<Other> {
    /// A device of another driver.
    pub(crate) fn other(spec: &DeviceSpec) -> Result<Self> {
        Self::with_handler(spec, SHARED, |_| Other)
    }
}

impl TestDevice {
    /// A device that is initialised as `setup` says.
    ///
    /// # Errors
    ///
    /// Those of init.
    pub(crate) fn with(spec: &DeviceSpec, setup: Setup) -> Result<Self> {
        Self::with_handler(spec, setup, |dma| Engine(dma.clone()))
    }

    pub(crate) fn new() -> Result<Self> {
        Self::with(&SPEC, SHARED)
    }

    /// A device in `group`.
    pub(crate) fn in_group(group: Option<u32>) -> Result<Self> {
        Self::with(&DeviceSpec { group, ..SPEC }, SHARED)
    }
}

/// Something for one task to tell another.
pub(crate) fn flag() -> Result<Arc<Atomic<bool>>> {
    Ok(Arc::new(Atomic::new(false), GFP_KERNEL)?)
}

/// The flags of most bonds.
pub(crate) const FLAGS: Features = Features::SHARED;
