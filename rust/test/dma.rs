// SPDX-License-Identifier: GPL-2.0

//! What KUnit tests need of classic DMA: paging domains, and the DMA API.

use crate::bindings;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    str::CString, //
};
use kernel_ext::{
    device_raw,
    group::IommuGroup,
    iommu_device::{
        ClientDevice,
        Driver, //
    },
    phys::PhysPages, //
};

/// References to all pages of some memory, so that it stays as long as a device may access it, even
/// if who mapped it is forgotten.
///
/// # Invariants
///
/// The references to the pages of `len` bytes at `phys`, which came from a [`PhysPages`], are ours.
struct Held {
    phys: u64,
    len: usize,
}

impl Held {
    /// Holds the first `len` bytes of `memory`; `EINVAL` if it has fewer.
    fn new(memory: &PhysPages, len: usize) -> Result<Self> {
        if len > memory.window().len() {
            return Err(EINVAL);
        }
        let phys = memory.phys();
        // SAFETY: The pages are `memory`'s during this call, and pages like those of
        // `alloc_pages_exact()` are counted one by one.
        unsafe { bindings::sva_test_hold_pages(phys, len) };
        // INVARIANT: Just taken.
        Ok(Self { phys, len })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::sva_test_release_pages(self.phys, self.len) };
    }
}

/// A paging domain from `iommu_paging_domain_alloc()`, as a driver has it that maps memory itself.
///
/// It takes the device's accesses without PASID while it is attached, and gives them back when it
/// is dropped.
///
/// # Invariants
///
/// `domain` is a paging domain for the device `dev`, which lives as long as `'a`; it is attached to
/// the device if `attached`. `mapped` are its mappings, each a first address and what is there.
pub struct TestDomain<'a> {
    domain: NonNull<bindings::iommu_domain>,
    dev: *mut bindings::device,
    attached: bool,
    mapped: KVec<(usize, Held)>,
    _device: PhantomData<&'a ()>,
}

impl<'a> TestDomain<'a> {
    /// Makes a domain for `device`, which must stay behind its IOMMU meanwhile. May sleep.
    ///
    /// # Errors
    ///
    /// Those of the IOMMU driver.
    pub fn new<T: Driver>(device: &'a ClientDevice<T>) -> Result<Self> {
        let dev = device_raw(device.device());
        // SAFETY: The device is behind an IOMMU as long as it is borrowed.
        let domain = from_err_ptr(unsafe { bindings::iommu_paging_domain_alloc_flags(dev, 0) })?;
        Ok(Self {
            // INVARIANT: Just made, not attached, empty.
            domain: NonNull::new(domain).ok_or(ENOMEM)?,
            dev,
            attached: false,
            mapped: KVec::new(),
            _device: PhantomData,
        })
    }

    /// Has the device's accesses without PASID translated by the domain. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if another domain has been attached; those of the IOMMU driver.
    pub fn attach(&mut self) -> Result {
        // SAFETY: Both are live by the type invariants.
        to_result(unsafe { bindings::iommu_attach_device(self.domain.as_ptr(), self.dev) })?;
        // INVARIANT: As just done.
        self.attached = true;
        Ok(())
    }

    /// Gives the device's accesses without PASID back. May sleep.
    pub fn detach(&mut self) {
        if core::mem::take(&mut self.attached) {
            // SAFETY: By the type invariants the domain was attached.
            unsafe { bindings::iommu_detach_device(self.domain.as_ptr(), self.dev) };
        }
    }

    /// Maps `len` bytes of `memory` at `iova`, for reading, and for writing if `writable`. May
    /// sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` for what is no page; `EEXIST` if something was mapped there with this object;
    /// `ENOMEM`.
    pub fn map(&mut self, iova: usize, memory: &PhysPages, len: usize, writable: bool) -> Result {
        let end = iova.checked_add(len).ok_or(EINVAL)?;
        let taken = |(at, held): &(usize, Held)| iova < at + held.len && *at < end;
        if self.mapped.iter().any(taken) {
            return Err(EEXIST);
        }
        let held = Held::new(memory, len)?;
        self.mapped.reserve(1, GFP_KERNEL)?;
        let prot = if writable {
            bindings::IOMMU_READ | bindings::IOMMU_WRITE
        } else {
            bindings::IOMMU_READ
        };
        // SAFETY: The domain is live, nothing is mapped there, and the memory, which is there to be
        // accessed by devices, is held until it is unmapped. On failure nothing stays mapped.
        to_result(unsafe {
            bindings::iommu_map(
                self.domain.as_ptr(),
                iova,
                memory.phys(),
                len,
                // CAST: A few low bits.
                (prot | bindings::IOMMU_CACHE) as c_int,
                bindings::GFP_KERNEL,
            )
        })?;
        Ok(self.mapped.push((iova, held), GFP_KERNEL)?)
    }

    /// Unmaps what [`Self::map`] mapped at `iova`, and gives how many bytes it was.
    pub fn unmap(&mut self, iova: usize) -> usize {
        let mut mapped = self.mapped.iter();
        let Some(index) = mapped.position(|(at, _)| *at == iova) else {
            return 0;
        };
        let Ok((_, held)) = self.mapped.remove(index) else {
            return 0;
        };
        // SAFETY: By the type invariants this is mapped; nobody else uses the domain. The memory is
        // released when this has returned.
        unsafe { bindings::iommu_unmap(self.domain.as_ptr(), iova, held.len) }
    }

