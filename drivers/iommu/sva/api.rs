// SPDX-License-Identifier: GPL-2.0

//! The interface for drivers in Rust.
//!
//! ```ignore
//! impl sva::Handler for MyDevice {
//!     type BondData = MyQueue;
//!
//!     fn mm_exit(&self, pasid: u32, queue: &Arc<MyQueue>) {
//!         queue.stop();
//!     }
//! }
//!
//! // In probe:
//! let sva = sva::Device::init(dev, sva::Features::SHARED, 0, my_device)?;
//! // On behalf of a process:
//! let bond = sva.bind(mm, sva::Features::SHARED, my_queue)?;
//! my_queue.start(bond.pasid());
//! ```

use crate::{bond, core::CORE, device::SvaDevice, features::Features, pin::PinId};
use core::ops::Range;
use kernel::{
    device::{self, Bound},
    mm::{MmWithUser, MmWithUserAsync},
    prelude::*,
    sync::{aref::ARef, Arc},
};
use kernel_ext::devres;

/// What a driver does when a process that it has bound exits (S8).
pub trait Handler: Send + Sync + 'static {
    /// What the driver keeps for each bond.
    type BondData: Send + Sync + 'static;

    /// The process behind `pasid` is gone: stop the device for that PASID; 0 is for its accesses
    /// without.
    ///
    /// Runs in process context, may sleep, and may drop bonds of this device. On return the device
    /// must send nothing more under `pasid`: the bond ends then, and another process may get the
    /// number. Until then accesses of the device are refused.
    fn mm_exit(&self, pasid: u32, data: &Arc<Self::BondData>);
}

/// A device that is initialised for SVA; dropping it shuts it down.
///
/// The drop ends all bonds of the device, whoever holds them; it may sleep. A driver drops it when
/// it is told to leave the device (`unbind`), not with its data: the driver core gives the device's
/// DMA back in between, and warns if it is still in use. When the driver forgets, the bonds are
/// ended with a warning, and [`bind`](Self::bind) fails from then on.
pub struct Device<T: Handler> {
    dev: ARef<device::Device>,
    device: Arc<SvaDevice>,
    handler: Arc<T>,
}

impl<T: Handler> Device<T> {
    /// Initialises `dev` for SVA (S3). May sleep.
    ///
    /// `max_pasid` is the largest PASID that the device can send; 0 leaves it to the IOMMU core.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the device has no IOMMU.
    /// - `EOPNOTSUPP`: [`Features::PASID`] is asked for, and the device or its IOMMU driver has no
    ///   PASIDs or no SVA.
    /// - `EBUSY`: the device is initialised already.
    /// - `ENOMEM`.
    pub fn init(
        dev: &device::Device<Bound>,
        features: Features,
        max_pasid: u32,
        handler: Arc<T>,
    ) -> Result<Self> {
        let core = CORE.get().ok_or(ENODEV)?;

        Ok(Self {
            dev: ARef::from(&**dev),
            device: SvaDevice::init(core, dev, features, max_pasid)?,
            handler,
        })
    }

    /// Lets the device use the address space of `mm` (S1).
    ///
    /// A second bind of the same `mm` with the same flags and the same `data` gives the same PASID
    /// (S2); the address space stays bound until both results are dropped.
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
    /// - `EOPNOTSUPP`: the IOMMU cannot share this address space, or not without PASID.
    /// - `EEXIST`: this `mm` is bound with other flags or other data.
    /// - `EBUSY`: other devices are in the device's IOMMU group (S14). Without a PASID also:
    ///   another process or another domain has the place, or the device's firmware needs memory
    ///   mapped one to one.
    /// - `EADDRINUSE`: the process uses addresses that the IOMMU cannot translate (S17).
    /// - `ENODEV`: the driver has left the device.
    /// - `ENOSPC`: no PASID is left that the device can send.
    /// - `ENOMEM`.
    pub fn bind(
        &self,
        mm: &MmWithUser,
        flags: Features,
        data: Arc<T::BondData>,
    ) -> Result<Bond<T>> {
        let request = bond::Request {
            scope: bond::Scope::Device,
            flags,
            identity: Arc::as_ptr(&data).addr(),
            owner: || {
                let owner: Arc<dyn bond::Owner> = Arc::new(
                    RustOwner {
                        handler: self.handler.clone(),
                        data: data.clone(),
                    },
                    GFP_KERNEL,
                )?;

                Ok(owner)
            },
        };

        Ok(Bond {
            bond: bond::Bond::bind(&self.device, mm, request)?,
            data,
        })
    }

