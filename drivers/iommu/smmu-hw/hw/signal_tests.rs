// SPDX-License-Identifier: GPL-2.0

//! Tests of how the hardware tells of things: acknowledged registers, interrupts, messages.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_signal)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cmd::{
                self,
                Command, //
            },
            queue::OVERFLOW_FLAG,
            regs::{
                self,
                Cr0,
                QueueBase, //
            }, //
        },
        hw::{
            bench::{
                aborted,
                read,
                Bench,
                OneSpace,
                PLAIN,
                SID,
                SSID,
                VA, //
            },
            Config, //
        }, //
    };
    use kernel::page::PAGE_SIZE;
    use kernel_ext::phys::PhysPages;

    fn with_messages() -> Result<(OneSpace, PhysPages)> {
        let one = OneSpace::with_config(Config {
            msi: true,
            sev: true,
            ..Config::default()
        })?;
        Ok((one, PhysPages::alloc(PAGE_SIZE)?))
    }

    /// The ID registers with which the kernel's own driver is known to work.
    #[test]
    fn id_registers_of_the_stock_driver() -> Result {
        let stock = Config {
            httu: 0,
            pri: false,
            gran16k: false,
            priq_bits: 8,
            stall_max: 16,
            ..Config::default()
        };
        let bench = Bench::off(stock)?;
        let ids = |bench: &Bench| {
            [regs::IDR0, regs::IDR1, regs::IDR3, regs::IDR5].map(|at| bench.regs.read32(at))
        };
        assert_eq!(ids(&bench), [0x084c_141a, 0x0148_4510, 0x1504, 0x0010_0055]);
        assert_eq!(bench.regs.read32(regs::IIDR), 0);
        let bench = Bench::off(Config {
            msi: true,
            sev: true,
            stall_model: regs::STALL_ONLY,
            ril: false,
            ..stock
        })?;
        assert_eq!(ids(&bench), [0x0a4c_741a, 0x0148_4510, 0x1004, 0x0010_0055]);
        Ok(())
    }

    #[test]
    fn reserved_bits_are_not_acknowledged() -> Result {
        let bench = Bench::new(Config {
            pri: false,
            ..Config::default()
        })?;
        bench.regs.write32(regs::CR0, u32::MAX);
        bench.regs.write32(regs::IRQ_CTRL, u32::MAX);
        let cr0 = Cr0::from_raw(0x1f).with_priqen(false);
        assert_eq!(bench.regs.read32(regs::CR0ACK), cr0.raw());
        assert_eq!(bench.regs.read32(regs::IRQ_CTRLACK), 5);
        Ok(())
    }

    #[test]
    fn queue_size_limits() -> Result {
        let one = OneSpace::with_config(Config {
            evtq_bits: 1,
            ..Config::default()
        })?;
        let port = one.port(PLAIN)?;
        // Asks for 32 entries, gets two.
        let regs = &one.bench.regs;
        let base = QueueBase::from_raw(regs.read64(regs::EVTQ_BASE));
        regs.write64(regs::EVTQ_BASE, base.with_log2size(5).raw());
        for _ in 0..3 {
            assert!(aborted(read(&port, Some(SSID), VA)));
        }
        assert_eq!(regs.read32(regs::EVTQ_PROD), OVERFLOW_FLAG | 2);
        Ok(())
    }

    #[test]
    fn sync_irq() -> Result {
        let (one, memory) = with_messages()?;
        let sync = Command::sync().with_cs(cmd::SYNC_IRQ).with_msi_data(0xabcd);
        one.bench.command(sync)?;
        assert_eq!(one.bench.sync_line.count(), 1);
        one.bench
            .command(sync.with_msi_address(memory.phys() + 4))?;
        assert_eq!(memory.window().load64(0)?, 0xabcd << 32);
        assert_eq!(one.bench.sync_line.count(), 2);
        // Silent ones.
        one.bench.command(Command::sync())?;
        one.bench.command(Command::sync().with_cs(cmd::SYNC_SEV))?;
        assert_eq!(one.bench.sync_line.count(), 2);
        // Nothing there: an error, but the SYNC is complete.
        one.bench.command(sync.with_msi_address(4))?;
        assert!(one.bench.idle());
        assert_eq!(one.bench.regs.read32(regs::GERROR), 1 << 4);
        Ok(())
    }

    #[test]
    fn messages_of_queues() -> Result {
        let (one, memory) = with_messages()?;
        let regs = &one.bench.regs;
        let port = one.port(PLAIN)?;
        for (i, config) in [regs::EVTQ_IRQ_CFG0, regs::GERROR_IRQ_CFG0]
            .into_iter()
            .enumerate()
        {
            regs.write64(config, memory.phys() + 8 * i as u64);
            regs.write32(config + regs::MSI_DATA, 7 + i as u32);
        }
        assert!(aborted(read(&port, Some(SSID), VA)));
        one.bench.command(Command::new(0))?;
        assert_eq!(memory.window().load64(0)?, 7);
        assert_eq!(memory.window().load64(8)?, 8);
        assert_eq!(one.bench.evtq_line.count(), 0);
        assert_eq!(one.bench.gerror_line.count(), 0);

        // A message that cannot be written is an error of its own.
        regs.write64(regs::EVTQ_IRQ_CFG0, 4);
        assert!(aborted(read(&port, Some(SSID), VA)));
        assert_eq!(regs.read32(regs::GERROR), 1 << 5 | 1);
        regs.write64(regs::PRIQ_IRQ_CFG0, 4);
        port_marker(&one);
        assert_eq!(regs.read32(regs::GERROR), 1 << 6 | 1 << 5 | 1);
        Ok(())
    }

    /// Puts something into the page request queue.
    fn port_marker(one: &OneSpace) {
        if let Ok(other) = one.bench.port(SID + 1, PLAIN) {
            other.stop_marker(SSID);
        }
    }
}
