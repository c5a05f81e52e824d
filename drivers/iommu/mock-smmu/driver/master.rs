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

/// What a device does without a PASID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rid {
    /// It reaches physical addresses.
    Identity,
    /// Nothing.
    Blocked,
}

/// What the driver knows of a device.
pub struct Master {
    sid: u32,
    group: Option<u32>,
    ats: bool,
    cds: Option<Pin<KBox<CdTable>>>,
    bonds: Pin<KBox<Mutex<Bonds>>>,
}

/// Who uses which PASID.
pub type Bonds = RBTree<u32, Arc<AddressSpace>>;

impl Master {
    /// Takes the device `dev` with the given StreamIDs. Its software node says the rest:
    /// `pasid-num-bits`, `ats-supported` and `iommu-group-id`. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it has not exactly one StreamID, or that is too large; `ENOMEM`.
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
        let cds = match ssid_bits {
            0 => None,
            // CAST: At most 20.
            bits => Some(KBox::pin_init(CdTable::new(bits as u8)?, GFP_KERNEL)?),
        };
        Ok(Self {
            sid,
            group: property(c"iommu-group-id"),
            ats: smmu.features().ats && property(c"ats-supported").is_some_and(|ats| ats != 0),
            cds,
            bonds: KBox::pin_init(new_mutex!(RBTree::new(), "mock_smmu_bonds"), GFP_KERNEL)?,
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

    /// Its context descriptors, if it has PASIDs.
    pub fn cds(&self) -> Option<&CdTable> {
        self.cds.as_deref()
    }

    /// The address spaces its PASIDs lead to. Changed under the group's mutex.
    pub fn bonds(&self) -> &Mutex<Bonds> {
        &self.bonds
    }

    /// Its stream table entry.
    ///
    /// With PASIDs, the context descriptors are always in place, and what happens without a PASID
    /// is one field: changing that never disturbs the PASIDs.
    pub fn ste(&self, rid: Rid) -> Ste {
        let Some(cds) = &self.cds else {
            return match rid {
                Rid::Identity => stream_table::bypass(),
                Rid::Blocked => stream_table::abort(),
            };
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
        }
    }
}
