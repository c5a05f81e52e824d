// SPDX-License-Identifier: GPL-2.0

//! Devices that break the rules, in front of the driver half, the IOMMU core and the fault
//! handler: whatever they do, all others go on.

#[kernel::prelude::kunit_tests(smmu_lies)]
mod tests {
    use super::super::*;
    use crate::hw::{
        Attrs,
        Lies,
        PortStats,
        Stats, //
    };
    use kernel::{
        sync::atomic::Relaxed,
        time::{
            delay::fsleep,
            Delta, //
        }, //
    };
    use kernel_ext::thread::KThread;

    const PAGES: usize = 64;

    /// What the counters said in the end.
    struct Outcome {
        port: PortStats,
        hw: Stats,
        overflows: u64,
    }

    /// Has a device lie for a while, with four threads, beside an honest one that must not notice;
    /// then it must be able to work again.
    fn endure(lies: Lies, prepare: impl Fn(&Instance) -> Result) -> Result<Outcome> {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE, NARROW])?);
        let (liar, honest) = (device(&instance, 0)?, device(&instance, 1)?);
        let addr = mm.map(PAGES, Protection::ReadWrite)?;
        let bond = InTreeBond::new(liar.endpoint(), mm.mm())?;
        let other = InTreeBond::new(honest.endpoint(), mm.mm())?;
        let pasid = bond.pasid();
        prepare(&instance)?;
        liar.port().set_lies(lies)?;

        let mut threads = KVec::new();
        for i in 0..4 {
            let port = liar.port().clone();
            let thread = KThread::spawn(c"smmu-kunit-liar", move |stop| {
                let mut page = i;
                while !stop.requested() {
                    let at = (addr + page % (PAGES / 2) * PAGE_SIZE) as u64;
                    let _ = port.write(Some(pasid), at, &[1; 8], Attrs::default());
                    page += 4;
                    // What only fails at once must not keep a processor.
                    fsleep(Delta::from_micros(200));
                }
            })?;
            threads.push(thread, GFP_KERNEL)?;
        }
        for page in PAGES / 2..PAGES - 2 {
            let at = addr + page * PAGE_SIZE;
            // A full queue or a late acknowledgement may delay it.
            honest.port().write(
                Some(other.pasid()),
                at as u64,
                &pattern(3),
                Attrs::default(),
            )?;
            let mut seen = [0; 64];
            mm.read(at, &mut seen)?;
            check!(seen == pattern(3));
            fsleep(Delta::from_millis(2));
        }
        // Its memory goes away under it.
        mm.unmap(addr, PAGES / 2)?;
        liar.port().set_lies(Lies::default())?;
        liar.port().stop();
        threads.clear();
        liar.port().start();

        let last = addr + (PAGES - 1) * PAGE_SIZE;
        liar.port()
            .write(Some(pasid), last as u64, &pattern(4), Attrs::default())?;
        let mut seen = [0; 64];
        mm.read(last, &mut seen)?;
        check!(seen == pattern(4));
        drop(bond);
        check!(instance.hw().strict_check() == 0);
        let pri = instance.smmu().priq().stats();
        Ok(Outcome {
            port: liar.port().stats(),
            hw: instance.hw().stats(),
            overflows: pri.overflows.load(Relaxed),
        })
    }

    fn nothing(_instance: &Instance) -> Result {
        Ok(())
    }

    #[test]
    fn lying_foreign_pasid() -> Result {
        let lies = Lies {
            foreign_ssid: Some(0x1f),
            ..Lies::default()
        };
        let outcome = endure(lies, nothing)?;
        check!(outcome.port.lies > 0 && outcome.port.errors > 0);
        Ok(())
    }

    #[test]
    fn lying_never_last() -> Result {
        let lies = Lies {
            no_last: true,
            ..Lies::default()
        };
        let outcome = endure(lies, nothing)?;
        check!(outcome.port.lies > 0 && outcome.port.abandoned > 0);
        Ok(())
    }

    #[test]
    fn lying_flood() -> Result {
        let lies = Lies {
            flood: 600,
            ..Lies::default()
        };
        let outcome = endure(lies, nothing)?;
        check!(outcome.port.lies >= 600);
        check!(outcome.overflows > 0 && outcome.hw.auto_responses > 0);
        Ok(())
    }

    #[test]
    fn lying_repeat() -> Result {
        let lies = Lies {
            repeat: true,
            ..Lies::default()
        };
        let outcome = endure(lies, nothing)?;
        check!(outcome.port.lies > 0 && outcome.hw.pri_resp_stray > 0);
        Ok(())
    }

    #[test]
    fn lying_group_index_reuse() -> Result {
        let lies = Lies {
            one_group: true,
            ..Lies::default()
        };
        let outcome = endure(lies, nothing)?;
        check!(outcome.port.lies > 0 && outcome.port.groups > 0);
        Ok(())
    }

    #[test]
    fn lying_late_answer() -> Result {
        let lies = Lies {
            late_ms: 20,
            ..Lies::default()
        };
        let outcome = endure(lies, nothing)?;
        check!(outcome.port.lies > 0 && outcome.port.responses_success > 0);
        Ok(())
    }

    #[test]
    fn lying_late_acknowledgement() -> Result {
        let lies = Lies {
            ack_ms: 3,
            ..Lies::default()
        };
        let outcome = endure(lies, nothing)?;
        check!(outcome.port.lies > 0 && outcome.hw.command_errors == 0);
        Ok(())
    }

    #[test]
    fn lying_dma_after_stop() -> Result {
        let lies = Lies {
            unstoppable: true,
            ..Lies::default()
        };
        let outcome = endure(lies, |instance| {
            // Its driver has stopped it, or so it thinks.
            let port = device(instance, 0)?.port().clone();
            port.set_lies(Lies {
                unstoppable: true,
                ..Lies::default()
            })?;
            port.stop();
            Ok(())
        })?;
        check!(outcome.port.lies > 0 && outcome.port.bytes_written > 0);
        Ok(())
    }

    /// The bond is ended while the device goes on with its PASID: all that it gets are refusals.
    #[test]
    fn lying_dma_after_unbind() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let device = device(&instance, 0)?;
        let addr = mm.map(4, Protection::ReadWrite)?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        let (port, pasid) = (device.port().clone(), bond.pasid());
        device.port().set_lies(Lies {
            unstoppable: true,
            ..Lies::default()
        })?;
        let thread = KThread::spawn(c"smmu-kunit-liar", move |stop| {
            while !stop.requested() {
                let _ = port.write(Some(pasid), addr as u64, &[0xff; 8], Attrs::default());
            }
        })?;
        fsleep(Delta::from_millis(20));
        device.port().stop();
        drop(bond);
        mm.write(addr, &pattern(0))?;
        let before = device.port().stats().errors;
        let refused = wait_until(|| device.port().stats().errors > before + 1);
        drop(thread);
        let mut seen = [0; 64];
        mm.read(addr, &mut seen)?;
        check!(seen == pattern(0));
        check!(refused);
        check!(instance.hw().strict_check() == 0);
        Ok(())
    }
}
