// SPDX-License-Identifier: GPL-2.0

//! Tests of the command queue against hardware that refuses commands.

use kernel::prelude::*;

#[kunit_tests(smmu_driver_cmdq)]
mod tests {
    use super::*;
    use crate::{
        bus::BUS,
        driver::cmdq::CommandQueue,
        fmt::{
            cmd::{
                self,
                Command,
                CommandError, //
            },
            queue::Layout,
            regs, //
        },
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

    /// Bits of the number of commands in the queue.
    const BITS: u8 = 3;

    /// What goes wrong: the next `times` commands with this code.
    #[derive(Clone, Copy)]
    struct Trouble {
        op: u8,
        error: CommandError,
        times: u32,
    }

    struct Recorder {
        trouble: Trouble,
        /// Commands carried out, by code.
        done: [u32; 256],
    }

    /// As much of an SMMU as consumes commands.
    #[pin_data]
    struct Hardware {
        regs: Arc<RegisterFile>,
        #[pin]
        state: SpinLockIrq<Recorder>,
    }

    impl Hardware {
        fn done(&self, op: u8) -> u32 {
            self.state.lock().done[usize::from(op)]
        }

        /// Consumes commands up to PROD, or to one that it refuses.
        fn step(&self) -> Result {
            let (regs, mut state) = (&self.regs, self.state.lock());
            let command_error = regs::Gerror::default().with_cmdq_err(true).raw();
            let gerror = regs.read32(regs::GERROR);
            let layout = Layout {
                log2size: BITS,
                entry_size: Command::SIZE,
            };
            let base = regs::QueueBase::from_raw(regs.read64(regs::CMDQ_BASE)).base();
            let prod = regs.read32(regs::CMDQ_PROD);
            let mut cons = regs::CmdqCons::from_raw(regs.read32(regs::CMDQ_CONS)).rd();

            while (gerror ^ regs.read32(regs::GERRORN)) & command_error == 0
                && !layout.is_empty(prod, cons)
            {
                let at = base + layout.offset(cons) as u64;
                let entry = BUS.window(at, Command::SIZE)?;
                let command = Command::from_words([entry.load64(0)?, entry.load64(8)?]);
                let trouble = &mut state.trouble;
                if trouble.op == command.op() && trouble.times > 0 {
                    trouble.times -= 1;
                    let stopped = regs::CmdqCons::default()
                        .with_rd(cons)
                        .with_err(trouble.error as u8);
                    regs.hw_write32(regs::CMDQ_CONS, stopped.raw());
                    regs.hw_write32(regs::GERROR, gerror ^ command_error);
                    return Ok(());
                }
                state.done[usize::from(command.op())] += 1;
                cons = layout.advance(cons, 1);
                regs.hw_write32(regs::CMDQ_CONS, cons);
            }
            Ok(())
        }
    }

    impl Doorbell for Hardware {
        fn ring(&self, offset: usize) {
            if [regs::CMDQ_PROD, regs::GERRORN].contains(&offset) && self.step().is_err() {
                pr_err!("no command queue\n");
            }
        }
    }

    /// A queue, and the hardware behind it.
    struct Rig {
        queue: Pin<KBox<CommandQueue>>,
        hardware: Arc<Hardware>,
    }

    impl Rig {
        fn new(op: u8, error: CommandError, times: u32) -> Result<Self> {
            let regs = RegisterFile::new()?;
            let trouble = Trouble { op, error, times };
            let state = Recorder {
                trouble,
                done: [0; 256],
            };
            let seen = regs.clone();
            let hardware = Arc::pin_init(
                pin_init!(Hardware {
                    regs: seen,
                    state <- new_spinlock_irq!(state, "mock_smmu_kunit_cmdq"),
                }),
                GFP_KERNEL,
            )?;
            let queue = KBox::pin_init(CommandQueue::new(regs.clone(), BITS)?, GFP_KERNEL)?;
            queue.program();
            regs.set_doorbell(hardware.clone());
            Ok(Self { queue, hardware })
        }
    }

    impl Drop for Rig {
        fn drop(&mut self) {
            self.hardware.regs.clear_doorbell();
        }
    }

    /// What is refused is replaced by a SYNC; what comes after it has its effect.
    #[test]
    fn cerror_ill_and_abt() -> Result {
        for error in [CommandError::Ill, CommandError::Abt] {
            let rig = Rig::new(cmd::OP_CFGI_CD, error, 1)?;
            let result = rig.queue.run(|batch| {
                batch.push(Command::cfgi_cd(1, 2, true))?;
                batch.push(Command::tlbi_asid(3))
            });
            assert_eq!(result, Err(EIO));
            assert_eq!(rig.hardware.done(cmd::OP_CFGI_CD), 0);
            assert_eq!(rig.hardware.done(cmd::OP_TLBI_NH_ASID), 1);
            assert_eq!(rig.hardware.done(cmd::OP_SYNC), 2);
            assert_eq!(rig.queue.stats().errors, 1);
            // The next batch knows nothing of it.
            let again = rig.queue.run(|batch| batch.push(Command::tlbi_asid(3)));
            assert_eq!(again, Ok(()));
        }
        Ok(())
    }

    /// After an invalidation that took a device too long, the SYNC is just tried again.
    #[test]
    fn cerror_atc_inv_sync() -> Result {
        let rig = Rig::new(cmd::OP_SYNC, CommandError::AtcInv, 2)?;
        let result = rig
            .queue
            .run(|batch| batch.push(Command::atc_inv(1, None, 0, cmd::ATC_INV_ALL)));
        assert_eq!(result, Err(EIO));
        assert_eq!(rig.hardware.done(cmd::OP_ATC_INV), 1);
        assert_eq!(rig.hardware.done(cmd::OP_SYNC), 1);
        assert_eq!(rig.queue.stats().errors, 2);
        Ok(())
    }

    #[test]
    fn cerror_in_a_batch_larger_than_the_queue() -> Result {
        let rig = Rig::new(cmd::OP_CFGI_CD, CommandError::Ill, 3)?;
        let many = 10 << BITS;
        let result = rig.queue.run(|batch| {
            for i in 0..many {
                batch.push(Command::tlbi_asid(i))?;
                if i % 20 == 0 {
                    batch.push(Command::cfgi_cd(1, 2, true))?;
                }
            }
            Ok(())
        });
        assert_eq!(result, Err(EIO));
        assert_eq!(rig.hardware.done(cmd::OP_TLBI_NH_ASID), u32::from(many));
        assert_eq!(rig.hardware.done(cmd::OP_CFGI_CD), 1);
        assert_eq!(rig.queue.stats().errors, 3);
        Ok(())
    }

    /// The error's interrupt may come after the batch has seen to it.
    #[test]
    fn recover_without_an_error() -> Result {
        let rig = Rig::new(cmd::OP_CFGI_CD, CommandError::Ill, 1)?;
        let result = rig
            .queue
            .run(|batch| batch.push(Command::cfgi_cd(1, 2, true)));
        assert_eq!(result, Err(EIO));
        rig.queue.recover();
        assert_eq!(rig.queue.stats().errors, 1);
        Ok(())
    }

    #[test]
    fn one_sync_a_batch() -> Result {
        let rig = Rig::new(0, CommandError::Ill, 0)?;
        rig.queue
            .run(|batch| (0..6).try_for_each(|i| batch.push(Command::tlbi_asid(i))))?;
        assert_eq!(rig.hardware.done(cmd::OP_TLBI_NH_ASID), 6);
        assert_eq!(rig.hardware.done(cmd::OP_SYNC), 1);
        Ok(())
    }
}
