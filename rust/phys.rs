// SPDX-License-Identifier: GPL-2.0

//! Physical memory as a bus master sees it.
//!
//! A model of hardware reads and writes memory by physical addresses that it finds in registers,
//! tables and queue entries. [`PhysWindow`] is the way to do that: it looks at RAM only, through
//! the kernel's linear map, and never at what the linear map does not hold.
//!
//! # What is checked, and what is promised
//!
//! As with the DMA of a real device, no type can prove that an address was meant for the model:
//! whoever programs it decides which memory it reads and writes, exactly as a driver does that
//! gives a device a DMA address. So a module that has a model promises that once, for all of its
//! addresses, and gets a [`BusMaster`] for it. Beyond that:
//!
//! - Nothing but RAM in the linear map is touched: neither device registers nor memory that is
//!   reserved, absent or taken out of the linear map when the window is made. So an address that is
//!   no memory is an error, not a crash.
//! - Words are accessed atomically, slices are copied in C, whose plain accesses the kernel's
//!   memory model lets race. No reference to the bytes of a window ever exists.

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

use kernel::{
    error::to_result,
    mm::virt::VmaNew,
    page::PAGE_SIZE,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Full,
        Release, //
    }, //
};

use crate::bindings;

/// A range of memory, accessible by physical address.
///
/// Making and using one never sleeps and takes no locks.
///
/// # Invariants
///
/// `virt` is where `len` bytes are mapped: RAM in the linear map, or an [`IoPages`]. They are not
/// freed, stay mapped and may be read and written as long as the window exists: it borrows what owns
/// them, or a [`BusMaster`] was promised that.
pub struct PhysWindow<'a> {
    virt: NonNull<u8>,
    len: usize,
    _owner: PhantomData<&'a ()>,
}

/// The right of a model of hardware to access memory by physical address.
#[derive(Clone, Copy)]
pub struct BusMaster(());

impl BusMaster {
    /// Lets a model loose on memory.
    ///
    /// # Safety
    ///
    /// The caller answers for all windows that are opened with the result or a copy of it. While
    /// one exists:
    ///
    /// - its memory is not freed, and stays in the linear map,
    /// - whoever owns the memory has handed it to the model, for reading, or for writing if anything
    ///   is written through the window: it is none that Rust or the kernel relies on not to change.
    pub const unsafe fn new() -> Self {
        Self(())
    }

    /// Opens `len` bytes at physical address `phys`. Any context.
    ///
    /// # Errors
    ///
    /// - [`EFAULT`] if a byte of the range is not RAM or not in the linear map.
    /// - [`EINVAL`] if the range is empty or wraps.
    pub fn window(self, phys: u64, len: usize) -> Result<PhysWindow<'static>> {
        let last = phys.checked_add(len as u64).ok_or(EINVAL)?;
        if len == 0 {
            return Err(EINVAL);
        }
        let mut page = phys & !(PAGE_SIZE as u64 - 1);
        while page < last {
            // SAFETY: The helper takes any address and checks it.
            if unsafe { bindings::sva_phys_to_linear(page) }.is_null() {
                return Err(EFAULT);
            }
            page += PAGE_SIZE as u64;
        }
        // SAFETY: As above.
        let virt = unsafe { bindings::sva_phys_to_linear(phys) };
        Ok(PhysWindow {
            // INVARIANT: Every page was checked above, and the linear map is contiguous. That the
            // memory stays, and may be accessed, is what `new` was promised.
            virt: NonNull::new(virt.cast()).ok_or(EFAULT)?,
            len,
            _owner: PhantomData,
        })
    }
}

