// SPDX-License-Identifier: GPL-2.0

//! Data that belongs to a device behind an IOMMU for as long as its driver is bound.
//!
//! Data comes with the device's [`Endpoint`], which can be held from [`add`] on. Before the data is
//! gone, the device may be held by nobody any more.
//!
//! C header: [`include/linux/device/devres.h`](srctree/include/linux/device/devres.h)

use crate::{bindings, device_raw, endpoint::Endpoint};
use core::{any::TypeId, ptr::NonNull};
use kernel::{
    device::{Bound, Device},
    prelude::*,
    sync::Arc,
};

/// Data that a device keeps while it has a driver; at most one of each type.
pub trait DeviceData: Send + Sync + Sized + 'static {
    /// The driver leaves the device, and nobody [ended](end) the data before. May sleep.
    ///
    /// When this returns, the device's endpoint is closed: who still holds it is waited for.
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
    /// Open, and to be closed by who takes the node out of the list.
    endpoint: Option<Arc<Endpoint>>,
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
    if let Some(endpoint) = node.endpoint {
        endpoint.close();
    }
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

/// Gives `data` to `dev` until its driver leaves, and lets `endpoint`, if there is one, be held as
/// long. May sleep.
///
/// # Errors
///
/// - `EINVAL`: `endpoint` is another device's or of a former driver's time, or was added before.
/// - `EBUSY`: the device has data of this type.
/// - `ENOMEM`.
pub fn add<T: DeviceData>(
    dev: &Device<Bound>,
    endpoint: Option<&Arc<Endpoint>>,
    data: Arc<T>,
) -> Result {
    if endpoint.is_some_and(|endpoint| !endpoint.is_of(dev)) {
        return Err(EINVAL);
    }
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
    // SAFETY: `Bound` is the proof that the driver is there during this call. Whoever takes the
    // node out of the device's list closes the endpoint, the kernel at the latest when the driver
    // leaves; if it does not get there, we do below.
    let opened = endpoint.is_none_or(|endpoint| unsafe { endpoint.open() });

    if !opened {
        // SAFETY: The memory is ours, and has not been used.
        unsafe { bindings::devres_free(node.as_ptr().cast()) };
        return Err(EINVAL);
    }
    let raw = Arc::into_raw(data);

    // SAFETY: The memory is new and large enough.
    unsafe {
        node.write(Node {
            type_id: wanted,
            data: raw.cast(),
            gone: gone::<T>,
            endpoint: endpoint.cloned(),
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
    // SAFETY: The node was freed without a call of `release`, so these references are still ours.
    unsafe {
        drop(Arc::from_raw(raw));
        if let Some(endpoint) = endpoint {
            endpoint.close();
            drop(Arc::from_raw(Arc::as_ptr(endpoint)));
        }
    }
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

/// The endpoint that came with data of `dev`. Takes a spinlock of the device.
pub fn endpoint(dev: &Device) -> Option<Arc<Endpoint>> {
    /// # Safety
    ///
    /// To be called by the kernel, with a resource that [`add`] added and an `Option<Arc<Endpoint>>`.
    unsafe extern "C" fn takes(
        _dev: *mut bindings::device,
        res: *mut c_void,
        found: *mut c_void,
    ) -> c_int {
        // SAFETY: By this function's contract. The node stays while the kernel holds the device's
        // lock, as it does around this call.
        let found = unsafe {
            let found = &mut *found.cast::<Option<Arc<Endpoint>>>();

            *found = (*res.cast::<Node>()).endpoint.clone();
            found
        };

        c_int::from(found.is_some())
    }

    let mut found = None::<Arc<Endpoint>>;

    // SAFETY: `dev` is valid; the callback gets nodes that have `release`, and `found`.
    unsafe {
        bindings::devres_find(
            device_raw(dev),
            Some(release),
            Some(takes),
            (&raw mut found).cast(),
        )
    };
    found
}

/// Ends the data of `dev`, without a call of [`DeviceData::driver_gone`]: calls `end` with it, and
/// then waits until nobody holds the device. May sleep.
///
/// `None` if it is not there: the driver has left, or somebody else ends it.
pub fn end<T: DeviceData, R>(
    dev: &Device,
    data: &Arc<T>,
    end: impl FnOnce(&Arc<T>) -> R,
) -> Option<R> {
    let mut wanted = Arc::as_ptr(data);

    // SAFETY: `dev` is valid; the callback gets nodes that have `release`, and the address.
    let found = NonNull::new(unsafe {
        bindings::devres_remove(
            device_raw(dev),
            Some(release),
            Some(matches_data),
            (&raw mut wanted).cast(),
        )
    })?
    .cast::<Node>();
    // SAFETY: `devres_remove` made the node ours, and nobody else frees or reads it.
    let node = unsafe { found.read() };

    // SAFETY: As above; what it held has been moved out.
    unsafe { bindings::devres_free(found.as_ptr().cast()) };
    // SAFETY: The addresses are the same, so this is the node that `add` made for `data`: its
    // type is `T`, and its reference is ours now.
    let data = unsafe { Arc::from_raw(node.data.cast::<T>()) };
    let result = end(&data);

    if let Some(endpoint) = node.endpoint {
        endpoint.close();
    }
    Some(result)
}
