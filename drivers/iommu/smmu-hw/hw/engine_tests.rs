// SPDX-License-Identifier: GPL-2.0

//! Tests of registers and commands, on an instance programmed as a driver would.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_engine)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cmd::{
                self,
                Command, //
            },
            event::EventId,
            regs::{
                self,
                CmdqCons,
                Cr0,
                Gbpa,
                QueueBase, //
            },
            ste, //
        },
        hw::{
            bench::{
                aborted,
                id,
                read,
                set_cd,
                stage1,
                Bench,
                OneSpace,
                ASID,
                PLAIN,
                SID,
                SSID,
                USER,
                USER_RW,
                VA, //
            },
            Config,
            WhichQueue, //
        }, //
    };
    use kernel::page::PAGE_SIZE;
    use kernel_ext::phys::PhysPages;

    #[test]
    fn id_registers() -> Result {
        let bench = Bench::off(Config::default())?;
        assert_eq!(bench.regs.read32(regs::IDR0), 0x084d_149a);
        assert_eq!(bench.regs.read32(regs::IDR1), 0x0148_4d10);
        assert_eq!(bench.regs.read32(regs::IDR3), 0x1504);
        assert_eq!(bench.regs.read32(regs::IDR5), 0x40_0075);
        assert_eq!(bench.regs.read32(regs::GBPA), 1 << 20);
        let bad = Config {
            ssid_bits: 21,
            ..Config::default()
        };
        assert!(Bench::off(bad).is_err());
        Ok(())
    }

    #[test]
    fn polled_without_a_doorbell() -> Result {
        let bench = Bench::off(Config::default())?;
        let cr0 = Cr0::default().with_cmdqen(true);
        bench.enable(cr0);
        bench.command(Command::sync())?;
        assert_eq!(bench.regs.read32(regs::CR0ACK), 0);
        assert!(!bench.idle());
        bench.smmu.poll();
        assert_eq!(bench.regs.read32(regs::CR0ACK), cr0.raw());
        assert_eq!(bench.regs.read32(regs::IRQ_CTRLACK), 7);
        assert!(bench.idle());
        // Nothing new: nothing happens.
        bench.smmu.poll();
        assert_eq!(bench.smmu.stats().sync, 1);
        Ok(())
    }

    #[test]
    fn gbpa() -> Result {
        let bench = Bench::off(Config::default())?;
        bench.regs.set_doorbell(bench.smmu.clone());
        let data = PhysPages::alloc(PAGE_SIZE)?;
        data.window().write(3, &[0x5a])?;
        let port = bench.port(1, PLAIN)?;
        assert!(aborted(read(&port, None, data.phys() + 3)));
        bench
            .regs
            .write32(regs::GBPA, Gbpa::default().with_update(true).raw());
        assert_eq!(bench.regs.read32(regs::GBPA), 0);
        assert_eq!(read(&port, None, data.phys() + 3), Ok(0x5a));
        assert!(aborted(read(&port, None, 1 << 48)));
        assert_eq!(id(bench.event()), None);
        Ok(())
    }

    #[test]
    fn bypass_and_abort() -> Result {
        let bench = Bench::new(Config::default())?;
        let data = PhysPages::alloc(PAGE_SIZE)?;
        let port = bench.port(1, PLAIN)?;
        bench.set_ste(
            1,
            &ste::Ste::default()
                .with_v(true)
                .with_config(ste::CONFIG_BYPASS),
        )?;
        port.write(None, data.phys(), b"x", USER)
            .map_err(Error::from)?;
        assert_eq!(data.window().load64(0)?, u64::from(b'x'));
        assert!(aborted(read(&port, None, 1 << 48)));
        assert_eq!(id(bench.event()), Some(EventId::AddrSize as u8));
        let abort = ste::Ste::default().with_v(true);
        bench.set_ste(1, &abort)?;
        assert!(read(&port, None, data.phys()).is_ok());
        bench.command(Command::cfgi_ste(1, true))?;
        assert!(aborted(read(&port, None, data.phys())));
        assert_eq!(id(bench.event()), None);
        Ok(())
    }

    #[test]
    fn cfgi_cd() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let port = one.port(PLAIN)?;
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        // Cached: clearing the descriptor has no effect until the command.
        one.cds.window().store64(64 * SSID as usize, 0)?;
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        one.bench.command(Command::cfgi_cd(SID, SSID + 1, true))?;
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        one.bench.command(Command::cfgi_cd(SID, SSID, true))?;
        assert!(aborted(read(&port, Some(SSID), VA)));
        assert_eq!(id(one.bench.event()), Some(EventId::BadCd as u8));
        // The invalid descriptor is cached as well.
        set_cd(&one.cds, SSID as usize, &one.space.cd(ASID))?;
        assert!(aborted(read(&port, Some(SSID), VA)));
        one.bench.command(Command::cfgi_cd_all(SID))?;
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        assert_eq!(one.bench.smmu.stats().cfgi_cd, 3);
        Ok(())
    }

    #[test]
    fn cfgi_ste() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let port = one.port(PLAIN)?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        one.bench.set_ste(SID, &ste::Ste::default())?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        one.bench.command(Command::cfgi_ste(SID, true))?;
        assert!(aborted(read(&port, Some(SSID), VA)));
        assert_eq!(id(one.bench.event()), Some(EventId::BadSte as u8));
        one.bench.set_ste(SID, &stage1(&one.cds, 6))?;
        assert!(aborted(read(&port, Some(SSID), VA)));
        one.bench.command(Command::cfgi_all())?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        Ok(())
    }

    #[test]
    fn cfgi_ste_range() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let port = one.port(PLAIN)?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        one.bench.set_ste(SID, &ste::Ste::default().with_v(true))?;
        let range = Command::new(cmd::OP_CFGI_STE_RANGE).with_range(1);
        one.bench.command(range)?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        // Streams 4 to 7, whichever of them is named.
        one.bench.command(range.with_sid(6))?;
        assert!(aborted(read(&port, Some(SSID), VA)));
        Ok(())
    }

    #[test]
    fn tlbi() -> Result {
        let commands = [
            (Command::tlbi_va(ASID, VA, true), true),
            (Command::tlbi_va(ASID + 1, VA, true), false),
            (Command::tlbi_va(ASID, VA + 0x1000, true), false),
            (
                Command::tlbi_va(ASID, VA - 0x2000, true)
                    .with_tg(1)
                    .with_num(2),
                true,
            ),
            (
                Command::tlbi_va(ASID, VA - 0x2000, true)
                    .with_tg(1)
                    .with_num(1),
                false,
            ),
            (Command::new(cmd::OP_TLBI_NH_VAA).with_address(VA), true),
            (Command::tlbi_asid(ASID), true),
            (Command::tlbi_asid(ASID + 1), false),
            (Command::new(cmd::OP_TLBI_NH_ALL), true),
            (Command::tlbi_all(), true),
            (Command::cfgi_all(), false),
            (Command::atc_inv(SID, None, 0, cmd::ATC_INV_ALL), false),
        ];
        let mut one = OneSpace::new()?;
        let port = one.port(PLAIN)?;
        for (command, drops) in commands {
            one.map(0, USER_RW)?;
            assert!(read(&port, Some(SSID), VA).is_ok());
            one.unmap(0)?;
            // Stale, until the right command comes.
            assert!(read(&port, Some(SSID), VA).is_ok());
            one.bench.command(command)?;
            assert_eq!(read(&port, Some(SSID), VA).is_err(), drops);
            one.bench.command(Command::tlbi_all())?;
            while one.bench.event().is_some() {}
        }
        Ok(())
    }

    #[test]
    fn sync() -> Result {
        let bench = Bench::new(Config::default())?;
        for cs in [cmd::SYNC_NONE, cmd::SYNC_IRQ, cmd::SYNC_SEV] {
            bench.command(Command::sync().with_cs(cs))?;
            assert!(bench.idle());
        }
        assert_eq!(bench.smmu.stats().sync, 3);
        // The queue wraps several times.
        for _ in 0..100 {
            bench.command(Command::sync())?;
        }
        assert!(bench.idle());
        assert_eq!(bench.smmu.stats().sync, 103);
        Ok(())
    }

    #[test]
    fn cerror_ill() -> Result {
        let bench = Bench::new(Config::default())?;
        let bad = [
            Command::new(0),
            Command::new(0xff),
            Command::sync().with_cs(3),
            Command::new(cmd::OP_TLBI_EL2_ALL),
            Command::new(cmd::OP_TLBI_S12_VMALL),
            Command::new(cmd::OP_TLBI_S2_IPA),
            Command::atc_inv(1, None, 0, 53),
            Command::new(cmd::OP_PRI_RESP).with_response(3),
        ];
        for command in bad {
            let at = bench.regs.read32(regs::CMDQ_PROD);
            bench.command(command)?;
            bench.command(Command::sync())?;
            // Stopped at the command, nothing behind it is done.
            let cons = CmdqCons::from_raw(bench.regs.read32(regs::CMDQ_CONS));
            assert_eq!((cons.rd(), cons.err()), (at, 1));
            assert!(bench.gerror_line.take());
            assert_eq!(
                bench.regs.read32(regs::GERROR) ^ bench.regs.read32(regs::GERRORN),
                1
            );
            // Replaced and acknowledged, it goes on.
            let offset = (at & 15) as usize;
            let queue = QueueBase::from_raw(bench.regs.read64(regs::CMDQ_BASE)).base();
            let entry = crate::bus::BUS.window(queue + 16 * offset as u64, 16)?;
            entry.store64(0, Command::sync().words()[0])?;
            entry.store64(8, 0)?;
            bench
                .regs
                .write32(regs::GERRORN, bench.regs.read32(regs::GERROR));
            assert!(bench.idle());
        }
        let stats = bench.smmu.stats();
        assert_eq!(
            (stats.command_errors, stats.sync),
            (bad.len() as u64, 2 * bad.len() as u64)
        );
        Ok(())
    }

    #[test]
    fn cerror_abt() -> Result {
        let bench = Bench::new(Config::default())?;
        bench
            .regs
            .write64(regs::CMDQ_BASE, QueueBase::default().with_log2size(4).raw());
        bench.regs.write32(regs::CMDQ_PROD, 1);
        assert_eq!(
            CmdqCons::from_raw(bench.regs.read32(regs::CMDQ_CONS)).err(),
            2
        );
        assert!(bench.gerror_line.take());
        Ok(())
    }

    #[test]
    fn a_context_of_its_own_without_substreams() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        one.data.window().write(0, b"z")?;
        set_cd(&one.cds, 0, &one.space.cd(3))?;
        let port = one.port(PLAIN)?;
        assert_eq!(read(&port, None, VA), Ok(b'z'));
        Ok(())
    }

    #[test]
    fn dumps() -> Result {
        let one = OneSpace::new()?;
        assert_eq!(one.bench.smmu.ste(SID), Some(stage1(&one.cds, 6)));
        assert_eq!(one.bench.smmu.ste(64), None);
        assert_eq!(one.bench.smmu.cd(SID, SSID), Some(one.space.cd(ASID)));
        assert_eq!(one.bench.smmu.cd(SID, 64), None);
        one.bench.command(Command::sync())?;
        let words = one.bench.smmu.queue_entry(WhichQueue::Commands, 0);
        assert_eq!(words, Some([0x46, 0, 0, 0]));
        assert_eq!(one.bench.smmu.queue_entry(WhichQueue::Events, 4), None);
        assert_eq!(one.bench.smmu.tlb_entry(0), Some(None));
        assert_eq!(one.bench.smmu.tlb_entry(1 << 20), None);
        Ok(())
    }
}