impl PhysWindow<'_> {
    /// The size in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the window has no bytes: never.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The address of `size` bytes at `offset`, if they are inside and `offset` is a multiple of
    /// `align`. The base address must be checked too, as a window may begin anywhere.
    fn at(&self, offset: usize, size: usize, align: usize) -> Result<*mut u8> {
        if offset.checked_add(size).is_none_or(|end| end > self.len) {
            return Err(EINVAL);
        }
        let ptr = self.virt.as_ptr().wrapping_add(offset);
        if ptr.addr() % align != 0 {
            return Err(EINVAL);
        }
        Ok(ptr)
    }

    /// The 64-bit word at `offset` bytes, for atomic access.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the word is outside the window or not aligned.
    pub fn atomic64(&self, offset: usize) -> Result<&Atomic<u64>> {
        let ptr = self.at(offset, 8, 8)?;
        // SAFETY: By the type's invariant the word is mapped memory as long as the window, which the
        // result borrows, and `at` has checked its bounds and alignment. The kernel's atomics may
        // race with any other access.
        Ok(unsafe { Atomic::from_ptr(ptr.cast()) })
    }

    /// The 32-bit word at `offset` bytes, for atomic access.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the word is outside the window or not aligned.
    pub fn atomic32(&self, offset: usize) -> Result<&Atomic<u32>> {
        let ptr = self.at(offset, 4, 4)?;
        // SAFETY: As in `atomic64`.
        Ok(unsafe { Atomic::from_ptr(ptr.cast()) })
    }

    /// Reads the 64-bit word at `offset` in one piece, before what follows.
    ///
    /// # Errors
    ///
    /// As [`Self::atomic64`].
    pub fn load64(&self, offset: usize) -> Result<u64> {
        Ok(self.atomic64(offset)?.load(Acquire))
    }

    /// Writes the 64-bit word at `offset` in one piece, after what went before.
    ///
    /// # Errors
    ///
    /// As [`Self::atomic64`].
    pub fn store64(&self, offset: usize, value: u64) -> Result {
        self.atomic64(offset)?.store(value, Release);
        Ok(())
    }

    /// Replaces the 64-bit word at `offset` if it is `old`. Gives whether it was.
    ///
    /// # Errors
    ///
    /// As [`Self::atomic64`].
    pub fn compare_exchange64(&self, offset: usize, old: u64, new: u64) -> Result<bool> {
        Ok(self.atomic64(offset)?.cmpxchg(old, new, Full).is_ok())
    }

    /// Copies bytes at `offset` into `to`. Concurrent writers may tear it.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if they are not all inside the window.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result {
        let from = self.at(offset, to.len(), 1)?;
        // SAFETY: `from` is mapped for `to.len()` bytes by the invariant and the check of `at`;
        // `to` is exclusively ours.
        unsafe { bindings::sva_memcpy(to.as_mut_ptr().cast(), from.cast(), to.len()) };
        Ok(())
    }

    /// Copies `from` to the bytes at `offset`. Concurrent readers may see it torn.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if they are not all inside the window.
    pub fn write(&self, offset: usize, from: &[u8]) -> Result {
        let to = self.at(offset, from.len(), 1)?;
        // SAFETY: `to` is mapped for `from.len()` bytes, which may be written, by the invariant and
        // the check of `at`.
        unsafe { bindings::sva_memcpy(to.cast(), from.as_ptr().cast(), from.len()) };
        Ok(())
    }
}

/// Whether the page at `phys` is RAM that nobody holds now: it was freed, or belongs to the slab
/// allocator. Any context.
///
/// Only a snapshot: a page that is free may be somebody's the next moment.
pub fn is_free(phys: u64) -> bool {
    // SAFETY: The helper takes any address and checks it.
    unsafe { bindings::sva_phys_is_free(phys) }
}

/// Physically contiguous memory of our own: what a driver gives to a device.
///
/// # Invariants
///
/// `virt` is what `alloc_pages_exact` returned for `len` bytes, and not freed.
pub struct PhysPages {
    virt: NonNull<u8>,
    phys: u64,
    len: usize,
}

// SAFETY: Pages belong to no thread, and every access is one of `PhysWindow`'s.
unsafe impl Send for PhysPages {}

// SAFETY: As above.
unsafe impl Sync for PhysPages {}

impl PhysPages {
    /// Allocates `len` bytes, zeroed, aligned to `len` rounded up to a power of two (at least a
    /// page). May sleep.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`]; [`EINVAL`] if `len` is 0.
    pub fn alloc(len: usize) -> Result<Self> {
        if len == 0 {
            return Err(EINVAL);
        }
        // SAFETY: The helper takes any size.
        let virt = unsafe { bindings::sva_alloc_pages_exact(len) };
        let virt = NonNull::new(virt.cast::<u8>()).ok_or(ENOMEM)?;
        // SAFETY: `virt` is a linear-map address.
        let phys = unsafe { bindings::sva_virt_to_phys(virt.as_ptr().cast()) };
        // INVARIANT: Just allocated.
        Ok(Self { virt, phys, len })
    }

    /// The physical address.
    pub fn phys(&self) -> u64 {
        self.phys
    }

    /// The memory.
    pub fn window(&self) -> PhysWindow<'_> {
        PhysWindow {
            // INVARIANT: By this type's invariant, as pages from the allocator are in the linear
            // map.
            virt: self.virt,
            len: self.len,
            _owner: PhantomData,
        }
    }
}

impl PhysPages {
    /// Maps all of it to `vma`, which is being set up. The process then reads and writes it at any
    /// time, as any bus master may; it keeps the memory until it is unmapped. May sleep.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the mapping has another size, or this is not whole pages; [`ENOMEM`].
    pub fn insert_into(&self, vma: &VmaNew) -> Result {
        if self.len % PAGE_SIZE != 0 {
            return Err(EINVAL);
        }
        // SAFETY: A `VmaNew` is being set up; by the type's invariant these are whole pages from
        // the allocator, of which the mapping takes references of its own.
        to_result(unsafe {
            bindings::sva_insert_pages(vma.as_ptr(), self.virt.as_ptr().cast(), self.len)
        })
    }
}

impl Drop for PhysPages {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant, and windows borrow us.
        unsafe { bindings::free_pages_exact(self.virt.as_ptr().cast(), self.len) };
    }
}

