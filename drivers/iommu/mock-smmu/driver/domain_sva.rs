// SPDX-License-Identifier: GPL-2.0

//! SVA domains: a process's page table as the SMMU's.

use super::{
    asid::Asid,
    cd_table::CdSlot,
    invalidate::{
        self,
        Range, //
    },
    master::{
        Master,
        NO_PASID, //
    },
    report,
    Client,
    Smmu, //
};
use crate::fmt::{
    cd::Cd,
    cmd::Command, //
};
use kernel::{
    mm::MmWithUser,
    new_spinlock_irq,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        Arc,
        SpinLockIrq, //
    }, //
};
use kernel_ext::notifier::{
    Callbacks,
    MmNotifier, //
};

/// A device and PASID that lead to an address space.
struct Attachment {
    slot: CdSlot,
    ats: bool,
}

/// The SubstreamID with which a device tags accesses that use descriptor `ssid`.
fn tag(ssid: u32) -> Option<u32> {
    (ssid != NO_PASID).then_some(ssid)
}

struct State {
    /// The process has lost its pages: nothing may be translated any more.
    released: bool,
    /// By StreamID and SubstreamID.
    attached: RBTree<(u32, u32), Attachment>,
}

/// One address space of the SMMU.
#[pin_data]
pub struct AddressSpace {
    smmu: Arc<Smmu>,
    asid: Asid,
    /// The descriptor that walks the process's page table.
    cd: Cd,
    #[pin]
    state: SpinLockIrq<State>,
}

impl AddressSpace {
    /// Its ASID.
    pub fn asid(&self) -> u16 {
        self.asid.value()
    }

    /// Makes the SMMU and all devices that use the address space forget `range`. Any context.
    fn invalidate(&self, range: Range) {
        let state = self.state.lock();
        // Nobody can have asked for a translation, and who leaves is invalidated on leaving.
        if !state.attached.is_empty() {
            report(self.invalidate_attached(&state, range));
        }
    }

    fn invalidate_attached(&self, state: &State, range: Range) -> Result {
        let ranges = self.smmu.features.ranges;

        self.smmu.cmdq.run(|batch| {
            invalidate::tlbi(batch, self.asid(), range, ranges)?;
            // Only once the TLB has forgotten may a device ask anew.
            let mut synced = false;
            for (&(sid, ssid), _) in state.attached.iter().filter(|(_, a)| a.ats) {
                if !core::mem::replace(&mut synced, true) {
                    batch.sync()?;
                }
                batch.push(invalidate::atc_inv(sid, tag(ssid), range))?;
            }
            Ok(())
        })
    }

    /// Makes the TLB forget the address space, and one device too. Any context.
    fn forget(&self, device: Option<(&Master, u32)>) -> Result {
        self.smmu.cmdq.run(|batch| {
            invalidate::tlbi(batch, self.asid(), Range::All, false)?;
            match device {
                Some((master, ssid)) if master.ats() => {
                    batch.sync()?;
                    batch.push(invalidate::atc_inv(master.sid(), tag(ssid), Range::All))
                }
                _ => Ok(()),
            }
        })
    }

    /// Ends the membership of a device and PASID, whose descriptor leads elsewhere by now.
    fn leave(&self, master: &Master, ssid: u32) {
        report(self.forget(Some((master, ssid))));
        // Freed without the lock.
        let node = self
            .state
            .lock()
            .attached
            .remove_node(&(master.sid(), ssid));
        drop(node);
    }
}

/// The part of a domain that the mmu notifier carries.
struct Notified(Arc<AddressSpace>);

#[vtable]
impl Callbacks for Notified {
    fn release(&self) {
        let space = &self.0;
        let mut state = space.state.lock();

        state.released = true;
        // The devices may still be at it. Their descriptors stay valid, so that they get refusals,
        // not configuration errors; but nothing is translated any more.
        let blocked = space.smmu.features.blocked_cd(space.asid());
        for (&(sid, ssid), attachment) in state.attached.iter() {
            report(attachment.slot.update(
                |cd| (cd.v() && cd.asid() == space.asid()).then_some(blocked),
                || space.smmu.sync_cd(sid, ssid),
            ));
        }
        if !state.attached.is_empty() {
            report(space.invalidate_attached(&state, Range::All));
        }
    }

