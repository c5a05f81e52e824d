// SPDX-License-Identifier: GPL-2.0

//! Page requests and events off the usual path.

#[kernel::prelude::kunit_tests(smmu_faults)]
mod tests {
    use super::super::*;
    use crate::{
        fmt::{
            cmd,
            event::EventId,
            ppr::{
                PriEntry,
                Response, //
            },
            regs, //
        },
        hw::{
            Attrs,
            DmaErrorKind,
            Lies,
            PortLimits, //
        }, //
    };
    use kernel::{
        sync::{
            atomic::{
                Atomic,
                Relaxed, //
            },
            Arc, //
        },
        time::{
            delay::fsleep,
            Delta, //
        }, //
    };
    use kernel_ext::{
        thread::KThread, //
    };

    fn kind<T>(result: Result<T, hw::DmaError>) -> Option<DmaErrorKind> {
        result.err().map(|error| error.kind)
    }

    #[test]
    fn no_handler_is_answered_invalid() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let device = device(&instance, 0)?;
        let addr = mm.map(1, Protection::ReadWrite)?;
        let (smmu, client) = (instance.smmu(), device.client());
        // Attached past the core, which knows no handler for the PASID.
        let domain = smmu.alloc_sva(&client, mm.mm())?;
        smmu.attach_sva(&domain, &client, 9)?;
        let read = device
            .port()
            .read(Some(9), addr as u64, &mut [0; 8], Attrs::default());
        smmu.block_pasid(&client, 9);
        check!(kind(read) == Some(DmaErrorKind::Refused));
        let stats = device.port().stats();
        check!(stats.groups == 1 && stats.responses_invalid == 1);
        check!(smmu.priq().stats().responses.load(Relaxed) == 1);
        Ok(())
    }

    #[test]
    fn prefetch_is_one_group() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let device = device(&instance, 0)?;
        let pages = 64;
        let addr = mm.map(pages, Protection::ReadWrite)?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        let port = device.port();
        port.prefetch(
            Some(bond.pasid()),
            addr as u64,
            pages * PAGE_SIZE,
            true,
            Attrs::default(),
        )?;
        let stats = port.stats();
        check!(stats.groups == 1 && stats.page_requests == 64);
        for page in 0..pages {
            let at = (addr + page * PAGE_SIZE) as u64;
            port.write(Some(bond.pasid()), at, &[1; 8], Attrs::default())?;
        }
        check!(port.stats().groups == 1);
        Ok(())
    }

    #[test]
    fn pri_overflow_recovers() -> Result {
        let config = hw::Config {
            priq_bits: 3,
            ..default_config()
        };
        let (mm, instance) = (TestMm::new()?, instance_with(config, &[WIDE])?);
        let device = device(&instance, 0)?;
        let pages = 16;
        let (hole, addr) = (
            mm.map(pages, Protection::ReadWrite)?,
            mm.map(pages, Protection::ReadWrite)?,
        );
        mm.unmap(hole, pages)?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        let port = device.port();
        // Groups that are larger than the queue, for pages that nobody has: some of their requests
        // are lost each time, unless the driver is just taking others from it.
        let (requester, pasid) = (port.clone(), bond.pasid());
        let thread = KThread::spawn(c"smmu-kunit-overflow", move |stop| {
            let len = pages * PAGE_SIZE;
            while !stop.requested() {
                let _ = requester.prefetch(Some(pasid), hole as u64, len, true, Attrs::default());
            }
        })?;
        let overflows = || instance.smmu().priq().stats().overflows.load(Relaxed);
        let overflowed = wait_until(|| overflows() > 2);
        port.stop();
        drop(thread);
        port.start();
        check!(overflowed && instance.hw().stats().page_requests_lost > 0);

        // All is well again.
        for page in 0..pages {
            let at = (addr + page * PAGE_SIZE) as u64;
            port.write(Some(bond.pasid()), at, &[page as u8; 8], Attrs::default())?;
        }
        for page in [0, 9, 15] {
            let mut seen = [0; 8];
            mm.read(addr + page * PAGE_SIZE, &mut seen)?;
            check!(seen == [page as u8; 8]);
        }
        check!(!instance.smmu().priq().queue().overflowed());
        Ok(())
    }

    /// What came of a group whose end was lost must not join a later group of the same index.
    #[test]
    fn pri_overflow_discards_partial_groups() -> Result {
        let config = hw::Config {
            priq_bits: 3,
            ..default_config()
        };
        let (mm, instance) = (TestMm::new()?, instance_with(config, &[WIDE])?);
        let device = device(&instance, 0)?;
        let (hole, addr) = (
            mm.map(16, Protection::ReadWrite)?,
            mm.map(1, Protection::ReadWrite)?,
        );
        mm.unmap(hole, 16)?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        let (port, pasid) = (device.port(), Some(bond.pasid()));
        port.set_lies(Lies {
            one_group: true,
            ..Lies::default()
        })?;
        // It asks once: while the driver is at it, the queue might take all.
        port.set_limits(PortLimits {
            timeout_ms: 0,
            ..PortLimits::DEFAULT
        })?;
        // Sixteen requests for pages that nobody has; the queue takes half of them.
        let hopeless = port.prefetch(pasid, hole as u64, 16 * PAGE_SIZE, true, Attrs::default());
        check!(kind(hopeless) == Some(DmaErrorKind::Timeout));
        instance.smmu().priq().drain();
        check!(!instance.smmu().priq().queue().overflowed());
        check!(instance.smmu().priq().stats().responses.load(Relaxed) == 0);
        // With them this group would be refused.
        port.set_limits(PortLimits::DEFAULT)?;
        port.write(pasid, addr as u64, &[1; 8], Attrs::default())?;
        Ok(())
    }

    /// Requests of several groups may be mixed: each group gets its own answer, once.
    #[test]
    fn page_request_groups_interleave() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE, NARROW])?);
        let (smmu, priq) = (instance.smmu(), instance.smmu().priq());
        let addr = mm.map(2, Protection::ReadWrite)?;
        let hole = mm.map(1, Protection::ReadWrite)?;
        mm.unmap(hole, 1)?;
        let one = InTreeBond::new(device(&instance, 0)?.endpoint(), mm.mm())?;
        let two = InTreeBond::new(device(&instance, 1)?.endpoint(), mm.mm())?;
        check!(one.pasid() == two.pasid());
        let request = PriEntry::default()
            .with_ssv(true)
            .with_ssid(one.pasid())
            .with_write(true);
        let first = smmu.regs().read32(regs::CMDQ_PROD);
        // The same index of two devices, and another one: only the second has the hole.
        for (sid, group, at, last) in [
            (WIDE.sid, 3, addr, false),
            (WIDE.sid, 4, hole, false),
            (NARROW.sid, 3, addr, false),
            (WIDE.sid, 3, addr + PAGE_SIZE, true),
            (NARROW.sid, 3, addr + PAGE_SIZE, true),
            (WIDE.sid, 4, addr, true),
        ] {
            let request = request.with_sid(sid).with_group(group);
            let request = request.with_address(at as u64).with_last(last);
            check!(instance.hw().send_page_request(&request).is_none());
        }
        check!(wait_until(|| priq.stats().responses.load(Relaxed) >= 3));
        drop((one, two));
        check!(priq.stats().groups.load(Relaxed) == 3);
        check!(priq.stats().responses.load(Relaxed) == 3);
        let mut answers = KVec::new();
        let mut at = first;
        while at != smmu.regs().read32(regs::CMDQ_PROD) {
            let command = smmu.cmdq().peek(at);
            if command.op() == cmd::OP_PRI_RESP {
                let answer = (command.sid(), command.group(), command.response());
                answers.push(answer, GFP_KERNEL)?;
            }
            at = smmu.cmdq().layout().advance(at, 1);
        }
        let (good, bad) = (Response::Success as u8, Response::Invalid as u8);
        for answer in [
            (WIDE.sid, 3, good),
            (NARROW.sid, 3, good),
            (WIDE.sid, 4, bad),
        ] {
            check!(answers.iter().filter(|&&a| a == answer).count() == 1);
        }
        check!(answers.len() == 3);
        Ok(())
    }

    #[test]
    fn stop_marker_gets_no_response() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let device = device(&instance, 0)?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        device.port().stop_marker(bond.pasid());
        let priq = instance.smmu().priq();
        priq.drain();
        check!(priq.stats().stop_markers.load(Relaxed) == 1);
        check!(priq.stats().responses.load(Relaxed) == 0);
        Ok(())
    }

    #[test]
    fn drain_of_an_idle_queue_returns() -> Result {
        let instance = instance(&[])?;
        for _ in 0..3 {
            instance.smmu().priq().drain();
        }
        Ok(())
    }

    #[test]
    fn detach_has_everything_reported() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let device = device(&instance, 0)?;
        let addr = mm.map(32, Protection::ReadWrite)?;
        for page in 0..32 {
            let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
            let at = (addr + page * PAGE_SIZE) as u64;
            device
                .port()
                .write(Some(bond.pasid()), at, &[1], Attrs::default())?;
            drop(bond);
            let priq = instance.smmu().priq().queue();
            check!(priq.layout().is_empty(priq.prod(), priq.cons()));
        }
        Ok(())
    }

    /// Whoever leaves an address space, for none or for another, waits for the page requests that
    /// were made in it: their handler would look at what is freed next.
    #[test]
    fn detach_and_replace_wait_for_page_requests() -> Result {
        for replace in [true, false] {
            let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
            let (smmu, client) = (instance.smmu(), device(&instance, 0)?.client());
            let old = smmu.alloc_sva(&client, mm.mm())?;
            let new = Arc::new(smmu.alloc_sva(&client, mm.mm())?, GFP_KERNEL)?;
            smmu.attach_sva(&old, &client, 5)?;

            // The queue's thread cannot get on while somebody looks at the devices.
            let flag = || Arc::new(Atomic::new(false), GFP_KERNEL);
            let (held, open, returned) = (flag()?, flag()?, flag()?);
            let (holder, holds, opened) = (smmu.clone(), held.clone(), open.clone());
            let holding = KThread::spawn(c"smmu-kunit-holder", move |_| {
                let _ = holder.for_each_client(|_, _| {
                    holds.store(true, Relaxed);
                    while !opened.load(Relaxed) {
                        fsleep(Delta::from_millis(1));
                    }
                    Ok::<(), ()>(())
                });
            })?;
            while !held.load(Relaxed) {
                fsleep(Delta::from_millis(1));
            }
            let request = PriEntry::default()
                .with_sid(WIDE.sid)
                .with_ssv(true)
                .with_ssid(5)
                .with_read(true)
                .with_last(true);
            instance.hw().send_page_request(&request);

            let (leaver, device, target) = (smmu.clone(), client.clone(), new.clone());
            let done = returned.clone();
            let leaving = KThread::spawn(c"smmu-kunit-leaver", move |_| {
                if replace {
                    let _ = leaver.attach_sva(&target, &device, 5);
                } else {
                    leaver.block_pasid(&device, 5);
                }
                done.store(true, Relaxed);
            })?;
            fsleep(Delta::from_millis(50));
            let early = returned.load(Relaxed);
            open.store(true, Relaxed);
            while !returned.load(Relaxed) {
                fsleep(Delta::from_millis(1));
            }
            drop((leaving, holding));
            smmu.block_pasid(&client, 5);
            check!(!early);
        }
        Ok(())
    }

    #[test]
    fn f_translation_without_ats() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[NO_ATS])?);
        let device = device(&instance, 0)?;
        let addr = mm.map(2, Protection::ReadWrite)?;
        mm.write(addr, &pattern(1))?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        let mut seen = [0; 64];
        device
            .port()
            .read(Some(bond.pasid()), addr as u64, &mut seen, Attrs::default())?;
        check!(seen == pattern(1));
        // It cannot ask for the page, so there is an event and no data.
        let absent = (addr + PAGE_SIZE) as u64;
        let read = device
            .port()
            .read(Some(bond.pasid()), absent, &mut seen, Attrs::default());
        check!(kind(read) == Some(DmaErrorKind::Aborted));
        check!(events(&instance, EventId::Translation, 1) == 1);
        Ok(())
    }

    #[test]
    fn c_bad_cd_without_bond() -> Result {
        let instance = instance(&[NO_ATS])?;
        let read =
            device(&instance, 0)?
                .port()
                .read(Some(3), 0x1000, &mut [0; 8], Attrs::default());
        check!(kind(read) == Some(DmaErrorKind::Aborted));
        check!(events(&instance, EventId::BadCd, 1) == 1);
        Ok(())
    }

    #[test]
    fn event_overflow_is_acknowledged() -> Result {
        let config = hw::Config {
            evtq_bits: 1,
            ..default_config()
        };
        let instance = instance_with(config, &[NO_ATS])?;
        let port = device(&instance, 0)?.port();
        for _ in 0..500 {
            let _ = port.read(Some(3), 0x1000, &mut [0; 8], Attrs::default());
        }
        // The thread of the event queue may be slow, but it comes.
        check!(wait_until(|| !instance.smmu().evtq().queue().overflowed()));
        let _ = port.read(Some(3), 0x1000, &mut [0; 8], Attrs::default());
        check!(events(&instance, EventId::BadCd, 1) > 0);
        Ok(())
    }
}
