// SPDX-License-Identifier: GPL-2.0

//! A device behind the SMMU: its stream, and the address spaces its PASIDs lead to.

use super::{
    address_space::AddressSpace,
    cd_table::CdTable,
    stream_table,
    Smmu, //
};
use crate::{
    fmt::{
        regs,
        ste::{
            self,
            Ste, //
        }, //
    },
    module_parameters, //
};
use kernel::{
    device::Device,
    new_mutex,
    prelude::*,
    rbtree::RBTree,
    sync::{
        atomic::{ordering::Relaxed, AtomicFlag},
        Arc,
        Mutex, //
    }, //
};
use kernel_ext::{
    pci_function::PciFunction,
    resv_region::{
        ResvKind,
        ResvRegion, //
    }, //
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
    /// Whether it asks for missing pages.
    asks: AtomicFlag,
    /// Whether its context descriptors are in use at all times.
    always: bool,
    translates_dma: bool,
    /// Whether its accesses wait for missing pages inside the SMMU.
    stalls: bool,
    /// See [`SLEEP_AFTER`].
    sleep_after: u32,
    /// Whether the SMMU must see to it that they do not.
    stall_disabled: bool,
    /// [`Ste::sh_cfg`] of what passes.
    sh_cfg: u8,
    /// Bits of a SubstreamID as its stream table entry says.
    ssid_bits: u8,
    /// Whether it sends PASIDs.
    has_pasids: bool,
    cds: Pin<KBox<CdTable>>,
    bonds: Pin<KBox<Mutex<Bonds>>>,
    resv: KVec<ResvRegion>,
}

/// The property of a device's node that has its [`ResvKind::Reserved`] regions.
pub const RESERVED: &CStr = c"iommu-reserved";

/// The property of a device's node that has its [`ResvKind::Direct`] regions.
pub const DIRECT: &CStr = c"iommu-direct";

/// The property of a device's node that says that its accesses may wait for long, if not 0.
pub const STALLS: &CStr = c"dma-can-stall";

/// The property of a device's node that says that it asks for pages that it misses (PRI), if not 0.
pub const ASKS: &CStr = c"pri-supported";

/// The property of a device's node that says after how many flushes of its process without a page
/// request the descriptor of a bond sleeps at first, if the device can wait for pages; 0 is never.
pub const SLEEP_AFTER: &CStr = c"mock-smmu-sleep-after";

