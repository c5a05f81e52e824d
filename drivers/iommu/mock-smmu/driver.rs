// SPDX-License-Identifier: GPL-2.0

//! The driver half: an IOMMU driver for an SMMUv3.
//!
//! It knows the hardware by its registers, its tables and queues in memory, and its interrupt
//! lines; nothing here says that the hardware is a model.
//!
//! - [`features`]: what the SMMU can do
//! - [`probe`]: bringing it up and down
//! - [`cmdq`], [`evtq`], [`priq`], [`gerror`]: queues and errors
//! - [`stall`], `hint`: transactions that wait for a page; pages that will be needed
//! - [`stream_table`], [`cd_table`], [`entry`]: tables, and how an entry is changed under use
//! - [`asid`], [`invalidate`], [`address_space`]: address spaces
//! - [`idle`]: when nobody is told of a process's flushes
//! - [`domain_sva`], `domain_paging`: whose they are
//! - [`ops`], [`master`]: what the IOMMU core asks for, and the devices
//!
//! # Locks, outermost first
//!
//! | lock | protects | context |
//! |---|---|---|
//! | IOMMU group's mutex | attachments of a group | process |
//! | `Smmu::clients` | which device a StreamID is | process |
//! | `Smmu::faults` | the queue of I/O page faults | process |
//! | stream and CD table mutexes | first levels | process |
//! | `Master::bonds` | who uses a PASID | process |
//! | `AddressSpace::state` | devices that use an address space | interrupts off |
//! | CD writers | descriptors of one device | interrupts off |
//! | command queue | its producer side | interrupts off |
//!
//! Mmu notifiers run under page-table locks, and unmapping from a paging domain under whatever lock
//! its user holds: both take the last three only. The page request thread
//! reports with none of them held.

pub mod address_space;
pub mod asid;
pub mod cd_table;
pub mod cmdq;
#[cfg(CONFIG_KUNIT = "y")]
mod cmdq_tests;
mod domain_paging;
pub mod domain_sva;
mod drain;
pub mod entry;
#[cfg(CONFIG_KUNIT = "y")]
mod entry_tests;
pub mod evtq;
pub mod features;
#[cfg(CONFIG_KUNIT = "y")]
mod features_tests;
mod gerror;
mod hint;
pub mod idle;
pub mod invalidate;
pub mod master;
mod ops;
pub mod output_queue;
pub mod priq;
pub mod probe;
pub mod ratelimit;
pub mod stall;
pub mod stream_table;

use crate::{
    fmt::{
        cmd::Command,
        ppr,
        ste::Ste, //
    },
    inject::{
        Fault,
        Faults, //
    },
    mmio::RegisterFile, //
};
use kernel::{
    prelude::*,
    rbtree::RBTree,
    sync::{
        Arc,
        Mutex,
        SetOnce, //
    }, //
};
use kernel_ext::{
    fault::Response,
    iommu_device,
    iopf_queue::IopfQueue,
    phys::PhysPages, //
};

/// A device behind the SMMU, as the IOMMU core's record has it.
pub type Client = iommu_device::Client<Smmu>;

/// One SMMU.
#[pin_data]
pub struct Smmu {
    regs: Arc<RegisterFile>,
    features: features::Features,
    asids: Arc<asid::Asids>,
    /// Until the SMMU is off: it cannot be freed everywhere, where the last address space may be.
    #[pin]
    faults: Mutex<Option<Arc<IopfQueue>>>,
    stalls: stall::StallStats,
    idle: idle::IdleStats,
    #[pin]
    evtq: evtq::EventQueue,
    #[pin]
    priq: priq::PriQueue,
    #[pin]
    cmdq: cmdq::CommandQueue,
    #[pin]
    streams: stream_table::StreamTable,
    /// Devices by StreamID, from `probe_finalize` to `release_device`.
    #[pin]
    clients: Mutex<RBTree<u32, Arc<Client>>>,
    /// What goes wrong on request.
    inject: SetOnce<Arc<dyn Faults>>,
}

impl Smmu {
    /// From now on does wrong what `faults` says; once. Any context.
    pub fn inject(&self, faults: Arc<dyn Faults>) {
        self.inject.populate(faults);
    }