    /// The driver's handler.
    pub fn handler(&self) -> &Arc<T> {
        &self.handler
    }
}

impl<T: Handler> Drop for Device<T> {
    fn drop(&mut self) {
        // If it is not there any more, the driver has left, and the device is shut down.
        let device = devres::take::<SvaDevice>(&self.dev, &self.device);

        if let Some(device) = device {
            device.shut_down();
        }
    }
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

/// One bind of an address space to a device; dropping it unbinds.
///
/// The drop may sleep. Before the last bond of an address space is dropped, the device must be
/// quiet for its PASID (S10). A bond whose process has exited is empty, and its PASID may belong
/// to another process (S9): dropping it does nothing.
pub struct Bond<T: Handler> {
    bond: Arc<bond::Bond>,
    data: Arc<T::BondData>,
}

impl<T: Handler> Bond<T> {
    /// The PASID with which the device reaches the address space; 0 for a bond without.
    pub fn pasid(&self) -> u32 {
        self.bond.pasid
    }

    /// What the driver keeps for the bond.
    pub fn data(&self) -> &Arc<T::BondData> {
        &self.data
    }

    /// Whether the address space is still bound: its process has not exited, nor has the driver
    /// left the device. It may change at any time. May sleep.
    pub fn is_live(&self) -> bool {
        self.bond.refs() > 0
    }
}

impl<T: Handler> Bond<T> {
    /// Pins `range` of the address space, for a device that does not wait for page faults (S7):
    /// it then reaches the range for reading, and with `write` for writing, without any.
    ///
    /// Whole pages. The process goes on using them, may unmap them, and then the device loses
    /// them too. Each pin counts against `RLIMIT_MEMLOCK`; pins may overlap. A bond with
    /// [`Features::IOPF`] may have pins as well.
    ///
    /// May sleep, also for I/O; takes `mmap_lock`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: not whole pages, or none.
    /// - `ESRCH`: the bond has ended, or its process has exited.
    /// - `EFAULT`: part of the range is not mapped, is not memory, is not to be accessed so by the
    ///   process, or (with `write`) is shared with a file on a disk.
    /// - `EOPNOTSUPP`: a file that lies in memory itself (DAX).
    /// - `ENOMEM`: more than `RLIMIT_MEMLOCK`, or no memory.
    /// - `EINTR`: the calling task is being killed.
    pub fn pin(&self, range: Range<usize>, write: bool) -> Result<Pinned> {
        Ok(Pinned {
            id: self.bond.pin(range, write)?,
            bond: self.bond.clone(),
        })
    }
}

/// Memory that is pinned for a bond's device; dropping it releases the memory.
///
/// The device should not use it any more by then. The end of the bond and the exit of the process
/// release the memory too, and then the drop does nothing. It may sleep.
#[must_use = "dropping it releases the memory"]
pub struct Pinned {
    bond: Arc<bond::Bond>,
    id: PinId,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.bond.unpin_one(self.id);
    }
}

impl<T: Handler> Drop for Bond<T> {
    fn drop(&mut self) {
        // ESRCH tells that the bond has ended before.
        let _ = self.bond.unbind();
    }
}

/// The owner of a bond of a driver in Rust.
struct RustOwner<T: Handler> {
    handler: Arc<T>,
    data: Arc<T::BondData>,
}

impl<T: Handler> bond::Owner for RustOwner<T> {
    fn identity(&self) -> usize {
        Arc::as_ptr(&self.data).addr()
    }

    fn wants_exit(&self, _device: &SvaDevice) -> bool {
        true
    }

    fn mm_exit(&self, _device: &SvaDevice, pasid: u32) {
        self.handler.mm_exit(pasid, &self.data);
    }
}
