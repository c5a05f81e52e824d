// SPDX-License-Identifier: GPL-2.0

//! What of the process's memory the device reaches, for the job that runs.
//!
//! A job's memory becomes known as it runs: a list's nodes name each other. So each access asks for its
//! range, and what is kept for it stays until the job ends, or there is too much. Where nothing has to
//! be kept there is nothing here.

use crate::accel::Accel;
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    rbtree::RBTree,
    sizes::SZ_16M, //
};

/// The most bytes that are kept for a job.
const MOST: usize = SZ_16M;

/// Memory that is kept, in whole pages.
struct Kept {
    /// Where it begins in the process, and for the device.
    start: u64,
    device_start: u64,
    writable: bool,
    _range: sva::Range,
}

/// The ranges of a job, by their ends.
pub(crate) struct Ranges<'a> {
    bond: &'a sva::Bond<Accel>,
    kept: RBTree<u64, Kept>,
    bytes: usize,
    /// What was refused last, whether that was to be written, and how.
    refused: Option<(u64, bool, Error)>,
}

/// An address as the page table has it.
fn untagged(addr: u64) -> u64 {
    addr & ((1 << 56) - 1)
}

impl<'a> Ranges<'a> {
    pub(crate) fn new(bond: &'a sva::Bond<Accel>) -> Self {
        Self {
            bond,
            kept: RBTree::new(),
            bytes: 0,
            refused: None,
        }
    }

    /// See [`accel_engine::dma::Reach`]. May sleep.
    pub(crate) fn reach(&mut self, addr: u64, len: usize, write: bool) -> Option<(u64, usize)> {
        if let Some(found) = self.find(addr, len, write) {
            return Some(found);
        }
        let in_page = (PAGE_SIZE - addr as usize % PAGE_SIZE).min(len);
        // If not all of it is to be had, then perhaps its beginning.
        let got = match self.take(addr, len, write) {
            Err(_) if in_page < len => self.take(addr, in_page, write).map(|at| (at, in_page)),
            result => result.map(|at| (at, len)),
        };

        got.inspect_err(|&e| self.refused = Some((addr, write, e)))
            .ok()
    }

    fn find(&self, addr: u64, len: usize, write: bool) -> Option<(u64, usize)> {
        let addr = untagged(addr);
        let cursor = self.kept.cursor_lower_bound(&(addr + 1))?;
        let (&end, kept) = cursor.current();

        if addr < kept.start || write && !kept.writable {
            return None;
        }
        // CAST: No more than `len`.
        Some((
            kept.device_start + (addr - kept.start),
            (end - addr).min(len as u64) as usize,
        ))
    }

    /// Asks for a range, for which the device gets the address that this gives.
    fn take(&mut self, addr: u64, len: usize, write: bool) -> Result<u64> {
        let range = match self.bond.range(addr, len as u64, write) {
            // So much is kept already that there is no more.
            Err(e) if (e == ENOMEM || e == ENOSPC) && self.bytes > 0 => {
                self.clear();
                self.bond.range(addr, len as u64, write)?
            }
            result => result?,
        };
        let at = range.device_addr();

        if !range.is_held() {
            return Ok(at);
        }
        let page = PAGE_SIZE as u64;
        let start = untagged(addr) & !(page - 1);
        let end = (untagged(addr) + len as u64).next_multiple_of(page);

        if self.bytes > MOST {
            self.clear();
        }
        self.bytes += (end - start) as usize;
        let kept = Kept {
            start,
            device_start: at - (untagged(addr) - start),
            writable: write,
            _range: range,
        };
        let replaced = self.kept.try_create_and_insert(end, kept, GFP_KERNEL)?;

        drop(replaced);
        Ok(at)
    }

    fn clear(&mut self) {
        self.bytes = 0;
        self.kept = RBTree::new();
    }

    /// Why the range at `addr` was refused: `MOCK_ACCEL_REASON_*`; 0 if it was not. May sleep.
    pub(crate) fn reason(&mut self, addr: u64) -> u32 {
        match self.refused.take() {
            // The numbers of both interfaces are the same.
            Some((there, _, e)) if there == addr && e == ENOMEM => sva::Reason::NoMemory as u32,
            Some((there, write, _)) if there == addr => {
                let why = self.bond.why_not(addr, write);

                why.ok().flatten().map_or(0, |reason| reason as u32)
            }
            _ => 0,
        }
    }
}
