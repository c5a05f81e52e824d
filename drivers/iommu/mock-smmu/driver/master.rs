// SPDX-License-Identifier: GPL-2.0

//! A device behind the SMMU: its stream, and the address spaces its PASIDs lead to.

use super::{
    cd_table::CdTable,
    domain_sva::AddressSpace,
    stream_table,
    Smmu, //
};
use crate::fmt::ste::{
    self,
    Ste, //
};
use kernel::{
    device::Device,
    new_mutex,
    prelude::*,
    rbtree::RBTree,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use kernel_ext::resv_region::{
    ResvKind,
    ResvRegion, //
};

/// The number of the context descriptor that accesses without PASID use.
///
/// No PASID has it: with [`Rid::Shared`] the SMMU refuses accesses that carry it. (SMMUv3, 5.2.)
pub const NO_PASID: u32 = 0;

/// What a device does without a PASID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rid {
    /// It reaches physical addresses.
    Identity,
    /// Nothing.
    Blocked,
    /// The address space that its first context descriptor leads to.
    Shared,
}

/// What the driver knows of a device.
pub struct Master {
    sid: u32,
    group: Option<u32>,
    ats: bool,
    pasids: bool,
    cds: Option<Pin<KBox<CdTable>>>,
    bonds: Pin<KBox<Mutex<Bonds>>>,
    resv: KVec<ResvRegion>,
}

/// The property of a device's node that has its [`ResvKind::Reserved`] regions.
pub const RESERVED: &CStr = c"iommu-reserved";

/// The property of a device's node that has its [`ResvKind::Direct`] regions.
pub const DIRECT: &CStr = c"iommu-direct";

/// Adds the regions in property `name`, if there is one, to `regions`.
fn read_regions(
    dev: &Device,
    name: &CStr,
    kind: ResvKind,
    regions: &mut KVec<ResvRegion>,
) -> Result {
    let Some(node) = dev.fwnode() else {
        return Ok(());
    };
    let Ok(count) = node.property_count_elem::<u64>(name) else {
        return Ok(());
    };
    let values = node.property_read_array_vec::<u64>(name, count)?;
    let values = values.required_by(dev)?;

    for pair in values.chunks(2) {
        let &[start, len] = pair else {
            return Err(EINVAL);
        };
        if len == 0 || start.checked_add(len).is_none() {
            return Err(EINVAL);
        }
        regions.push(ResvRegion { start, len, kind }, GFP_KERNEL)?;
    }
    Ok(())
}

/// Who uses which PASID; [`NO_PASID`] stands for accesses without.
pub type Bonds = RBTree<u32, Arc<AddressSpace>>;

impl Master {
    /// Takes the device `dev` with the given StreamIDs. Its software node says the rest:
    /// `pasid-num-bits`, `ats-supported`, `iommu-group-id`; and `iommu-reserved` and `iommu-direct`,
    /// each with pairs of first address and length. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it has not exactly one StreamID, or that is too large, or for a region that ends
    /// nowhere; `ENOMEM`.
    pub fn new(smmu: &Smmu, dev: &Device, ids: &[u32]) -> Result<Self> {
        let &[sid] = ids else {
            return Err(EINVAL);
        };
        if u64::from(sid) >> smmu.features().sid_bits != 0 {
            return Err(EINVAL);
        }
        let property = |name| {
            let value = dev.fwnode().map(|node| node.property_read::<u32>(name));
            value.and_then(|value| value.optional())
        };

        let ssid_bits = property(c"pasid-num-bits")
            .unwrap_or(0)
            .min(u32::from(smmu.features().ssid_bits));
        let cds = match smmu.features().ssid_bits {
            0 => None,
            // CAST: At most 20. The table of a device without PASIDs has one for accesses without.
            _ => Some(KBox::pin_init(
                CdTable::new(ssid_bits.max(1) as u8)?,
                GFP_KERNEL,
            )?),
        };
        let mut resv = KVec::new();
        for (name, kind) in [
            (RESERVED, ResvKind::Reserved),
            (DIRECT, ResvKind::Direct), //
        ] {
            read_regions(dev, name, kind, &mut resv)?;
        }
        Ok(Self {
            sid,
            group: property(c"iommu-group-id"),
            ats: smmu.features().ats && property(c"ats-supported").is_some_and(|ats| ats != 0),
            pasids: ssid_bits != 0,
            cds,
            bonds: KBox::pin_init(new_mutex!(RBTree::new(), "mock_smmu_bonds"), GFP_KERNEL)?,
            resv,
        })
    }

    /// Its StreamID.
    pub fn sid(&self) -> u32 {
        self.sid
    }

    /// Devices with the same number cannot be told apart.
    pub fn group(&self) -> Option<u32> {
        self.group
    }

    /// Whether it has an ATC, which must be invalidated.
    pub fn ats(&self) -> bool {
        self.ats
    }

    /// The addresses that the bus in front of the SMMU keeps for itself, or that firmware uses.
    pub fn resv(&self) -> &[ResvRegion] {
        &self.resv
    }

    /// Its context descriptors: of its PASIDs, and one for accesses without. None if the SMMU has
    /// no PASIDs.
    pub fn cds(&self) -> Option<&CdTable> {
        self.cds.as_deref()
    }

    /// The address spaces its PASIDs lead to. Changed under the group's mutex.
    pub fn bonds(&self) -> &Mutex<Bonds> {
        &self.bonds
    }

    /// Whether somebody uses `pasid`, or with `None` what is accessed without. May sleep.
    pub fn has_bond(&self, pasid: Option<u32>) -> bool {
        self.bonds.lock().get(&pasid.unwrap_or(NO_PASID)).is_some()
    }

    /// Its stream table entry.
    ///
    /// With PASIDs or ATS, the context descriptors are always in place, and what happens without a
    /// PASID is one field: changing that never disturbs the PASIDs. A device with neither needs
    /// them only where it shares an address space; no ATS works in bypass. (SMMUv3, 13.6.4.)
    pub fn ste(&self, rid: Rid) -> Ste {
        let always = self.pasids || self.ats;
        let cds = match (&self.cds, rid) {
            (Some(cds), _) if always => cds,
            (Some(cds), Rid::Shared) => cds,
            (_, Rid::Identity) => return stream_table::bypass(),
            (_, Rid::Blocked | Rid::Shared) => return stream_table::abort(),
        };
        let ste = Ste::default()
            .with_v(true)
            .with_config(ste::CONFIG_S1)
            .with_s1_fmt(cds.format())
            .with_s1_context_ptr(cds.phys())
            .with_s1_cd_max(cds.ssid_bits())
            // Descriptors are fetched write-back cacheable and inner shareable.
            .with_s1_cir(1)
            .with_s1_cor(1)
            .with_s1_csh(3)
            .with_s1_stalld(true)
            .with_eats(if self.ats {
                ste::EATS_TRANS
            } else {
                ste::EATS_ABORT
            });
        match rid {
            Rid::Identity => ste.with_s1_dss(ste::S1DSS_BYPASS).with_sh_cfg(1),
            Rid::Blocked => ste.with_s1_dss(ste::S1DSS_TERMINATE),
            Rid::Shared => ste.with_s1_dss(ste::S1DSS_SSID0),
        }
    }
}
