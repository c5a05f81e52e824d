// SPDX-License-Identifier: GPL-2.0

//! Devices that go: who wants to know of each, while its IOMMU still has it.
//!
//! C header: `include/linux/device/bus.h`

use crate::bindings;
use kernel::{
    device::Device,
    error::to_result,
    prelude::*,
    sync::Arc,
    types::Opaque, //
};

/// Who is told of devices that go.
pub trait Departures: Send + Sync + 'static {
    /// `dev` is being removed, and has no driver any more; its IOMMU lets it go after this. May sleep.
    fn departs(&self, dev: &Device);
}

/// Has somebody told of each device of one bus that goes, until it is dropped.
///
/// # Invariants
///
/// `block` is registered with `bus`.
#[repr(C)]
struct OfBus<T: Departures> {
    block: Opaque<bindings::notifier_block>,
    bus: *const bindings::bus_type,
    watcher: Arc<T>,
}

/// Has somebody told of the devices that go, on the buses that IOMMUs serve. Dropping it waits for
/// calls under way; sleeps.
pub struct Watch<T: Departures> {
    _buses: KVec<KBox<OfBus<T>>>,
}

// SAFETY: The bus is the kernel's, and locks its list of blocks; the rest is `Send`.
unsafe impl<T: Departures> Send for Watch<T> {}

// SAFETY: Nothing can be done through a shared reference.
unsafe impl<T: Departures> Sync for Watch<T> {}

impl<T: Departures> Watch<T> {
    /// Tells `watcher`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(watcher: &Arc<T>) -> Result<Self> {
        let mut buses = KVec::new();

        buses.push(
            OfBus::register(&raw const bindings::platform_bus_type, watcher)?,
            GFP_KERNEL,
        )?;
        #[cfg(CONFIG_PCI)]
        buses.push(
            OfBus::register(&raw const bindings::pci_bus_type, watcher)?,
            GFP_KERNEL,
        )?;
        Ok(Self { _buses: buses })
    }
}

impl<T: Departures> OfBus<T> {
    fn register(bus: *const bindings::bus_type, watcher: &Arc<T>) -> Result<KBox<Self>> {
        let block = bindings::notifier_block {
            notifier_call: Some(Self::call),
            // Ahead of the IOMMU core's own.
            priority: 1,
            ..pin_init::zeroed()
        };
        let this = KBox::new(
            Self {
                block: Opaque::new(block),
                bus,
                watcher: watcher.clone(),
            },
            GFP_KERNEL,
        )?;

        // INVARIANT: It is registered: the bus is there, which is all that can fail.
        // SAFETY: The block stays where it is, in the box, until the drop.
        to_result(unsafe { bindings::bus_register_notifier(bus, this.block.get()) })?;
        Ok(this)
    }

    /// # Safety
    ///
    /// To be called by the kernel, with the block of an [`OfBus<T>`] and a device.
    unsafe extern "C" fn call(
        block: *mut bindings::notifier_block,
        event: c_ulong,
        data: *mut c_void,
    ) -> c_int {
        // CAST: A small constant.
        if event == bindings::bus_notifier_event_BUS_NOTIFY_REMOVED_DEVICE as c_ulong {
            // SAFETY: By this function's contract; the block is the first field, and the device is
            // live during the call.
            let (this, dev) = unsafe { (&*block.cast::<Self>(), Device::from_raw(data.cast())) };

            this.watcher.departs(dev);
        }
        0
    }
}

impl<T: Departures> Drop for OfBus<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is registered.
        unsafe { bindings::bus_unregister_notifier(self.bus, self.block.get()) };
    }
}
