// SPDX-License-Identifier: GPL-2.0

//! Reserved regions: addresses that a device's IOMMU does not translate as it does others.
//!
//! An IOMMU driver adds a device's regions to a [`ResvList`]; whoever shares an address space asks
//! for [`IommuGroup::untranslated`].
//!
//! C header: `include/linux/iommu.h`

use crate::{
    bindings,
    group::IommuGroup,
    pci_function::PciFunction, //
};
use core::ops::Range;
use kernel::{
    device::{
        Bound,
        Device, //
    },
    error::to_result,
    page::PAGE_SIZE,
    prelude::*, //
};

/// Why a region is reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResvKind {
    /// It must never be mapped or given to the device: the bus keeps it for itself.
    Reserved,
    /// It must be mapped one to one at all times, since firmware uses it.
    Direct,
    /// Where software may map the doorbells of message-signalled interrupts.
    SoftwareMsi,
}

/// A range of addresses of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResvRegion {
    /// Its first address.
    pub start: u64,
    /// How many bytes.
    pub len: u64,
    /// Why it is reserved.
    pub kind: ResvKind,
}

/// The list in which the IOMMU core collects a device's regions.
///
/// # Invariants
///
/// An initialised list of `iommu_resv_region`s that nobody else uses meanwhile.
pub struct ResvList<'a>(&'a mut bindings::list_head);

impl ResvList<'_> {
    /// # Safety
    ///
    /// `head` must be the argument of a `get_resv_regions` op, which lasts longer than the result.
    pub(crate) unsafe fn from_raw<'a>(head: *mut bindings::list_head) -> ResvList<'a> {
        // INVARIANT: The core passes a list of its own.
        // SAFETY: By this function's contract.
        ResvList(unsafe { &mut *head })
    }

    /// Adds a region. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn add(&mut self, region: &ResvRegion) -> Result {
        let (prot, kind) = match region.kind {
            ResvKind::Reserved => (0, bindings::iommu_resv_type_IOMMU_RESV_RESERVED),
            ResvKind::Direct => (
                bindings::IOMMU_READ | bindings::IOMMU_WRITE,
                bindings::iommu_resv_type_IOMMU_RESV_DIRECT,
            ),
            ResvKind::SoftwareMsi => (
                bindings::IOMMU_WRITE | bindings::IOMMU_NOEXEC | bindings::IOMMU_MMIO,
                bindings::iommu_resv_type_IOMMU_RESV_SW_MSI,
            ),
        };

        // SAFETY: By the type invariant the list is valid, and ours for now. Who gets it frees
        // the region.
        to_result(unsafe {
            bindings::sva_add_resv_region(
                self.0,
                region.start,
                region.len as usize,
                // CAST: Some of the lowest bits.
                prot as c_int,
                kind,
            )
        })
    }
}

impl IommuGroup {
    /// The ranges, in whole pages, that no member's DMA can translate: reserved ones, those that must
    /// be mapped one to one, and what PCI buses keep for BARs. May sleep; takes the group's mutex.
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
        let error = unsafe { bindings::iommu_get_group_resv_regions(self.as_raw(), list) };
        // SAFETY: The list is initialised, and holds regions if any.
        let ranges = unsafe { ranges(list) };

        // A list that is not complete is ours to free all the same.
        // SAFETY: The regions of a group's list are copies that the caller frees one by one.
        unsafe {
            let mut node = (*list).next;

            while !core::ptr::eq(node, list) {
                let region = kernel::container_of!(node, bindings::iommu_resv_region, list);

                node = (*node).next;
                bindings::kfree(region.cast());
            }
        }
        to_result(error)?;
        let mut ranges = ranges?;

        self.for_each(|member| add_windows(member, &mut ranges))?;
        Ok(ranges)
    }
}

/// Adds the memory of the host bridge that `dev` is behind, if it is a PCI function. Few IOMMUs'
/// drivers list that: the DMA API keeps out of there of its own accord.
fn add_windows(dev: &Device, ranges: &mut KVec<Range<u64>>) -> Result {
    let mut windows = KVec::new();

    if let Some(function) = PciFunction::of(dev) {
        function.add_windows(&mut windows)?;
    }
    for window in windows {
        ranges.push(whole_pages(window.start, window.len), GFP_KERNEL)?;
    }
    Ok(())
}

/// As [`IommuGroup::untranslated`], of one device: what a driver, firmware and bus say of it does not
/// change. May sleep.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn untranslated(dev: &Device<Bound>) -> Result<KVec<Range<u64>>> {
    let mut ranges = listed(dev)?;

    add_windows(dev, &mut ranges)?;
    Ok(ranges)
}

/// What the IOMMU's driver lists.
fn listed(dev: &Device<Bound>) -> Result<KVec<Range<u64>>> {
    let dev = crate::device_raw(dev);
    let mut head = bindings::list_head::default();
    let list = &raw mut head;

    // SAFETY: A device with a driver stays as it is during the call, with or without an IOMMU.
    if unsafe { (*dev).iommu_group }.is_null() {
        return Ok(KVec::new());
    }
    head.next = list;
    head.prev = list;
    // SAFETY: The device is behind an IOMMU, and stays there since it has a driver; the list is
    // empty and initialised. What is put into it is given back.
    unsafe {
        bindings::iommu_get_resv_regions(dev, list);
        let ranges = ranges(list);

        bindings::iommu_put_resv_regions(dev, list);
        ranges
    }
}

/// The ranges of a list that no DMA can translate.
///
/// # Safety
///
/// `list` must be an initialised list of regions, which nobody changes meanwhile.
unsafe fn ranges(list: *const bindings::list_head) -> Result<KVec<Range<u64>>> {
    let mut ranges = KVec::new();
    // SAFETY: By this function's contract.
    let mut node = unsafe { (*list).next };

    while !core::ptr::eq(node, list) {
        // SAFETY: Each node other than the head is embedded in a region.
        let region = unsafe { kernel::container_of!(node, bindings::iommu_resv_region, list) };
        // SAFETY: As above.
        let (start, length, kind) = unsafe { ((*region).start, (*region).length, (*region).type_) };

        // SAFETY: As above.
        node = unsafe { (*node).next };
        if matches!(
            kind,
            bindings::iommu_resv_type_IOMMU_RESV_RESERVED
                | bindings::iommu_resv_type_IOMMU_RESV_DIRECT
        ) {
            ranges.push(whole_pages(start, length as u64), GFP_KERNEL)?;
        }
    }
    Ok(ranges)
}

/// The pages that `len` bytes at `start` touch, short of the last page of all.
fn whole_pages(start: u64, len: u64) -> Range<u64> {
    let below = !(PAGE_SIZE as u64 - 1);
    let end = start.saturating_add(len);

    (start & below)..(end.saturating_add(!below) & below)
}

#[kunit_tests(kernel_ext_resv_region)]
mod tests {
    use super::*;

    const PAGE: u64 = PAGE_SIZE as u64;

    #[test]
    fn whole_pages_cover() {
        assert_eq!(whole_pages(PAGE, PAGE), PAGE..2 * PAGE);
        assert_eq!(whole_pages(PAGE + 1, 1), PAGE..2 * PAGE);
        assert_eq!(whole_pages(PAGE - 1, 2), 0..2 * PAGE);
        assert!(whole_pages(PAGE, 0).is_empty());
    }

    #[test]
    fn whole_pages_at_the_top() {
        let last = u64::MAX & !(PAGE - 1);

        assert_eq!(whole_pages(last - PAGE, u64::MAX), (last - PAGE)..last);
    }
}
