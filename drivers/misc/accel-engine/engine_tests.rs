// SPDX-License-Identifier: GPL-2.0

//! Tests of the engine.

use kernel::prelude::*;

#[kunit_tests(mock_accel_engine)]
mod tests {
    use crate::{
        engine::BUFFER,
        test_memory::{
            desc,
            refused,
            success,
            Memory,
            BASE, //
        },
        uapi::{
            Descriptor,
            Status,
            OP_ATOMIC_ADD,
            OP_CHASE,
            OP_COMPARE,
            OP_COPY,
            OP_CRC32,
            OP_FILL, //
        },
    };
    use kernel::{
        prelude::*,
        sizes::{
            SZ_256K,
            SZ_4K, //
        },
    };

    #[test]
    fn copy_of_several_chunks() -> Result {
        let len = BUFFER * 2 + 13;
        let memory = Memory::new(len * 2 + 7)?;
        let (src, dst) = (BASE + 3, BASE + 5 + len as u64);

        assert!(memory.run(desc(OP_COPY, src, dst, len))? == success(0, len));
        assert!(memory.same(src, dst, len));
        Ok(())
    }

    #[test]
    fn nothing_to_do_touches_nothing() -> Result {
        let memory = Memory::new(16)?;

        memory.accesses_left.set(0);
        for opcode in [OP_COPY, OP_FILL, OP_COMPARE, OP_CRC32] {
            assert!(memory.run(desc(opcode, 8, 8, 0))? == success(0, 0));
        }
        Ok(())
    }

    #[test]
    fn copy_up_to_a_bad_source() -> Result {
        let memory = Memory::new(4096)?;
        let (src, dst) = (BASE + 4000, BASE + 100);

        assert!(memory.run(desc(OP_COPY, src, dst, 200))? == refused(BASE + 4096, 96));
        assert!(memory.same(src, dst, 96));
        Ok(())
    }

    #[test]
    fn copy_up_to_a_bad_destination() -> Result {
        let mut memory = Memory::new(4096)?;

        memory.read_only = BASE + 2000..BASE + 2100;
        assert!(memory.run(desc(OP_COPY, BASE, BASE + 1990, 100))? == refused(BASE + 2000, 10));
        assert!(memory.same(BASE, BASE + 1990, 10));
        Ok(())
    }

    #[test]
    fn fill_repeats_its_pattern() -> Result {
        let len = BUFFER + 11;
        let memory = Memory::new(len + 2)?;
        let pattern = 0x1122_3344_5566_7788u64;
        let fill = Descriptor {
            operand: pattern,
            ..desc(OP_FILL, 0, BASE + 1, len)
        };

        assert!(memory.run(fill)? == success(0, len));
        let bytes = memory.bytes.borrow();

        assert_eq!(bytes[0], 0);
        assert_eq!(bytes[len + 1], ((len + 1) % 251) as u8);
        assert!((0..len).all(|i| bytes[i + 1] == pattern.to_le_bytes()[i % 8]));
        Ok(())
    }

    #[test]
    fn compare_finds_the_first_difference() -> Result {
        let len = BUFFER * 2;
        let memory = Memory::new(len * 2)?;
        let (a, b) = (BASE, BASE + len as u64);

        memory.run(desc(OP_COPY, a, b, len))?;
        let compare = desc(OP_COMPARE, a, b, len);

        assert!(memory.run(compare)? == success(len as u64, len));
        for differs in [len - 1, BUFFER + 1, BUFFER / 2, BUFFER / 2 - 1, 0] {
            memory.bytes.borrow_mut()[differs] ^= 1;
            assert!(memory.run(compare)? == success(differs as u64, differs));
        }
        Ok(())
    }

    #[test]
    fn crc32_is_that_of_zlib() -> Result {
        let memory = Memory::new(BUFFER * 2)?;

        memory.bytes.borrow_mut()[..9].copy_from_slice(b"123456789");
        assert!(memory.run(desc(OP_CRC32, BASE, 0, 9))? == success(0xcbf4_3926, 9));

        // In two halves, of which the second continues the first.
        let whole = memory.run(desc(OP_CRC32, BASE, 0, BUFFER * 2))?.result;
        let first = memory.run(desc(OP_CRC32, BASE, 0, BUFFER - 1))?.result;
        let both = memory.run(Descriptor {
            operand: first,
            ..desc(OP_CRC32, BASE + BUFFER as u64 - 1, 0, BUFFER + 1)
        })?;

        assert!(both == success(whole, BUFFER + 1));
        Ok(())
    }

    /// A list of `count` nodes that are 512 bytes apart and linked backwards; returns its head.
    fn list(memory: &Memory, count: u64, next_offset: u64, value_offset: u64) -> u64 {
        let mut next = 0;

        for i in 0..count {
            let node = BASE + i * 512;

            memory.put(node + next_offset, next);
            memory.put(node + value_offset, u64::MAX - i);
            next = node;
        }
        next
    }

