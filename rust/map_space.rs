// SPDX-License-Identifier: GPL-2.0

//! Memory of processes, mapped for what a device accesses without PASID.
//!
//! C header: [`include/linux/iommu.h`](srctree/include/linux/iommu.h)

use crate::{bindings, endpoint::Held, pin::PinnedRange};
use core::{
    ops::{Range, RangeInclusive},
    ptr::NonNull,
};
use kernel::{
    error::{from_err_ptr, to_result},
    maple_tree::MapleTreeAlloc,
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc,
};

/// A paging domain of the device's IOMMU, and who has which of its addresses. It holds its device, so
/// all ranges must go when that leaves.
///
/// # Invariants
///
/// `domain` is a paging domain that is ours. What is mapped there belongs to a [`MappedRange`], which
/// has its addresses in `used`.
#[pin_data(PinnedDrop)]
pub struct MapSpace {
    domain: NonNull<bindings::iommu_domain>,
    /// From the second page on, so that no range begins at 0.
    aperture: RangeInclusive<usize>,
    /// Each range's number of bytes, by its addresses.
    #[pin]
    used: MapleTreeAlloc<KBox<usize>>,
    /// Whose IOMMU's driver the domain is of. Dropped after that has been freed.
    held: Held,
}

// SAFETY: A domain may be attached, detached, mapped in and freed on any thread.
unsafe impl Send for MapSpace {}
// SAFETY: As above. Ranges that do not overlap may be mapped and unmapped at once, and these do not:
// `used` has a lock of its own.
unsafe impl Sync for MapSpace {}

impl MapSpace {
    /// Has the driver of `held`'s IOMMU make one. May sleep.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP`: the IOMMU has no such domains, or its pages are larger than the CPUs'. `ENOMEM`,
    /// and what the IOMMU driver says.
    pub fn new(held: &Held) -> Result<Arc<Self>> {
        // SAFETY: The device is held, so it stays behind its IOMMU.
        let domain = unsafe { bindings::iommu_paging_domain_alloc_flags(held.as_raw(), 0) };
        let domain = from_err_ptr(domain)?;
        let domain = NonNull::new(domain).ok_or(ENOMEM)?;
        // SAFETY: The domain is new, and these do not change.
        let (sizes, geometry) = unsafe {
            (
                (*domain.as_ptr()).pgsize_bitmap,
                (*domain.as_ptr()).geometry,
            )
        };
        let first = (geometry.aperture_start as usize).max(PAGE_SIZE);
        let last = match geometry.force_aperture {
            true => geometry.aperture_end as usize,
            false => usize::MAX,
        };
        let space = Arc::pin_init(
            // INVARIANT: Just made, and empty.
            pin_init!(Self {
                domain,
                aperture: first..=last.min(isize::MAX as usize),
                used <- MapleTreeAlloc::new(),
                held: held.clone(),
            }),
            GFP_KERNEL,
        )
        // SAFETY: Nobody else has it.
        .inspect_err(|_: &Error| unsafe { bindings::iommu_domain_free(domain.as_ptr()) })?;

        if sizes & (PAGE_SIZE | (PAGE_SIZE - 1)) == 0 {
            return Err(EOPNOTSUPP);
        }
        space.reserve(held.untranslated())?;
        Ok(space)
    }

    /// Keeps `ranges`, which may overlap, from being given away: they do not reach the IOMMU.
    fn reserve(&self, ranges: &[Range<u64>]) -> Result {
        let mut sorted = KVec::new();
        let mut done = 0;

        sorted.extend_from_slice(ranges, GFP_KERNEL)?;
        sorted.sort_unstable_by_key(|range| range.start);
        for range in sorted {
            let (start, end) = (done.max(range.start as usize), range.end as usize);

            if start < end {
                let value = KBox::new(end - start, GFP_KERNEL)?;

                self.used
                    .insert_range(start..end, value, GFP_KERNEL)
                    .map_err(|e| Error::from(e.cause))?;
                done = end;
            }
        }
        Ok(())
    }