    /// Fails if there shall be no memory.
    fn check_alloc(&self) -> Result {
        match self.inject.as_ref() {
            Some(faults) if faults.strikes(Fault::Alloc) => Err(ENOMEM),
            _ => Ok(()),
        }
    }

    /// The register file.
    pub fn regs(&self) -> &RegisterFile {
        &self.regs
    }

    /// What the SMMU can do.
    pub fn features(&self) -> &features::Features {
        &self.features
    }

    /// The command queue.
    pub fn cmdq(&self) -> &cmdq::CommandQueue {
        &self.cmdq
    }

    /// The event queue.
    pub fn evtq(&self) -> &evtq::EventQueue {
        &self.evtq
    }

    /// Counters of stalled transactions.
    pub fn stalls(&self) -> &stall::StallStats {
        &self.stalls
    }

    /// Counters of descriptors that sleep.
    pub fn idle(&self) -> &idle::IdleStats {
        &self.idle
    }

    /// The page request queue.
    pub fn priq(&self) -> &priq::PriQueue {
        &self.priq
    }

    /// The stream table.
    pub fn streams(&self) -> &stream_table::StreamTable {
        &self.streams
    }

    /// The device with StreamID `sid`. May sleep.
    pub fn client(&self, sid: u32) -> Option<Arc<Client>> {
        self.clients.lock().get(&sid).cloned()
    }

    /// Calls `visit` for each device, by rising StreamID. May sleep; `visit` must not look up
    /// devices.
    pub fn for_each_client<E>(
        &self,
        mut visit: impl FnMut(u32, &Client) -> Result<(), E>,
    ) -> Result<(), E> {
        let clients = self.clients.lock();
        for (&sid, client) in clients.iter() {
            visit(sid, client)?;
        }
        Ok(())
    }

    /// Has the IOMMU core forget the page request groups that are not complete. May sleep.
    fn discard_partial_groups(&self) {
        let faults = self.faults.lock().clone();
        if let Some(faults) = faults {
            faults.discard_partial();
        }
    }

    /// Waits until all faults that devices have had so far have been reported, or answered.
    ///
    /// Sleeps; what [`priq::PriQueue::drain`] says of locks holds.
    fn drain(&self) {
        if self.features.stalls() {
            self.evtq.drain();
        }
        self.priq.drain();
    }

    /// Changes the stream table entry of `sid`.
    fn write_ste(&self, sid: u32, ste: &Ste) -> Result {
        self.streams.write(sid, ste, |leaf| {
            self.cmdq
                .run(|batch| batch.push(Command::cfgi_ste(sid, leaf)))
        })
    }

    /// Sends a response to a page request group.
    fn respond(&self, sid: u32, ssid: Option<u32>, group: u32, response: Response) {
        let response = match response {
            Response::Success => ppr::Response::Success,
            Response::Invalid => ppr::Response::Invalid,
            Response::Failure => ppr::Response::Failure,
        };
        // CAST: The index came from a page request, where it has 9 bits.
        let command = Command::pri_resp(sid, ssid, (group & 0x1ff) as u16, response);
        self.priq
            .stats()
            .responses
            .fetch_add(1, kernel::sync::atomic::Relaxed);
        report(self.cmdq.run(|batch| batch.push(command)));
    }
}

/// Says so if commands that cannot be taken back failed: the hardware, or this driver, is broken.
fn report(result: Result) {
    if let Err(error) = result {
        pr_err!("commands failed: {error:?}\n");
    }
}

/// The words of a table or queue entry at byte `offset`, each read in one piece.
fn read_entry<const N: usize>(memory: &PhysPages, offset: usize) -> [u64; N] {
    let window = memory.window();
    core::array::from_fn(|i| match window.load64(offset + i * size_of::<u64>()) {
        Ok(word) => word,
        Err(_) => {
            kernel::pr_warn_once!("entry at {offset:#x} outside its table\n");
            0
        }
    })
}

/// Writes the words of a table or queue entry, in order, each in one piece.
fn write_entry(memory: &PhysPages, offset: usize, words: &[u64]) {
    let window = memory.window();
    for (i, &word) in words.iter().enumerate() {
        if window.store64(offset + i * size_of::<u64>(), word).is_err() {
            kernel::pr_warn_once!("entry at {offset:#x} outside its table\n");
        }
    }
}
