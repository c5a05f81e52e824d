// SPDX-License-Identifier: GPL-2.0

//! Jobs: descriptors as checked values.

use crate::uapi::{
    Descriptor,
    Status,
    COMPLETION_ALIGN,
    MAX_OFFSET,
    OP_ATOMIC_ADD,
    OP_CHASE,
    OP_COMPARE,
    OP_COPY,
    OP_CRC32,
    OP_FILL, //
};
use kernel::{
    prelude::*,
    sizes::{
        SZ_16M,
        SZ_1G, //
    }, //
};

/// The longest range of bytes that a job may have.
pub const MAX_LENGTH: u64 = SZ_1G as u64;

/// The most nodes of a list that a job may ask for.
pub const MAX_NODES: u64 = SZ_16M as u64;

/// Which operations there are: bit n for opcode n.
pub const OPERATIONS: u64 = 1 << OP_COPY
    | 1 << OP_FILL
    | 1 << OP_COMPARE
    | 1 << OP_CRC32
    | 1 << OP_CHASE
    | 1 << OP_ATOMIC_ADD;

/// A range of addresses of the process.
///
/// # Invariants
///
/// `len` is at most [`MAX_LENGTH`], and `start + len` does not overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    start: u64,
    len: u64,
}

impl Range {
    /// # Errors
    ///
    /// [`Status::BadDescriptor`] if the range is too long or wraps.
    pub(crate) fn new(start: u64, len: u64) -> Result<Self, Status> {
        if len > MAX_LENGTH || start.checked_add(len).is_none() {
            return Err(Status::BadDescriptor);
        }
        // INVARIANT: Just checked.
        Ok(Self { start, len })
    }

    /// The first address.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// How many bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether a byte is in both, whatever the tags in the top bytes of their addresses.
    fn overlaps(&self, other: &Self) -> bool {
        let untagged = |addr: u64| addr & ((1 << 56) - 1);
        let (mine, others) = (untagged(self.start), untagged(other.start));

        mine < others + other.len && others < mine + self.len
    }
}

/// What a job is to do, checked as far as a descriptor can be without the memory it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Copies `src` to the address `dst`; they do not overlap.
    Copy { src: Range, dst: Range },
    /// Fills `dst` with the bytes of `pattern`, over and over.
    Fill { dst: Range, pattern: [u8; 8] },
    /// Looks for the first difference.
    Compare { a: Range, b: Range },
    /// Checksums `src`.
    Crc32 { src: Range, seed: u32 },
    /// Walks a list of at most `limit` nodes and sums their values.
    Chase {
        first: u64,
        limit: u64,
        next_offset: u32,
        value_offset: u32,
    },
    /// Adds `addend` to the number at `dst`, which is aligned to 8.
    AtomicAdd { dst: u64, addend: u64 },
}

impl Operation {
    /// Understands a descriptor.
    ///
    /// # Errors
    ///
    /// [`Status::BadOpcode`] or [`Status::BadDescriptor`], as the ABI says.
    pub(crate) fn parse(desc: &Descriptor) -> Result<Self, Status> {
        if desc.reserved != 0 || desc.reserved2 != 0 {
            return Err(Status::BadDescriptor);
        }
        let src = || Range::new(desc.src, desc.length);
        let dst = || Range::new(desc.dst, desc.length);

        match desc.opcode {
            OP_COPY => {
                let (src, dst) = (src()?, dst()?);

                if src.overlaps(&dst) {
                    return Err(Status::BadDescriptor);
                }
                Ok(Self::Copy { src, dst })
            }
            OP_FILL => Ok(Self::Fill {
                dst: dst()?,
                pattern: desc.operand.to_le_bytes(),
            }),
            OP_COMPARE => Ok(Self::Compare {
                a: src()?,
                b: dst()?,
            }),
            OP_CRC32 => Ok(Self::Crc32 {
                src: src()?,
                seed: desc.operand.try_into().map_err(|_| Status::BadDescriptor)?,
            }),
            OP_CHASE => {
                let offsets_fit = desc.next_offset.max(desc.value_offset) <= MAX_OFFSET;

                if desc.length == 0 || desc.length > MAX_NODES || !offsets_fit {
                    return Err(Status::BadDescriptor);
                }
                Ok(Self::Chase {
                    first: desc.src,
                    limit: desc.length,
                    next_offset: desc.next_offset,
                    value_offset: desc.value_offset,
                })
            }
            OP_ATOMIC_ADD => {
                if desc.length != 8 || desc.dst % 8 != 0 {
                    return Err(Status::BadDescriptor);
                }
                Ok(Self::AtomicAdd {
                    dst: desc.dst,
                    addend: desc.operand,
                })
            }
            _ => Err(Status::BadOpcode),
        }
    }
}

/// Where the completion record of a descriptor lies, if it can lie there.
pub(crate) fn completion_address(desc: &Descriptor) -> Option<u64> {
    (desc.completion % u64::from(COMPLETION_ALIGN) == 0).then_some(desc.completion)
}

