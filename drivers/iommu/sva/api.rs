// SPDX-License-Identifier: GPL-2.0

//! The interface for drivers in Rust: devices. Bonds are in [`bond`], pins in [`pinned`], memory for
//! devices of any kind in [`range`].
//!
//! In the examples `dev` is a device that has its driver, `mm` a process, `engine` the driver's
//! object for the device, and `queue` what the device is to do in the process. They are compiled
//! and run: see `drivers/misc/sva-test/context.rs`.

use crate::{
    bond::{
        self as inner,
        core::CORE,
        device::{self, AnyHandler, SvaDevice},
        members::{self, GroupRequest},
        Request,
    },
    fault::refusal::Refusal,
    features::Features,
};
use core::ops::{
    Bound::{Excluded, Included, Unbounded},
    RangeBounds, RangeInclusive,
};
use kernel::{
    device::{Bound, Device as KernelDevice},
    mm::{MmWithUser, MmWithUserAsync},
    prelude::*,
    sync::{aref::ARef, Arc},
};
use kernel_ext::{devres, endpoint::Endpoint};

pub(crate) mod bond;
mod owner;
pub(crate) mod pinned;
pub(crate) mod range;

use self::owner::RustOwner;
pub use self::{bond::Bond, pinned::Pinned, range::Range};
pub use crate::bond::{
    owner::End,
    why::{Refused, Why},
};

/// A driver's way to stop its device: all that it owes to those whose memory the device uses.
///
/// The counterpart is [`Bond::start`].
///
/// ```
/// use kernel::{prelude::*, sync::Arc};
///
/// /// A device that works on queues of jobs.
/// struct Engine;
///
/// impl sva::Handler for Engine {
///     type BondData = Queue;
///
///     fn stop(&self, pasid: u32, queue: &Arc<Queue>, why: sva::End) {
///         queue.stop();
///         if why == sva::End::Exit {
///             pr_debug!("the process of PASID {pasid} is gone\n");
///         }
///     }
/// }
/// ```
pub trait Handler: Send + Sync + 'static {
    /// What the driver keeps for each bond. Binds of one process count as one bond if their data
    /// are the same object; data without contents, like `()`, always are.
    type BondData: Send + Sync + 'static;

    /// Stops the device for `pasid`, whose bond is about to end, for whatever reason (S8, S10,
    /// S11); 0 is for its accesses without.
    ///
    /// On return the device must send nothing more under `pasid`, and all page requests that it has
    /// sent must have reached the IOMMU: another process may get the number. Called once for each
    /// bond. If the process has exited, accesses of the device are refused already.
    ///
    /// Page requests of the bond that wait have been refused, and none waits from now on, so that the
    /// device does not wait for a page that never comes; what can be had at once is still served.
    ///
    /// Runs in process context without locks and may sleep. [`Bond::start`] fails from now on, and
    /// no start is under way. It may drop binds of this bond, which then ends when it returns. It
    /// must drop neither the [`Device`] nor binds of other bonds, whose ends it would wait for; nor
    /// may it bind, which waits for ends too.
    fn stop(&self, pasid: u32, data: &Arc<Self::BondData>, why: End);

    /// Whether [`Self::refused`] is to be called.
    const HEARS_REFUSALS: bool = false;

    /// A group of page requests that the device sent under `pasid` was refused: what the device does
    /// with the answer, which it gets when this returns, may be marked now.
    ///
    /// Called once for each group that is refused, until the bond has ended, also while
    /// [`Self::stop`] runs; but of at most 256 groups a second:
    /// [`untold`](Refusal::untold) tells of how many before it was not.
    ///
    /// Runs in process context, where page requests of all devices of the IOMMU are served, and may
    /// sleep for memory and for short locks. It must wait neither for the device nor for a page,
    /// call nothing of this crate, and take no lock under which the driver does either.
    fn refused(&self, _pasid: u32, _data: &Arc<Self::BondData>, _refusal: &Refusal) {}
}

