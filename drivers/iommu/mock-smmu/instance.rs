// SPDX-License-Identifier: GPL-2.0

//! Instances: an SMMU with its driver, and devices behind it.
//!
//! This is the one place that knows both halves. It gives the hardware half a register file and
//! lines, the driver half the same, and connects each device's port before the device appears.

use crate::{
    debugfs,
    driver::{
        self,
        master,
        probe::{
            Lines,
            Running, //
        }, //
    },
    hw::{
        self,
        Port,
        PortConfig, //
    },
    mmio::RegisterFile, //
};
use kernel::{
    device::{
        Bound,
        Device, //
    },
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use kernel_ext::{
    global::Global,
    iommu_device::{
        client_of,
        Client,
        ClientDevice,
        IommuDevice, //
    },
    notifier,
    platform_device::{
        Property,
        Value, //
    },
    resv_region::{
        ResvKind,
        ResvRegion, //
    }, //
};

/// What a device behind a mock SMMU is like.
#[derive(Clone, Copy, Debug)]
pub struct DeviceSpec {
    /// Number of the platform device, after its name.
    pub id: i32,
    /// StreamID.
    pub sid: u32,
    /// Bits of a PASID; 0 for a device without.
    pub pasid_bits: u8,
    /// Whether it translates by ATS and asks for missing pages by PRI.
    pub ats: bool,
    /// Devices with the same number share an IOMMU group; `None` is a group of its own.
    pub group: Option<u32>,
    /// Addresses that do not reach the SMMU from it, or that its firmware uses.
    pub resv: [Option<ResvRegion>; MAX_RESV],
}

/// How many reserved regions a device can have.
pub const MAX_RESV: usize = 4;

/// No reserved region.
pub const NO_RESV: [Option<ResvRegion>; MAX_RESV] = [None; MAX_RESV];

/// Hardware with everything that this machine's CPUs can address.
pub fn default_config() -> hw::Config {
    hw::Config {
        oas: kernel_ext::cpu::pa_range(),
        ..hw::Config::default()
    }
}

/// The devices that there are after loading.
pub const DEVICES: [DeviceSpec; 2] = [
    DeviceSpec {
        id: 0,
        sid: 0x100,
        pasid_bits: 16,
        ats: true,
        group: None,
        resv: NO_RESV,
    },
    DeviceSpec {
        id: 1,
        sid: 0x201,
        pasid_bits: 8,
        ats: true,
        group: None,
        resv: NO_RESV,
    },
];

/// The regions of one kind, as the device's node has them.
fn regions(resv: &[Option<ResvRegion>], kind: ResvKind) -> Result<KVec<u64>> {
    let mut values = KVec::new();

    for region in resv.iter().flatten().filter(|region| region.kind == kind) {
        values.extend_from_slice(&[region.start, region.len], GFP_KERNEL)?;
    }
    Ok(values)
}

/// The name of the platform devices.
pub const DEVICE_NAME: &CStr = c"mock_accel";

/// Ports, by the SMMU and StreamID of their device.
#[pin_data]
pub struct Ports {
    #[pin]
    entries: Mutex<KVec<(Arc<driver::Smmu>, Arc<Port>)>>,
}

/// The ports of all instances.
pub static PORTS: Global<Ports> = Global::new();

impl Ports {
    /// An empty list. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                entries <- new_mutex!(KVec::new(), "mock_smmu_ports"),
            }),
            GFP_KERNEL,
        )
    }

    fn find(&self, smmu: &Arc<driver::Smmu>, sid: u32) -> Option<Arc<Port>> {
        let entries = self.entries.lock();
        let mut entries = entries.iter();
        let found = entries.find(|(s, port)| Arc::ptr_eq(s, smmu) && port.sid() == sid);
        found.map(|(_, port)| port.clone())
    }

    fn find_named(&self, name: &CStr) -> Option<Arc<Port>> {
        let entries = self.entries.lock();
        let mut entries = entries.iter();
        let found = entries.find(|(smmu, port)| {
            let client = smmu.client(port.sid());
            client.is_some_and(|client| client.device().name() == name)
        });
        found.map(|(_, port)| port.clone())
    }
}

/// The port of a device, if that is behind a mock SMMU. May sleep.
pub fn port_of(dev: &Device<Bound>) -> Option<Arc<Port>> {
    let client = client_of::<driver::Smmu>(dev)?;
    PORTS.get()?.find(client.driver(), client.data().sid())
}

/// The port of the device called `name`, behind whichever mock SMMU. May sleep.
pub fn port_named(name: &CStr) -> Option<Arc<Port>> {
    PORTS.get()?.find_named(name)
}

/// A connected port, listed in [`PORTS`].
struct Connection {
    smmu: Arc<driver::Smmu>,
    port: Arc<Port>,
}

