// SPDX-License-Identifier: GPL-2.0

//! The engine: carries out one operation on the memory of a process.

use crate::{
    bus::{
        Bus,
        BusError, //
    },
    job::{
        self,
        Operation,
        Range, //
    },
    uapi::{
        Completion,
        Descriptor,
        Status, //
    },
};
use kernel::{
    prelude::*,
    sizes::{
        SZ_256K,
        SZ_4K,
        SZ_64K, //
    }, //
};
use kernel_ext::crc32::crc32;

/// The size of the engine's buffer, the most that it moves at once.
pub const BUFFER: usize = SZ_64K;

/// How far ahead the engine asks for translations: a page request group of 64 pages of 4 KiB.
const WINDOW: u64 = SZ_256K as u64;

/// As far as the two fields of a list's node lie together, they are fetched together.
const NODE: usize = 64;

/// Why an operation ended early.
enum End {
    /// The descriptor is wrong.
    Descriptor(Status),
    /// An access failed.
    Bus(BusError),
    /// The list has too many nodes.
    Limit,
}

impl From<BusError> for End {
    fn from(error: BusError) -> Self {
        Self::Bus(error)
    }
}

/// How a job ended.
#[derive(Clone, Copy, PartialEq)]
pub struct Outcome {
    /// What the completion record says, or should.
    pub completion: Completion,
    /// Whether the process has the completion record.
    pub recorded: bool,
}

impl Outcome {
    /// Of a job that was not begun.
    pub const STOPPED: Self = Self {
        completion: Completion {
            status: Status::Stopped as u32,
            reason: 0,
            result: 0,
            bytes: 0,
            fault_address: 0,
        },
        recorded: false,
    };
}

/// Carries out the job whose descriptor is at `desc`, and writes its completion record. May sleep.
///
/// `buffer` is at least 16 bytes; what it holds does not matter.
pub fn run(bus: &impl Bus, desc: u64, buffer: &mut [u8]) -> Outcome {
    let mut fetched = Descriptor::default();

    if let Err(error) = bus.read(desc, fetched.as_mut_bytes()) {
        return Outcome {
            completion: Completion {
                status: error.status() as u32,
                reason: reason(bus, error),
                fault_address: error.addr(),
                ..Completion::default()
            },
            recorded: false,
        };
    }
    let completion = execute(bus, &fetched, buffer);
    let recorded = job::completion_address(&fetched)
        .is_some_and(|addr| record(bus, addr, &completion).is_ok());

    Outcome {
        completion,
        recorded,
    }
}

/// Why an access failed that the process may not make.
fn reason(bus: &impl Bus, error: BusError) -> u32 {
    match error {
        BusError::Refused(addr) => bus.reason(addr),
        _ => 0,
    }
}

/// Writes a completion record, its status last.
fn record(bus: &impl Bus, addr: u64, completion: &Completion) -> Result<(), BusError> {
    let (status, rest) = completion.as_bytes().split_at(8);

    bus.write(addr + 8, rest)?;
    bus.write(addr, status)
}

/// Carries out what `desc` describes, and tells how that ended. May sleep.
///
/// `buffer` is as for [`run`].
pub(crate) fn execute(bus: &impl Bus, desc: &Descriptor, buffer: &mut [u8]) -> Completion {
    let mut engine = Engine {
        bus,
        buffer,
        bytes: 0,
    };
    let ended = Operation::parse(desc)
        .map_err(End::Descriptor)
        .and_then(|operation| engine.run(&operation));
    let (status, result, fault_address, reason) = match ended {
        Ok(result) => (Status::Success, result, 0, 0),
        Err(End::Descriptor(status)) => (status, 0, 0, 0),
        Err(End::Limit) => (Status::Limit, 0, 0, 0),
        Err(End::Bus(error)) => (error.status(), 0, error.addr(), reason(bus, error)),
    };

    Completion {
        status: status as u32,
        reason,
        result,
        bytes: engine.bytes,
        fault_address,
    }
}

/// One operation in progress.
struct Engine<'a, B: Bus> {
    bus: &'a B,
    buffer: &'a mut [u8],
    /// How many bytes are done.
    bytes: u64,
}

