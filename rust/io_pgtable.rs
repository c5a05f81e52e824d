// SPDX-License-Identifier: GPL-2.0

//! Page tables that the kernel keeps for an IOMMU, and the domains that have one.
//!
//! The kernel crate's [`IoPageTable`] leaves invalidation to its user. But it frees tables of the
//! page table by itself, and before that whoever walks them must have forgotten them. So a domain
//! made here gives the page table callbacks for that.
//!
//! C header: `include/linux/io-pgtable.h`

use crate::bindings;
use kernel::{
    device::Device,
    iommu::pgtable::{
        Config,
        IoPageTable,
        ARM64LPAES1, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            AtomicFlag,
            Relaxed, //
        },
        Arc, //
    }, //
};

/// Makes an IOMMU forget what it knows from a page table.
///
/// Any context: page tables are changed with interrupts off too.
pub trait Invalidate: Send + Sync + 'static {
    /// Forgets all of it; returns when that is done.
    fn invalidate_all(&self);

    /// Forgets what translates the bytes from `start` to `last`, and the tables on the way there;
    /// returns when that is done.
    fn invalidate(&self, start: u64, last: u64);
}

/// Which page table to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// The sizes of pages and blocks, one bit each. Of several granules one is chosen, the CPUs'
    /// if it is among them.
    pub page_sizes: usize,
    /// Bits of an address before translation.
    pub input_bits: u32,
    /// Bits of a physical address.
    pub output_bits: u32,
    /// What may be written tells whether it was, if the hardware updates dirty states.
    pub dirty: bool,
}

/// The fewest bits that an address before translation has, whatever the granule.
const MIN_INPUT_BITS: u32 = 25;

/// What an SMMU must be told of a page table. (SMMUv3, 5.4: the fields of a context descriptor.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stage1 {
    /// Physical address of the top-level table.
    pub ttb: u64,
    /// The memory attributes that entries refer to.
    pub mair: u64,
    /// 64 less the bits of an address.
    pub t0sz: u8,
    /// Granule.
    pub tg: u8,
    /// Shareability of walks.
    pub sh: u8,
    /// Outer cacheability of walks.
    pub or: u8,
    /// Inner cacheability of walks.
    pub ir: u8,
    /// Physical address size.
    pub ips: u8,
}

/// A page table in the format of stage 1 of AArch64, empty at first.
pub struct PageTable {
    table: IoPageTable<'static, ARM64LPAES1>,
    // Goes last: the table refers to it.
    _dev: ARef<Device>,
}

impl PageTable {
    /// Makes a page table for an IOMMU whose walks are coherent with the CPUs' caches. Its memory
    /// is near `dev`. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if an address has fewer bits than the architecture allows; `ENOMEM`, also for another
    /// impossible geometry.
    pub fn new(dev: &Device, geometry: Geometry) -> Result<Self> {
        // The kernel's function checks all but this, and would compute with a negative number of
        // levels.
        if geometry.input_bits < MIN_INPUT_BITS {
            return Err(EINVAL);
        }
        let dev: ARef<Device> = dev.into();
        // SAFETY: A bound device is asked for since a page table that is walked without coherence
        // needs DMA mappings. This one makes none: it asks the device for its memory node only,
        // and the reference that is dropped last keeps the device that long.
        let bound = unsafe { <Device>::from_raw(crate::device_raw(&dev)).as_bound() };
        let config = Config {
            quirks: if geometry.dirty {
                bindings::IO_PGTABLE_QUIRK_ARM_HD
            } else {
                0
            },
            pgsize_bitmap: geometry.page_sizes,
            ias: geometry.input_bits,
            oas: geometry.output_bits,
            coherent_walk: true,
        };
        Ok(Self {
            table: IoPageTable::new(bound, config)?,
            _dev: dev,
        })
    }

    fn config(&self) -> &bindings::io_pgtable_cfg {
        // SAFETY: The pointer is valid as long as the table is. What is read through it was written
        // when the table was made.
        unsafe { &*self.table.raw_cfg() }
    }

    /// What to tell the SMMU. Any context.
    pub fn stage1(&self) -> Stage1 {
        // SAFETY: The table's format is the one that this part of the union is for.
        let s1 = unsafe { &self.config().__bindgen_anon_1.arm_lpae_s1_cfg };
        // CAST: None of the fields has more than 6 bits.
        Stage1 {
            ttb: s1.ttbr,
            mair: self.table.mair(),
            t0sz: s1.tcr.tsz() as u8,
            tg: s1.tcr.tg() as u8,
            sh: s1.tcr.sh() as u8,
            or: s1.tcr.orgn() as u8,
            ir: s1.tcr.irgn() as u8,
            ips: s1.tcr.ips() as u8,
        }
    }

    /// The page sizes that it has.
    pub fn page_sizes(&self) -> usize {
        self.config().pgsize_bitmap
    }

    /// Bits of an address before translation.
    pub fn input_bits(&self) -> u32 {
        self.config().ias
    }

    /// Whether what may be written tells whether it was.
    pub fn tracks_dirty(&self) -> bool {
        self.config().quirks & bindings::IO_PGTABLE_QUIRK_ARM_HD != 0
    }
}