impl Connection {
    fn new(hw: &Arc<hw::Smmu>, smmu: &Arc<driver::Smmu>, spec: &DeviceSpec) -> Result<Self> {
        let port = Port::new(
            hw.clone(),
            spec.sid,
            PortConfig {
                ats: spec.ats,
                // ATS does not work in bypass, and the driver half has no stage 1 for accesses
                // without PASID if the SMMU has none.
                ats_no_ssid: spec.ats && smmu.features().ssid_bits > 0,
                pri: spec.ats,
                ..PortConfig::default()
            },
        )?;
        let ports = PORTS.get().ok_or(ENODEV)?;
        ports
            .entries
            .lock()
            .push((smmu.clone(), port.clone()), GFP_KERNEL)?;
        Ok(Self {
            smmu: smmu.clone(),
            port,
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.port.stop();
        if let Some(ports) = PORTS.get() {
            ports.entries.lock().retain(|(smmu, port)| {
                !(Arc::ptr_eq(smmu, &self.smmu) && Arc::ptr_eq(port, &self.port))
            });
        }
    }
}

/// A device behind an instance, with its port. Dropping it removes the device; sleeps.
pub struct MockDevice {
    // Dropped first: the device's driver may use the port to the end.
    device: ClientDevice<driver::Smmu>,
    connection: Connection,
}

impl MockDevice {
    /// The device.
    pub fn device(&self) -> &Device {
        self.device.device()
    }

    /// The device as the driver half sees it.
    pub fn client(&self) -> Arc<Client<driver::Smmu>> {
        self.device.client()
    }

    /// The device behind its IOMMU.
    pub fn endpoint(&self) -> &ClientDevice<driver::Smmu> {
        &self.device
    }

    /// The device's port.
    pub fn port(&self) -> &Arc<Port> {
        &self.connection.port
    }
}

/// Waits on drop until no notifier of an address space is left, so that none uses the SMMU.
struct NoNotifiers;

impl Drop for NoNotifiers {
    fn drop(&mut self) {
        notifier::synchronize();
    }
}

/// Disconnects the doorbell on drop: it owns the hardware half, which owns the register file.
struct Doorbell(Arc<RegisterFile>);

impl Drop for Doorbell {
    fn drop(&mut self) {
        self.0.clear_doorbell();
    }
}

/// A mock SMMU with its driver and devices. Dropping it removes them all, in this order; sleeps.
pub struct Instance {
    debugfs: Option<debugfs::InstanceDir>,
    devices: KVec<MockDevice>,
    iommu: Arc<IommuDevice<driver::Smmu>>,
    _no_notifiers: NoNotifiers,
    running: Running,
    _doorbell: Doorbell,
    hw: Arc<hw::Smmu>,
}

impl Instance {
    /// Makes an instance called `name` without devices. May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST` when the name is taken; `EINVAL` for an impossible `config`; `ENOMEM`; `ENODEV` if
    /// the driver half does not like the hardware.
    pub fn new(name: &CStr, config: hw::Config) -> Result<Self> {
        let regs = RegisterFile::new()?;
        let lines = Lines::new()?;
        let hw = hw::Smmu::new(
            config,
            regs.clone(),
            hw::Lines {
                evtq: lines.evtq.clone(),
                priq: lines.priq.clone(),
                gerror: lines.gerror.clone(),
            },
        )?;
        regs.set_doorbell(hw.clone());
        let doorbell = Doorbell(regs.clone());

        let running = Running::new(name, regs, lines)?;
        let max_pasids = 1 << running.smmu().features().ssid_bits;
        let iommu = IommuDevice::new(name, max_pasids, running.smmu().clone())?;
        Ok(Self {
            debugfs: None,
            devices: KVec::new(),
            iommu,
            _no_notifiers: NoNotifiers,
            running,
            _doorbell: doorbell,
            hw,
        })
    }

    /// Shows the instance in debugfs.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn show(&mut self, name: &CStr, parent: &kernel::debugfs::Dir) -> Result {
        let view = debugfs::View {
            smmu: self.smmu().clone(),
            hw: self.hw.clone(),
        };
        self.debugfs = Some(debugfs::InstanceDir::new(parent, name, view)?);
        Ok(())
    }

    /// Adds a device called `name`, which a driver of that name may bind at once. May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST` or `EBUSY` when its name or StreamID is taken; `ENODEV` if the driver half refused
    /// it, for example for a StreamID that the SMMU does not have; `ENOMEM`.
    pub fn add_device(&mut self, name: &CStr, spec: &DeviceSpec) -> Result<&MockDevice> {
        let connection = Connection::new(&self.hw, self.smmu(), spec)?;
        let cell = |name, value| Property {
            name,
            value: Value::U32(value),
        };
        let reserved = regions(&spec.resv, ResvKind::Reserved)?;
        let direct = regions(&spec.resv, ResvKind::Direct)?;
        let mut properties = KVec::with_capacity(5, GFP_KERNEL)?;
        if spec.pasid_bits != 0 {
            let bits = u32::from(spec.pasid_bits);
            properties.push(cell(c"pasid-num-bits", bits), GFP_KERNEL)?;
        }
        if spec.ats {
            properties.push(cell(c"ats-supported", 1), GFP_KERNEL)?;
        }
        if let Some(group) = spec.group {
            properties.push(cell(c"iommu-group-id", group), GFP_KERNEL)?;
        }
        for (name, values) in [
            (master::RESERVED, &reserved),
            (master::DIRECT, &direct), //
        ] {
            if !values.is_empty() {
                let value = Value::U64s(values);
                properties.push(Property { name, value }, GFP_KERNEL)?;
            }
        }
        self.devices.reserve(1, GFP_KERNEL)?;
        let device = self
            .iommu
            .add_device(name, spec.id, &properties, &[spec.sid])?;
        self.devices
            .push(MockDevice { device, connection }, GFP_KERNEL)?;
        self.devices.last().ok_or(ENODEV)
    }

    /// Removes the device that was added as number `index`; those after it move up. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is none.
    pub fn remove_device(&mut self, index: usize) -> Result {
        drop(self.devices.remove(index).map_err(|_| ENOENT)?);
        Ok(())
    }

    /// The devices.
    pub fn devices(&self) -> &[MockDevice] {
        &self.devices
    }

    /// The platform device that represents the SMMU.
    pub fn device(&self) -> &Device {
        self.iommu.device()
    }

    /// The driver half.
    pub fn smmu(&self) -> &Arc<driver::Smmu> {
        self.running.smmu()
    }

    /// The hardware half.
    pub fn hw(&self) -> &Arc<hw::Smmu> {
        &self.hw
    }
}