#[kunit_tests(mock_accel_job)]
mod tests {
    use super::*;

    fn desc(opcode: u32, src: u64, dst: u64, length: u64) -> Descriptor {
        Descriptor {
            opcode,
            src,
            dst,
            length,
            ..Descriptor::default()
        }
    }

    #[test]
    fn descriptor_copy_ranges() {
        for (src, dst, length, good) in [
            (0x1000, 0x2000, 0x1000, true),
            (0x2000, 0x1000, 0x1000, true),
            (0x1000, 0x2000, 0x1001, false),
            (0x2000, 0x1000, 0x1001, false),
            (0x1000, 0x1000, 1, false),
            (0x1000, 0x1000, 0, true),
            (1, MAX_LENGTH + 1, MAX_LENGTH, true),
            (1, MAX_LENGTH + 2, MAX_LENGTH + 1, false),
            (0, u64::MAX, 0, true),
            (0, u64::MAX, 1, false),
            (u64::MAX - 7, 0, 8, false),
            (u64::MAX - 8, 0, 8, true),
            // A tag makes no other memory of it.
            (0xab << 56 | 0x1000, 0x1fff, 0x1000, false),
            (0xab << 56 | 0x1000, 0x2000, 0x1000, true),
        ] {
            let parsed = Operation::parse(&desc(OP_COPY, src, dst, length));

            assert_eq!(parsed.is_ok(), good);
            assert!(good || parsed == Err(Status::BadDescriptor));
        }
    }

    #[test]
    fn descriptor_lengths() {
        for opcode in [OP_FILL, OP_COMPARE, OP_CRC32] {
            assert!(Operation::parse(&desc(opcode, 8, 8, 0)).is_ok());
            assert!(Operation::parse(&desc(opcode, 8, 8, MAX_LENGTH)).is_ok());
            assert!(Operation::parse(&desc(opcode, 8, 8, MAX_LENGTH + 1)).is_err());
        }
        for (length, good) in [
            (0, false),
            (1, true),
            (MAX_NODES, true),
            (MAX_NODES + 1, false),
        ] {
            assert_eq!(
                Operation::parse(&desc(OP_CHASE, 8, 0, length)).is_ok(),
                good
            );
        }
    }

    #[test]
    fn descriptor_reserved_fields() {
        let with = |reserved, reserved2| {
            Operation::parse(&Descriptor {
                reserved,
                reserved2,
                ..desc(OP_FILL, 0, 8, 8)
            })
        };

        assert!(with(0, 0).is_ok());
        assert_eq!(with(1, 0), Err(Status::BadDescriptor));
        assert_eq!(with(0, 1 << 63), Err(Status::BadDescriptor));
    }

    #[test]
    fn descriptor_opcodes() {
        for opcode in 0..64 {
            let known = OPERATIONS & 1 << opcode != 0;
            let parsed = Operation::parse(&desc(opcode, 0x100, 0x200, 8));

            assert_eq!(parsed.is_ok(), known);
            assert!(known || parsed == Err(Status::BadOpcode));
        }
        assert_eq!(
            Operation::parse(&desc(u32::MAX, 0, 0, 0)),
            Err(Status::BadOpcode)
        );
    }

    #[test]
    fn descriptor_chase_offsets() {
        for (next_offset, value_offset, good) in [
            (0, 8, true),
            (MAX_OFFSET, 0, true),
            (0, MAX_OFFSET, true),
            (MAX_OFFSET + 1, 0, false),
            (0, MAX_OFFSET + 1, false),
        ] {
            let parsed = Operation::parse(&Descriptor {
                next_offset,
                value_offset,
                ..desc(OP_CHASE, 8, 0, 1)
            });

            assert_eq!(parsed.is_ok(), good);
        }
    }

    #[test]
    fn descriptor_atomic_and_crc32_operands() {
        assert!(Operation::parse(&desc(OP_ATOMIC_ADD, 0, 0x1008, 8)).is_ok());
        assert!(Operation::parse(&desc(OP_ATOMIC_ADD, 0, 0x1004, 8)).is_err());
        assert!(Operation::parse(&desc(OP_ATOMIC_ADD, 0, 0x1008, 4)).is_err());

        let crc = |operand| {
            Operation::parse(&Descriptor {
                operand,
                ..desc(OP_CRC32, 0, 0, 1)
            })
        };

        assert!(crc(u64::from(u32::MAX)).is_ok());
        assert_eq!(crc(1 << 32), Err(Status::BadDescriptor));
    }

    #[test]
    fn completion_alignment() {
        let at = |completion| {
            completion_address(&Descriptor {
                completion,
                ..Descriptor::default()
            })
        };

        assert_eq!(at(0x1000), Some(0x1000));
        assert_eq!(at(0xfe0), Some(0xfe0));
        assert_eq!(at(0x1010), None);
        assert_eq!(at(1), None);
    }
}