    /// The physical address behind `iova`, or 0.
    pub fn translate(&self, iova: usize) -> u64 {
        // SAFETY: The domain is live, and not changed while it is borrowed.
        unsafe { bindings::iommu_iova_to_phys(self.domain.as_ptr(), iova as u64) }
    }

    /// The sizes of pages that it has, one bit each.
    pub fn page_sizes(&self) -> usize {
        // SAFETY: The domain is live, and the field does not change.
        unsafe { (*self.domain.as_ptr()).pgsize_bitmap }
    }
}

impl Drop for TestDomain<'_> {
    fn drop(&mut self) {
        self.detach();
        while let Some((iova, _)) = self.mapped.first() {
            let iova = *iova;
            self.unmap(iova);
        }
        // SAFETY: By the type invariants the domain is ours, and it is not attached any more.
        unsafe { bindings::iommu_domain_free(self.domain.as_ptr()) };
    }
}

/// Has the DMA API use a domain of another type for the group of `device`, by the name that sysfs
/// has for it. May sleep.
///
/// # Errors
///
/// `ENODEV` without a group; those of the IOMMU core: `EINVAL` for
/// a type that the driver does not allow, `EPERM` if the group has a driver that minds.
pub fn set_domain_type<T: Driver>(device: &ClientDevice<T>, name: &CStr) -> Result {
    let id = IommuGroup::of(device.device()).ok_or(ENODEV)?.id();
    let path = CString::try_from_fmt(fmt!("kernel/iommu_groups/{id}/type"))?;
    // SAFETY: Both are C strings.
    to_result(unsafe { bindings::sva_test_write_sysfs(path.as_char_ptr(), name.as_char_ptr()) })
}

/// Memory that the DMA API mapped for a device.
///
/// # Invariants
///
/// `iova` is what the DMA API gave for the memory `held` and the device `dev`, which lives as long as
/// `'a`.
pub struct DmaMapping<'a> {
    dev: *mut bindings::device,
    iova: u64,
    held: Held,
    _device: PhantomData<&'a ()>,
}

impl<'a> DmaMapping<'a> {
    /// Maps `memory` as `dma_map_single()` does, for both directions. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if it cannot be mapped.
    pub fn new<T: Driver>(device: &'a ClientDevice<T>, memory: &PhysPages) -> Result<Self> {
        let dev = device_raw(device.device());
        let held = Held::new(memory, memory.window().len())?;
        let mut iova = 0;
        // SAFETY: The device is live, and the memory is held until it is unmapped; all memory of
        // this kind is in the linear map. On failure nothing stays mapped.
        to_result(unsafe { bindings::sva_test_dma_map(dev, held.phys, held.len, &mut iova) })?;
        Ok(Self {
            // INVARIANT: Just mapped.
            dev,
            iova,
            held,
            _device: PhantomData,
        })
    }

    /// The address that the device uses.
    pub fn iova(&self) -> u64 {
        self.iova
    }
}

impl Drop for DmaMapping<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants. The memory is released after this.
        unsafe { bindings::sva_test_dma_unmap(self.dev, self.iova, self.held.len) };
    }
}

/// Memory from `dma_alloc_coherent()`.
///
/// # Invariants
///
/// `cpu` and `iova` are what the DMA API gave for `len` bytes and the device `dev`, which lives as
/// long as `'a`.
pub struct DmaMemory<'a> {
    dev: *mut bindings::device,
    cpu: NonNull<u8>,
    iova: u64,
    len: usize,
    _device: PhantomData<&'a ()>,
}

impl<'a> DmaMemory<'a> {
    /// Allocates `len` bytes for `device`, zeroed. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new<T: Driver>(device: &'a ClientDevice<T>, len: usize) -> Result<Self> {
        let (dev, mut iova) = (device_raw(device.device()), 0);
        // SAFETY: The device is live.
        let cpu = unsafe { bindings::sva_test_dma_alloc(dev, len, &mut iova) };
        Ok(Self {
            // INVARIANT: Just allocated.
            dev,
            cpu: NonNull::new(cpu.cast()).ok_or(ENOMEM)?,
            iova,
            len,
            _device: PhantomData,
        })
    }

    /// The address that the device uses.
    pub fn iova(&self) -> u64 {
        self.iova
    }

    /// Copies the first bytes of the memory into `to`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the memory is smaller.
    pub fn read(&self, to: &mut [u8]) -> Result {
        if to.len() > self.len {
            return Err(EINVAL);
        }
        // SAFETY: The memory has that many bytes by the check and the type invariants, and the copy
        // in C may race with the device.
        unsafe {
            bindings::sva_memcpy(
                to.as_mut_ptr().cast(),
                self.cpu.as_ptr().cast_const().cast(),
                to.len(),
            )
        };
        Ok(())
    }
}

impl Drop for DmaMemory<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants.
        unsafe {
            bindings::sva_test_dma_free(self.dev, self.len, self.cpu.as_ptr().cast(), self.iova)
        };
    }
}
