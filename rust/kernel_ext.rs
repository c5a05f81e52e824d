// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions that the `kernel` crate lacks and shared virtual addressing needs.
//!
//! All `unsafe` code for the kernel's C interfaces lives in this crate; the drivers built on it
//! have none, save where they offer a C interface themselves, and where a model of hardware answers
//! for what it does to memory ([`phys::BusMaster`]).

use kernel::device::Device;

pub mod attachment;
#[doc(hidden)]
pub mod bindings;
pub mod carve;
pub mod configfs;
pub mod cpu;
pub mod crc32;
pub mod departure;
pub mod devres;
pub mod dma_owner;
pub mod domain;
pub mod endpoint;
pub mod exit_notifier;
pub mod fault;
pub mod firmware_device;
pub mod fwspec;
pub mod global;
pub mod group;
pub mod io_pgtable;
pub mod iommu_device;
mod iommu_events;
mod iommu_ops;
mod iommu_paging_ops;
pub mod iopf_queue;
pub mod killable;
pub mod managed_dma;
pub mod map_space;
pub mod misc_device;
pub mod mm_fault;
pub mod module_ref;
pub mod module_version;
pub mod notifier;
pub mod pasid;
pub mod pci_function;
#[cfg(CONFIG_PCI)]
pub mod pci_host;
pub mod phys;
pub mod pin;
pub mod platform_device;
pub mod resv_region;
pub mod task;
pub mod test_point;
pub mod thread;
pub mod touch;
pub mod tracepoint;
pub mod translation;
pub mod tree;
#[cfg(CONFIG_UACCE)]
pub mod uacce;
pub mod wake;
pub mod workqueue;

// A library crate has no `module!`; the printing macros want this all the same.
const __LOG_PREFIX: &[u8] = b"sva_kernel_ext\0";

/// The raw pointer of a device, for C functions. (`Device::as_raw` is private to its crate.)
pub fn device_raw(dev: &Device) -> *mut bindings::device {
    core::ptr::from_ref(dev).cast_mut().cast()
}