/// A device that is initialised for SVA; dropping it shuts it down.
///
/// The drop ends all bonds of the device, whoever holds them, as if each were dropped; it may
/// sleep. A driver drops it when it is told to leave the device (`unbind`), not with its data: the
/// driver core gives the device's DMA back in between, and warns if it is still in use. When the
/// driver forgets, the bonds are ended with a warning, and [`bind`](Self::bind) fails from then on.
///
/// ```
/// // In probe. A device that cannot do what is asked for is left to other drivers.
/// if sva::max_pasid(dev)? == 0 {
///     return Err(ENODEV);
/// }
/// let device = sva::Device::init(dev, sva::Features::SHARED, 0, engine)?;
///
/// // On behalf of a process: the device may use its pointers from now on.
/// let bond = device.bind(mm, sva::Features::SHARED, queue.clone())?;
/// bond.start(|pasid| queue.start(pasid))?;
///
/// // The queue is stopped, then the process is unbound.
/// drop(bond);
/// assert!(!queue.is_running());
/// ```
pub struct Device<T: Handler> {
    device: Arc<SvaDevice>,
    handler: Arc<T>,
}

impl<T: Handler> Device<T> {
    /// Initialises `dev` for SVA (S3). May sleep.
    ///
    /// `max_pasid` is the largest PASID that the device can send; 0 leaves it to the IOMMU core. A
    /// device that can send more than 8 bits gets one that others cannot send, while there are any.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the device has no IOMMU.
    /// - `EOPNOTSUPP`: [`Features::PASID`] is asked for, and the device or its IOMMU driver has no
    ///   PASIDs or no SVA.
    /// - `EBUSY`: the device is initialised already. Or its driver manages DMA itself, and its IOMMU
    ///   group belongs to user space, by VFIO or iommufd, or to a driver that uses the DMA API.
    /// - `ENOMEM`.
    pub fn init(
        dev: &KernelDevice<Bound>,
        features: Features,
        max_pasid: u32,
        handler: Arc<T>,
    ) -> Result<Self, Refused> {
        Self::init_with(dev, features, 0..=max_pasid, handler)
    }

    /// As [`Self::init`], for a device that cannot send any PASID up to the largest: bonds get one of
    /// `pasids`, as `1000..` or `16..=255`.
    ///
    /// # Errors
    ///
    /// `EINVAL`: there are none of these PASIDs, or not in the IOMMU. Else as [`Self::init`].
    pub fn init_within(
        dev: &KernelDevice<Bound>,
        features: Features,
        pasids: impl RangeBounds<u32>,
        handler: Arc<T>,
    ) -> Result<Self, Refused> {
        let min = match pasids.start_bound() {
            Included(&min) => min,
            Excluded(&less) => less.checked_add(1).ok_or(EINVAL)?,
            Unbounded => 0,
        };
        let max = match pasids.end_bound() {
            Included(&max) => Some(max),
            Excluded(&more) => more.checked_sub(1),
            // What the IOMMU core says.
            Unbounded => return Self::init_with(dev, features, min..=0, handler),
        };
        let max = max.filter(|&max| max != 0).ok_or(EINVAL)?;

        Self::init_with(dev, features, min..=max, handler)
    }

    /// An end of 0 leaves that to the IOMMU core.
    fn init_with(
        dev: &KernelDevice<Bound>,
        features: Features,
        pasids: RangeInclusive<u32>,
        handler: Arc<T>,
    ) -> Result<Self, Refused> {
        let core = CORE.get().ok_or(ENODEV)?;
        let any: AnyHandler = handler.clone();

        Ok(Self {
            device: SvaDevice::init(core, dev, features, pasids, Some(any))?,
            handler,
        })
    }

