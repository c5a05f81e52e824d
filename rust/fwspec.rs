// SPDX-License-Identifier: GPL-2.0

//! Where firmware says that a device's accesses go: an IOMMU, and the ID that they carry there.
//!
//! C header: `include/linux/iommu.h`

use crate::{bindings, device_raw};
use core::ptr::NonNull;
use kernel::device::{Bound, Device};

/// The firmware node of an IOMMU: what devices name it by.
///
/// Two are equal if they are the same node. It stays allocated as long as one exists, so no other
/// node is taken for it.
///
/// # Invariants
///
/// `node` is a firmware node to which this object holds a reference.
#[derive(Debug)]
pub struct IommuNode {
    node: NonNull<bindings::fwnode_handle>,
}

// SAFETY: The count of references is atomic, and nothing else of the node is used.
unsafe impl Send for IommuNode {}

// SAFETY: As above.
unsafe impl Sync for IommuNode {}

impl IommuNode {
    /// # Safety
    ///
    /// `node` must be null or a live firmware node.
    unsafe fn get(node: *mut bindings::fwnode_handle) -> Option<Self> {
        // SAFETY: By the function's requirement; null gives null.
        let node = unsafe { bindings::fwnode_handle_get(node) };

        // INVARIANT: The reference was taken above.
        NonNull::new(node).map(|node| Self { node })
    }

    /// The node of the IOMMU that `dev` itself is. Any context.
    pub fn of(dev: &Device) -> Option<Self> {
        // SAFETY: The device is live, and its node with it.
        unsafe { Self::get(bindings::__dev_fwnode(device_raw(dev))) }
    }
}

impl IommuNode {
    pub(crate) fn as_raw(&self) -> *mut bindings::fwnode_handle {
        self.node.as_ptr()
    }
}

impl PartialEq for IommuNode {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl Clone for IommuNode {
    fn clone(&self) -> Self {
        // SAFETY: By the type invariant the node is live.
        unsafe { bindings::fwnode_handle_get(self.node.as_ptr()) };
        // INVARIANT: The reference was taken above.
        Self { node: self.node }
    }
}

impl Drop for IommuNode {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the reference is ours.
        unsafe { bindings::fwnode_handle_put(self.node.as_ptr()) };
    }
}

/// The IOMMU that `dev` is behind, and the first of its IDs there. Any context.
///
/// A bound device stays behind its IOMMU, so the argument's type is the proof that nothing changes
/// meanwhile.
pub fn stream_of(dev: &Device<Bound>) -> Option<(IommuNode, u32)> {
    // SAFETY: The device is bound, so what its `iommu` pointer leads to does not change.
    unsafe {
        let param = (*device_raw(dev)).iommu;

        if param.is_null() || (*param).fwspec.is_null() {
            return None;
        }
        let spec = (*param).fwspec;

        if (*spec).num_ids == 0 {
            return None;
        }
        let id = (*spec).ids.as_slice(1)[0];
        Some((IommuNode::get((*spec).iommu_fwnode)?, id))
    }
}