/// Memory of which firmware says that it is a device's registers, mapped as such.
///
/// # Invariants
///
/// `virt` is what `ioremap()` returned for `len` bytes that are nobody's RAM.
pub struct IoPages {
    virt: NonNull<u8>,
    len: usize,
}

// SAFETY: A mapping belongs to no thread, and every access is one of `PhysWindow`'s.
unsafe impl Send for IoPages {}

// SAFETY: As above.
unsafe impl Sync for IoPages {}

impl IoPages {
    /// Maps `len` bytes at `phys`. May sleep.
    ///
    /// # Safety
    ///
    /// It must be memory that is there and has no side effects, and that nobody but who plays a
    /// device, and that device's driver, accesses.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`], also for RAM that the kernel uses.
    pub(crate) unsafe fn map(phys: u64, len: usize) -> Result<Self> {
        // SAFETY: By the function's requirement.
        let virt = unsafe { bindings::sva_ioremap(phys, len) };

        // INVARIANT: Just mapped.
        Ok(Self {
            virt: NonNull::new(virt.cast()).ok_or(ENOMEM)?,
            len,
        })
    }

    /// The memory.
    pub fn window(&self) -> PhysWindow<'_> {
        PhysWindow {
            // INVARIANT: By this type's invariant.
            virt: self.virt,
            len: self.len,
            _owner: PhantomData,
        }
    }
}

impl Drop for IoPages {
    fn drop(&mut self) {
        // SAFETY: By the type's invariant, and windows borrow us.
        unsafe { bindings::sva_iounmap(self.virt.as_ptr().cast()) };
    }
}

#[kunit_tests(kernel_ext_phys)]
mod tests {
    use super::*;

    // SAFETY: Tests open windows to memory that they own and keep, and try some where there is none.
    const BUS: BusMaster = unsafe { BusMaster::new() };

    #[test]
    fn words() -> Result {
        let pages = PhysPages::alloc(2 * PAGE_SIZE)?;
        let own = pages.window();
        own.store64(8, 0x0123_4567_89ab_cdef)?;
        let w = BUS.window(pages.phys(), 2 * PAGE_SIZE)?;
        assert_eq!(w.load64(8)?, 0x0123_4567_89ab_cdef);
        assert_eq!(w.atomic32(8)?.load(Acquire), 0x89ab_cdef);
        assert!(w.compare_exchange64(8, 0x0123_4567_89ab_cdef, 5)?);
        assert!(!w.compare_exchange64(8, 0x0123_4567_89ab_cdef, 6)?);
        assert_eq!(own.load64(8)?, 5);
        Ok(())
    }

    #[test]
    fn bounds_and_alignment() -> Result {
        let pages = PhysPages::alloc(PAGE_SIZE)?;
        let w = pages.window();
        assert!(w.load64(PAGE_SIZE - 8).is_ok());
        assert_eq!(w.load64(PAGE_SIZE - 7).err(), Some(EINVAL));
        assert_eq!(w.load64(PAGE_SIZE).err(), Some(EINVAL));
        assert_eq!(w.load64(4).err(), Some(EINVAL));
        assert_eq!(w.load64(usize::MAX).err(), Some(EINVAL));
        let unaligned = BUS.window(pages.phys() + 4, 16)?;
        assert_eq!(unaligned.load64(0).err(), Some(EINVAL));
        assert!(unaligned.load64(4).is_ok());
        Ok(())
    }

    #[test]
    fn bytes() -> Result {
        let pages = PhysPages::alloc(PAGE_SIZE)?;
        let w = BUS.window(pages.phys() + 10, 6)?;
        w.write(1, b"abcde")?;
        let mut got = [0; 6];
        w.read(0, &mut got)?;
        assert_eq!(&got, b"\0abcde");
        assert_eq!(w.write(2, b"abcde").err(), Some(EINVAL));
        assert_eq!(w.read(6, &mut got).err(), Some(EINVAL));
        Ok(())
    }

    #[test]
    fn free_pages() -> Result {
        // A free page may be allocated anew at any time, so one of several is enough.
        let mut seen = false;
        for _ in 0..20 {
            let pages = PhysPages::alloc(PAGE_SIZE)?;
            let phys = pages.phys();
            assert!(!is_free(phys) && !is_free(phys + 8));
            drop(pages);
            seen |= is_free(phys);
        }
        assert!(seen);
        assert!(!is_free(0));
        Ok(())
    }

    #[test]
    fn only_ram() {
        // The first flash bank and the interrupt controller of the guest, and beyond any memory.
        for phys in [0, 0x0800_0000, 0x000f_ffff_ffff_f000] {
            assert_eq!(BUS.window(phys, 8).err(), Some(EFAULT));
        }
        assert_eq!(BUS.window(u64::MAX, 8).err(), Some(EINVAL));
        assert_eq!(BUS.window(0x4000_0000, 0).err(), Some(EINVAL));
    }
}
