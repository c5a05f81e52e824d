// SPDX-License-Identifier: GPL-2.0

//! Tests of rules of the architecture that were once broken here: stalls, commands and what tells of
//! them. Each is named after its number in the list of those; `rule_register_tests` has the others.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_rules)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cmd::{
                self,
                Command,
                CommandError,
                Resume, //
            },
            event::EventId,
            regs::{
                self,
                CmdqCons,
                Cr0, //
            },
            ste::Ste, //
        },
        hw::{
            bench::{
                id,
                join,
                kind,
                set_cd,
                stage1,
                stalling,
                wait_for,
                write_at,
                Bench,
                PAGE,
                PLAIN,
                SID,
                SSID,
                USER,
                USER_RW,
                VA, //
            },
            Config,
            DmaErrorKind,
            PortConfig, //
        }, //
    };
    use kernel::page::PAGE_SIZE;
    use kernel_ext::phys::PhysPages;

    /// By the time that there is room, a transaction may need none: nobody hears of it. Or the
    /// address space has gone: nobody hears of a stall in it. (3.12.2, 7.2.1.)
    #[test]
    fn a1_stall_whose_event_found_the_queue_full() -> Result {
        let mut one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        one.fill_events(&port);
        let job = write_at(&port, VA)?;
        wait_for(|| one.bench.smmu.stalled(None) == 1)?;
        one.map(0, USER_RW)?;
        one.take_filled();
        assert_eq!(job.join(), Some(Ok(())));
        assert!(one.bench.event().is_none());

        one.fill_events(&port);
        let job = write_at(&port, VA + PAGE)?;
        wait_for(|| one.bench.smmu.stalled(None) == 1)?;
        set_cd(&one.cds, SSID as usize, &Default::default())?;
        one.bench.command(Command::cfgi_cd(SID, SSID, true))?;
        one.bench.command(Command::sync())?;
        one.take_filled();
        assert_eq!(join(&job), Some(DmaErrorKind::Aborted));
        let event = one.bench.event();
        assert_eq!(event.map(|e| (e.id(), e.ssid())), Some((0x0a, SSID)));
        assert_eq!(one.bench.smmu.stats().stalls, 0);
        Ok(())
    }

    /// Software does not know of it, so it has nothing to resume, and the tag is free again.
    #[test]
    fn a1_unrecorded_stall_that_is_given_up() -> Result {
        let one = stalling(Config {
            stall_max: 1,
            ..Config::default()
        })?;
        let port = one.port(PortConfig {
            timeout_ms: 1,
            ..PLAIN
        })?;
        one.fill_events(&port);
        for _ in 0..2 {
            let result = port.write(Some(SSID), VA, b"1", USER);
            assert_eq!(kind(result), Some(DmaErrorKind::Timeout));
            assert_eq!(one.bench.smmu.stalled(None), 0);
        }
        one.take_filled();
        assert!(one.bench.event().is_none());
        Ok(())
    }

    /// The message goes to where CONS is: what is written later is what stays. (4.7.3.)
    #[test]
    fn a2_sync_is_told_of_after_cons() -> Result {
        const MESSAGE: u32 = 0x7f00_0000;

        let bench = Bench::new(Config {
            msi: true,
            ..Config::default()
        })?;
        let at = bench.regs.phys().ok_or(ENXIO)? + regs::CMDQ_CONS as u64;
        let sync = Command::sync().with_cs(cmd::SYNC_IRQ);
        bench.command(sync.with_msi_address(at).with_msi_data(MESSAGE))?;
        assert_eq!(bench.regs.read32(regs::CMDQ_CONS), MESSAGE);
        Ok(())
    }

    /// CPUs may sleep until there is room in the command queue. (4.1.)
    #[test]
    fn a3_event_when_a_full_command_queue_gets_room() -> Result {
        for sev in [true, false] {
            let bench = Bench::off(Config {
                sev,
                ..Config::default()
            })?;
            bench.enable(Cr0::default().with_cmdqen(true));
            bench.smmu.poll();
            let send = |count: usize, events: u64| -> Result {
                for _ in 0..count {
                    bench.command(Command::tlbi_all())?;
                }
                bench.smmu.poll();
                assert!(bench.idle());
                let expected = if sev { events } else { 0 };
                assert_eq!(bench.smmu.stats().cpu_events, expected);
                Ok(())
            };
            send(15, 0)?;
            send(16, 1)?;
            send(3, 1)?;
            bench.command(Command::sync().with_cs(cmd::SYNC_SEV))?;
            send(0, 2)?;
        }
        Ok(())
    }

    /// Whether an SMMU refuses `command` as ill-formed.
    fn ill(config: Config, command: Command) -> Result<bool> {
        let bench = Bench::new(config)?;
        bench.command(command)?;
        let cons = CmdqCons::from_raw(bench.regs.read32(regs::CMDQ_CONS));
        assert_eq!(
            bench.regs.read32(regs::GERROR) & 1,
            u32::from(!bench.idle())
        );
        Ok(!bench.idle() && cons.err() == CommandError::Ill as u8)
    }

    /// A granule without a range or a level serves nothing. (4.4.1.1.)
    #[test]
    fn a4_reserved_range_invalidation() -> Result {
        let config = Config::default();
        let no_ranges = Config {
            ril: false,
            ..config
        };
        for op in [cmd::OP_TLBI_NH_VA, cmd::OP_TLBI_NH_VAA] {
            let one = Command::tlbi_va(1, VA, true).with_op(op);
            assert!(!ill(config, one)?);
            for tg in 1..=3 {
                let one = one.with_tg(tg);
                assert!(ill(config, one)?);
                assert_eq!(ill(config, one.with_ttl(1))?, tg == 2);
                assert!(!ill(config, one.with_ttl(3))?);
                assert!(!ill(config, one.with_num(1))?);
                // There the fields mean nothing.
                assert!(!ill(no_ranges, one)?);
            }
        }
        Ok(())
    }

    /// There is no secure world to name a stream of. (4.1.6.)
    #[test]
    fn a8_secure_streams() -> Result {
        let config = Config::default();
        for command in [
            Command::prefetch_cfg(SID, None),
            Command::prefetch_addr(SID, None, VA, 0),
            Command::cfgi_ste(SID, true),
            Command::cfgi_all(),
            Command::cfgi_cd(SID, SSID, true),
            Command::cfgi_cd_all(SID),
            Command::atc_inv(SID, None, 0, cmd::ATC_INV_ALL),
            Command::new(cmd::OP_PRI_RESP),
            Command::resume(SID, 0, Resume::Abort),
            Command::stall_term(SID),
        ] {
            assert!(!ill(config, command)?);
            assert!(ill(config, command.with_ssec(true))?);
        }
        // Others have something else there, or nothing.
        assert!(!ill(config, Command::tlbi_asid(1).with_ssec(true))?);
        assert!(!ill(config, Command::sync().with_ssec(true))?);
        Ok(())
    }

    /// Who looks at the line need not know of messages. (4.7.3.)
    #[test]
    fn a12_wired_interrupt_whatever_the_message() -> Result {
        let bench = Bench::new(Config {
            msi: true,
            ..Config::default()
        })?;
        let memory = PhysPages::alloc(PAGE_SIZE)?;
        let sync = Command::sync().with_cs(cmd::SYNC_IRQ).with_msi_data(7);
        bench.command(sync.with_msi_address(memory.phys()))?;
        assert_eq!(memory.window().load64(0)?, 7);
        assert_eq!(bench.sync_line.count(), 1);
        bench.command(sync)?;
        assert_eq!(bench.sync_line.count(), 2);
        Ok(())
    }

    /// A device goes while a transaction waits, and another comes with its StreamID.
    #[test]
    fn a14_stall_of_a_removed_device() -> Result {
        let one = stalling(Config {
            stall_max: 2,
            ..Config::default()
        })?;
        let hasty = PortConfig {
            timeout_ms: 1,
            ..PLAIN
        };
        let port = one.port(hasty)?;
        let result = port.write(Some(SSID), VA, b"1", USER);
        assert_eq!(kind(result), Some(DmaErrorKind::Timeout));
        drop(port);
        // What a driver does: nothing stalls any more, and nothing that stalled does.
        one.bench.set_ste(SID, &Ste::default().with_v(true))?;
        one.bench.command(Command::cfgi_ste(SID, true))?;
        one.bench.command(Command::stall_term(SID))?;
        one.bench.command(Command::sync())?;
        assert_eq!(one.bench.smmu.stalled(None), 0);

        one.bench.set_ste(SID, &stage1(&one.cds, 6))?;
        one.bench.command(Command::cfgi_ste(SID, true))?;
        let port = one.port(PLAIN)?;
        let job = write_at(&port, VA)?;
        wait_for(|| one.bench.smmu.stalled(None) == 1)?;
        // The old event is there still. Who answers that does not reach the new transaction.
        let stale = one.next_event()?;
        one.resume(&stale, Resume::Terminate)?;
        assert_eq!(one.bench.smmu.stats().resume_stray, 1);
        let event = one.next_event()?;
        assert_ne!(event.stag(), stale.stag());
        assert_eq!(id(Some(event)), Some(EventId::Translation as u8));
        one.resume(&event, Resume::Abort)?;
        assert_eq!(join(&job), Some(DmaErrorKind::Refused));
        Ok(())
    }

    /// Who has asked for what may not be done is at fault, not the device. One that was cut off has
    /// nobody to blame.
    #[test]
    fn i1_whose_fault_an_abort_is() -> Result {
        let one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        let job = write_at(&port, VA)?;
        one.resume(&one.next_event()?, Resume::Abort)?;
        assert_eq!(join(&job), Some(DmaErrorKind::Refused));

        let job = write_at(&port, VA)?;
        one.next_event()?;
        one.bench.command(Command::stall_term(SID))?;
        assert_eq!(join(&job), Some(DmaErrorKind::Aborted));

        let job = write_at(&port, VA)?;
        one.next_event()?;
        one.bench.enable(Cr0::default());
        assert_eq!(join(&job), Some(DmaErrorKind::Aborted));
        Ok(())
    }
}