    /// Takes addresses for `len` bytes: those from `wish` on if they are free, else others.
    ///
    /// # Errors
    ///
    /// `ENOSPC`: there are none. `ENOMEM`.
    fn take(&self, wish: usize, len: usize) -> Result<usize> {
        let end = wish.checked_add(len).ok_or(EINVAL)?;
        let mut value = KBox::new(len, GFP_KERNEL)?;

        if self.aperture.contains(&wish) && self.aperture.contains(&(end - 1)) {
            match self.used.insert_range(wish..end, value, GFP_KERNEL) {
                Ok(()) => return Ok(wish),
                Err(refused) => value = refused.value,
            }
        }
        let found = self
            .used
            .alloc_range(len, value, self.aperture.clone(), GFP_KERNEL);

        found.map_err(|e| match Error::from(e.cause) {
            e if e == ENOMEM => e,
            _ => ENOSPC,
        })
    }

    /// Maps the pages of `pinned`, which is at `wish` in its process, for the device: at the same address
    /// if that is free, else at another. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOSPC`: no addresses are left. `ENOMEM`, and what the IOMMU driver says.
    pub fn map(self: &Arc<Self>, pinned: PinnedRange, wish: usize) -> Result<MappedRange> {
        let len = pinned.pages() * PAGE_SIZE;
        let start = self.take(wish, len)?;
        let pages = pinned.raw_pages();
        // SAFETY: The domain is ours, nobody else has these addresses, and the pages stay pinned until
        // they are unmapped. On failure nothing stays mapped.
        let mapped = to_result(unsafe {
            bindings::sva_map_pages(
                self.domain.as_ptr(),
                start,
                pages.as_ptr(),
                pages.len(),
                pinned.is_writable(),
            )
        });

        if let Err(e) = mapped {
            self.used.erase(start);
            return Err(e);
        }
        // INVARIANT: Just mapped.
        Ok(MappedRange {
            space: self.clone(),
            start,
            pinned,
        })
    }
}

#[pinned_drop]
impl PinnedDrop for MapSpace {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants it is ours. Neither a range nor an attachment is left, which
        // would own a reference.
        unsafe { bindings::iommu_domain_free(self.domain.as_ptr()) };
    }
}

/// A [`MapSpace`] that translates what its device accesses without PASID, until this is dropped, which
/// may sleep and takes the group's mutex.
///
/// # Invariants
///
/// The space's domain is attached to the group of its device.
pub struct MapAttached(Arc<MapSpace>);

impl MapAttached {
    /// Attaches a new space to the group of `held`. May sleep; takes the group's mutex.
    ///
    /// # Errors
    ///
    /// `EBUSY`: something else than the kernel's own domain is attached. Else as [`MapSpace::new`].
    pub fn new(held: &Held) -> Result<Self> {
        let space = MapSpace::new(held)?;

        // SAFETY: The domain was made for this device, which stays in its group while it is held.
        to_result(unsafe {
            bindings::iommu_attach_group(space.domain.as_ptr(), held.group().as_raw())
        })?;
        // INVARIANT: Just attached.
        Ok(Self(space))
    }

    /// What is attached.
    pub fn space(&self) -> &Arc<MapSpace> {
        &self.0
    }
}

impl Drop for MapAttached {
    fn drop(&mut self) {
        let Self(space) = self;

        // SAFETY: By the type invariants; the device is held, so it is in its group.
        unsafe {
            bindings::iommu_detach_group(space.domain.as_ptr(), space.held.group().as_raw());
        }
    }
}

/// Pinned memory of a process that is mapped for a device. Dropping it takes it from the device, whose
/// IOMMU has forgotten it then, and releases it. The drop may sleep.
///
/// # Invariants
///
/// The pages of `pinned` are mapped in `space` from `start` on, and the addresses are this range's.
pub struct MappedRange {
    space: Arc<MapSpace>,
    start: usize,
    // Dropped after the pages are unmapped.
    pinned: PinnedRange,
}

impl MappedRange {
    /// The address for the device. Any context.
    pub fn start(&self) -> usize {
        self.start
    }

    /// What is mapped. Any context.
    pub fn pinned(&self) -> &PinnedRange {
        &self.pinned
    }
}

impl Drop for MappedRange {
    fn drop(&mut self) {
        let len = self.pinned.pages() * PAGE_SIZE;

        // SAFETY: By the type invariants this is mapped, by us alone. On return the IOMMU, and the
        // device's own cache, have forgotten it.
        unsafe { bindings::iommu_unmap(self.space.domain.as_ptr(), self.start, len) };
        // Others may have the addresses from here on.
        self.space.used.erase(self.start);
    }
}
