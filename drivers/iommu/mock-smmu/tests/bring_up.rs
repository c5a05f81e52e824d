// SPDX-License-Identifier: GPL-2.0

//! Turning the SMMU on and off, as its registers see it.

#[kernel::prelude::kunit_tests(smmu_bring_up)]
mod tests {
    use super::super::*;
    use crate::{
        bus::BUS,
        driver::probe::{
            Lines,
            Running, //
        },
        fmt::regs::{
            self,
            Cr0,
            Cr1, //
        },
        line::Line,
        mmio::{
            Doorbell,
            RegisterFile, //
        }, //
    };
    use kernel::{
        new_spinlock_irq,
        sync::{
            Arc,
            SpinLockIrq, //
        }, //
    };

    /// How things stood when CR0 was written.
    #[derive(Clone, Copy)]
    struct Step {
        cr0: Cr0,
        stats: hw::Stats,
        irqs: u32,
        cr1: u32,
        streams: u64,
    }

    /// Stands between the register file and the hardware.
    #[pin_data]
    struct Spy {
        regs: Arc<RegisterFile>,
        hw: Arc<hw::Smmu>,
        #[pin]
        steps: SpinLockIrq<KVec<Step>>,
    }

    impl Doorbell for Spy {
        fn ring(&self, offset: usize) {
            self.hw.ring(offset);
            if offset == regs::CR0 {
                let step = Step {
                    cr0: Cr0::from_raw(self.regs.read32(regs::CR0)),
                    stats: self.hw.stats(),
                    irqs: self.regs.read32(regs::IRQ_CTRLACK),
                    cr1: self.regs.read32(regs::CR1),
                    streams: self.regs.read64(regs::STRTAB_BASE),
                };
                // There is room for more than there should be.
                let _ = self.steps.lock().push_within_capacity(step);
            }
        }
    }

    /// Turns one on and off. Gives each write of CR0.
    fn run(config: hw::Config) -> Result<KVec<Step>> {
        let (regs, lines) = (RegisterFile::new()?, Lines::new()?);
        let hw_lines = hw::Lines {
            evtq: lines.evtq.clone(),
            priq: lines.priq.clone(),
            gerror: lines.gerror.clone(),
            sync: Line::new()?,
        };
        let steps = KVec::with_capacity(32, GFP_KERNEL)?;
        let (file, hw) = (
            regs.clone(),
            hw::Smmu::new(config, regs.clone(), hw_lines, BUS)?,
        );
        let spy = Arc::pin_init(
            pin_init!(Spy {
                regs: file,
                hw,
                steps <- new_spinlock_irq!(steps),
            }),
            GFP_KERNEL,
        )?;
        regs.set_doorbell(spy.clone());
        let running = Running::new(NAME, regs.clone(), lines);
        let started = running.map(drop);
        regs.clear_doorbell();
        started?;
        let steps = core::mem::take(&mut *spy.steps.lock());
        Ok(steps)
    }

    /// The steps in which bits of CR0 are set that were not.
    fn enables(steps: &[Step]) -> KVec<(u32, Step)> {
        let (mut before, mut enables) = (0, KVec::new());
        for step in steps {
            let new = step.cr0.raw() & !before;
            before = step.cr0.raw();
            if new != 0 {
                let _ = enables.push((new, *step), GFP_KERNEL);
            }
        }
        enables
    }

    #[test]
    fn enable_order() -> Result {
        let bit = Cr0::default();
        let [cmdq, evtq, priq, atschk, smmu] = [
            bit.with_cmdqen(true),
            bit.with_evtqen(true),
            bit.with_priqen(true),
            bit.with_atschk(true),
            bit.with_smmuen(true),
        ]
        .map(|cr0| cr0.raw());
        for (ats, pri, expect) in [
            (true, true, &[cmdq, evtq, priq, atschk, smmu][..]),
            (true, false, &[cmdq, evtq, atschk, smmu]),
            (false, false, &[cmdq, evtq, smmu]),
        ] {
            let steps = run(hw::Config {
                ats,
                pri,
                ..default_config()
            })?;
            // Off at first, whatever it was before, and in the end.
            check!(steps.first().is_some_and(|step| step.cr0.raw() == 0));
            check!(steps.last().is_some_and(|step| step.cr0.raw() == 0));
            let enables = enables(&steps);
            check!(enables.len() == expect.len());
            check!(enables
                .iter()
                .zip(expect)
                .all(|((bits, _), one)| bits == one));

            // How memory is accessed is told before the first queue is on.
            check!(enables[0].1.cr1 == Cr1::like_the_cpus().raw());
            // What was cached before is forgotten by the time that the second queue is on.
            let stats = enables[1].1.stats;
            check!(stats.cfgi_ste > 0 && stats.tlbi_all > 0 && stats.sync > 0);
            // Traffic comes when somebody listens, and finds a stream table.
            let on = enables[expect.len() - 1].1;
            check!(on.irqs == if pri { 7 } else { 5 } && on.streams != 0);
        }
        Ok(())
    }
}
