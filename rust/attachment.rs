// SPDX-License-Identifier: GPL-2.0

//! Attachments: a domain at work under one PASID of one IOMMU group.
//!
//! The core finds an attachment's handle by (group, PASID) for each page request, and the handle
//! leads straight to the attachment that it is embedded in: there is no second lookup.

use crate::{
    bindings,
    endpoint::Held,
    fault::FaultGroup,
    group::IommuGroup,
    pasid::Pasid,
    translation::Translation,
    tree::{impl_tree_item, Links},
};
use kernel::{
    device::Device,
    error::to_result,
    mm::{Mm, MmWithUser},
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Acquire, Atomic, Relaxed},
        Arc, ArcBorrow, Mutex,
    },
    time::{delay::fsleep, Delta},
    types::Opaque,
};

mod handle;
mod withdraw;

pub(crate) use self::handle::report;
use self::handle::{attach_group_handle, detach_group_handle};

/// What is done with the page requests that arrive at an [`Attachment`].
pub trait FaultHandler: Send + Sync + Sized + 'static {
    /// Takes a group of page requests for `mm`, in the thread in which the IOMMU driver reports
    /// it.
    ///
    /// May sleep for memory. Page requests of other processes come by the same thread, so what may
    /// take longer, as I/O does, must be done elsewhere: see [`FaultGroup::wait`].
    fn report(attachment: ArcBorrow<'_, Attachment<Self>>, mm: &Mm, group: FaultGroup<'_, Self>);

    /// Takes one that comes when the domain is about to be detached: refuses it. Else as
    /// [`Self::report`].
    fn refuse(attachment: ArcBorrow<'_, Attachment<Self>>, group: FaultGroup<'_, Self>);

    /// The domain is about to be detached, or has been, and no [`Self::report`] runs or will: sees to
    /// it that on return all groups have been answered. May sleep, but must not wait for pages.
    fn detached(&self);
}

/// The place where page requests for one PASID of an IOMMU group arrive, or those for accesses
/// without.
///
/// It is attached once, and detached by [`detach`](Self::detach). Whoever does not call that leaves
/// it attached for ever, and the device that it is attached through held.
///
/// # Invariants
///
/// While `state` has [`AtWork`], the domain named there is attached with `handle` to the PASID named
/// there of `group`. Nobody but the core uses `handle`, and the core only from the beginning of
/// [`attach`](Self::attach) until [`detach`](Self::detach) empties `state`.
#[pin_data]
pub struct Attachment<T: FaultHandler> {
    #[pin]
    handle: Opaque<bindings::iommu_attach_handle>,
    links: Links,
    group: ARef<IommuGroup>,
    /// Locked around all that the core does with it. Taken before the group's mutex.
    #[pin]
    state: Mutex<Stage<T>>,
    /// How many reports have begun, and [`LEAVING`] once they are refused.
    begun: Atomic<u64>,
    /// How many of them have ended.
    ended: Atomic<u64>,
    #[pin]
    handler: T,
}

impl_tree_item! {
    impl{T: FaultHandler} TreeItem<0> for Attachment<T> {
        self.links, key: usize = |attachment| attachment.group.key()
    }
}

/// In [`Attachment::begun`]: it is about to be detached.
const LEAVING: u64 = 1 << 63;

enum Stage<T: FaultHandler> {
    New,
    AtWork(AtWork<T>),
    /// The core asks for a handle that it has not seen before.
    Used,
}

/// What is attached, and how.
struct AtWork<T: FaultHandler> {
    /// The attachment itself, which the core's handle leads to.
    _this: Arc<Attachment<T>>,
    /// A member of the group, through which to reach it.
    through: Held,
    translation: Arc<Translation<T>>,
    /// Whom the core has attached, and those that came later and have been attached since; none if
    /// that is only the device of `through`. Kept, so that none is taken for another that lies at
    /// the same address.
    reached: Option<KBox<Reached>>,
    /// Who has been withdrawn, and may not have left yet.
    gone: Reached,
}

/// Devices that are reached.
pub type Reached = KVec<ARef<Device>>;

impl<T: FaultHandler> AtWork<T> {
    fn has_reached(&self, dev: &Device) -> bool {
        match &self.reached {
            Some(reached) => reached.iter().any(|there| core::ptr::eq(&**there, dev)),
            None => core::ptr::eq(self.through.dev(), dev),
        }
    }

    /// Room for one more.
    fn reserve(&mut self) -> Result<&mut Reached> {
        let reached = match &mut self.reached {
            Some(reached) => reached,
            none => {
                let mut alone = KVec::with_capacity(2, GFP_KERNEL)?;

                alone.push(self.through.dev().into(), GFP_KERNEL)?;
                none.insert(KBox::new(alone, GFP_KERNEL)?)
            }
        };

        reached.reserve(1, GFP_KERNEL)?;
        Ok(reached)
    }
}