/// The property of a device's node that has the DMA API map memory for it in the SMMU, if not 0.
pub const TRANSLATED: &CStr = c"iommu-translated";

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
    /// `pasid-num-bits`, `ats-supported`, [`ASKS`], [`STALLS`], `iommu-group-id`, [`TRANSLATED`],
    /// [`SLEEP_AFTER`]; and
    /// [`RESERVED`] and [`DIRECT`], each with pairs of first address and length. A PCI function says
    /// it by its capabilities, and may send PASIDs from now on. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it has not exactly one StreamID, or that is too large, or for a region that ends
    /// nowhere; `ENOMEM`.
    pub fn new(smmu: &Smmu, dev: &Device, ids: &[u32]) -> Result<Self> {
        let &[sid] = ids else {
            return Err(EINVAL);
        };
        if u64::from(sid) >> smmu.streams().sid_bits() != 0 {
            return Err(EINVAL);
        }
        let property = |name| {
            let value = dev.fwnode().map(|node| node.property_read::<u32>(name));
            value.and_then(|value| value.optional())
        };

        let flag = |name| property(name).is_some_and(|value| value != 0);

        let able = smmu.features().ssid_bits;
        let pci = PciFunction::of(dev);
        let ssid_bits = match &pci {
            Some(_) if able == 0 => 0,
            Some(pci) => u32::from(pci.enable_pasid()),
            None => property(c"pasid-num-bits").unwrap_or(0),
        };
        let ssid_bits = ssid_bits.min(u32::from(able));
        // CAST: At most 20. The table of a device without PASIDs has one for accesses without.
        let cds = KBox::pin_init(CdTable::new(ssid_bits.max(1) as u8)?, GFP_KERNEL)?;
        let can_ats = match &pci {
            Some(pci) => pci.has_ats(),
            None => flag(c"ats-supported"),
        };
        let ats = smmu.features().ats && can_ats;
        let can_ask = match &pci {
            Some(pci) => pci.has_pri(),
            None => flag(ASKS),
        };
        let model = smmu.features().stall_model;
        let stalls = match model {
            regs::STALL_NONE => false,
            regs::STALL_ONLY => true,
            _ => flag(STALLS),
        };
        let mut resv = KVec::new();
        for (name, kind) in [
            (RESERVED, ResvKind::Reserved),
            (DIRECT, ResvKind::Direct), //
        ] {
            read_regions(dev, name, kind, &mut resv)?;
        }
        if let Some(pci) = &pci {
            // As the DMA API, which keeps out of there whether there is ACS or not (S18).
            pci.add_windows(&mut resv)?;
        }
        Ok(Self {
            sid,
            group: property(c"iommu-group-id"),
            ats,
            asks: AtomicFlag::new(ats && can_ask && smmu.features().pri),
            always: able != 0 && (ssid_bits != 0 || ats),
            translates_dma: flag(TRANSLATED),
            stalls,
            sleep_after: property(SLEEP_AFTER)
                .unwrap_or_else(|| module_parameters::sleep_after.value()),
            stall_disabled: model == regs::STALL_BOTH && !stalls,
            sh_cfg: smmu.features().sh_cfg(),
            ssid_bits: cds.ssid_bits().min(able),
            has_pasids: ssid_bits != 0,
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

    /// Whether it sends PASIDs.
    pub fn has_pasids(&self) -> bool {
        self.has_pasids
    }

    /// Whether it has page requests, and its SMMU too.
    pub fn asks(&self) -> bool {
        self.asks.load(Relaxed)
    }

    /// Its page requests could not be switched on: nothing of it may sleep until one comes.
    pub(super) fn asks_no_more(&self) {
        self.asks.store(false, Relaxed);
    }

    /// Whether it has an ATC, which must be invalidated.
    pub fn ats(&self) -> bool {
        self.ats
    }

    /// Whether its accesses can wait inside the SMMU until a page is there.
    pub fn stalls(&self) -> bool {
        self.stalls
    }

    /// After how many flushes of a process its descriptors there sleep at first; 0 is never, as
    /// it must be for who cannot ask for a page, or wait for one.
    pub(super) fn sleeps_after(&self) -> u32 {
        match self.stalls || self.asks() {
            true => self.sleep_after,
            false => 0,
        }
    }

    /// It has been told of a page under `pasid`, or will be: it must be able to use it. May sleep.
    pub(super) fn wake(&self, pasid: Option<u32>) {
        let ssid = pasid.unwrap_or(NO_PASID);
        let space = self.bonds.lock().get(&ssid).cloned();

        if let Some(space) = space {
            space.wake(self.sid, ssid);
        }
    }

    /// The addresses that the bus in front of the SMMU keeps for itself, or that firmware uses.
    pub fn resv(&self) -> &[ResvRegion] {
        &self.resv
    }

    /// Whether the DMA API maps memory for it in the SMMU; else it gets physical addresses.
    pub fn translates_dma(&self) -> bool {
        self.translates_dma
    }

    /// Its context descriptors: of its PASIDs, and one for accesses without.
    pub fn cds(&self) -> &CdTable {
        &self.cds
    }

    /// The address spaces its PASIDs lead to. Changed under the group's mutex.
    pub fn bonds(&self) -> &Mutex<Bonds> {
        &self.bonds
    }

    /// Which address `addr` stands for under `pasid`, or with `None` without: the same, or that
    /// without its tag. `None` if nobody uses the PASID. May sleep.
    pub fn untagged(&self, pasid: Option<u32>, addr: u64) -> Option<u64> {
        let bonds = self.bonds.lock();

        bonds
            .get(&pasid.unwrap_or(NO_PASID))
            .map(|space| space.untagged(addr))
    }

    /// Its stream table entry.
    ///
    /// With PASIDs or ATS, the context descriptors are always in place, and what happens without a
    /// PASID is one field: changing that never disturbs the PASIDs. A device with neither, or behind
    /// an SMMU without PASIDs, needs them only where it has an address space; no ATS works in
    /// bypass. (SMMUv3, 13.6.4.)
    pub fn ste(&self, rid: Rid) -> Ste {
        match rid {
            Rid::Identity if !self.always => return stream_table::bypass(self.sh_cfg),
            Rid::Blocked if !self.always => return stream_table::abort(),
            _ => {}
        }
        let ste = Ste::default()
            .with_v(true)
            .with_config(ste::CONFIG_S1)
            .with_s1_fmt(self.cds.format())
            .with_s1_context_ptr(self.cds.phys())
            .with_s1_cd_max(self.ssid_bits)
            // Descriptors are fetched write-back cacheable and inner shareable.
            .with_s1_cir(1)
            .with_s1_cor(1)
            .with_s1_csh(3)
            .with_s1_stalld(self.stall_disabled)
            .with_eats(if self.ats {
                ste::EATS_TRANS
            } else {
                ste::EATS_ABORT
            });
        match rid {
            Rid::Identity => ste.with_s1_dss(ste::S1DSS_BYPASS).with_sh_cfg(self.sh_cfg),
            Rid::Blocked => ste.with_s1_dss(ste::S1DSS_TERMINATE),
            Rid::Shared => ste.with_s1_dss(ste::S1DSS_SSID0),
        }
    }
}
