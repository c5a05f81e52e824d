// SPDX-License-Identifier: GPL-2.0

//! Devices behind an SMMU: what one is to be like, and the port that it does DMA through.

use crate::{
    driver::{
        self,
        master, //
    },
    hw::{
        self,
        Port,
        PortConfig,
        PortLimits, //
    },
    ports::Connection, //
};
use kernel::{
    device::Device,
    prelude::*,
    str::CString,
    sync::Arc, //
};
use kernel_ext::{
    fwspec::IommuNode,
    io_pgtable::Geometry,
    iommu_device::{
        Client,
        ClientDevice,
        IommuDevice, //
    },
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
    /// Whether it translates by ATS.
    pub ats: bool,
    /// Whether it asks for missing pages by PRI; needs `ats`.
    pub pri: bool,
    /// Devices with the same number share an IOMMU group; `None` is a group of its own.
    pub group: Option<u32>,
    /// Whether its accesses may wait for missing pages inside the SMMU.
    pub stall: bool,
    /// Whether the DMA API maps memory for it in the SMMU; else it gets physical addresses.
    pub translated: bool,
    /// Addresses that do not reach the SMMU from it, or that its firmware uses.
    pub resv: [Option<ResvRegion>; MAX_RESV],
    /// How much it has under way, and how patient it is.
    pub limits: PortLimits,
}

impl DeviceSpec {
    /// A device alone in its group, with ATS and PRI and 16-bit PASIDs.
    pub const DEFAULT: Self = Self {
        id: 0,
        sid: 0,
        pasid_bits: 16,
        ats: true,
        pri: true,
        group: None,
        stall: false,
        translated: false,
        resv: NO_RESV,
        limits: PortLimits::DEFAULT,
    };

    /// Whether an SMMU whose page tables are as `geometry` says can map its [`ResvKind::Direct`]
    /// regions one to one. The IOMMU core warns if not.
    ///
    /// # Errors
    ///
    /// `ERANGE`.
    pub(crate) fn check_direct(&self, geometry: &Geometry) -> Result {
        let bits = geometry.input_bits.min(geometry.output_bits);
        let mut regions = self.resv.iter().flatten();
        let beyond = regions.any(|region| {
            let last = region.start.saturating_add(region.len);
            region.kind == ResvKind::Direct && last >> bits != 0
        });

        if beyond {
            Err(ERANGE)
        } else {
            Ok(())
        }
    }

    /// What its port can do behind an SMMU with SubstreamIDs of `ssid_bits` bits.
    fn port(&self, ssid_bits: u8) -> PortConfig {
        PortConfig {
            ats: self.ats,
            // ATS does not work in bypass, and the driver half has no stage 1 for accesses
            // without PASID if the SMMU has none.
            ats_no_ssid: self.ats && ssid_bits > 0,
            pri: self.pri,
            needs_pasid: false,
            max_outstanding: self.limits.max_outstanding,
            max_retries: self.limits.max_retries,
            timeout_ms: self.limits.timeout_ms,
        }
    }
}

/// How many reserved regions a device can have.
pub const MAX_RESV: usize = 4;

/// No reserved region.
pub const NO_RESV: [Option<ResvRegion>; MAX_RESV] = [None; MAX_RESV];

/// How long a region may be that must be mapped one to one: the IOMMU core looks at each page of it
/// while it keeps everybody else out of the group, and we out of the list of instances.
pub const MAX_DIRECT: u64 = 256 << 20;

/// Whether a device can have `region`.
///
/// # Errors
///
/// `EINVAL` if it is empty or ends nowhere, `ERANGE` if it is longer than [`MAX_DIRECT`] allows.
pub fn check_region(region: &ResvRegion) -> Result {
    if region.len == 0 || region.start.checked_add(region.len).is_none() {
        return Err(EINVAL);
    }
    if region.kind == ResvKind::Direct && region.len > MAX_DIRECT {
        return Err(ERANGE);
    }
    Ok(())
}

/// The regions of one kind, as the device's node has them.
fn regions(resv: &[Option<ResvRegion>], kind: ResvKind) -> Result<KVec<u64>> {
    let mut values = KVec::new();

    for region in resv.iter().flatten().filter(|region| region.kind == kind) {
        check_region(region)?;
        values.extend_from_slice(&[region.start, region.len], GFP_KERNEL)?;
    }
    Ok(values)
}

/// A device behind an instance, with its port. Dropping it removes the device; sleeps.
pub struct MockDevice {
    // Dropped first: the device's driver may use the port to the end.
    device: ClientDevice<driver::Smmu>,
    connection: Connection,
}

impl MockDevice {
    /// Plugs in a device called `name`: first its port, then the device. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`crate::instance::Instance::add_device`].
    pub(crate) fn new(
        hw: &Arc<hw::Smmu>,
        iommu: &Arc<IommuDevice<driver::Smmu>>,
        name: &CStr,
        spec: &DeviceSpec,
    ) -> Result<Self> {
        let connection = Connection::new(
            hw.clone(),
            IommuNode::of(iommu.device()).ok_or(ENODEV)?,
            CString::try_from_fmt(fmt!("{}.{}", name.to_str()?, spec.id))?,
            spec.sid,
            spec.port(iommu.driver().features().ssid_bits),
        )?;
        let cell = |name, value| Property {
            name,
            value: Value::U32(value),
        };
        let reserved = regions(&spec.resv, ResvKind::Reserved)?;
        let direct = regions(&spec.resv, ResvKind::Direct)?;
        let mut properties = KVec::with_capacity(7, GFP_KERNEL)?;
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
        if spec.stall {
            properties.push(cell(master::STALLS, 1), GFP_KERNEL)?;
        }
        if spec.translated {
            properties.push(cell(master::TRANSLATED, 1), GFP_KERNEL)?;
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
        let device = iommu.add_device(name, spec.id, &properties, &[spec.sid])?;
        Ok(Self { device, connection })
    }

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
        self.connection.port()
    }
}
