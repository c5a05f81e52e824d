// SPDX-License-Identifier: GPL-2.0

//! PCI host bridges in software: a hierarchy of buses whose configuration space is a Rust object's.
//!
//! The kernel finds, numbers and removes what is there as behind any host bridge. What a function is
//! to be told before its IOMMU sees it, or after that has let it go, comes between ([`Host::added`],
//! [`Host::removed`]).
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use crate::{
    bindings,
    fwspec::IommuNode,
    platform_device::PlatformDevice, //
};
use core::{
    ops::Range,
    ptr::{
        addr_of_mut,
        NonNull, //
    }, //
};
use kernel::{
    container_of,
    device::Device,
    error::to_result,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    },
    types::Opaque, //
};

mod calls;

use calls::{
    Behind,
    Ops,
    Watch, //
};

/// Where a function is: what its requests say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Number of its bus.
    pub bus: u8,
    /// Device number, then three bits of function number.
    pub devfn: u8,
}

impl Address {
    /// As a Requester ID.
    pub fn rid(self) -> u16 {
        u16::from_be_bytes([self.bus, self.devfn])
    }

    fn of_rid(rid: u16) -> Self {
        let [bus, devfn] = rid.to_be_bytes();

        Self { bus, devfn }
    }
}

/// What is behind a host bridge.
pub trait Host: Send + Sync + 'static {
    /// Reads `size` bytes of the configuration space at `at`, aligned to that; `None` if nobody
    /// answers. Any context; takes no lock, not even a spinlock.
    fn read(&self, at: Address, offset: usize, size: usize) -> Option<u32>;

    /// Writes `size` bytes likewise, if somebody is there.
    fn write(&self, at: Address, offset: usize, size: usize, value: u32);

    /// The kernel has found a function; its IOMMU has not seen it. May sleep. What goes wrong is for
    /// the log: the function is there all the same.
    fn added(&self, function: &NewFunction<'_>);

    /// A function that the kernel had found is gone, and its IOMMU has let it go. May sleep.
    fn removed(&self, at: Address);
}

/// A function that the kernel has found, before its IOMMU sees it.
pub struct NewFunction<'a> {
    dev: &'a Device,
    at: Address,
}

impl NewFunction<'_> {
    /// The device.
    pub fn device(&self) -> &Device {
        self.dev
    }

    /// Where it is.
    pub fn address(&self) -> Address {
        self.at
    }

    /// Puts it behind the IOMMU that firmware calls `iommu`, which sees it under `id`, and which must
    /// be kept registered until [`Host::removed`]. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it is behind an IOMMU; `ENOMEM`.
    pub fn put_behind(&self, iommu: &IommuNode, id: u32) -> Result {
        // SAFETY: The device is being added, and the IOMMU core has not been told of it: `iommu` is
        // written by nobody else, but for who looks through all devices, with whom the function
        // shares a lock. The node is live while it is borrowed.
        to_result(unsafe {
            bindings::sva_dev_iommu_init_added(crate::device_raw(self.dev), iommu.as_raw(), id)
        })
    }
}

/// A host bridge, with what the kernel has found behind it.
///
/// Dropping it removes all that: drivers are unbound, IOMMUs let go. Sleeps.
///
/// # Invariants
///
/// `bridge` was scanned, and its reference is ours. `first` and `last` are registered.
pub struct HostBridge<T: Host> {
    bridge: NonNull<bindings::pci_host_bridge>,
    window: *mut bindings::resource,
    first: KBox<Watch<T>>,
    last: KBox<Watch<T>>,
    _parent: PlatformDevice,
}

// SAFETY: The kernel locks what it changes in bridges and chains; the rest is `Send`.
unsafe impl<T: Host> Send for HostBridge<T> {}

// SAFETY: As above, and `T` is `Sync`.
unsafe impl<T: Host> Sync for HostBridge<T> {}

/// Keeps everybody else from finding or removing devices on any PCI bus.
struct RescanLock;

impl RescanLock {
    fn lock() -> Self {
        // SAFETY: No requirements; the drop unlocks.
        unsafe { bindings::pci_lock_rescan_remove() };
        Self
    }
}

impl Drop for RescanLock {
    fn drop(&mut self) {
        // SAFETY: `lock` has locked.
        unsafe { bindings::pci_unlock_rescan_remove() };
    }
}

