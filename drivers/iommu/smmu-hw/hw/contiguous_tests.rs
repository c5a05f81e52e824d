// SPDX-License-Identifier: GPL-2.0

//! Tests of the walker's use of the contiguous hint.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_contiguous)]
mod tests {
    use super::*;
    use crate::hw::{
        bench::{
            Space,
            AF,
            CONTIGUOUS,
            PAGE_BIT,
            READ_ONLY,
            USER_RW, //
        },
        walk::Access, //
    };

    const READ: Access = Access {
        read: true,
        write: false,
        exec: false,
        privileged: false,
    };
    const PA: u64 = 0x1234_5678_9000;
    const VA: u64 = 0x8765_4321_0000;

    /// A run of descriptors with the hint is one translation.
    #[test]
    fn contiguous() -> Result {
        for (granule, level, shift) in [
            (12, 3, 16),
            (12, 2, 25),
            (12, 1, 34),
            (14, 3, 21),
            (14, 2, 30),
            (16, 3, 21),
            (16, 2, 34),
        ] {
            let mut s = Space::new(granule, 48)?;
            let (size, step) = (1 << shift, 1 << s.tables.level_shift(level));
            let (va, pa) = (VA & !(size - 1), PA & !(size - 1));
            let page = if level == 3 { PAGE_BIT } else { 0 };
            let bits = USER_RW & !PAGE_BIT | page | CONTIGUOUS;
            for at in (0..size).step_by(step) {
                s.set(va + at, level, (pa + at) | bits)?;
            }
            for at in [0x123, size / 2, size - 1] {
                let t = s.tables.walk(va + at, READ);
                assert_eq!(t.map(|t| t.address(va + at)), Ok(pa + at));
                assert_eq!(t.map(|t| (t.base, t.shift)), Ok((pa, shift)));
            }
        }
        Ok(())
    }

    /// Descriptors that do not keep what the hint promises stand for themselves.
    #[test]
    fn contiguous_in_vain() -> Result {
        let (va, pa, bits) = (VA & !0xffff, PA & !0xffff, USER_RW | CONTIGUOUS);
        for odd in [
            0,
            (pa + 0x5000) | USER_RW,
            (pa + 0x5000) | bits | READ_ONLY,
            (pa + 0x5000) | bits & !AF,
            (pa + 0x6000) | bits,
        ] {
            let mut s = Space::new(12, 48)?;
            for at in (0..0x1_0000).step_by(0x1000) {
                s.set(va + at, 3, (pa + at) | bits)?;
            }
            s.set(va + 0x5000, 3, odd)?;
            let t = s.tables.walk(va + 0x4000, READ);
            assert_eq!(t.map(|t| (t.base, t.shift)), Ok((pa + 0x4000, 12)));
        }
        // Memory that is not aligned as the addresses are.
        let mut s = Space::new(12, 48)?;
        for at in (0..0x1_0000).step_by(0x1000) {
            s.set(va + at, 3, (pa + 0x1000 + at) | bits)?;
        }
        let t = s.tables.walk(va + 0xf000, READ);
        assert_eq!(t.map(|t| (t.base, t.shift)), Ok((pa + 0x1_0000, 12)));
        // More than all addresses that there are.
        let mut s = Space::new(16, 30)?;
        s.set(1 << 29, 2, 1 << 29 | bits & !PAGE_BIT)?;
        let t = s.tables.walk(1 << 29, READ);
        assert_eq!(t.map(|t| (t.base, t.shift)), Ok((1 << 29, 29)));
        Ok(())
    }
}
