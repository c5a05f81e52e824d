// SPDX-License-Identifier: GPL-2.0

//! Data that belongs to a device for as long as its driver is bound.
//!
//! C header: [`include/linux/device/devres.h`](srctree/include/linux/device/devres.h)

use crate::{bindings, device_raw};
use core::{any::TypeId, ptr::NonNull};
use kernel::{
    device::{Bound, Device},
    prelude::*,
    sync::Arc,
};

/// Data that a device keeps while it has a driver; at most one of each type.
pub trait DeviceData: Send + Sync + Sized + 'static {
    /// The driver leaves the device, and nobody [took](take) the data back before. May sleep.
    fn driver_gone(self: Arc<Self>);
}

/// What lies in the device's list of resources.
///
/// # Invariants
///
/// `data` is an `Arc` of the type that `type_id` tells, turned raw; `gone` is made for that type.
struct Node {
    type_id: TypeId,
    data: *const c_void,
    /// Consumes `data`.
    gone: unsafe fn(*const c_void),
}

/// # Safety
///
/// `data` must come from `Arc::<T>::into_raw`, and is consumed.
unsafe fn gone<T: DeviceData>(data: *const c_void) {
    // SAFETY: By this function's contract.
    unsafe { Arc::from_raw(data.cast::<T>()) }.driver_gone();
}

/// # Safety
///
/// To be called by the kernel, with the `Node` of a resource that [`add`] added.
unsafe extern "C" fn release(_dev: *mut bindings::device, res: *mut c_void) {
    // SAFETY: By this function's contract; the kernel frees the node's memory, and only that.
    let node = unsafe { res.cast::<Node>().read() };

    // SAFETY: By the type invariants of `Node`.
    unsafe { (node.gone)(node.data) };
}

/// # Safety
///
/// To be called by the kernel, with a resource that [`add`] added and a pointer to a `TypeId`.
unsafe extern "C" fn matches(
    _dev: *mut bindings::device,
    res: *mut c_void,
    wanted: *mut c_void,
) -> c_int {
    // SAFETY: By this function's contract.
    let (node, wanted) = unsafe { (&*res.cast::<Node>(), &*wanted.cast::<TypeId>()) };

    c_int::from(node.type_id == *wanted)
}

/// # Safety
///
/// To be called by the kernel, with a resource that [`add`] added and a pointer to an address.
unsafe extern "C" fn matches_data(
    _dev: *mut bindings::device,
    res: *mut c_void,
    wanted: *mut c_void,
) -> c_int {
    // SAFETY: By this function's contract.
    let (node, wanted) = unsafe { (&*res.cast::<Node>(), *wanted.cast::<*const c_void>()) };

    c_int::from(core::ptr::eq(node.data, wanted))
}

/// Gives `data` to `dev` until its driver leaves. May sleep.
///
/// # Errors
///
/// - `EBUSY`: the device has data of this type.
/// - `ENOMEM`.
pub fn add<T: DeviceData>(dev: &Device<Bound>, data: Arc<T>) -> Result {
    // SAFETY: Allocates memory for a `Node`; the name is a static string.
    let node = NonNull::new(unsafe {
        bindings::__devres_alloc_node(
            Some(release),
            size_of::<Node>(),
            bindings::GFP_KERNEL,
            bindings::NUMA_NO_NODE,
            c"sva device data".as_char_ptr(),
        )
    })
    .ok_or(ENOMEM)?
    .cast::<Node>();
    let mut wanted = TypeId::of::<T>();
    let raw = Arc::into_raw(data);

    // SAFETY: The memory is new and large enough.
    unsafe {
        node.write(Node {
            type_id: wanted,
            data: raw.cast(),
            gone: gone::<T>,
        });
    }
    // SAFETY: `dev` is valid; the node is complete. `devres_get` adds the node, or frees it and
    // returns the one that is there: in one step, so that of two callers only one adds.
    let there = unsafe {
        bindings::devres_get(
            device_raw(dev),
            node.as_ptr().cast(),
            Some(matches),
            (&raw mut wanted).cast(),
        )
    };

    if core::ptr::eq(there, node.as_ptr().cast()) {
        return Ok(());
    }
    // SAFETY: The node was freed without a call of `release`, so this reference is still ours.
    drop(unsafe { Arc::from_raw(raw) });
    Err(EBUSY)
}

/// The data of type `T` that `dev` has. Takes a spinlock of the device.
pub fn find<T: DeviceData>(dev: &Device) -> Option<Arc<T>> {
    // The node itself is not looked into after the lookup: another thread may take it away.
    struct Wanted {
        type_id: TypeId,
        found: *const c_void,
        take: unsafe fn(*const c_void),
    }

    /// # Safety
    ///
    /// `data` must come from `Arc::<T>::into_raw`.
    unsafe fn take<T: DeviceData>(data: *const c_void) {
        // SAFETY: By this function's contract; the new reference is handed to `find`.
        core::mem::forget(Arc::from(unsafe {
            kernel::sync::ArcBorrow::from_raw(data.cast::<T>())
        }));
    }

    /// # Safety
    ///
    /// To be called by the kernel, with a resource that [`add`] added and a pointer to a `Wanted`.
    unsafe extern "C" fn matches_and_takes(
        _dev: *mut bindings::device,
        res: *mut c_void,
        wanted: *mut c_void,
    ) -> c_int {
        // SAFETY: By this function's contract.
        let (node, wanted) = unsafe { (&*res.cast::<Node>(), &mut *wanted.cast::<Wanted>()) };

        if node.type_id != wanted.type_id {
            return 0;
        }
        // SAFETY: The types are the same. The node owns its reference while the kernel holds the
        // device's lock, as it does around this call.
        unsafe { (wanted.take)(node.data) };
        wanted.found = node.data;
        1
    }

    let mut wanted = Wanted {
        type_id: TypeId::of::<T>(),
        found: core::ptr::null(),
        take: take::<T>,
    };

    // SAFETY: `dev` is valid; the callback gets nodes that have `release`, and `wanted`.
    unsafe {
        bindings::devres_find(
            device_raw(dev),
            Some(release),
            Some(matches_and_takes),
            (&raw mut wanted).cast(),
        )
    };

    if wanted.found.is_null() {
        return None;
    }
    // SAFETY: The callback took a reference for us, of this type.
    Some(unsafe { Arc::from_raw(wanted.found.cast::<T>()) })
}

/// Takes `data` back from `dev`, without a call of [`DeviceData::driver_gone`].
///
/// `None` if it is not there: the driver has left, or somebody else took it.
pub fn take<T: DeviceData>(dev: &Device, data: &Arc<T>) -> Option<Arc<T>> {
    let mut wanted = Arc::as_ptr(data);

    // SAFETY: `dev` is valid; the callback gets nodes that have `release`, and the address.
    let node = NonNull::new(unsafe {
        bindings::devres_remove(
            device_raw(dev),
            Some(release),
            Some(matches_data),
            (&raw mut wanted).cast(),
        )
    })?
    .cast::<Node>();
    // SAFETY: `devres_remove` made the node ours.
    let raw = unsafe { node.as_ref() }.data;

    // SAFETY: The node is off the list, and nobody else frees it.
    unsafe { bindings::devres_free(node.as_ptr().cast()) };
    // SAFETY: The addresses are the same, so this is the node that `add` made for `data`: its
    // type is `T`, and its reference is ours now.
    Some(unsafe { Arc::from_raw(raw.cast::<T>()) })
}