impl<B: Bus> Engine<'_, B> {
    fn run(&mut self, operation: &Operation) -> Result<u64, End> {
        match *operation {
            Operation::Copy { src, dst } => self.copy(src, dst),
            Operation::Fill { dst, pattern } => self.fill(dst, pattern),
            Operation::Compare { a, b } => self.compare(a, b),
            Operation::Crc32 { src, seed } => self.crc32(src, seed),
            Operation::Chase {
                first,
                limit,
                next_offset,
                value_offset,
            } => self.chase(first, limit, next_offset, value_offset),
            Operation::AtomicAdd { dst, addend } => {
                let old = self.bus.fetch_add(dst, addend)?;

                self.bytes = 8;
                Ok(old)
            }
        }
    }

    fn copy(&mut self, src: Range, dst: Range) -> Result<u64, End> {
        for (offset, len) in chunks(src, self.buffer.len()) {
            let (from, to) = (src.start() + offset, dst.start() + offset);

            self.look_ahead(src, offset, false);
            self.look_ahead(dst, offset, true);

            // What could be read is copied in any case.
            let read = self.bus.read(from, &mut self.buffer[..len]);
            let good = read.map_or_else(|e| e.bytes_before(from, len), |()| len);

            self.write(to, good)?;
            read?;
        }
        Ok(0)
    }

    fn fill(&mut self, dst: Range, pattern: [u8; 8]) -> Result<u64, End> {
        // Each chunk but the last is as long as the buffer, a multiple of the pattern.
        let size = self.buffer.len() / pattern.len() * pattern.len();

        for (byte, from) in self.buffer.iter_mut().zip(pattern.iter().cycle()) {
            *byte = *from;
        }
        for (offset, len) in chunks(dst, size) {
            self.look_ahead(dst, offset, true);
            self.write(dst.start() + offset, len)?;
        }
        Ok(0)
    }

    fn compare(&mut self, a: Range, b: Range) -> Result<u64, End> {
        let half = self.buffer.len() / 2;

        for (offset, len) in chunks(a, half) {
            self.look_ahead(a, offset, false);
            self.look_ahead(b, offset, false);

            let (left, right) = self.buffer.split_at_mut(half);
            let (left, right) = (&mut left[..len], &mut right[..len]);

            self.bus.read(a.start() + offset, left)?;
            self.bus.read(b.start() + offset, right)?;
            if left != right {
                let same = left.iter().zip(&*right).take_while(|(l, r)| l == r);

                self.bytes += same.count() as u64;
                return Ok(self.bytes);
            }
            self.bytes += len as u64;
        }
        Ok(self.bytes)
    }

    fn crc32(&mut self, src: Range, seed: u32) -> Result<u64, End> {
        let mut crc = seed;

        for (offset, len) in chunks(src, self.buffer.len()) {
            self.look_ahead(src, offset, false);

            let buffer = &mut self.buffer[..len];

            self.bus.read(src.start() + offset, buffer)?;
            crc = crc32(crc, buffer);
            self.bytes += len as u64;
        }
        Ok(u64::from(crc))
    }

    fn chase(
        &mut self,
        first: u64,
        limit: u64,
        next_offset: u32,
        value_offset: u32,
    ) -> Result<u64, End> {
        let mut sum = 0u64;
        let mut nodes = 0;
        let mut node = first;

        while node != 0 {
            if nodes == limit {
                return Err(End::Limit);
            }
            let (next, value) = self.node(node, next_offset, value_offset)?;

            sum = sum.wrapping_add(value);
            nodes += 1;
            self.bytes += 16;
            node = next;
        }
        Ok(sum)
    }

    /// Reads the two fields of a list's node.
    fn node(&self, node: u64, next_offset: u32, value_offset: u32) -> Result<(u64, u64), BusError> {
        let first = next_offset.min(value_offset);
        let span = next_offset.abs_diff(value_offset) as usize + 8;
        let field = |offset| {
            node.checked_add(u64::from(offset))
                .ok_or(BusError::Refused(node))
        };
        let number = |bytes: &[u8]| {
            let mut number = [0; 8];

            number.copy_from_slice(bytes);
            u64::from_le_bytes(number)
        };

        if span <= NODE {
            let mut bytes = [0; NODE];

            self.bus.read(field(first)?, &mut bytes[..span])?;

            let at = |offset| number(&bytes[(offset - first) as usize..][..8]);

            return Ok((at(next_offset), at(value_offset)));
        }
        let fetch = |offset| {
            let mut bytes = [0; 8];

            self.bus.read(field(offset)?, &mut bytes)?;
            Ok(number(&bytes))
        };

        Ok((fetch(next_offset)?, fetch(value_offset)?))
    }

    /// Writes the first `len` bytes of the buffer, and counts what got through.
    fn write(&mut self, addr: u64, len: usize) -> Result<(), BusError> {
        let written = self.bus.write(addr, &self.buffer[..len]);

        self.bytes += written.map_or_else(|e| e.bytes_before(addr, len), |()| len) as u64;
        written
    }

    /// At the start of each window of `range`, asks for the translations of the whole window.
    fn look_ahead(&self, range: Range, offset: u64, write: bool) {
        let len = WINDOW.min(range.len() - offset);

        // An access within a page asks for no more than that anyway.
        if offset % WINDOW == 0 && len > SZ_4K as u64 {
            self.bus
                .prefetch(range.start() + offset, len as usize, write);
        }
    }
}

/// Cuts a range into chunks of `size` and the rest: pairs of offset and length.
fn chunks(range: Range, size: usize) -> impl Iterator<Item = (u64, usize)> {
    (0..range.len())
        .step_by(size)
        .map(move |offset| (offset, (range.len() - offset).min(size as u64) as usize))
}
