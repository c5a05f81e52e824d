// SPDX-License-Identifier: GPL-2.0

//! Tests of the walker against tables written by hand.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_walk)]
mod tests {
    use super::*;
    use crate::{
        bus::BUS,
        hw::{
            bench::{
                Space,
                AF,
                DBM,
                PAGE_BIT,
                READ_ONLY,
                USER_RW, //
            },
            walk::{
                Access,
                Fault, //
            }, //
        }, //
    };
    use kernel::sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc, //
    };
    use kernel_ext::thread::KThread;

    const READ: Access = Access {
        read: true,
        write: false,
        exec: false,
        privileged: false,
    };
    const WRITE: Access = Access {
        read: false,
        write: true,
        ..READ
    };
    const EXEC: Access = Access { exec: true, ..READ };
    const PA: u64 = 0x1234_5678_9000;
    const VA: u64 = 0x8765_4321_0000;

    fn privileged(access: Access) -> Access {
        Access {
            privileged: true,
            ..access
        }
    }

    #[test]
    fn page_4k() -> Result {
        let mut s = Space::new(12, 48)?;
        s.set(VA, 3, PA | USER_RW)?;
        let t = s.tables.walk(VA | 0xabc, READ);
        assert_eq!(t.map(|t| t.address(VA | 0xabc)), Ok(PA | 0xabc));
        assert_eq!(t.map(|t| (t.shift, t.global)), Ok((12, false)));
        assert_eq!(s.tables.walk(VA + 0x1000, READ), Err(Fault::Translation));
        Ok(())
    }

    #[test]
    fn missing_at_each_level() -> Result {
        for level in 0..4 {
            let mut s = Space::new(12, 48)?;
            s.set(VA, 3, PA | USER_RW)?;
            assert!(s.tables.walk(VA, READ).is_ok());
            s.set(VA, level, 0)?;
            assert_eq!(s.tables.walk(VA, READ), Err(Fault::Translation));
        }
        Ok(())
    }

    #[test]
    fn blocks() -> Result {
        for (granule, level, shift) in [(12, 1, 30), (12, 2, 21), (14, 2, 25), (16, 2, 29)] {
            let mut s = Space::new(granule, 48)?;
            let pa = PA >> shift << shift;
            s.set(VA, level, (pa | USER_RW) & !PAGE_BIT)?;
            let va = VA | 0xf_f123;
            let expect = pa | (va & ((1 << shift) - 1));
            let t = s.tables.walk(va, READ);
            assert_eq!(t.map(|t| (t.address(va), t.shift)), Ok((expect, shift)));
        }
        Ok(())
    }

    #[test]
    fn blocks_at_wrong_levels() -> Result {
        for (granule, level) in [(12, 0), (14, 0), (14, 1), (16, 1)] {
            let mut s = Space::new(granule, 48)?;
            s.set(VA, level, USER_RW & !PAGE_BIT)?;
            assert_eq!(s.tables.walk(VA, READ), Err(Fault::Translation));
        }
        // The last level has no blocks either.
        let mut s = Space::new(12, 48)?;
        s.set(VA, 3, (PA | USER_RW) & !PAGE_BIT)?;
        assert_eq!(s.tables.walk(VA, READ), Err(Fault::Translation));
        Ok(())
    }

    #[test]
    fn granules_and_levels() -> Result {
        for (granule, bits, first) in [
            (12, 48, 0),
            (12, 39, 1),
            (12, 30, 2),
            (12, 25, 2),
            (14, 48, 0),
            (14, 47, 1),
            (14, 36, 2),
            (14, 25, 3),
            (16, 48, 1),
            (16, 52, 1),
            (16, 42, 2),
            (16, 29, 3),
        ] {
            let mut s = Space::new(granule, bits)?;
            assert_eq!(s.tables.first_level(), first);
            let va = (1 << bits) - (1 << granule);
            let pa = PA >> granule << granule;
            s.set(va, 3, pa | USER_RW)?;
            assert_eq!(
                s.tables.walk(va | 5, READ).map(|t| t.address(va | 5)),
                Ok(pa | 5)
            );
            // Range: one past the last address, and the highest of all.
            for outside in [1 << bits, u64::MAX] {
                assert_eq!(s.tables.walk(outside, READ), Err(Fault::Translation));
            }
        }
        Ok(())
    }

    #[test]
    fn address_size() -> Result {
        let mut s = Space::new(12, 48)?;
        s.tables.output_bits = 40;
        s.set(VA, 3, ((1 << 40) - 0x1000) | USER_RW)?;
        assert!(s.tables.walk(VA, READ).is_ok());
        s.set(VA, 3, 1 << 40 | USER_RW)?;
        assert_eq!(s.tables.walk(VA, READ), Err(Fault::AddrSize));
        s.set(VA, 2, 1 << 47 | 3)?;
        assert_eq!(s.tables.walk(VA, READ), Err(Fault::AddrSize));
        Ok(())
    }

    #[test]
    fn address_of_52_bits() -> Result {
        let mut s = Space::new(16, 48)?;
        let desc = 0x7000 | 0x8765_4321_0000 | USER_RW;
        s.set(VA, 3, desc)?;
        // With 48 bits of output the high field means nothing.
        assert_eq!(
            s.tables.walk(VA, READ).map(|t| t.base),
            Ok(0x8765_4321_0000)
        );
        s.tables.output_bits = 52;
        assert_eq!(
            s.tables.walk(VA, READ).map(|t| t.base),
            Ok(0x7_8765_4321_0000)
        );
        Ok(())
    }

    #[test]
    fn unreadable_table() -> Result {
        let mut s = Space::new(12, 48)?;
        s.set(VA, 2, 3)?;
        let at = 8 * s.tables.index(VA, 3);
        assert_eq!(s.tables.walk(VA, READ), Err(Fault::Walk(at)));
        Ok(())
    }

    #[test]
    fn permissions() -> Result {
        let (user, pxn, uxn) = (1 << 6, 1 << 53, 1 << 54);
        let base = 0x3 | AF;
        let mut s = Space::new(12, 48)?;
        // Bits, then what may: user read, write, execute; privileged read, write, execute.
        let cases: [(u64, [bool; 6]); 8] = [
            (user | pxn | uxn, [true, true, false, true, true, false]),
            (user | pxn, [true, true, true, true, true, false]),
            // Writable by the user: never executable with privilege.
            (user, [true, true, true, true, true, false]),
            (user | READ_ONLY, [true, false, true, true, false, true]),
            (
                user | READ_ONLY | pxn | uxn,
                [true, false, false, true, false, false],
            ),
            // Execute only, for the user.
            (READ_ONLY | pxn, [false, false, true, true, false, false]),
            (uxn, [false, false, false, true, true, true]),
            (
                READ_ONLY | pxn | uxn,
                [false, false, false, true, false, false],
            ),
        ];
        for (bits, may) in cases {
            s.set(VA, 3, PA | base | bits)?;
            let tries = [READ, WRITE, EXEC];
            for (i, may) in may.into_iter().enumerate() {
                let access = Access {
                    privileged: i >= 3,
                    ..tries[i % 3]
                };
                let got = s.tables.walk(VA, access).map(|t| t.base);
                assert_eq!(got, if may { Ok(PA) } else { Err(Fault::Permission) });
            }
        }
        Ok(())
    }

    #[test]
    fn table_permissions() -> Result {
        let mut s = Space::new(12, 48)?;
        s.set(VA, 3, PA | 0x3 | AF | 1 << 6)?;
        let table = s.get(VA, 1)?;
        s.set(VA, 1, table | 1 << 62)?;
        assert!(s.tables.walk(VA, READ).is_ok());
        assert_eq!(s.tables.walk(VA, WRITE), Err(Fault::Permission));
        s.set(VA, 1, table | 1 << 61)?;
        assert_eq!(s.tables.walk(VA, READ), Err(Fault::Permission));
        assert!(s.tables.walk(VA, privileged(WRITE)).is_ok());
        s.set(VA, 1, table | 1 << 60)?;
        assert_eq!(s.tables.walk(VA, EXEC), Err(Fault::Permission));
        s.set(VA, 1, table | 1 << 59)?;
        assert!(s.tables.walk(VA, EXEC).is_ok());
        assert_eq!(s.tables.walk(VA, privileged(EXEC)), Err(Fault::Permission));
        Ok(())
    }

    #[test]
    fn access_flag() -> Result {
        let mut s = Space::new(12, 48)?;
        let old = PA | USER_RW & !AF;
        s.set(VA, 3, old)?;
        assert_eq!(s.tables.walk(VA, READ), Err(Fault::Access));
        // A bad address comes before the flag, permissions after it.
        s.tables.output_bits = 32;
        assert_eq!(s.tables.walk(VA, READ), Err(Fault::AddrSize));
        s.tables.output_bits = 48;
        s.set(VA, 3, old | READ_ONLY)?;
        assert_eq!(s.tables.walk(VA, WRITE), Err(Fault::Access));
        s.tables.ha = true;
        assert_eq!(s.tables.walk(VA, WRITE), Err(Fault::Permission));
        assert_eq!(s.get(VA, 3)?, old | READ_ONLY);
        assert!(s.tables.walk(VA, READ).is_ok());
        assert_eq!(s.get(VA, 3)?, old | READ_ONLY | AF);
        Ok(())
    }

    /// AFFD, WXN and PAN of a context descriptor.
    #[test]
    fn limits_of_a_descriptor() -> Result {
        let mut s = Space::new(12, 48)?;
        let unseen = PA | USER_RW & !AF;
        s.set(VA, 3, unseen)?;
        s.tables.affd = true;
        assert!(s.tables.walk(VA, READ).is_ok());
        assert_eq!(s.get(VA, 3)?, unseen);

        let (user, user_exec, kernel_exec) = (1 << 6, 1 << 54, 1 << 53);
        let own = PA | USER_RW & !(user_exec | kernel_exec);
        // Bits, then what may: user execute; privileged read, write, execute.
        for (bits, plain, wxn, pan) in [
            (own, [1, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 0]),
            (own | READ_ONLY, [1, 1, 0, 1], [1, 1, 0, 1], [1, 0, 0, 1]),
            (own & !user, [1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]),
        ] {
            s.set(VA, 3, bits)?;
            for (limit, expect) in [(0, plain), (1, wxn), (2, pan)] {
                s.tables.wxn = limit == 1;
                s.tables.pan = limit == 2;
                let tries = [EXEC, privileged(READ), privileged(WRITE), privileged(EXEC)];
                let may = tries.map(|access| i32::from(s.tables.walk(VA, access).is_ok()));
                assert_eq!(may, expect);
            }
        }
        Ok(())
    }

    #[test]
    fn dirty_state() -> Result {
        let mut s = Space::new(12, 48)?;
        let clean = PA | USER_RW | READ_ONLY | DBM;
        s.set(VA, 3, clean)?;
        assert_eq!(s.tables.walk(VA, WRITE), Err(Fault::Permission));
        s.tables.ha = true;
        s.tables.hd = true;
        // A read does not make it dirty, and gives no permission to write.
        let t = s.tables.walk(VA, READ);
        assert_eq!(t.map(|t| t.perms.allows(WRITE)), Ok(false));
        assert_eq!(s.get(VA, 3)?, clean);
        let t = s.tables.walk(VA, WRITE);
        assert_eq!(t.map(|t| t.perms.allows(WRITE)), Ok(true));
        assert_eq!(s.get(VA, 3)?, clean & !READ_ONLY);
        // Read-only for good.
        s.set(VA, 3, clean & !DBM)?;
        assert_eq!(s.tables.walk(VA, WRITE), Err(Fault::Permission));
        // Both updates in one.
        s.set(VA, 3, clean & !AF)?;
        assert!(s.tables.walk(VA, WRITE).is_ok());
        assert_eq!(s.get(VA, 3)?, clean & !READ_ONLY | AF);
        Ok(())
    }

    #[test]
    fn table_access_flag() -> Result {
        let mut s = Space::new(12, 48)?;
        s.set(VA, 3, PA | USER_RW)?;
        let before = s.get(VA, 0)?;
        assert!(s.tables.walk(VA, READ).is_ok());
        assert_eq!(s.get(VA, 0)?, before);
        s.tables.ha = true;
        s.tables.haft = true;
        assert!(s.tables.walk(VA, READ).is_ok());
        for level in 0..3 {
            assert_eq!(s.get(VA, level)? & AF, AF);
        }
        Ok(())
    }

    /// Software changes a descriptor while hardware sets its flag: nothing of that is lost.
    #[test]
    fn access_flag_under_a_writer() -> Result {
        let mut s = Space::new(12, 48)?;
        s.tables.ha = true;
        let desc = |n: u64| PA + (n << 12) | USER_RW & !AF;
        s.set(VA, 3, desc(0))?;
        let place = s.place(VA, 3)?;
        let lost = Arc::new(Atomic::new(0u64), GFP_KERNEL)?;
        let count = lost.clone();
        let writer = KThread::spawn(c"smmu-kunit-writer", move |stop| {
            let mut n = 0;
            while !stop.requested() {
                let was = BUS.window(place, 8).and_then(|window| {
                    let word = window.atomic64(0)?;
                    Ok(word.xchg(desc((n + 1) % 64), Full) & !AF)
                });
                count.fetch_add(u64::from(was != Ok(desc(n % 64))), Relaxed);
                n += 1;
            }
        })?;
        for _ in 0..50_000 {
            assert!(s.tables.walk(VA, READ).is_ok());
        }
        drop(writer);
        assert_eq!(lost.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn global() -> Result {
        let mut s = Space::new(12, 48)?;
        s.set(VA, 3, PA | USER_RW & !(1 << 11))?;
        assert_eq!(s.tables.walk(VA, READ).map(|t| t.global), Ok(true));
        Ok(())
    }
}
