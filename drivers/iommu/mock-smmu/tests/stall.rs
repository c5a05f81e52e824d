// SPDX-License-Identifier: GPL-2.0

//! Devices that wait for pages inside the SMMU: stalled transactions end to end.

#[kernel::prelude::kunit_tests(smmu_stall)]
mod tests {
    use super::super::*;
    use crate::{
        fmt::regs,
        hw::{
            Attrs,
            DmaErrorKind,
            Port, //
        }, //
    };
    use kernel::sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    };
    use kernel_ext::{
        phys::PhysPages,
        thread::KThread, //
    };
    use kernel_test_ext::dma::TestDomain;

    /// A device that stalls, with PASIDs but without ATS.
    const STALLS: DeviceSpec = DeviceSpec {
        stall: true,
        ..NO_ATS
    };

    const ABORTED: Option<DmaErrorKind> = Some(DmaErrorKind::Aborted);
    const REFUSED: Option<DmaErrorKind> = Some(DmaErrorKind::Refused);

    fn kind<T>(result: Result<T, hw::DmaError>) -> Option<DmaErrorKind> {
        result.err().map(|error| error.kind)
    }

    fn read(device: &MockDevice, ssid: u32, at: usize) -> Result<[u8; 64], hw::DmaError> {
        let mut seen = [0; 64];
        device
            .port()
            .read(Some(ssid), at as u64, &mut seen, Attrs::default())?;
        Ok(seen)
    }

    fn write(port: &Port, ssid: u32, at: usize, data: &[u8]) -> Result<(), hw::DmaError> {
        port.write(Some(ssid), at as u64, data, Attrs::default())
    }

    /// Whether each stall has had its one RESUME, and none waits; the event thread gets time.
    fn all_resumed(instance: &Instance) -> bool {
        let resumed = wait_until(|| {
            let stats = instance.hw().stats();
            instance.hw().stalled(None) == 0 && stats.resume == stats.stalls
        });
        let (stats, driver) = (instance.hw().stats(), instance.smmu().stalls());
        resumed
            && stats.resume_stray == 0
            && driver.events.load(Relaxed) == stats.stalls
            && driver.resumes.load(Relaxed) == stats.resume
    }

    #[test]
    fn f_translation_stalls_and_is_served() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[STALLS])?);
        let device = device(&instance, 0)?;
        let addr = mm.map(8, Protection::ReadWrite)?;
        mm.write(addr, &pattern(1))?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        let cd = instance.hw().cd(STALLS.sid, bond.pasid()).ok_or(ENOENT)?;
        check!(cd.s());
        check!(instance
            .hw()
            .ste(STALLS.sid)
            .is_some_and(|s| !s.s1_stalld()));

        // The first access wakes the bond. Present: nothing stalls. Absent, for reading and for writing: one page, one stall.
        for _ in 0..2 {
            check!(read(device, bond.pasid(), addr)? == pattern(1));
            check!(instance.hw().stats().stalls == 1);
        }
        for page in 1..4 {
            let at = addr + page * PAGE_SIZE;
            check!(read(device, bond.pasid(), at)? == [0; 64]);
        }
        for page in 4..8 {
            let at = addr + page * PAGE_SIZE;
            write(device.port(), bond.pasid(), at, &pattern(page as u8))?;
            let mut seen = [0; 64];
            mm.read(at, &mut seen)?;
            check!(seen == pattern(page as u8));
        }
        check!(instance.hw().stats().stalls == 8 && all_resumed(&instance));
        check!(instance.smmu().stalls().refused.load(Relaxed) == 0);
        Ok(())
    }

    /// Copy on write: the page is there, but not to be written.
    #[test]
    fn f_permission_stalls() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[STALLS])?);
        let device = device(&instance, 0)?;
        let (addr, sealed) = (
            mm.map(1, Protection::ReadWrite)?,
            mm.map(1, Protection::Read)?,
        );
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        // The zero page first, then one of its own.
        check!(read(device, bond.pasid(), addr)? == [0; 64]);
        write(device.port(), bond.pasid(), addr, &pattern(3))?;
        check!(read(device, bond.pasid(), addr)? == pattern(3));
        check!(instance.hw().stats().stalls == 2);

        check!(read(device, bond.pasid(), sealed)? == [0; 64]);
        check!(kind(write(device.port(), bond.pasid(), sealed, &[1])) == REFUSED);
        check!(all_resumed(&instance));
        Ok(())
    }

    #[test]
    fn munmap_aborts() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[STALLS])?);
        let device = device(&instance, 0)?;
        let addr = mm.map(2, Protection::ReadWrite)?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        write(device.port(), bond.pasid(), addr, &pattern(1))?;
        mm.unmap(addr, 1)?;
        check!(kind(read(device, bond.pasid(), addr)) == REFUSED);
        check!(read(device, bond.pasid(), addr + PAGE_SIZE)? == [0; 64]);
        check!(all_resumed(&instance));
        Ok(())
    }

    /// After the process's end nothing stalls any more: nobody could serve it.
    #[test]
    fn exit_aborts() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[STALLS])?);
        let device = device(&instance, 0)?;
        let addr = mm.map(1, Protection::ReadWrite)?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        write(device.port(), bond.pasid(), addr, &pattern(1))?;
        let stalls = instance.hw().stats().stalls;
        drop(mm);
        let cd = instance.hw().cd(STALLS.sid, bond.pasid()).ok_or(ENOENT)?;
        check!(cd.v() && cd.epd0() && !cd.s() && !cd.r());
        check!(kind(read(device, bond.pasid(), addr)) == ABORTED);
        check!(instance.hw().stats().stalls == stalls && all_resumed(&instance));
        Ok(())
    }

    #[test]
    fn unknown_pasid_aborts() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[STALLS])?);
        let device = device(&instance, 0)?;
        let (smmu, client) = (instance.smmu(), device.client());
        let addr = mm.map(1, Protection::ReadWrite)?;
        // Attached past the core, so that nothing handles faults: the driver ends the stall itself.
        let domain = smmu.alloc_sva(&client, mm.mm())?;
        smmu.attach_sva(&domain, &client, 9)?;
        check!(kind(read(device, 9, addr)) == REFUSED);
        check!(instance.hw().stats().stalls == 1 && all_resumed(&instance));
        // Past the driver too: it has forgotten who the PASID's is, and ends the stall itself.
        let bond = client.data().bonds().lock().remove(&9);
        check!(kind(read(device, 9, addr)) == REFUSED);
        check!(smmu.stalls().refused.load(Relaxed) == 2 && all_resumed(&instance));
        let bond = bond.ok_or(ENOENT)?;
        let bonds = client.data().bonds();
        bonds.lock().try_create_and_insert(9, bond, GFP_KERNEL)?;
        smmu.block_pasid(&client, 9);
        Ok(())
    }

    /// Threads that make a device access its process's memory.
    struct Accesses {
        done: Atomic<u64>,
        failed: Atomic<u64>,
        ended: Atomic<u64>,
    }

    /// Starts `count` threads, each of which writes to its part of `pages` pages: once, or again
    /// and again until it is stopped.
    fn start_writers(
        port: &Arc<Port>,
        pasid: u32,
        (addr, pages): (usize, usize),
        count: usize,
        forever: bool,
    ) -> Result<(Arc<Accesses>, KVec<KThread>)> {
        let accesses = Arc::new(
            Accesses {
                done: Atomic::new(0),
                failed: Atomic::new(0),
                ended: Atomic::new(0),
            },
            GFP_KERNEL,
        )?;
        let mut threads = KVec::new();
        for i in 0..count {
            let (port, tally) = (port.clone(), accesses.clone());
            let thread = KThread::spawn(c"smmu-kunit-stall", move |stop| {
                loop {
                    for page in (i..pages).step_by(count) {
                        let at = addr + page * PAGE_SIZE;
                        match write(&port, pasid, at, &pattern(page as u8)) {
                            Ok(()) => tally.done.fetch_add(1, Relaxed),
                            Err(_) => tally.failed.fetch_add(1, Relaxed),
                        };
                    }
                    if !forever || stop.requested() {
                        break;
                    }
                    fsleep(Delta::from_micros(50));
                }
                tally.ended.fetch_add(1, Relaxed);
            })?;
            threads.push(thread, GFP_KERNEL)?;
        }
        Ok((accesses, threads))
    }

    fn join(accesses: &Accesses, threads: KVec<KThread>) -> Result {
        check!(wait_until(
            || accesses.ended.load(Relaxed) == threads.len() as u64
        ));
        drop(threads);
        Ok(())
    }

    /// More stalls than the event queue, or the SMMU, has room for: none is lost.
    #[test]
    fn event_overflow_loses_no_stall() -> Result {
        for (evtq_bits, stall_max) in [(1, 64), (7, 2)] {
            let config = hw::Config {
                evtq_bits,
                stall_max,
                ..default_config()
            };
            let (mm, instance) = (TestMm::new()?, instance_with(config, &[STALLS])?);
            let device = device(&instance, 0)?;
            let pages = 64;
            let addr = mm.map(pages, Protection::ReadWrite)?;
            let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
            let range = (addr, pages);
            let (accesses, threads) = start_writers(device.port(), bond.pasid(), range, 8, false)?;
            join(&accesses, threads)?;
            check!(accesses.done.load(Relaxed) == pages as u64);
            for page in 0..pages {
                let mut seen = [0; 64];
                mm.read(addr + page * PAGE_SIZE, &mut seen)?;
                check!(seen == pattern(page as u8));
            }
            check!(all_resumed(&instance));
        }
        Ok(())
    }

    /// Bonds come and go under a device that stalls all the time.
    #[test]
    fn detach_with_stalls_in_flight() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[STALLS])?);
        let device = device(&instance, 0)?;
        let pages = 16;
        let addr = mm.map(pages, Protection::ReadWrite)?;
        let pasid = InTreeBond::new(device.endpoint(), mm.mm())?.pasid();
        let (accesses, threads) = start_writers(device.port(), pasid, (addr, pages), 4, true)?;
        for round in 0..30 {
            let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
            fsleep(Delta::from_micros(500));
            // Once, all goes well for as long as it takes.
            if round == 15 {
                check!(wait_until(|| accesses.done.load(Relaxed) > 0));
            }
            drop(bond);
            // No bond, no stall: the last of them have been resumed.
            check!(instance.hw().stalled(None) == 0);
            mm.unmap(addr, pages)?;
            mm.map_at(addr, pages)?;
        }
        check!(wait_until(|| accesses.failed.load(Relaxed) > 0));
        drop(threads);
        check!(instance.hw().stats().stalls > 0 && all_resumed(&instance));
        // All is well again.
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        write(device.port(), bond.pasid(), addr, &pattern(9))?;
        check!(read(device, bond.pasid(), addr)? == pattern(9));
        Ok(())
    }

    #[test]
    fn removal_with_stalls_in_flight() -> Result {
        let (mm, mut instance) = (TestMm::new()?, instance(&[STALLS])?);
        let (client, port) = {
            let device = device(&instance, 0)?;
            (device.client(), device.port().clone())
        };
        let pages = 64;
        let addr = mm.map(pages, Protection::ReadWrite)?;
        let domain = instance.smmu().alloc_sva(&client, mm.mm())?;
        instance.smmu().attach_sva(&domain, &client, 5)?;
        let (accesses, threads) = start_writers(&port, 5, (addr, pages), 4, false)?;
        fsleep(Delta::from_millis(1));
        instance.smmu().block_pasid(&client, 5);
        drop(client);
        instance.remove_device(0)?;
        join(&accesses, threads)?;
        check!(accesses.done.load(Relaxed) == 0 && all_resumed(&instance));
        Ok(())
    }

    #[test]
    fn beside_page_requests() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE, STALLS])?);
        let (asks, stalls) = (device(&instance, 0)?, device(&instance, 1)?);
        let addr = mm.map(16, Protection::ReadWrite)?;
        let one = InTreeBond::new(asks.endpoint(), mm.mm())?;
        let two = InTreeBond::new(stalls.endpoint(), mm.mm())?;
        check!(one.pasid() == two.pasid());
        check!(instance
            .hw()
            .cd(WIDE.sid, one.pasid())
            .is_some_and(|cd| !cd.s()));
        for page in 0..8 {
            let at = addr + 2 * page * PAGE_SIZE;
            write(asks.port(), one.pasid(), at, &pattern(1))?;
            check!(read(stalls, two.pasid(), at)? == pattern(1));
            write(stalls.port(), two.pasid(), at + PAGE_SIZE, &pattern(2))?;
            check!(read(asks, one.pasid(), at + PAGE_SIZE)? == pattern(2));
        }
        check!(asks.port().stats().groups == 8 && asks.port().stats().stalls == 0);
        check!(stalls.port().stats().groups == 0 && stalls.port().stats().stalls == 9);
        check!(all_resumed(&instance));
        Ok(())
    }

    /// Nobody serves the faults of a paging domain: they abort at once, as far as the SMMU lets them.
    #[test]
    fn paging_domain_does_not_stall() -> Result {
        for (stall_model, stalls) in [
            (regs::STALL_NONE, 0),
            (regs::STALL_BOTH, 0),
            (regs::STALL_ONLY, 1),
        ] {
            let config = hw::Config {
                stall_model,
                ..default_config()
            };
            let instance = instance_with(config, &[STALLS])?;
            let (device, memory) = (device(&instance, 0)?, PhysPages::alloc(PAGE_SIZE)?);
            let mut domain = TestDomain::new(device.endpoint())?;
            domain.attach()?;
            domain.map(PAGE_SIZE, &memory, PAGE_SIZE, true)?;
            let read = |at: usize| {
                let mut seen = [0; 8];
                let port = device.port();
                kind(port.read(None, at as u64, &mut seen, Attrs::default()))
            };
            check!(read(PAGE_SIZE).is_none());
            check!(read(2 * PAGE_SIZE) == if stalls == 0 { ABORTED } else { REFUSED });
            check!(instance.hw().stats().stalls == stalls && all_resumed(&instance));
        }
        Ok(())
    }

    #[test]
    fn stall_models() -> Result {
        for (stall_model, specs, served) in [
            // Cannot, though the device could.
            (regs::STALL_NONE, [STALLS, WIDE], false),
            (regs::STALL_BOTH, [STALLS, WIDE], true),
            // Must, though nobody said that the device could.
            (regs::STALL_ONLY, [NO_ATS, WIDE], true),
        ] {
            let config = hw::Config {
                stall_model,
                ..default_config()
            };
            let (mm, instance) = (TestMm::new()?, instance_with(config, &specs)?);
            let (device, other) = (device(&instance, 0)?, device(&instance, 1)?);
            let addr = mm.map(4, Protection::ReadWrite)?;
            mm.write(addr, &pattern(1))?;
            let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
            let second = InTreeBond::new(other.endpoint(), mm.mm())?;
            check!(read(device, bond.pasid(), addr)? == pattern(1));
            let absent = kind(read(device, bond.pasid(), addr + PAGE_SIZE));
            check!(absent == if served { None } else { ABORTED });
            check!(read(other, second.pasid(), addr + 2 * PAGE_SIZE)? == [0; 64]);
            drop(mm);
            check!(read(device, bond.pasid(), addr).is_err());
            check!(all_resumed(&instance));
        }
        Ok(())
    }
}