/// A page table in use, with who invalidates what an IOMMU knows from it.
///
/// To be dropped only when nothing leads to the page table any more.
///
/// # Invariants
///
/// The page table's flush callbacks are those of `I`, and their cookie points to `user`.
pub struct PagingDomain<I: Invalidate> {
    // Goes first: that invalidates once more.
    page_table: PageTable,
    user: Arc<I>,
    serves_faults: AtomicFlag,
}

impl<I: Invalidate> PagingDomain<I> {
    const FLUSH: &'static bindings::iommu_flush_ops = &bindings::iommu_flush_ops {
        tlb_flush_all: Some(Self::flush_all),
        tlb_flush_walk: Some(Self::flush_walk),
        tlb_add_page: None,
    };

    /// Gives `page_table`, in which nothing is mapped yet, to `user`.
    pub fn new(page_table: PageTable, user: Arc<I>) -> Self {
        let raw = page_table.table.raw_pgtable();

        // INVARIANT: Set here, and `user` stays until the table is gone.
        // SAFETY: The table is ours, and nobody maps or unmaps anything yet, so that nobody reads
        // the two fields.
        unsafe {
            (*raw).cookie = Arc::as_ptr(&user).cast_mut().cast();
            (*raw).cfg.tlb = Self::FLUSH;
        }
        Self {
            page_table,
            user,
            serves_faults: AtomicFlag::new(false),
        }
    }

    /// Who invalidates.
    pub fn user(&self) -> &Arc<I> {
        &self.user
    }

    /// Whether somebody answers page requests for this domain. Known when it is attached.
    pub fn serves_faults(&self) -> bool {
        self.serves_faults.load(Relaxed)
    }

    /// The domain got who answers page requests, or has nobody.
    pub(crate) fn set_serves_faults(&self, serves: bool) {
        self.serves_faults.store(serves, Relaxed);
    }

    /// The page table.
    pub fn page_table(&self) -> &PageTable {
        &self.page_table
    }

    /// # Safety
    ///
    /// Called by the page table of a `PagingDomain<I>`.
    unsafe extern "C" fn flush_all(cookie: *mut c_void) {
        // SAFETY: By the type invariant; the domain's own reference keeps it.
        unsafe { &*cookie.cast::<I>() }.invalidate_all();
    }

    /// # Safety
    ///
    /// As for `flush_all`.
    unsafe extern "C" fn flush_walk(iova: usize, size: usize, _: usize, cookie: *mut c_void) {
        // SAFETY: As in `flush_all`.
        let user = unsafe { &*cookie.cast::<I>() };
        user.invalidate(iova as u64, (iova + (size - 1)) as u64);
    }

    /// Maps pages. Gives how many bytes were mapped, also if not all were.
    ///
    /// # Safety
    ///
    /// As [`IoPageTable::map_pages`] says; with the context that `gfp` says.
    pub(crate) unsafe fn map(
        &self,
        iova: usize,
        paddr: bindings::phys_addr_t,
        page_size: usize,
        count: usize,
        prot: c_int,
        gfp: bindings::gfp_t,
    ) -> (usize, c_int) {
        let ops = self.page_table.table.raw_ops();
        let mut mapped = 0;

        // The kernel crate's method would take some of the allocation flags only.
        // SAFETY: Every page table has this operation.
        let map = unsafe { (*ops).map_pages.unwrap_unchecked() };
        // SAFETY: By this function's contract.
        let ret = unsafe { map(ops, iova, paddr, page_size, count, prot, gfp, &mut mapped) };
        (mapped, ret)
    }

    /// Unmaps pages, and gives how many bytes were. They must be invalidated yet.
    ///
    /// # Safety
    ///
    /// As [`IoPageTable::unmap_pages`] says.
    pub(crate) unsafe fn unmap(&self, iova: usize, page_size: usize, count: usize) -> usize {
        // SAFETY: By this function's contract.
        unsafe { self.page_table.table.unmap_pages(iova, page_size, count) }
    }

    /// Adds to `dirty` what was written of `size` bytes from `iova` on, and has that count as
    /// clean, unless `flags` say otherwise. It must be invalidated yet.
    ///
    /// # Safety
    ///
    /// `dirty` must be valid, and the pages must not be mapped or unmapped meanwhile.
    pub(crate) unsafe fn read_and_clear_dirty(
        &self,
        iova: usize,
        size: usize,
        flags: usize,
        dirty: *mut bindings::iommu_dirty_bitmap,
    ) -> c_int {
        let ops = self.page_table.table.raw_ops();

        // SAFETY: Page tables of this format have the operation.
        let read_and_clear = unsafe { (*ops).read_and_clear_dirty.unwrap_unchecked() };
        // SAFETY: By this function's contract.
        unsafe { read_and_clear(ops, iova, size, flags, dirty) }
    }

    /// The physical address behind `iova`, or 0.
    ///
    /// # Safety
    ///
    /// The page must not be mapped or unmapped meanwhile.
    pub(crate) unsafe fn translate(&self, iova: usize) -> bindings::phys_addr_t {
        let ops = self.page_table.table.raw_ops();

        // SAFETY: Every page table has this operation.
        let iova_to_phys = unsafe { (*ops).iova_to_phys.unwrap_unchecked() };
        // SAFETY: By this function's contract.
        unsafe { iova_to_phys(ops, iova) }
    }
}