    /// Lets the device use the address space of `mm` (S1).
    ///
    /// A second bind of the same `mm` with the same flags and the same `data` gives the same PASID
    /// (S2); the address space stays bound until both results are dropped.
    ///
    /// The device may do what the CPU may do in the process: to write implies to read, and the top
    /// byte of a pointer is ignored. But a stack does not grow because a device touches what is
    /// below it; nor do the NUMA policy of a thread (`set_mempolicy()`), its cpuset and its
    /// protection keys count: a device is no thread. See `Documentation/rights.rst`.
    ///
    /// Without [`Features::IOPF`] no page is faulted in for the device: see [`Bond::pin`].
    ///
    /// Without [`Features::PASID`] the process gets what the device accesses without a PASID, until
    /// the bond ends (S6). The driver then must not use the DMA API, whose addresses mean nothing
    /// there; interrupts that the device sends as messages do not arrive unless its IOMMU lets them
    /// pass. Bonds with PASIDs may live beside it.
    ///
    /// May sleep; takes `mmap_lock`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the device was not initialised with these flags (S4).
    /// - `EOPNOTSUPP`: the IOMMU cannot share this address space, or not without PASID; or the CPUs
    ///   have shadow stacks (GCS), which the device could write to.
    /// - `EEXIST`: this `mm` is bound with other flags or other data.
    /// - `EBUSY`: other devices are in the device's IOMMU group (S14): see [`Self::bind_group`].
    ///   Without a PASID also: another process or another domain has the place, or the device's
    ///   firmware needs memory mapped one to one.
    /// - `EADDRINUSE`: the process uses addresses that the IOMMU cannot translate (S17).
    /// - `ENODEV`: the driver has left the device.
    /// - `ENOSPC`: no PASID is left that the device can send.
    /// - `ENOMEM`.
    pub fn bind(
        &self,
        mm: &MmWithUser,
        flags: Features,
        data: Arc<T::BondData>,
    ) -> Result<Bond<T>, Refused> {
        let request = Request {
            flags,
            identity: RustOwner::<T>::identity_of(&data),
            owner: || RustOwner::<T>::any(&self.device, &data),
        };
        let bond = inner::Bond::bind(&self.device, mm, request)?;

        Ok(Bond::of_device(bond, data))
    }

    /// As [`Self::bind`], with the data of the bond that there is, or with what `make` makes for a new
    /// one. So a driver need not look for what it has of a process.
    ///
    /// ```
    /// let device = sva::Device::init(dev, sva::Features::SHARED, 0, engine)?;
    /// let bind = || device.bind_with(mm, sva::Features::SHARED, || Ok(queue.clone()));
    /// let (first, second) = (bind()?, bind()?);
    ///
    /// // Whoever is first makes it.
    /// assert!(core::ptr::eq(&**first.data(), &**second.data()));
    /// drop(first);
    /// second.start(|pasid| queue.start(pasid))?;
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Self::bind`], and what `make` says.
    pub fn bind_with(
        &self,
        mm: &MmWithUser,
        flags: Features,
        make: impl FnOnce() -> Result<Arc<T::BondData>>,
    ) -> Result<Bond<T>, Refused> {
        self.with_data(mm, flags, make, |data| self.bind(mm, flags, data))
    }

    /// As [`Self::bind_group`], with data found or made like [`Self::bind_with`].
    ///
    /// # Errors
    ///
    /// As [`Self::bind_group`], and what `make` says.
    pub fn bind_group_with(
        &self,
        mm: &MmWithUser,
        flags: Features,
        make: impl FnOnce() -> Result<Arc<T::BondData>>,
    ) -> Result<Bond<T>, Refused> {
        self.with_data(mm, flags, make, |data| self.bind_group(mm, flags, data))
    }

    fn with_data(
        &self,
        mm: &MmWithUser,
        flags: Features,
        make: impl FnOnce() -> Result<Arc<T::BondData>>,
        bind: impl Fn(Arc<T::BondData>) -> Result<Bond<T>, Refused>,
    ) -> Result<Bond<T>, Refused> {
        let mut make = Some(make);
        let mut made = None;

        loop {
            let there = inner::Bond::owner_of(&self.device, mm, flags)?;
            let found = there.as_ref().and_then(RustOwner::<T>::data_of);
            let data = match (&found, make.take()) {
                (Some(data), unused) => {
                    make = unused;
                    data.clone()
                }
                (None, Some(make)) => made.insert(make()?).clone(),
                (None, None) => made.clone().ok_or(EEXIST)?,
            };

            match bind(data.clone()) {
                // Another has made one, or the bond has ended, in between.
                Err(e) if e == EEXIST && self.is_other(mm, flags, &data)? => (),
                result => return result,
            }
        }
    }

    /// Whether the bond of `mm` with `flags`, if there is one, has other data of the same kind.
    fn is_other(&self, mm: &MmWithUser, flags: Features, data: &Arc<T::BondData>) -> Result<bool> {
        let there = inner::Bond::owner_of(&self.device, mm, flags)?;

        Ok(match there {
            Some(owner) => {
                let found = RustOwner::<T>::data_of(&owner);

                found.is_some_and(|found| !Arc::ptr_eq(&found, data))
            }
            None => true,
        })
    }

    /// Lets the device use the address space of `mm`, and with it all devices of its IOMMU group
    /// whose drivers have the same [`Handler`]: under one PASID, or none of them (S12).
    ///
    /// The devices of a group can reach each other without the IOMMU's knowledge (S13). Whoever
    /// calls this accepts that they are not isolated from one another, nor then are the processes
    /// that are bound to them.
    ///
    /// Members that are not initialised for SVA, or whose driver is another, which could not stop
    /// them for this bond, are [left out](Bond::left_out) (S15). One that comes later gets the bond
    /// when it is initialised (S16). Each member is [stopped](Handler::stop) by its own handler.
    ///
    /// Without [`Features::PASID`] the group must have one member only. Else as [`Self::bind`],
    /// which binds of one process may be mixed with.
    ///
    /// ```
    /// let flags = sva::Features::SHARED;
    /// let device = sva::Device::init(dev, flags, 0, engine)?;
    /// // Alone if possible.
    /// let bond = device.bind(mm, flags, queue.clone()).or_else(|e| {
    ///     if e == EBUSY {
    ///         device.bind_group(mm, flags, queue)
    ///     } else {
    ///         Err(e)
    ///     }
    /// })?;
    ///
    /// assert_eq!(bond.left_out(), 0);
    /// ```
    ///
    /// # Errors
    ///
    /// - `EEXIST`: a member is bound to this `mm` with other flags or other data.
    /// - `EPERM`: the group has several devices, and a driver of theirs lets the driver core own its
    ///   DMA (no `driver_managed_dma`): the core would let no member come back that has left.
    /// - Else as [`Self::bind`].
    pub fn bind_group(
        &self,
        mm: &MmWithUser,
        flags: Features,
        data: Arc<T::BondData>,
    ) -> Result<Bond<T>, Refused> {
        let request = GroupRequest {
            flags,
            identity: RustOwner::<T>::identity_of(&data),
            suits: |device: &SvaDevice| device.has_handler_of::<T>(),
            owner: |device: &SvaDevice| RustOwner::<T>::any(device, &data),
        };
        let bound = members::bind(
            self.device.endpoint.group(),
            Some(&self.device),
            mm,
            &request,
        )?;

        Ok(Bond::of_group(bound, data)?)
    }

