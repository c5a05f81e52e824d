// SPDX-License-Identifier: GPL-2.0

//! A mock accelerator, by its user interface (`include/uapi/linux/mock_accel.h`).

use crate::sys::{control, IoctlArg, Mapping, PAGE};
use std::{
    cell::Cell,
    fmt,
    fs::{File, OpenOptions},
    io::{Error, Result},
    path::Path,
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed},
    },
};

const MAGIC: u32 = 0xbb;
const QUERY: u32 = (2 << 30) | ((size_of::<Info>() as u32) << 16) | (MAGIC << 8);
const SUBMIT: u32 = (3 << 30) | ((size_of::<Submit>() as u32) << 16) | (MAGIC << 8) | 1;
const WAIT: u32 = (3 << 30) | ((size_of::<Wait>() as u32) << 16) | (MAGIC << 8) | 2;

const EPERM: i32 = 1;
const EFAULT: i32 = 14;

/// `struct mock_accel_info`.
#[derive(Default)]
#[repr(C)]
pub struct Info {
    pub pasid: u32,
    pub queue_depth: u32,
    pub operations: u64,
    pub max_length: u64,
    pub max_nodes: u64,
    pub jobs: u64,
    pub errors: u64,
    pub bytes: u64,
    mode: u32,
    reserved: u32,
}

impl Info {
    /// Whether the device does what the process could do at any time: `MOCK_ACCEL_MODE_SHARED`.
    pub fn is_shared(&self) -> bool {
        self.mode == 1
    }

    /// How the device reaches the memory of the process.
    pub fn how(&self) -> String {
        let how = match self.mode {
            1 => "page requests",
            2 => "pinned",
            3 => "pinned and mapped",
            _ => "unknown",
        };

        match self.pasid {
            0 => format!("no PASID, {how}"),
            pasid => format!("PASID {pasid}, {how}"),
        }
    }
}

#[derive(Default)]
#[repr(C)]
struct Submit {
    desc: u64,
    job: u64,
}

/// `struct mock_accel_completion`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct Completion {
    pub status: u32,
    pub reason: u32,
    pub result: u64,
    pub bytes: u64,
    pub fault_address: u64,
}

#[derive(Default)]
#[repr(C)]
struct Wait {
    job: u64,
    completion: Completion,
}

// SAFETY: Integers, laid out as in the header, where each padding has a name.
unsafe impl IoctlArg for Info {}
// SAFETY: As above.
unsafe impl IoctlArg for Submit {}
// SAFETY: As above.
unsafe impl IoctlArg for Wait {}

/// `MOCK_ACCEL_SUCCESS`.
pub const SUCCESS: u32 = 1;
/// `MOCK_ACCEL_PAGE_FAULT`.
pub const PAGE_FAULT: u32 = 4;

impl fmt::Display for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = [
            "pending",
            "success",
            "bad opcode",
            "bad descriptor",
            "page fault",
            "bus error",
            "stopped",
            "limit",
        ];

        write!(
            f,
            "{}",
            status.get(self.status as usize).unwrap_or(&"unknown")
        )?;
        if self.fault_address != 0 {
            write!(f, " at {:#x}", self.fault_address)?;
        }
        if self.reason != 0 {
            write!(f, ": {}", self.reason())?;
        }
        Ok(())
    }
}

impl Completion {
    /// Why the process may not do what the job wanted to.
    pub fn reason(&self) -> &'static str {
        let reasons = [
            "unknown",
            "not mapped",
            "no right",
            "process gone",
            "page never came",
            "too many wait",
            "no memory",
            "no page",
            "no page requests",
            "context ends",
        ];

        reasons.get(self.reason as usize).unwrap_or(&"unknown")
    }
}

/// What a job does.
#[derive(Clone, Copy)]
pub enum Operation {
    Copy {
        src: u64,
        dst: u64,
        length: usize,
    },
    Fill {
        dst: u64,
        length: usize,
        pattern: u64,
    },
    /// `next` is at the node's address, the value 8 bytes after it.
    Chase {
        first: u64,
        limit: usize,
    },
    AtomicAdd {
        dst: u64,
        addend: u64,
    },
}