    #[test]
    fn chase_sums_a_list() -> Result {
        let memory = Memory::new(512 * 11)?;

        // Both fields in one fetch, in either order, and too far apart for one.
        for (next_offset, value_offset) in [(0, 8), (48, 0), (0, 56), (0, 57), (400, 0), (16, 16)] {
            let walk = Descriptor {
                next_offset,
                value_offset,
                ..desc(
                    OP_CHASE,
                    list(&memory, 10, next_offset.into(), value_offset.into()),
                    0,
                    10,
                )
            };

            if next_offset == value_offset {
                // The pointers are the values: the first leads out of memory.
                assert!(memory.run(walk)?.status == Status::PageFault as u32);
                continue;
            }
            let sum = (0..10).fold(0u64, |sum, i| sum.wrapping_add(u64::MAX - i));

            assert!(memory.run(walk)? == success(sum, 160));
        }
        assert!(memory.run(desc(OP_CHASE, 0, 0, 1))? == success(0, 0));
        Ok(())
    }

    #[test]
    fn chase_ends_at_its_limit() -> Result {
        let memory = Memory::new(512 * 11)?;
        let first = list(&memory, 10, 0, 8);
        let walk = |limit| {
            memory.run(Descriptor {
                value_offset: 8,
                ..desc(OP_CHASE, first, 0, limit)
            })
        };

        assert!(walk(10)?.status == Status::Success as u32);
        assert!(walk(9)?.status == Status::Limit as u32);
        assert_eq!(walk(9)?.bytes, 9 * 16);

        // A ring.
        memory.put(BASE, first);
        assert!(walk(1000)?.status == Status::Limit as u32);
        Ok(())
    }

    #[test]
    fn chase_out_of_memory() -> Result {
        let memory = Memory::new(4096)?;

        memory.put(BASE, 0xdead_0000);
        let walk = Descriptor {
            value_offset: 8,
            ..desc(OP_CHASE, BASE, 0, 10)
        };

        assert!(memory.run(walk)? == refused(0xdead_0000, 16));
        memory.put(BASE, u64::MAX - 3);
        assert!(memory.run(walk)?.status == Status::PageFault as u32);
        Ok(())
    }

    #[test]
    fn atomic_add_returns_the_old_value() -> Result {
        let memory = Memory::new(64)?;
        let add = Descriptor {
            operand: 3,
            ..desc(OP_ATOMIC_ADD, 0, BASE + 8, 8)
        };

        memory.put(BASE + 8, u64::MAX);
        assert!(memory.run(add)? == success(u64::MAX, 8));
        assert!(memory.run(add)? == success(2, 8));
        assert!(memory.run(desc(OP_ATOMIC_ADD, 0, BASE + 64, 8))? == refused(BASE + 64, 0));
        Ok(())
    }

    #[test]
    fn stopped_between_two_accesses() -> Result {
        let memory = Memory::new(BUFFER * 4)?;

        memory.accesses_left.set(3);
        let ended = memory.run(desc(OP_FILL, 0, BASE, BUFFER * 4))?;

        assert_eq!(ended.status, Status::Stopped as u32);
        assert_eq!(ended.bytes, BUFFER as u64 * 3);
        assert_eq!(ended.fault_address, 0);
        Ok(())
    }

    #[test]
    fn bad_descriptors_touch_nothing() -> Result {
        let memory = Memory::new(64)?;

        memory.accesses_left.set(0);
        assert_eq!(
            memory.run(desc(99, BASE, BASE, 8))?.status,
            Status::BadOpcode as u32
        );
        assert_eq!(
            memory.run(desc(OP_COPY, BASE, BASE, 8))?.status,
            Status::BadDescriptor as u32
        );
        Ok(())
    }

    #[test]
    fn looks_ahead_once_per_window() -> Result {
        let memory = Memory::new(SZ_256K * 2)?;

        memory.run(desc(OP_CRC32, BASE, 0, SZ_256K * 2))?;
        assert_eq!(memory.prefetched.replace(0), 2);
        memory.run(desc(OP_CRC32, BASE, 0, SZ_256K))?;
        assert_eq!(memory.prefetched.replace(0), 1);
        memory.run(desc(OP_COPY, BASE, BASE + SZ_256K as u64, SZ_4K + 1))?;
        assert_eq!(memory.prefetched.replace(0), 2);
        memory.run(desc(OP_COPY, BASE, BASE + SZ_256K as u64, SZ_4K))?;
        assert_eq!(memory.prefetched.replace(0), 0);
        Ok(())
    }
}
