// SPDX-License-Identifier: GPL-2.0

//! Addresses that never reach an IOMMU.

use crate::{bindings, group::IommuGroup};
use core::ops::Range;
use kernel::{error::to_result, page::PAGE_SIZE, prelude::*};

impl IommuGroup {
    /// The ranges, in whole pages, that no member's DMA can translate: reserved ones, and those
    /// that must be mapped one to one. May sleep; takes the group's mutex.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn untranslated(&self) -> Result<KVec<Range<u64>>> {
        let mut head = bindings::list_head::default();
        let list = &raw mut head;

        head.next = list;
        head.prev = list;
        // SAFETY: `self` is a valid group, and the list is empty and initialised.
        to_result(unsafe { bindings::iommu_get_group_resv_regions(self.as_raw(), list) })?;

        let mut ranges = KVec::new();
        let mut pushed = Ok(());
        // SAFETY: The list is initialised.
        let mut node = unsafe { (*list).next };

        while !core::ptr::eq(node, list) {
            // SAFETY: Each node other than the head is embedded in a region.
            let region = unsafe { kernel::container_of!(node, bindings::iommu_resv_region, list) };
            // SAFETY: As above.
            let (start, length, kind) =
                unsafe { ((*region).start, (*region).length, (*region).type_) };

            // SAFETY: As above.
            node = unsafe { (*node).next };
            if matches!(
                kind,
                bindings::iommu_resv_type_IOMMU_RESV_RESERVED
                    | bindings::iommu_resv_type_IOMMU_RESV_DIRECT
            ) && pushed.is_ok()
            {
                let page = PAGE_SIZE as u64;
                let end = start.saturating_add(length as u64);
                let range = (start & !(page - 1))..(end.saturating_add(page - 1) & !(page - 1));

                pushed = ranges.push(range, GFP_KERNEL);
            }
            // SAFETY: The regions of a group's list are copies that the caller frees.
            unsafe { bindings::kfree(region.cast()) };
        }
        pushed?;
        Ok(ranges)
    }
}
