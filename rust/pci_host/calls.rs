// SPDX-License-Identifier: GPL-2.0

//! What the kernel calls: accesses to configuration space, and devices that come and go.

use super::{
    Address,
    Host,
    NewFunction, //
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{
    device::Device,
    error::to_result,
    prelude::*,
    sync::Arc,
    types::Opaque, //
};

/// What belongs to a host bridge of the kernel's, and is freed with that.
pub(super) struct Behind<T> {
    pub(super) host: Arc<T>,
    pub(super) window: Opaque<bindings::resource>,
    pub(super) buses: Opaque<bindings::resource>,
}

/// Told of each device on any PCI bus.
#[repr(C)]
pub(super) struct Watch<T> {
    block: Opaque<bindings::notifier_block>,
    bridge: *mut bindings::pci_host_bridge,
    pub(super) host: Arc<T>,
}

/// What the kernel calls.
pub(super) struct Ops<T>(PhantomData<T>);

impl<T: Host> Ops<T> {
    pub(super) const OPS: &'static bindings::pci_ops = &bindings::pci_ops {
        read: Some(Self::read),
        write: Some(Self::write),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `bus` must be a bus of a [`HostBridge<T>`].
    unsafe fn host<'a>(bus: *mut bindings::pci_bus) -> &'a T {
        // SAFETY: By this function's contract `sysdata` is what `HostBridge::new` put there. A bus
        // holds its bridge, and that its data.
        unsafe { &(*(*bus).sysdata.cast::<Behind<T>>()).host }
    }

    /// Where a request of the kernel goes, if anywhere.
    ///
    /// # Safety
    ///
    /// `bus` must be valid.
    unsafe fn address(bus: *mut bindings::pci_bus, devfn: c_uint) -> Option<Address> {
        Some(Address {
            // SAFETY: By this function's contract.
            bus: unsafe { (*bus).number },
            devfn: devfn.try_into().ok()?,
        })
    }

    /// # Safety
    ///
    /// To be called by the kernel, for a bus of a [`HostBridge<T>`].
    unsafe extern "C" fn read(
        bus: *mut bindings::pci_bus,
        devfn: c_uint,
        offset: c_int,
        size: c_int,
        value: *mut u32,
    ) -> c_int {
        // SAFETY: By this function's contract.
        let (host, at) = unsafe { (Self::host(bus), Self::address(bus, devfn)) };
        // CAST: Neither is negative.
        let read = at.and_then(|at| host.read(at, offset as usize, size as usize));
        // CAST: A small constant.
        let (read, status) = match read {
            Some(read) => (read, bindings::PCIBIOS_SUCCESSFUL),
            None => (u32::MAX, bindings::PCIBIOS_DEVICE_NOT_FOUND),
        };

        // SAFETY: By this function's contract there is room for the value.
        unsafe { value.write(read) };
        status as c_int
    }

    /// # Safety
    ///
    /// As for `read`.
    unsafe extern "C" fn write(
        bus: *mut bindings::pci_bus,
        devfn: c_uint,
        offset: c_int,
        size: c_int,
        value: u32,
    ) -> c_int {
        // SAFETY: By this function's contract.
        let (host, at) = unsafe { (Self::host(bus), Self::address(bus, devfn)) };

        if let Some(at) = at {
            // CAST: Neither is negative.
            host.write(at, offset as usize, size as usize, value);
        }
        // CAST: A small constant.
        bindings::PCIBIOS_SUCCESSFUL as c_int
    }

    /// # Safety
    ///
    /// To be called by the kernel, for a bridge of a [`HostBridge<T>`], as the last.
    pub(super) unsafe extern "C" fn release(bridge: *mut bindings::pci_host_bridge) {
        // SAFETY: By this function's contract: `HostBridge::new` put it there, and no bus is left.
        drop(unsafe { KBox::from_raw((*bridge).sysdata.cast::<Behind<T>>()) });
    }

    /// # Safety
    ///
    /// To be called by the kernel, with the block of a [`Watch<T>`] and a device.
    pub(super) unsafe extern "C" fn watch_first(
        block: *mut bindings::notifier_block,
        event: c_ulong,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: By this function's contract; the block is the first field.
        let watch = unsafe { &*block.cast::<Watch<T>>() };
        let dev: *mut bindings::device = data.cast();

        // CAST: A small constant.
        if event == bindings::bus_notifier_event_BUS_NOTIFY_ADD_DEVICE as c_ulong
            // SAFETY: The device is live during the call.
            && unsafe { bindings::sva_pci_is_below(dev, watch.bridge) }
        {
            // SAFETY: As above; it is a PCI device that is being added.
            let (dev, rid) = unsafe {
                bindings::sva_pci_reserve(dev);
                (Device::from_raw(dev), bindings::sva_pci_rid(dev))
            };

            watch.host.added(&NewFunction {
                dev,
                at: Address::of_rid(rid),
            });
        }
        0
    }

    /// # Safety
    ///
    /// As for `watch_first`.
    pub(super) unsafe extern "C" fn watch_last(
        block: *mut bindings::notifier_block,
        event: c_ulong,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: By this function's contract; the block is the first field.
        let watch = unsafe { &*block.cast::<Watch<T>>() };
        let dev: *mut bindings::device = data.cast();

        // CAST: A small constant.
        if event == bindings::bus_notifier_event_BUS_NOTIFY_REMOVED_DEVICE as c_ulong
            // SAFETY: The device is live during the call.
            && unsafe { bindings::sva_pci_is_below(dev, watch.bridge) }
        {
            // SAFETY: As above.
            let rid = unsafe { bindings::sva_pci_rid(dev) };

            watch.host.removed(Address::of_rid(rid));
        }
        0
    }
}

impl<T: Host> Watch<T> {
    /// Has `call` called for all devices, ahead of those of less `priority`. May sleep.
    pub(super) fn register(
        call: unsafe extern "C" fn(*mut bindings::notifier_block, c_ulong, *mut c_void) -> c_int,
        priority: i32,
        bridge: *mut bindings::pci_host_bridge,
        host: &Arc<T>,
    ) -> Result<KBox<Self>> {
        let watch = KBox::new(
            Self {
                block: Opaque::new(bindings::notifier_block {
                    notifier_call: Some(call),
                    priority,
                    ..pin_init::zeroed()
                }),
                bridge,
                host: host.clone(),
            },
            GFP_KERNEL,
        )?;

        // SAFETY: The block stays where it is, in the box, until `unregister`.
        to_result(unsafe {
            bindings::bus_register_notifier(&raw const bindings::pci_bus_type, watch.block.get())
        })?;
        Ok(watch)
    }

    /// Has it called no more; waits for calls. May sleep.
    pub(super) fn unregister(&self) {
        // SAFETY: `register` has registered it, and this is called once.
        unsafe {
            bindings::bus_unregister_notifier(&raw const bindings::pci_bus_type, self.block.get())
        };
    }
}
