// SPDX-License-Identifier: GPL-2.0

//! Devices behind an instance, with the ports that they do DMA through.

use crate::{
    driver::{
        self,
        master, //
    },
    hw::{
        self,
        Port,
        PortConfig, //
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
use smmuv3::device::{
    check_region,
    DeviceSpec, //
};

/// What the port of such a device can do behind an SMMU with SubstreamIDs of `ssid_bits` bits.
pub(crate) fn port_config(spec: &DeviceSpec, ssid_bits: u8) -> PortConfig {
    PortConfig {
        ats: spec.ats,
        // ATS does not work in bypass, and the driver half has no stage 1 for accesses without
        // PASID if the SMMU has none.
        ats_no_ssid: spec.ats && ssid_bits > 0,
        pri: spec.pri,
        needs_pasid: false,
        max_outstanding: spec.limits.max_outstanding,
        max_retries: spec.limits.max_retries,
        timeout_ms: spec.limits.timeout_ms,
        gives_up: true,
    }
}

/// Whether an SMMU whose page tables are as `geometry` says can map the [`ResvKind::Direct`] regions
/// of such a device one to one. The IOMMU core warns if not.
///
/// # Errors
///
/// `ERANGE`.
pub(crate) fn check_direct(spec: &DeviceSpec, geometry: &Geometry) -> Result {
    let bits = geometry.input_bits.min(geometry.output_bits);
    let mut regions = spec.resv.iter().flatten();
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
            port_config(spec, iommu.driver().features().ssid_bits),
        )?;
        let cell = |name, value| Property {
            name,
            value: Value::U32(value),
        };
        let reserved = regions(&spec.resv, ResvKind::Reserved)?;
        let direct = regions(&spec.resv, ResvKind::Direct)?;
        let mut properties = KVec::with_capacity(9, GFP_KERNEL)?;
        if spec.pasid_bits != 0 {
            let bits = u32::from(spec.pasid_bits);
            properties.push(cell(c"pasid-num-bits", bits), GFP_KERNEL)?;
        }
        if spec.ats {
            properties.push(cell(c"ats-supported", 1), GFP_KERNEL)?;
        }
        if spec.pri {
            properties.push(cell(master::ASKS, 1), GFP_KERNEL)?;
        }
        if let Some(flushes) = spec.sleep_after {
            properties.push(cell(master::SLEEP_AFTER, flushes), GFP_KERNEL)?;
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
