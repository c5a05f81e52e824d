// SPDX-License-Identifier: GPL-2.0

//! Address spaces: an ASID, the page table it stands for, and the devices and PASIDs that lead there.

mod cached;

use super::{
    asid::Asid,
    cd_table::CdSlot,
    idle::{
        AllSleep,
        Idle, //
    },
    invalidate::Range,
    master::{
        Master,
        NO_PASID, //
    },
    report,
    Client,
    Smmu, //
};
use crate::fmt::{
    cd::{
        self,
        Cd, //
    },
    cmd::Command, //
};
use kernel::{
    new_spinlock_irq,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        atomic::{
            AtomicFlag,
            Relaxed, //
        },
        Arc,
        SpinLockIrq, //
    }, //
};
use kernel_ext::io_pgtable::Invalidate;

/// A device and PASID that lead to an address space.
struct Attachment {
    slot: CdSlot,
    ats: bool,
    idle: Idle,
}

/// The SubstreamID with which a device tags accesses that use descriptor `ssid`.
fn tag(ssid: u32) -> Option<u32> {
    (ssid != NO_PASID).then_some(ssid)
}

struct Attached {
    /// Nothing may be translated any more, and nothing is cached.
    released: bool,
    /// No descriptor sleeps.
    always: bool,
    /// By StreamID and SubstreamID.
    attached: RBTree<(u32, u32), Attachment>,
}

/// One address space of the SMMU.
///
/// When the last device has left, nothing of it is cached: its ASID is clean.
#[pin_data]
pub struct AddressSpace {
    smmu: Arc<Smmu>,
    asid: Asid,
    /// The descriptor that walks its page table.
    cd: Cd,
    /// Whether somebody may serve faults.
    served: AtomicFlag,
    /// It is a process's, whose pages come when devices ask for them.
    shared: bool,
    all_sleep: AllSleep,
    #[pin]
    state: SpinLockIrq<Attached>,
}

impl AddressSpace {
    /// Makes an address space that `cd`, which has `asid`, describes. If it is `shared` with a
    /// process, faults of devices that can wait are reported, and their descriptors sleep while they
    /// are not used. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(smmu: &Arc<Smmu>, asid: Asid, cd: Cd, shared: bool) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                smmu: smmu.clone(),
                asid,
                cd,
                served: AtomicFlag::new(shared),
                shared,
                all_sleep: AllSleep::new(),
                state <- new_spinlock_irq!(
                    Attached { released: false, always: false, attached: RBTree::new() },
                    "mock_smmu_address_space"
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// Its ASID.
    pub fn asid(&self) -> u16 {
        self.asid.value()
    }

    /// What of `addr` is looked up: all, or what is below a tag that is ignored.
    pub(super) fn untagged(&self, addr: u64) -> u64 {
        if self.cd.tbi0() {
            cd::untagged(addr)
        } else {
            addr
        }
    }

    /// Its descriptor in the table of a device.
    fn descriptor(&self, master: &Master) -> Cd {
        self.cd
            .with_s(self.cd.s() || (self.served.load(Relaxed) && master.stalls()))
    }

    /// Somebody may serve faults of devices that are attached from now on, or nobody does.
    pub(super) fn set_served(&self, served: bool) {
        self.served.store(served, Relaxed);
    }
}

/// What a page table of the kernel's asks for.
impl Invalidate for AddressSpace {
    fn invalidate_all(&self) {
        self.invalidate(Range::All);
    }

    fn invalidate(&self, start: u64, last: u64) {
        self.invalidate(Range::Bytes { start, last });
    }
}

impl Smmu {
    /// Leads descriptor `ssid` of a device to `space`. Called under the group's mutex.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a PASID that the device does not have, or when the process is gone; `ENOMEM`;
    /// `EIO`.
    pub(super) fn attach(&self, space: &Arc<AddressSpace>, client: &Client, ssid: u32) -> Result {
        let master = client.data();
        let cds = master.cds();
        let sid = master.sid();
        let old = master.bonds().lock().get(&ssid).cloned();

        if old.as_ref().is_some_and(|old| Arc::ptr_eq(old, space)) {
            return Ok(());
        }
        let slot = cds.get(ssid, || {
            self.cmdq
                .run(|batch| batch.push(Command::cfgi_cd(sid, ssid, false)))
        })?;
        let bond = RBTreeNodeReservation::new(GFP_KERNEL)?.into_node(ssid, space.clone());
        let attachment = RBTreeNodeReservation::new(GFP_KERNEL)?;

        // From here on all is prepared. Joining and installing under one lock: a release comes
        // before, and is seen here, or after, and finds the descriptor.
        let mut failed = None;
        {
            let mut state = space.state.lock();
            if state.released {
                return Err(EINVAL);
            }
            let sleeps = space.shared && !state.always;
            let idle = Idle::new(if sleeps { master.sleeps_after() } else { 0 });
            let cd = space.descriptor(master);
            let cd = if idle.sleeps() {
                cached::asleep(cd)
            } else {
                cd
            };
            let there = Attachment {
                slot: slot.clone(),
                ats: master.ats(),
                idle,
            };
            // Invalidations must reach the device before it can have anything to forget.
            space.rouse(&mut state);
            state
                .attached
                .insert(attachment.into_node((sid, ssid), there));
            if let Err(error) = slot.update(|_| Some(cd), || self.sync_cd(sid, ssid)) {
                failed = Some(error);
            }
            space.settle(&state);
        }
        if let Some(error) = failed {
            space.leave(master, ssid);
            return Err(error);
        }

        master.bonds().lock().insert(bond);
        if let Some(old) = old {
            old.leave(master, ssid);
            // Nothing leads there any more; but page requests may be under way.
            self.drain();
        }
        Ok(())
    }

    /// Blocks `ssid` of a device, and waits for the page requests that it has made and for what has
    /// stalled. Called under the group's mutex.
    pub(super) fn detach(&self, client: &Client, ssid: u32) {
        let master = client.data();
        let sid = master.sid();
        let space = master.bonds().lock().remove(&ssid);

        if let Some(slot) = master.cds().find(ssid) {
            let cleared = slot.update(|cd| cd.v().then(Cd::default), || self.sync_cd(sid, ssid));
            report(cleared);
        }
        if let Some(space) = space {
            space.leave(master, ssid);
        }
        self.drain();
    }

    /// Makes the SMMU forget a context descriptor. Any context.
    fn sync_cd(&self, sid: u32, ssid: u32) -> Result {
        self.cmdq
            .run(|batch| batch.push(Command::cfgi_cd(sid, ssid, true)))
    }
}