impl Operation {
    /// `struct mock_accel_desc`, in numbers of 64 bits.
    fn words(self, completion: u64) -> [u64; 8] {
        let (opcode, src, dst, length, operand, offsets) = match self {
            Self::Copy { src, dst, length } => (1, src, dst, length, 0, 0),
            Self::Fill {
                dst,
                length,
                pattern,
            } => (2, 0, dst, length, pattern, 0),
            Self::Chase { first, limit } => (5, first, 0, limit, 0, 8 << 32),
            Self::AtomicAdd { dst, addend } => (6, 0, dst, 8, addend, 0),
        };

        [
            opcode,
            completion,
            src,
            dst,
            length as u64,
            operand,
            offsets,
            0,
        ]
    }
}

/// An open device: a context.
pub struct Accel {
    file: File,
    jobs: Mapping,
    submitted: Cell<usize>,
}

/// Bytes from one descriptor to the next; its completion record is in the second half.
const SLOT: usize = 128;

impl Accel {
    /// Opens a device file, which binds the device to this process.
    pub fn open(device: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(device)
            .map_err(|e| Error::new(e.kind(), format!("{}: {e}", device.display())))?;

        Ok(Self {
            file,
            jobs: Mapping::new(PAGE)?,
            submitted: Cell::new(0),
        })
    }

    /// What the device tells of itself and this context.
    pub fn info(&self) -> Result<Info> {
        let mut info = Info::default();

        control(&self.file, QUERY, &mut info)?;
        Ok(info)
    }

    /// Hands a job to the device.
    pub fn submit(&self, operation: Operation) -> Result<Job<'_>> {
        let slot = self.submitted.get() % (PAGE / SLOT) * SLOT;
        let words = &self.jobs.words()[slot / 8..(slot + SLOT) / 8];
        let desc = self.jobs.addr() + slot as u64;

        self.submitted.set(self.submitted.get() + 1);
        for word in words {
            word.store(0, Relaxed);
        }
        for (word, value) in words.iter().zip(operation.words(desc + SLOT as u64 / 2)) {
            word.store(value, Relaxed);
        }
        let mut arg = Submit { desc, job: 0 };

        // The system call orders the descriptor before the device's reading.
        control(&self.file, SUBMIT, &mut arg)?;
        Ok(Job {
            accel: self,
            number: arg.job,
            record: &words[SLOT / 16..][..4],
        })
    }

    /// Runs a job and waits for its end.
    pub fn run(&self, operation: Operation) -> Result<Completion> {
        self.submit(operation)?.wait()
    }

    /// Runs a job that must succeed, and gives its result.
    pub fn result(&self, operation: Operation) -> std::result::Result<u64, String> {
        let completion = self.run(operation).map_err(|e| e.to_string())?;

        match completion.status {
            SUCCESS => Ok(completion.result),
            _ => Err(format!("the job ended with: {completion}")),
        }
    }

    /// Whether the device refuses to work for this process, because the file is another's.
    pub fn is_foreign(&self) -> bool {
        let job = self.submit(Operation::Fill {
            dst: self.jobs.addr(),
            length: 0,
            pattern: 0,
        });

        job.is_err_and(|e| e.raw_os_error() == Some(EPERM))
    }
}

/// A job that has been handed over.
pub struct Job<'a> {
    accel: &'a Accel,
    number: u64,
    record: &'a [AtomicU64],
}

impl Job<'_> {
    /// Whether the device has written the completion record.
    pub fn has_ended(&self) -> bool {
        self.record[0].load(Acquire) != 0
    }

    /// Waits for the job, and gives what the device wrote to memory.
    pub fn wait(self) -> Result<Completion> {
        let mut arg = Wait {
            job: self.number,
            completion: Completion::default(),
        };

        match control(&self.accel.file, WAIT, &mut arg) {
            Err(e) if e.raw_os_error() == Some(EFAULT) => {
                return Err(Error::other(format!("no completion: {}", arg.completion)))
            }
            result => result?,
        }
        let record = Completion {
            status: self.record[0].load(Acquire) as u32,
            reason: (self.record[0].load(Acquire) >> 32) as u32,
            result: self.record[1].load(Relaxed),
            bytes: self.record[2].load(Relaxed),
            fault_address: self.record[3].load(Relaxed),
        };

        if record != arg.completion {
            return Err(Error::other(
                "the completion record is not what the device says",
            ));
        }
        Ok(record)
    }
}