    fn arch_invalidate_secondary_tlbs(&self, start: usize, end: usize) {
        self.0.invalidate(Range::from_notifier(start, end));
    }
}

/// A domain that shares the address space of a process.
pub struct SvaDomain {
    space: Arc<AddressSpace>,
    // Dropped last: until its memory is freed it keeps the ASID from reuse.
    _notifier: MmNotifier<Notified>,
}

impl SvaDomain {
    /// The address space.
    pub fn space(&self) -> &Arc<AddressSpace> {
        &self.space
    }
}

impl Drop for SvaDomain {
    fn drop(&mut self) {
        // Nothing is attached. The ASID's next user must find nothing of ours.
        report(self.space.forget(None));
    }
}

impl Smmu {
    /// Makes a domain for `mm`. May sleep; takes `mmap_lock` for writing.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if this SMMU cannot walk this machine's page tables; `ENOSPC` without a free
    /// ASID; `ENOMEM`; `EINTR`.
    pub(super) fn make_sva(self: &Arc<Self>, mm: &MmWithUser) -> Result<SvaDomain> {
        let asid = self.asids.take()?;
        let ttb = kernel_ext::cpu::page_table_root(mm);
        let cd = self.features.shared_cd(ttb, asid.value())?;

        let space = Arc::pin_init(
            pin_init!(AddressSpace {
                smmu: self.clone(),
                asid,
                cd,
                state <- new_spinlock_irq!(
                    State { released: false, attached: RBTree::new() },
                    "mock_smmu_address_space"
                ),
            }),
            GFP_KERNEL,
        )?;
        Ok(SvaDomain {
            _notifier: MmNotifier::register(mm, Notified(space.clone()))?,
            space,
        })
    }

    /// Leads descriptor `ssid` of a device to `space`. Called under the group's mutex.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` behind an SMMU without PASIDs; `EINVAL` for one that it does not have, or when
    /// the process is gone; `ENOMEM`; `EIO`.
    pub(super) fn attach(&self, space: &Arc<AddressSpace>, client: &Client, ssid: u32) -> Result {
        let master = client.data();
        let cds = master.cds().ok_or(EOPNOTSUPP)?;
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
        let attachment = RBTreeNodeReservation::new(GFP_KERNEL)?.into_node(
            (sid, ssid),
            Attachment {
                slot: slot.clone(),
                ats: master.ats(),
            },
        );

        // From here on all is prepared. Joining and installing under one lock: a release comes
        // before, and is seen here, or after, and finds the descriptor.
        let mut failed = None;
        {
            let mut state = space.state.lock();
            if state.released {
                return Err(EINVAL);
            }
            // Invalidations must reach the device before it can have anything to forget.
            state.attached.insert(attachment);
            if let Err(error) = slot.update(|_| Some(space.cd), || self.sync_cd(sid, ssid)) {
                failed = Some((error, state.attached.remove_node(&(sid, ssid))));
            }
        }
        if let Some((error, _node)) = failed {
            return Err(error);
        }

        master.bonds().lock().insert(bond);
        if let Some(old) = old {
            old.leave(master, ssid);
        }
        Ok(())
    }

    /// Blocks `ssid` of a device, and waits for the page requests that it has made. Called under
    /// the group's mutex.
    pub(super) fn detach(&self, client: &Client, ssid: u32) {
        let master = client.data();
        let sid = master.sid();
        let space = master.bonds().lock().remove(&ssid);

        if let Some(slot) = master.cds().and_then(|cds| cds.find(ssid)) {
            let cleared = slot.update(|cd| cd.v().then(Cd::default), || self.sync_cd(sid, ssid));
            report(cleared);
        }
        if let Some(space) = space {
            space.leave(master, ssid);
        }
        self.priq.drain();
    }

    /// Makes the SMMU forget a context descriptor. Any context.
    fn sync_cd(&self, sid: u32, ssid: u32) -> Result {
        self.cmdq
            .run(|batch| batch.push(Command::cfgi_cd(sid, ssid, true)))
    }
}
