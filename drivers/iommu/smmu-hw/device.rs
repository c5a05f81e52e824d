// SPDX-License-Identifier: GPL-2.0

//! What a device is like that software plugs in behind an SMMU.

use crate::hw::PortLimits;
use kernel::prelude::*;
use kernel_ext::resv_region::{
    ResvKind,
    ResvRegion, //
};

/// Numbers of a device; each is chosen if it is not given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers {
    /// Number of the platform device, after its name.
    pub id: Option<i32>,
    /// StreamID.
    pub sid: Option<u32>,
}

/// What a device is like.
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
    /// After how many flushes of its process without a page request an idle bond sleeps at first, if
    /// the driver has bonds sleep; 0 is never, and `None` for the driver to say.
    pub sleep_after: Option<u32>,
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
        sleep_after: None,
        resv: NO_RESV,
        limits: PortLimits::DEFAULT,
    };
}

/// How many reserved regions a device can have.
pub const MAX_RESV: usize = 4;

/// No reserved region.
pub const NO_RESV: [Option<ResvRegion>; MAX_RESV] = [None; MAX_RESV];

/// How long a region may be that must be mapped one to one: the IOMMU core looks at each page of it
/// while it keeps everybody else out of the group.
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
