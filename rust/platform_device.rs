// SPDX-License-Identifier: GPL-2.0

//! Platform devices that software creates, with software-node properties and, where they are
//! behind an IOMMU, the firmware specification that leads there.
//!
//! C header: `include/linux/platform_device.h`

use crate::{
    bindings,
    fwspec::IommuNode, //
};
use core::ptr::{
    addr_of_mut,
    NonNull, //
};
use kernel::{
    device::Device,
    error::to_result,
    prelude::*,
    str::CString, //
};

/// A property of a device's software node.
#[derive(Clone, Copy)]
pub struct Property<'a> {
    /// Its name, as a device tree would have it.
    pub name: &'static CStr,
    /// Its value.
    pub value: Value<'a>,
}

/// The value of a [`Property`].
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// A 32-bit cell.
    U32(u32),
    /// An array of 64-bit integers.
    U64s(&'a [u64]),
}

impl Property<'_> {
    /// What the kernel calls the property; valid as long as the value is.
    fn entry(&self) -> bindings::property_entry {
        let mut entry: bindings::property_entry = pin_init::zeroed();

        entry.name = self.name.as_char_ptr();
        match self.value {
            Value::U32(value) => {
                entry.length = size_of::<u32>();
                entry.is_inline = true;
                entry.type_ = bindings::dev_prop_type_DEV_PROP_U32;
                entry.__bindgen_anon_1.value.u32_data = [value, 0];
            }
            Value::U64s(values) => {
                entry.length = size_of_val(values);
                entry.type_ = bindings::dev_prop_type_DEV_PROP_U64;
                entry.__bindgen_anon_1.pointer = values.as_ptr().cast();
            }
        }
        entry
    }
}

/// The most properties that a device made here can have.
const MAX_PROPERTIES: usize = 8;

/// Where a device's memory accesses go: an IOMMU, and the IDs it sees the device under.
pub struct IommuSpec<'a> {
    /// The IOMMU.
    pub iommu: &'a IommuNode,
    /// Stream IDs.
    pub ids: &'a [u32],
}

/// A platform device that was made and added here.
///
/// Dropping it removes the device: its driver is unbound, it leaves its IOMMU group, and what
/// refers to it keeps only the memory of its `struct device`. Sleeps.
///
/// # Invariants
///
/// `pdev` was made by `platform_device_alloc()` and added by `platform_device_add()`; this object
/// owns the reference that `platform_device_unregister()` puts.
pub struct PlatformDevice {
    pdev: NonNull<bindings::platform_device>,
}

// SAFETY: A platform device may be unregistered from any thread.
unsafe impl Send for PlatformDevice {}

// SAFETY: Through a shared reference only `&Device` is reachable, which is `Sync`.
unsafe impl Sync for PlatformDevice {}

impl PlatformDevice {
    /// Makes and adds a device named `name` (with `id` after a dot).
    ///
    /// With `spec` the device is put behind that IOMMU, which must have been registered, before
    /// this returns. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` for more than 8 properties; `EEXIST` when there is a device of that name;
    /// `ENODEV` when the IOMMU's driver refused the device; `ENOMEM`.
    pub fn new(
        name: &CStr,
        id: i32,
        properties: &[Property<'_>],
        spec: Option<IommuSpec<'_>>,
    ) -> Result<Self> {
        // One entry more than properties: an empty one ends the list.
        let mut entries: [bindings::property_entry; MAX_PROPERTIES + 1] =
            [pin_init::zeroed(); MAX_PROPERTIES + 1];
        if properties.len() > MAX_PROPERTIES {
            return Err(EINVAL);
        }
        for (entry, property) in entries.iter_mut().zip(properties) {
            *entry = property.entry();
        }

        // The kernel's own refusal of a name that is taken comes with a stack trace.
        let full = match id {
            bindings::PLATFORM_DEVID_NONE => CString::try_from(name)?,
            _ => CString::try_from_fmt(fmt!("{}.{id}", name.to_str()?))?,
        };
        // SAFETY: `full` is a C string.
        if unsafe { bindings::sva_platform_device_exists(full.as_char_ptr()) } {
            return Err(EEXIST);
        }
        // SAFETY: `name` is a C string, which is copied.
        let pdev = unsafe { bindings::platform_device_alloc(name.as_char_ptr(), id) };
        let pdev = NonNull::new(pdev).ok_or(ENOMEM)?;
        // SAFETY: `pdev` is a live, initialised platform device.
        let dev = unsafe { addr_of_mut!((*pdev.as_ptr()).dev) };

        let added = Self::add(pdev, dev, &entries, spec.as_ref());
        if let Err(error) = added {
            // SAFETY: The device was not added, or is no more, so only our reference is left; and
            // what `dev->iommu` points at is ours to free.
            unsafe {
                bindings::sva_dev_iommu_discard(dev);
                bindings::platform_device_put(pdev.as_ptr());
            }
            return Err(error);
        }

        // INVARIANT: Allocated and added above.
        let this = Self { pdev };
        // SAFETY: `dev` is the live device just added. Its group does not change behind our back:
        // it was set synchronously, and only removal clears it.
        if spec.is_some() && unsafe { (*dev).iommu_group }.is_null() {
            return Err(ENODEV);
        }
        Ok(this)
    }

    fn add(
        pdev: NonNull<bindings::platform_device>,
        dev: *mut bindings::device,
        entries: &[bindings::property_entry],
        spec: Option<&IommuSpec<'_>>,
    ) -> Result {
        if let Some(spec) = spec {
            let count = u32::try_from(spec.ids.len())?;
            // SAFETY: `dev` is not added yet, so nobody else reads or writes its `iommu` pointer;
            // the IOMMU's node is live while it is borrowed, and `ids` holds `count` IDs.
            to_result(unsafe {
                bindings::sva_dev_iommu_init(dev, spec.iommu.as_raw(), spec.ids.as_ptr(), count)
            })?;
            // SAFETY: As above: it is not added, and sysfs tells of its node only if it has one then.
            unsafe { bindings::sva_dev_set_first_node(dev) };
        }
        // SAFETY: `dev` is initialised, and `entries` ends with an empty one. They are copied.
        to_result(unsafe {
            bindings::device_create_managed_software_node(dev, entries.as_ptr(), core::ptr::null())
        })?;
        // SAFETY: The device is initialised and not added yet.
        to_result(unsafe { bindings::platform_device_add(pdev.as_ptr()) })
    }

    /// The generic device.
    pub fn device(&self) -> &Device {
        // SAFETY: By the type invariant the device is live as long as `self`.
        unsafe { Device::from_raw(self.as_raw()) }
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::device {
        // SAFETY: By the type invariant `pdev` is live.
        unsafe { addr_of_mut!((*self.pdev.as_ptr()).dev) }
    }
}

impl Drop for PlatformDevice {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the device is added, and the reference is ours.
        unsafe { bindings::platform_device_unregister(self.pdev.as_ptr()) };
    }
}
