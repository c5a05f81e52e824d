// SPDX-License-Identifier: GPL-2.0

//! For tests of the engine: a bus that is a plain buffer, and what jobs on it end with.

use crate::{
    bus::{
        Bus,
        BusError, //
    },
    engine::{
        execute,
        BUFFER, //
    },
    uapi::{
        Completion,
        Descriptor,
        Status, //
    },
};
use core::{
    cell::{
        Cell,
        RefCell, //
    },
    ops::Range,
};
use kernel::prelude::*;

/// Where the buffer of [`Memory`] begins.
pub(crate) const BASE: u64 = 0x10_0000;

/// A process's memory: `bytes` at [`BASE`], nothing elsewhere.
pub(crate) struct Memory {
    pub(crate) bytes: RefCell<KVVec<u8>>,
    /// Addresses that may not be written.
    pub(crate) read_only: Range<u64>,
    /// After how many accesses the context is stopped.
    pub(crate) accesses_left: Cell<usize>,
    /// How many windows were asked for in advance.
    pub(crate) prefetched: Cell<usize>,
}

impl Memory {
    /// `len` bytes in a pattern that does not repeat with a power of two.
    pub(crate) fn new(len: usize) -> Result<Self> {
        let mut bytes = KVVec::with_capacity(len, GFP_KERNEL)?;

        for i in 0..len {
            bytes.push((i % 251) as u8, GFP_KERNEL)?;
        }
        Ok(Self {
            bytes: RefCell::new(bytes),
            read_only: 0..0,
            accesses_left: Cell::new(usize::MAX),
            prefetched: Cell::new(0),
        })
    }

    pub(crate) fn run(&self, desc: Descriptor) -> Result<Completion> {
        let mut buffer = KVVec::from_elem(0, BUFFER, GFP_KERNEL)?;

        Ok(execute(self, &desc, &mut buffer))
    }

    /// How many of `len` bytes at `addr` can be accessed, and the error if not all.
    fn check(&self, addr: u64, len: usize, write: bool) -> (usize, Result<(), BusError>) {
        let left = self.accesses_left.get();

        self.accesses_left.set(left.saturating_sub(1));
        if left == 0 {
            return (0, Err(BusError::Stopped));
        }
        let end = BASE + self.bytes.borrow().len() as u64;
        let bad = |at: &u64| !(BASE..end).contains(at) || write && self.read_only.contains(at);

        match (addr..addr.saturating_add(len as u64)).find(bad) {
            Some(at) => ((at - addr) as usize, Err(BusError::Refused(at))),
            None => (len, Ok(())),
        }
    }

    /// Where the `len` bytes at `addr` are; anywhere if `len` is 0.
    fn bytes(&self, addr: u64, len: usize) -> Range<usize> {
        let start = if len == 0 { 0 } else { (addr - BASE) as usize };

        start..start + len
    }

    pub(crate) fn put(&self, addr: u64, number: u64) {
        let at = self.bytes(addr, 8);

        self.bytes.borrow_mut()[at].copy_from_slice(&number.to_le_bytes());
    }

    pub(crate) fn same(&self, a: u64, b: u64, len: usize) -> bool {
        let bytes = self.bytes.borrow();

        bytes[self.bytes(a, len)] == bytes[self.bytes(b, len)]
    }
}

impl Bus for Memory {
    fn read(&self, addr: u64, buf: &mut [u8]) -> Result<(), BusError> {
        let (good, result) = self.check(addr, buf.len(), false);

        buf[..good].copy_from_slice(&self.bytes.borrow()[self.bytes(addr, good)]);
        result
    }

    fn write(&self, addr: u64, data: &[u8]) -> Result<(), BusError> {
        let (good, result) = self.check(addr, data.len(), true);
        let at = self.bytes(addr, good);

        self.bytes.borrow_mut()[at].copy_from_slice(&data[..good]);
        result
    }

    fn fetch_add(&self, addr: u64, addend: u64) -> Result<u64, BusError> {
        let mut old = [0; 8];

        self.read(addr, &mut old)?;
        let old = u64::from_le_bytes(old);

        self.write(addr, &old.wrapping_add(addend).to_le_bytes())?;
        Ok(old)
    }

    fn reason(&self, addr: u64) -> u32 {
        reason(addr)
    }

    fn prefetch(&self, _addr: u64, _len: usize, _write: bool) {
        self.prefetched.set(self.prefetched.get() + 1);
    }
}

/// Some number that is not the same for all addresses.
fn reason(addr: u64) -> u32 {
    1 + (addr >> 3) as u32 % 9
}

pub(crate) fn desc(opcode: u32, src: u64, dst: u64, length: usize) -> Descriptor {
    Descriptor {
        opcode,
        src,
        dst,
        length: length as u64,
        ..Descriptor::default()
    }
}

pub(crate) fn success(result: u64, bytes: usize) -> Completion {
    Completion {
        status: Status::Success as u32,
        reason: 0,
        result,
        bytes: bytes as u64,
        fault_address: 0,
    }
}

pub(crate) fn refused(addr: u64, bytes: usize) -> Completion {
    Completion {
        status: Status::PageFault as u32,
        reason: reason(addr),
        result: 0,
        bytes: bytes as u64,
        fault_address: addr,
    }
}
