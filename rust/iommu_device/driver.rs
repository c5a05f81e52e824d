// SPDX-License-Identifier: GPL-2.0

//! What an IOMMU driver implements.

use super::Client;
use crate::{
    io_pgtable::{
        Invalidate,
        PagingDomain, //
    },
    iopf_queue::{
        IopfQueue,
        PageResponse, //
    },
    resv_region::ResvList,
};
use kernel::{
    device::Device,
    mm::MmWithUser,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    }, //
};

/// An IOMMU driver: what the core asks of one instance.
///
/// Everything runs in process context and may sleep, unless said otherwise.
#[vtable]
pub trait Driver: Send + Sync + Sized + 'static {
    /// What the driver keeps for each device behind the IOMMU.
    type DeviceData: Send + Sync + 'static;

    /// A domain that shares the address space of a process.
    type SvaData: Send + Sync + 'static;

    /// What a paging domain's page table is for.
    type Paging: Invalidate;

    /// Takes a device that has stream IDs `ids` behind this IOMMU.
    ///
    /// # Errors
    ///
    /// Any: the device then has no IOMMU, and is not added.
    fn probe_device(&self, dev: &Device, ids: &[u32]) -> Result<Self::DeviceData>;

    /// A device whose IOMMU group `client` must join, because the IOMMU or the bus cannot tell
    /// their accesses apart; `None` gives it a group of its own.
    fn shares_group_with(&self, client: &Client<Self>) -> Option<Arc<Client<Self>>>;

    /// The device is in its group and has its default domain: faults may be reported from now on.
    fn probe_finalize(&self, client: ArcBorrow<'_, Client<Self>>);

    /// The device goes away. Access from it must be blocked, and no fault of it may be in the
    /// making when this returns. Called under the group's mutex.
    fn release_device(&self, client: ArcBorrow<'_, Client<Self>>);

    /// The device has gone, and all faults of it have been answered. Called under the group's mutex.
    fn device_released(&self, client: ArcBorrow<'_, Client<Self>>);

    /// Adds the addresses of a device that are not translated as others to `list`. May be called
    /// under the group's mutex.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, which is logged only: the core believes that `list` is complete.
    fn resv_regions(&self, client: &Client<Self>, list: &mut ResvList<'_>) -> Result;

    /// Where page requests of a device go; `None` if it, or the instance, has none.
    fn fault_queue(&self, client: &Client<Self>) -> Option<Arc<IopfQueue>>;

    /// Lets accesses without PASID through untranslated. Called under the group's mutex.
    ///
    /// # Errors
    ///
    /// None are expected: the core assumes that this works.
    fn attach_identity(&self, client: &Client<Self>) -> Result;

    /// Blocks accesses without PASID. Called under the group's mutex.
    ///
    /// # Errors
    ///
    /// As for `attach_identity`.
    fn attach_blocked(&self, client: &Client<Self>) -> Result;

    /// Blocks accesses with `pasid`. Returns when no request made before can surface any more: when
    /// all of them have been reported. Called under the group's mutex, also if nothing is attached.
    fn block_pasid(&self, client: &Client<Self>, pasid: u32);

    /// Whether the DMA API's mappings for the device are the IOMMU's; else it gets physical
    /// addresses. Called under the group's mutex.
    fn translates_dma(&self, client: &Client<Self>) -> bool;

    /// Makes a domain with an empty page table.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the IOMMU has no pages of the size that the CPUs have; `ENOSPC` when it has
    /// no room for another address space; `ENOMEM`.
    fn alloc_paging(&self, client: &Client<Self>) -> Result<PagingDomain<Self::Paging>>;

    /// Whether the IOMMU can tell which pages of a domain the device has written.
    fn tracks_dirty(&self, client: &Client<Self>) -> bool;

    /// As [`Self::alloc_paging`], a domain that tells which of its pages were written.
    ///
    /// # Errors
    ///
    /// Those; and `EOPNOTSUPP` unless [`Self::tracks_dirty`].
    fn alloc_dirty_paging(&self, client: &Client<Self>) -> Result<PagingDomain<Self::Paging>>;

    /// Makes accesses of the device with `pasid`, or with `None` those without, go to `domain`,
    /// instead of what was there. On failure what was there stays. When it returns no page request
    /// for what was there can surface any more. Page requests for `domain` are answered if it
    /// [serves them](PagingDomain::serves_faults). Called under the group's mutex.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a PASID that the device does not have; `ENOMEM`.
    fn attach_paging(
        &self,
        domain: &PagingDomain<Self::Paging>,
        client: &Client<Self>,
        pasid: Option<u32>,
    ) -> Result;

    /// Makes a domain for the address space `mm`.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the IOMMU cannot walk this machine's page tables; `ENOSPC` when it has no
    /// room for another address space; `ENOMEM`.
    fn alloc_sva(&self, client: &Client<Self>, mm: &MmWithUser) -> Result<Self::SvaData>;

    /// Makes accesses of the device with `pasid` go to `domain`, instead of what was there. On
    /// failure what was there stays. Called under the group's mutex.
    ///
    /// # Errors
    ///
    /// `EINVAL` when the process is gone; `ENOMEM`.
    fn attach_sva(&self, domain: &Self::SvaData, client: &Client<Self>, pasid: u32) -> Result;

    /// Makes accesses of the device without PASID go to `domain`, instead of what was there, until
    /// another of the attaching functions; that then also waits for page requests, as `block_pasid`
    /// does. On failure what was there stays. Called under the group's mutex.
    ///
    /// # Errors
    ///
    /// As for `attach_sva`; `EOPNOTSUPP` if the IOMMU cannot do that.
    fn attach_sva_rid(&self, domain: &Self::SvaData, client: &Client<Self>) -> Result;

    /// Has accesses that are attached to `domain`, now or later, find the pages that are there without
    /// a page request from now on, if they do not in any case. Any context.
    fn keep_awake(domain: &Self::SvaData);

    /// Answers a page request group. May be called with locks held that `FaultSource::report`
    /// takes: it must not wait for a report to end.
    fn page_response(&self, client: &Client<Self>, response: PageResponse);
}