impl<T: Host> HostBridge<T> {
    /// Makes a host bridge in a domain of its own, with buses up to `last_bus`, and finds what is
    /// behind it. A platform device called `name` represents it. `memory` is what the bus sees of the
    /// bridge's memory; to the CPUs it is elsewhere, and nobody answers there. May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST` if the name is taken; `ENOMEM`; `EBUSY` if there is no room for its memory; `ENOSPC`
    /// if there is no domain for it.
    pub fn new(name: &CStr, last_bus: u8, memory: Range<u64>, host: Arc<T>) -> Result<Self> {
        let parent = PlatformDevice::new(name, bindings::PLATFORM_DEVID_NONE, &[], None)?;
        let behind = KBox::new(
            Behind {
                host: host.clone(),
                window: Opaque::new(pin_init::zeroed()),
                buses: Opaque::new(pin_init::zeroed()),
            },
            GFP_KERNEL,
        )?;
        let (window, buses) = (behind.window.get(), behind.buses.get());
        // SAFETY: No requirements.
        let bridge = unsafe { bindings::pci_alloc_host_bridge(0) };
        let bridge = NonNull::new(bridge).ok_or(ENOMEM)?;
        let raw = bridge.as_ptr();
        // From here on the bridge owns what is behind it.
        // SAFETY: Nobody else knows the bridge.
        unsafe {
            (*raw).dev.parent = parent.as_raw();
            (*raw).ops = core::ptr::from_ref(Ops::<T>::OPS).cast_mut();
            (*raw).sysdata = KBox::into_raw(behind).cast();
            bindings::pci_set_host_bridge_release(
                raw,
                Some(Ops::<T>::release),
                core::ptr::null_mut(),
            );
        }

        let result = Self::scan_first(raw, window, buses, last_bus, &memory, &host);
        match result {
            // INVARIANT: Scanned, and watched.
            Ok((first, last)) => Ok(Self {
                bridge,
                window,
                first,
                last,
                _parent: parent,
            }),
            Err(e) => {
                // SAFETY: It was not scanned, so the only reference is ours.
                unsafe { bindings::pci_free_host_bridge(raw) };
                Err(e)
            }
        }
    }

    #[expect(clippy::type_complexity)]
    fn scan_first(
        bridge: *mut bindings::pci_host_bridge,
        window: *mut bindings::resource,
        buses: *mut bindings::resource,
        last_bus: u8,
        memory: &Range<u64>,
        host: &Arc<T>,
    ) -> Result<(KBox<Watch<T>>, KBox<Watch<T>>)> {
        // Ahead of the IOMMU core's own, and after all others.
        let first = Watch::register(Ops::<T>::watch_first, i32::MAX, bridge, host)?;
        let last = Watch::register(Ops::<T>::watch_last, i32::MIN, bridge, host)
            .inspect_err(|_| first.unregister())?;
        let size = memory.end - memory.start;
        // SAFETY: The bridge is new, and both resources live as long as it does.
        let result = to_result(unsafe {
            bindings::sva_pci_host_init(bridge, window, memory.start, size, buses, last_bus)
        })
        .and_then(|()| {
            // SAFETY: The bridge has all that it needs.
            to_result(unsafe { bindings::pci_host_probe(bridge) }).inspect_err(|_| {
                // SAFETY: It was claimed, and no bus uses it.
                unsafe { bindings::release_resource(window) };
            })
        });

        if let Err(e) = result {
            first.unregister();
            last.unregister();
            return Err(e);
        }
        Ok((first, last))
    }

    /// What is behind it.
    pub fn host(&self) -> &Arc<T> {
        &self.first.host
    }

    /// Number of its domain.
    pub fn domain(&self) -> i32 {
        // SAFETY: By the type invariants the bridge is live; the number does not change.
        unsafe { (*self.bridge.as_ptr()).domain_nr }
    }

    /// Finds what is new on bus `number`, and behind that: the ports say which buses are behind them
    /// (Enhanced Allocation). May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the kernel has no such bus.
    pub fn scan(&self, number: u8) -> Result {
        let _lock = RescanLock::lock();
        // SAFETY: No requirements.
        let bus = unsafe { bindings::pci_find_bus(self.domain(), c_int::from(number)) };

        if bus.is_null() {
            return Err(ENODEV);
        }
        // SAFETY: Buses come and go under the lock, which is held.
        unsafe { bindings::sva_pci_scan(bus) };
        Ok(())
    }

    /// The device that the kernel has found at `at`.
    pub fn function(&self, at: Address) -> Option<ARef<Device>> {
        // SAFETY: No requirements.
        let pdev = NonNull::new(unsafe {
            bindings::pci_get_domain_bus_and_slot(self.domain(), at.bus.into(), at.devfn.into())
        })?;
        // SAFETY: The device was found with a reference for us, which becomes the result's.
        Some(unsafe {
            let dev = Device::from_raw(addr_of_mut!((*pdev.as_ptr()).dev));

            ARef::from_raw(NonNull::from(dev))
        })
    }

    /// Has the kernel remove what it has found at `at`, with all behind it, if it has. May sleep.
    pub fn remove(&self, at: Address) {
        let _lock = RescanLock::lock();

        if let Some(dev) = self.function(at) {
            // SAFETY: It is a PCI device, and the lock is held.
            unsafe {
                let pdev = container_of!(crate::device_raw(&dev), bindings::pci_dev, dev);

                bindings::pci_stop_and_remove_bus_device(pdev);
            }
        }
    }
}

impl<T: Host> Drop for HostBridge<T> {
    fn drop(&mut self) {
        let lock = RescanLock::lock();

        // SAFETY: By the type invariants it was scanned; this removes it once.
        unsafe {
            let bus = (*self.bridge.as_ptr()).bus;

            bindings::pci_stop_root_bus(bus);
            bindings::pci_remove_root_bus(bus);
        }
        drop(lock);
        // SAFETY: The window was claimed, and nothing is in it any more.
        unsafe { bindings::release_resource(self.window) };
        self.first.unregister();
        self.last.unregister();
        // SAFETY: The reference is ours. Who still has a device of the bus keeps the bridge.
        unsafe { bindings::pci_free_host_bridge(self.bridge.as_ptr()) };
    }
}