// SAFETY: The handle is only used by the core, which does so under locks; the rest is `Send`.
unsafe impl<T: FaultHandler> Send for Attachment<T> {}
// SAFETY: As above, and all other fields are `Sync`.
unsafe impl<T: FaultHandler> Sync for Attachment<T> {}

impl<T: FaultHandler> Attachment<T> {
    /// A place in `group` that nothing is attached to yet.
    pub fn new<E>(group: ARef<IommuGroup>, handler: impl PinInit<T, E>) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        // INVARIANT: Not at work.
        try_pin_init!(Self {
            handle <- Opaque::zeroed(),
            links: Links::new(),
            group,
            state <- new_mutex!(Stage::New, "sva_attachment"),
            begun: Atomic::new(0),
            ended: Atomic::new(0),
            handler <- handler,
        })
    }

    /// Attaches `translation` to its PASID of all members of the group of `through`, which are
    /// `members`, or if that is empty the device alone; or to their accesses without PASID, if it has none, in place of their
    /// default domain. That comes back with the detach, and the members' drivers must not do DMA in
    /// any other way until then.
    ///
    /// The list of members is taken if it succeeds, and left alone if not.
    ///
    /// `_alive` is the proof that the address space has users and keeps them: were its last
    /// reference dropped inside, the exit would detach under the mutex that the attach holds.
    ///
    /// May sleep; takes the group's mutex. Page requests may arrive before it returns.
    ///
    /// # Errors
    ///
    /// Nothing is attached then, and it may be tried again.
    ///
    /// - `EBUSY`: the PASID is attached already, or another domain to the accesses without; or the
    ///   group is being reset; or this has been attached before.
    /// - `EINVAL`: the PASID is too large for a member of the group, or the domain does not fit, or
    ///   the device is in another group.
    /// - `EOPNOTSUPP`: the IOMMU driver attaches no PASIDs; or shares no address spaces without.
    /// - `ENOMEM`, or what the IOMMU driver says.
    pub fn attach(
        self: &Arc<Self>,
        through: &Held,
        members: &mut Reached,
        translation: &Arc<Translation<T>>,
        _alive: &MmWithUser,
    ) -> Result {
        let mut state = self.state.lock();
        let domain = translation.domain();
        let handle = self.handle.get();

        let mut reached = match members.is_empty() {
            true => None,
            false => Some(KBox::new(Reached::new(), GFP_KERNEL)?),
        };

        self.check_member(through)?;
        if !matches!(*state, Stage::New) {
            return Err(EBUSY);
        }
        if translation.pasid() == Pasid::NONE && !domain.attaches_without_pasid() {
            return Err(EOPNOTSUPP);
        }
        // SAFETY: The device is held, so it stays in its group and behind its IOMMU. The handle is
        // the attachment's, which keeps itself from now on until the detach; the core has not seen
        // it before. If this fails the core has forgotten it, and what it has found it for is
        // settled.
        let attached = to_result(unsafe {
            if translation.pasid() == Pasid::NONE {
                attach_group_handle(domain.as_raw(), self.group.as_raw(), handle)
            } else {
                bindings::iommu_attach_device_pasid(
                    domain.as_raw(),
                    through.as_raw(),
                    translation.pasid(),
                    handle,
                )
            }
        });

        attached.inspect_err(|_| self.settle())?;
        if let Some(reached) = &mut reached {
            **reached = core::mem::take(members);
        }
        // INVARIANT: Just attached.
        *state = Stage::AtWork(AtWork {
            _this: self.clone(),
            through: through.clone(),
            translation: translation.clone(),
            reached,
            gone: Reached::new(),
        });
        Ok(())
    }

    /// Attaches what is attached to `newcomer` as well, which came into the group after the
    /// [`attach`](Self::attach): the core has not done that. Nothing happens if it has been reached.
    /// The other members' translations are not touched. The detach will reach it. A PCI device must
    /// not be in a reset, which the core knows of and this does not: a driver's probe keeps resets
    /// away, as both have the device's lock.
    ///
    /// Context as for [`Self::attach`].
    ///
    /// # Errors
    ///
    /// `EINVAL`: nothing is attached, or not by PASID, or the device is in another group, or cannot
    /// send the PASID. `ENOMEM`, and what the IOMMU driver says.
    pub fn extend(&self, newcomer: &Held, _alive: &MmWithUser) -> Result {
        let mut state = self.state.lock();
        let Stage::AtWork(work) = &mut *state else {
            return Err(EINVAL);
        };

        if work.has_reached(newcomer.dev()) {
            return Ok(());
        }
        work.reserve()?;
        let (domain, pasid) = (work.translation.domain(), work.translation.pasid());

        self.check_member(newcomer)?;
        if pasid == Pasid::NONE
            || pasid >= newcomer.max_pasids()
            || !domain.fits(newcomer.endpoint())
        {
            return Err(EINVAL);
        }
        self.group.for_each(|dev| {
            if !core::ptr::eq(dev, newcomer.dev()) {
                return Ok(());
            }
            // SAFETY: The core calls this with the group's mutex held, as it holds it itself when
            // it calls that operation; the domain is attached to this PASID of the group, and stays
            // so while `state` is locked. The device is a member, behind the IOMMU whose driver
            // made the domain. The core undoes it with the detach, as for each member there is.
            to_result(unsafe {
                let domain = domain.as_raw();
                let set = (*(*domain).ops).set_dev_pasid.ok_or(EOPNOTSUPP)?;

                set(domain, newcomer.as_raw(), pasid, core::ptr::null_mut())
            })
        })?;
        work.reserve()?
            .push(ARef::from(newcomer.dev()), GFP_KERNEL)?;
        Ok(())
    }

    /// Reaches the group through `other` from now on, if it was reached through a device that
    /// `leaves`. Nothing happens if it is not attached.
    ///
    /// # Errors
    ///
    /// `EINVAL`: `other` has not been reached.
    pub fn pass_on(&self, leaves: &Held, other: &Held) -> Result {
        let mut state = self.state.lock();

        let former = match &mut *state {
            Stage::AtWork(work) if core::ptr::eq(work.through.dev(), leaves.dev()) => {
                if !work.has_reached(other.dev()) {
                    return Err(EINVAL);
                }
                Some(core::mem::replace(&mut work.through, other.clone()))
            }
            _ => None,
        };

        drop(state);
        drop(former);
        Ok(())
    }

    fn check_member(&self, held: &Held) -> Result {
        if core::ptr::eq(held.group(), self.group()) {
            Ok(())
        } else {
            Err(EINVAL)
        }
    }

    /// Detaches, if it is attached, and gives what was. On return all page requests have been
    /// answered; the PASID is free again when the last of the [`Translation`] has been dropped.
    ///
    /// May sleep. It takes the group's mutex and waits for the page requests in flight, so it must
    /// be called neither in a page request's worker nor in an mmu notifier.
    pub fn detach(&self) -> Option<Arc<Translation<T>>> {
        let mut state = self.lock_to_detach();
        let Stage::AtWork(work) = core::mem::replace(&mut *state, Stage::Used) else {
            // Not to be attached any more, either.
            return None;
        };
        let domain = work.translation.domain().as_raw();

        // Page requests from here on are refused, and those of before are answered first: there are
        // IOMMU drivers that free what is under way with the last domain of a device, or know this a
        // moment longer. Whoever is about to report, reports before, or finds it no more. It happens
        // once, as it is taken once.
        self.begun.add(LEAVING, Relaxed);
        let events = work.through.hold_events();
        self.settle();
        // SAFETY: By the type invariants this is attached, to the group of a device that is held.
        unsafe {
            match work.translation.pasid() {
                Pasid::NONE => detach_group_handle(domain, self.group.as_raw()),
                pasid => {
                    bindings::iommu_detach_device_pasid(domain, work.through.as_raw(), pasid);
                }
            }
        }
        drop(events);
        drop(state);
        self.settle();
        Some(work.translation)
    }

    /// Waits until no report is under way, once all are refused or the core finds the handle no more,
    /// and has what they left answered. What runs needs nothing but memory.
    fn settle(&self) {
        while self.ended.load(Acquire) != self.groups() {
            fsleep(Delta::from_micros(100));
        }
        self.handler.detached();
    }

    /// The group.
    pub fn group(&self) -> &IommuGroup {
        &self.group
    }

    /// What is attached, if anything is. May sleep.
    pub fn translation(&self) -> Option<Arc<Translation<T>>> {
        match &*self.state.lock() {
            Stage::AtWork(work) => Some(work.translation.clone()),
            _ => None,
        }
    }

    /// Whether `dev` is the one member of the group through which it is attached. May sleep.
    pub fn is_through(&self, dev: &Device) -> bool {
        match &*self.state.lock() {
            Stage::AtWork(work) => core::ptr::eq(work.through.dev(), dev),
            _ => false,
        }
    }

    /// How many groups of page requests have arrived.
    pub fn groups(&self) -> u64 {
        self.begun.load(Relaxed) & !LEAVING
    }

    /// What handles the page requests.
    pub fn handler(&self) -> &T {
        &self.handler
    }
}
