// SPDX-License-Identifier: GPL-2.0

//! Tests of ports: accesses of all kinds.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_dma)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cmd::Command,
            event::EventId, //
        },
        hw::{
            bench::{
                kind,
                Job,
                OneSpace,
                ASID,
                DBM,
                NO_PRI,
                PAGE,
                PLAIN,
                READ_ONLY,
                SID,
                SSID,
                USER,
                USER_RW,
                VA, //
            },
            Attrs,
            DmaError,
            DmaErrorKind,
            DmaResult,
            PortConfig, //
        }, //
    };
    use kernel::{
        page::PAGE_SIZE,
        sync::{
            new_mutex,
            Arc,
            Mutex, //
        },
        time::{
            delay::fsleep,
            Delta, //
        }, //
    };

    #[test]
    fn crossing_pages() -> Result {
        let mut one = OneSpace::new()?;
        // The second page first in memory.
        let base = one.data.phys();
        one.space.set(VA, 3, (base + PAGE) | USER_RW)?;
        one.space.set(VA + PAGE, 3, base | USER_RW)?;
        let port = one.port(PortConfig::default())?;
        port.write(Some(SSID), VA + PAGE - 3, b"abcdef", USER)?;
        let mut got = [0; 3];
        one.data.window().read(0, &mut got)?;
        assert_eq!(&got, b"def");
        one.data.window().read(2 * PAGE_SIZE - 3, &mut got)?;
        assert_eq!(&got, b"abc");
        let mut all = [0; 8];
        port.read(Some(SSID), VA + PAGE - 4, &mut all, USER)?;
        assert_eq!(&all, b"\0abcdef\0");
        let stats = port.stats();
        assert_eq!(
            (stats.bytes_written, stats.bytes_read, stats.errors),
            (6, 8, 0)
        );
        Ok(())
    }

    #[test]
    fn atomics() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let port = one.port(PortConfig::default())?;
        let ssid = Some(SSID);
        assert_eq!(port.fetch_add64(ssid, VA + 8, 5, USER), Ok(0));
        assert_eq!(port.fetch_add64(ssid, VA + 8, u64::MAX, USER), Ok(5));
        assert_eq!(port.fetch_add32(ssid, VA + 12, 7, USER), Ok(0));
        assert_eq!(one.data.window().load64(8)?, 7 << 32 | 4);
        assert_eq!(port.compare_exchange64(ssid, VA, 1, 2, USER), Ok(0));
        assert_eq!(port.compare_exchange64(ssid, VA, 0, 2, USER), Ok(0));
        assert_eq!(one.data.window().load64(0)?, 2);
        for result in [
            port.fetch_add64(ssid, VA + 4, 1, USER).map(|_| ()),
            port.fetch_add32(ssid, VA + 2, 1, USER).map(|_| ()),
        ] {
            assert_eq!(kind(result), Some(DmaErrorKind::Misaligned));
        }
        // An atomic needs to read and write.
        one.map(1, USER_RW | READ_ONLY)?;
        let refused = one.port(NO_PRI).err();
        assert_eq!(refused, Some(EBUSY));
        drop(port);
        let port = one.port(NO_PRI)?;
        let result = port.fetch_add64(ssid, VA + PAGE, 1, USER);
        assert_eq!(kind(result), Some(DmaErrorKind::Aborted));
        Ok(())
    }

    #[test]
    fn swaps() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let port = one.port(NO_PRI)?;
        let ssid = Some(SSID);
        assert_eq!(port.swap64(ssid, VA, u64::MAX, USER), Ok(0));
        assert_eq!(port.swap32(ssid, VA + 4, 3, USER), Ok(u32::MAX));
        assert_eq!(port.compare_exchange32(ssid, VA, 1, 2, USER), Ok(u32::MAX));
        assert_eq!(port.compare_exchange32(ssid, VA + 4, 3, 4, USER), Ok(3));
        assert_eq!(one.data.window().load64(0)?, 4 << 32 | 0xffff_ffff);
        assert_eq!(
            kind(port.swap64(ssid, VA + 4, 0, USER)),
            Some(DmaErrorKind::Misaligned)
        );
        assert_eq!(port.stats().atomics, 4);
        Ok(())
    }

    #[test]
    fn privilege_and_instruction_fetch() -> Result {
        let mut one = OneSpace::new()?;
        let port = one.port(PLAIN)?;
        let may = |privileged, exec| {
            let attrs = Attrs { privileged, exec };
            port.read(Some(SSID), VA, &mut [0], attrs).is_ok()
        };
        // Not of the user; then executable by the user only.
        for (bits, expect) in [
            (USER_RW & !(1 << 6), [false, false, true, false]),
            (USER_RW & !(1 << 54), [true, true, true, false]),
        ] {
            one.map(0, bits)?;
            one.bench.command(Command::tlbi_all())?;
            let got = [
                may(false, false),
                may(false, true),
                may(true, false),
                may(true, true),
            ];
            assert_eq!(got, expect);
            while let Some(event) = one.bench.event() {
                assert_eq!(event.id(), EventId::Permission as u8);
            }
        }
        Ok(())
    }

    #[test]
    fn asynchronous_accesses() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let port = one.port(NO_PRI)?;
        let results = Arc::pin_init(new_mutex!(KVec::new()), GFP_KERNEL)?;
        let log = |results: &Arc<Mutex<KVec<(DmaResult, u8)>>>| {
            let results = results.clone();
            move |result, buffer: KVec<u8>| {
                let _ = results.lock().push((result, buffer[0]), GFP_KERNEL);
            }
        };
        let bytes = |byte| KVec::from_elem(byte, 4, GFP_KERNEL);
        port.write_async(Some(SSID), VA, bytes(0x5a)?, USER, log(&results))?;
        port.drain();
        port.read_async(Some(SSID), VA, bytes(0)?, USER, log(&results))?;
        port.drain();
        port.read_async(Some(SSID), VA + PAGE, bytes(1)?, USER, log(&results))?;
        port.drain();
        assert_eq!(port.pending(), 0);
        let failed = Err(DmaError {
            kind: DmaErrorKind::Aborted,
            addr: VA + PAGE,
        });
        let expect = [(Ok(()), 0x5a), (Ok(()), 0x5a), (failed, 1)];
        assert_eq!(results.lock()[..], expect);
        // Any access, and many at once.
        for _ in 0..16 {
            port.submit(|port| {
                let _ = port.fetch_add64(Some(SSID), VA + 8, 1, USER);
            })?;
        }
        port.drain();
        assert_eq!(one.data.window().load64(8)?, 16);
        Ok(())
    }

    #[test]
    fn ports_are_checked() -> Result {
        let one = OneSpace::new()?;
        let new = |sid, config| one.bench.port(sid, config).err();
        let none = PortConfig {
            max_outstanding: 0,
            ..PortConfig::default()
        };
        let pri_only = PortConfig {
            ats: false,
            ..PortConfig::default()
        };
        assert_eq!(new(1, none), Some(EINVAL));
        assert_eq!(new(1, pri_only), Some(EINVAL));
        assert_eq!(new(1 << 16, NO_PRI), Some(EINVAL));
        let mut ports = KVec::new();
        for sid in 0..64 {
            ports.push(one.bench.port(sid, NO_PRI)?, GFP_KERNEL)?;
        }
        assert_eq!(new(64, NO_PRI), Some(ENOSPC));
        drop(ports);
        assert_eq!(new(64, NO_PRI), None);
        Ok(())
    }

    #[test]
    fn widened_permissions_need_no_invalidation() -> Result {
        let mut one = OneSpace::new()?;
        let port = one.port(NO_PRI)?;
        one.map(0, USER_RW | READ_ONLY)?;
        port.read(Some(SSID), VA, &mut [0], USER)?;
        assert!(port.write(Some(SSID), VA, b"1", USER).is_err());
        one.map(0, USER_RW)?;
        port.write(Some(SSID), VA, b"1", USER)?;
        // Clean to dirty, through both caches.
        one.map(1, USER_RW | READ_ONLY | DBM)?;
        port.read(Some(SSID), VA + PAGE, &mut [0], USER)?;
        port.write(Some(SSID), VA + PAGE, b"2", USER)?;
        assert_eq!(one.space.get(VA + PAGE, 3)? & READ_ONLY, 0);
        Ok(())
    }

    #[test]
    fn translations_to_what_is_not_memory() -> Result {
        let mut one = OneSpace::new()?;
        one.space.set(VA, 3, 0x0800_0000 | USER_RW)?;
        let port = one.port(NO_PRI)?;
        let result = port.read(Some(SSID), VA, &mut [0], USER);
        assert_eq!(kind(result), Some(DmaErrorKind::BusError));
        Ok(())
    }

    #[test]
    fn a_sync_retires_translations() -> Result {
        let mut one = OneSpace::new()?;
        let port = one.port(NO_PRI)?;
        for _ in 0..20 {
            one.map(0, USER_RW)?;
            let worker = port.clone();
            let job = Job::start(move || loop {
                worker.fetch_add64(Some(SSID), VA, 1, USER)?;
            })?;
            let before = one.data.window().load64(0)?;
            while one.data.window().load64(0)? == before {
                fsleep(Delta::from_micros(20));
            }
            one.unmap(0)?;
            one.bench.command(Command::tlbi_va(ASID, VA, true))?;
            one.bench
                .command(Command::atc_inv(SID, Some(SSID), VA, 0))?;
            one.bench.command(Command::sync())?;
            // From here on the page could belong to somebody else.
            let after = one.data.window().load64(0)?;
            assert_eq!(job.join().and_then(Result::err).map(|e| e.addr), Some(VA));
            assert_eq!(one.data.window().load64(0)?, after);
        }
        Ok(())
    }
}
