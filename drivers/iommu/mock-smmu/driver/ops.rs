// SPDX-License-Identifier: GPL-2.0

//! What the IOMMU core asks of the driver.

use super::{
    address_space::AddressSpace,
    domain_sva::SharedSpace,
    hint,
    invalidate::{
        self,
        Range, //
    },
    master::{
        Master,
        Rid,
        NO_PASID, //
    },
    report,
    stall,
    stream_table,
    Client,
    Smmu, //
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
use kernel_ext::{
    fault::Response,
    io_pgtable::PagingDomain,
    iommu_device::Driver,
    iopf_queue::{
        IopfQueue,
        PageResponse, //
    },
    pci_function::PciFunction,
    resv_region::{
        ResvKind,
        ResvList,
        ResvRegion, //
    }, //
};

/// Where doorbells are mapped for devices whose addresses are somebody else's to choose.
const MSI_WINDOW: ResvRegion = ResvRegion {
    start: 0x800_0000,
    len: 0x10_0000,
    kind: ResvKind::SoftwareMsi,
};

impl Smmu {
    /// Changes what happens without a PASID. Called under the group's mutex.
    fn set_rid(&self, client: &Client, rid: Rid) -> Result {
        let master = client.data();

        self.write_ste(master.sid(), &master.ste(rid))?;
        self.forget_stream(master)?;
        // Nothing leads there any more; but page requests may be under way.
        if rid != Rid::Shared && master.bonds().lock().get(&NO_PASID).is_some() {
            self.detach(client, NO_PASID);
        }
        Ok(())
    }

    /// Leads accesses without PASID to `space`. Called under the group's mutex.
    fn attach_rid(&self, space: &Arc<AddressSpace>, client: &Client) -> Result {
        // The descriptor first: nothing leads there yet.
        self.attach(space, client, NO_PASID)?;
        self.set_rid(client, Rid::Shared)
            .inspect_err(|_| self.detach(client, NO_PASID))
    }

    /// Makes a device forget all translations.
    fn forget_stream(&self, master: &Master) -> Result {
        if !master.ats() {
            return Ok(());
        }
        self.cmdq
            .run(|batch| batch.push(invalidate::atc_inv(master.sid(), None, Range::All)))
    }
}

#[vtable]
impl Driver for Smmu {
    type DeviceData = Master;
    type SvaData = SharedSpace;
    type Paging = AddressSpace;

    fn probe_device(&self, dev: &Device, ids: &[u32]) -> Result<Master> {
        let free = |master: &Master| self.client(master.sid()).is_none();
        let master = Master::new(self, dev, ids);

        master
            .and_then(|master| {
                if free(&master) {
                    Ok(master)
                } else {
                    Err(EBUSY)
                }
            })
            .inspect_err(|_| {
                if let Some(pci) = PciFunction::of(dev) {
                    pci.disable();
                }
            })
    }

    fn shares_group_with(&self, client: &Client) -> Option<Arc<Client>> {
        let group = client.data().group()?;
        let clients = self.clients.lock();
        let mut others = clients.values();
        others
            .find(|other| other.data().group() == Some(group))
            .cloned()
    }

    fn probe_finalize(&self, client: ArcBorrow<'_, Client>) {
        let sid = client.data().sid();
        let client: Arc<Client> = client.into();
        // Without the entry its page requests are refused.
        if let Err(error) =
            self.clients
                .lock()
                .try_create_and_insert(sid, client.clone(), GFP_KERNEL)
        {
            dev_err!(client.device(), "no page requests: {error:?}\n");
        }
        // Not before: the stream table entry has its translation requests answered by now.
        let master = client.data();
        if let Some(pci) = PciFunction::of(client.device()).filter(|_| master.ats()) {
            if let Err(error) = pci.enable_ats(self.features.pri) {
                dev_err!(client.device(), "no ATS or page requests: {error:?}\n");
                master.asks_no_more();
            }
        }
    }

    fn release_device(&self, client: ArcBorrow<'_, Client>) {
        let master = client.data();

        if let Some(pci) = PciFunction::of(client.device()) {
            pci.disable();
        }
        report(self.write_ste(master.sid(), &stream_table::abort()));
        report(self.forget_stream(master));
        // Requests from now on find no device; those before have all been reported after this.
        let client = self.clients.lock().remove(&master.sid());
        drop(client);
        self.drain();
    }

    fn device_released(&self, client: ArcBorrow<'_, Client>) {
        let master = client.data();

        // All faults have been answered. What waits in the SMMU still has nobody to resume it.
        if master.stalls() {
            report(self.terminate_stalls(master.sid()));
        }
    }

    fn resv_regions(&self, client: &Client, list: &mut ResvList<'_>) -> Result {
        for region in client.data().resv() {
            list.add(region)?;
        }
        list.add(&MSI_WINDOW)
    }

    fn fault_queue(&self, client: &Client) -> Option<Arc<IopfQueue>> {
        let master = client.data();
        self.faults
            .lock()
            .clone()
            .filter(|_| master.asks() || master.stalls())
    }

    fn attach_identity(&self, client: &Client) -> Result {
        self.set_rid(client, Rid::Identity)
    }

    fn attach_blocked(&self, client: &Client) -> Result {
        self.set_rid(client, Rid::Blocked)
    }

    fn block_pasid(&self, client: &Client, pasid: u32) {
        self.detach(client, pasid);
    }

    fn translates_dma(&self, client: &Client) -> bool {
        client.data().translates_dma()
    }

    fn alloc_paging(&self, client: &Client) -> Result<PagingDomain<AddressSpace>> {
        client.driver().make_paging(client.device(), false)
    }

    fn tracks_dirty(&self, _client: &Client) -> bool {
        self.features.ha && self.features.hd
    }

    fn alloc_dirty_paging(&self, client: &Client) -> Result<PagingDomain<AddressSpace>> {
        if !self.tracks_dirty(client) {
            return Err(EOPNOTSUPP);
        }
        client.driver().make_paging(client.device(), true)
    }

    fn attach_paging(
        &self,
        domain: &PagingDomain<AddressSpace>,
        client: &Client,
        pasid: Option<u32>,
    ) -> Result {
        let space = domain.user();

        space.set_served(domain.serves_faults());
        match pasid {
            Some(_) if !client.data().has_pasids() => Err(EOPNOTSUPP),
            Some(pasid) => self.attach(space, client, pasid),
            None => self.attach_rid(space, client),
        }
    }

    fn alloc_sva(&self, client: &Client, mm: &MmWithUser) -> Result<SharedSpace> {
        if self.features.ssid_bits == 0 {
            return Err(EOPNOTSUPP);
        }
        self.check_alloc()?;
        client.driver().make_sva(mm)
    }

    fn attach_sva(&self, domain: &SharedSpace, client: &Client, pasid: u32) -> Result {
        self.check_alloc()?;
        if !client.data().has_pasids() {
            return Err(EOPNOTSUPP);
        }
        self.attach(domain.space(), client, pasid)
    }

    fn attach_sva_rid(&self, domain: &SharedSpace, client: &Client) -> Result {
        self.attach_rid(domain.space(), client)
    }

    fn keep_awake(domain: &SharedSpace) {
        domain.space().keep_awake();
    }

    fn page_response(&self, client: &Client, response: PageResponse) {
        let sid = client.data().sid();

        if response.code == Response::Success {
            client.data().wake(response.pasid);
        }
        match stall::stag_of(response.group) {
            _ if hint::is_hint(response.group) => {}
            Some(stag) => self.resume(sid, stag, response.code),
            None => self.respond(sid, response.pasid, response.group, response.code),
        }
    }
}
