// SPDX-License-Identifier: GPL-2.0

//! Drivers of QEMU's SMMUv3 and of its test devices: they map registers, and no more.

use kernel::{
    device::Core,
    driver,
    io::{
        mem::DevresIoMem,
        Io, //
    },
    new_mutex,
    of,
    pci,
    platform,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use kernel_ext::global::Global;
use smmuv3::fmt::regs;

/// What the drivers have found.
#[pin_data]
pub(crate) struct Devices {
    #[pin]
    smmu: Mutex<Option<Registers>>,
    #[pin]
    endpoints: Mutex<KVec<Endpoint>>,
}

/// The devices of this machine.
pub(crate) static DEVICES: Global<Devices> = Global::new();

impl Devices {
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                smmu <- new_mutex!(None, "smmu_agree_smmu"),
                endpoints <- new_mutex!(KVec::new(), "smmu_agree_endpoints"),
            }),
            GFP_KERNEL,
        )
    }

    /// Takes them all.
    pub(crate) fn take(&self) -> Result<(Registers, KVec<Endpoint>)> {
        let smmu = self.smmu.lock().take().ok_or(ENODEV)?;
        let endpoints = core::mem::take(&mut *self.endpoints.lock());
        if endpoints.is_empty() {
            return Err(ENODEV);
        }
        Ok((smmu, endpoints))
    }
}

/// Registers of QEMU's SMMU. Without the device reads give all ones.
pub(crate) struct Registers(DevresIoMem<{ regs::SIZE }>);

impl Registers {
    pub(crate) fn read32(&self, offset: usize) -> u32 {
        let value = self
            .0
            .try_access()
            .and_then(|io| io.try_read32(offset).ok());
        value.unwrap_or(u32::MAX)
    }

    pub(crate) fn write32(&self, offset: usize, value: u32) {
        let _ = self.0.try_access().map(|io| io.try_write32(value, offset));
    }

    pub(crate) fn write64(&self, offset: usize, value: u64) {
        let _ = self.0.try_access().map(|io| io.try_write64(value, offset));
    }
}

/// What makes accesses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `iommu-testdev`, see [`tester`](super::tester).
    Tester,
    /// `edu`, see [`edu`](super::edu).
    Edu,
}

/// A device behind the SMMU.
pub(crate) struct Endpoint {
    pub(crate) sid: u32,
    pub(crate) kind: Kind,
    bar: pci::DevresBar,
}

impl Endpoint {
    pub(crate) fn read32(&self, offset: usize) -> Result<u32> {
        self.bar.try_access().ok_or(ENODEV)?.try_read32(offset)
    }

    pub(crate) fn write32(&self, offset: usize, value: u32) -> Result {
        self.bar
            .try_access()
            .ok_or(ENODEV)?
            .try_write32(value, offset)
    }

    /// In two pieces.
    pub(crate) fn write64(&self, offset: usize, value: u64) -> Result {
        self.write32(offset, value as u32)?;
        self.write32(offset + 4, (value >> 32) as u32)
    }

    /// In one.
    pub(crate) fn write_whole64(&self, offset: usize, value: u64) -> Result {
        self.bar
            .try_access()
            .ok_or(ENODEV)?
            .try_write64(value, offset)
    }
}

/// The driver of the SMMU, which nothing else must drive.
pub(crate) struct SmmuDriver;

kernel::of_device_table!(
    SMMU_TABLE,
    @none,
    [of::DeviceId::new(c"arm,smmu-v3")]
);

impl platform::Driver for SmmuDriver {
    type IdInfo = ();
    type Data<'bound> = Self;
    const OF_ID_TABLE: Option<of::IdTable<Self::IdInfo>> = Some(&SMMU_TABLE);

    fn probe<'bound>(
        pdev: &'bound platform::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self, Error> + 'bound {
        let request = pdev.io_request_by_index(0).ok_or(ENODEV)?;
        let registers = request.iomap_sized::<{ regs::SIZE }>()?.into_devres()?;
        let devices = DEVICES.get().ok_or(ENODEV)?;
        *devices.smmu.lock() = Some(Registers(registers));
        Ok(Self)
    }
}

/// The driver of the test devices.
pub(crate) struct EndpointDriver;

// Both are of no class that there is; the guest has no others such.
kernel::pci_device_table!(
    ENDPOINT_TABLE,
    @none,
    [pci::DeviceId::from_class(0x00_ff00, 0xff_ffff)]
);

impl pci::Driver for EndpointDriver {
    type IdInfo = ();
    type Data<'bound> = Self;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &ENDPOINT_TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self, Error> + 'bound {
        let kind = match pdev.device_id() {
            0x0005 => Kind::Tester,
            0x11e8 => Kind::Edu,
            _ => return Err(ENODEV),
        };
        pdev.enable_device_mem()?;
        pdev.set_master();
        let endpoint = Endpoint {
            sid: pdev.dev_id().into(),
            kind,
            bar: pdev.iomap_region(0, c"smmu_agree")?.into_devres()?,
        };
        let devices = DEVICES.get().ok_or(ENODEV)?;
        devices.endpoints.lock().push(endpoint, GFP_KERNEL)?;
        Ok(Self)
    }
}

/// Both drivers, registered.
#[pin_data]
pub(crate) struct Drivers {
    #[pin]
    smmu: driver::Registration<platform::Adapter<SmmuDriver>>,
    #[pin]
    endpoints: driver::Registration<pci::Adapter<EndpointDriver>>,
}

impl Drivers {
    pub(crate) fn new(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            smmu <- driver::Registration::new(c"smmu_agree", module),
            endpoints <- driver::Registration::new(c"smmu_agree", module),
        })
    }
}
