// SPDX-License-Identifier: GPL-2.0

//! Paging domains: a page table that the kernel keeps for devices.

use super::{
    address_space::AddressSpace,
    Smmu, //
};
use kernel::{
    device::Device,
    prelude::*,
    sync::Arc, //
};
use kernel_ext::io_pgtable::{
    Geometry,
    PageTable,
    PagingDomain, //
};

impl Smmu {
    /// Makes a domain with an empty page table in memory near `dev`, which tells what was written
    /// if `dirty`. May sleep.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` without pages of the size that the CPUs have; `ENOSPC` without a free ASID;
    /// `ENOMEM`.
    pub(super) fn make_paging(
        self: &Arc<Self>,
        dev: &Device,
        dirty: bool,
    ) -> Result<PagingDomain<AddressSpace>> {
        let asid = self.asids.take()?;
        let geometry = Geometry {
            dirty,
            ..self.features.geometry()?
        };
        let table = PageTable::new(dev, geometry)?;
        let cd = self
            .features
            .paging_cd(&table.stage1(), asid.value())
            .with_ha(dirty)
            .with_hd(dirty);

        let space = AddressSpace::new(self, asid, cd, false)?;
        Ok(PagingDomain::new(table, space))
    }
}