    /// What the device was initialised with: the flags that bonds may have.
    pub fn features(&self) -> Features {
        self.device.features
    }

    /// The smallest PASID that a bond of the device may get.
    pub fn min_pasid(&self) -> u32 {
        self.device.min_pasid
    }

    /// The largest PASID that a bond of the device may get; 0 if it has none.
    pub fn max_pasid(&self) -> u32 {
        self.device.max_pasid
    }

    /// The driver's handler.
    pub fn handler(&self) -> &Arc<T> {
        &self.handler
    }
}

impl<T: Handler> Drop for Device<T> {
    fn drop(&mut self) {
        let dev = self.device.endpoint.dev();

        // If it is not there any more, the driver has left, and the device is shut down.
        let _ = devres::end(dev, &self.device, |device| device.shut_down());
    }
}

/// The largest PASID that `dev` and its IOMMU can have; 0 if the device or the IOMMU's driver has
/// no PASIDs or no SVA. May sleep.
///
/// # Errors
///
/// `ENODEV`: the device has no IOMMU. `ENOMEM`.
pub fn max_pasid(dev: &KernelDevice<Bound>) -> Result<u32> {
    Endpoint::new(dev).map(|endpoint| device::max_pasid_of(&endpoint))
}

/// The address space that some device reaches with `pasid`; `None` if there is none, or if its
/// process has exited. May sleep.
///
/// A caller without a bond must expect that the PASID belongs to another process by the time it
/// uses the result. PASID 0, which is that of bonds without, finds nothing.
pub fn find(pasid: u32) -> Option<ARef<MmWithUserAsync>> {
    if pasid == 0 {
        return None;
    }
    CORE.get()?.find(pasid)
}
