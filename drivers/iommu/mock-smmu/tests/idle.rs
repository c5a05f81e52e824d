// SPDX-License-Identifier: GPL-2.0

//! Bonds whose descriptors sleep: what it spares, and that nothing is translated that should not be.

#[kernel::prelude::kunit_tests(smmu_idle)]
mod tests {
    use super::super::*;
    use crate::{
        driver::asid::PARKED,
        fmt::cd::Cd,
        hw::{
            Attrs,
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
    use kernel_ext::thread::KThread;

    /// Sleeps after the first flush without a request.
    const QUICK: DeviceSpec = DeviceSpec {
        sleep_after: Some(1),
        ..WIDE
    };

    /// As well, but waits in the SMMU.
    const QUICK_STALLS: DeviceSpec = DeviceSpec {
        stall: true,
        sleep_after: Some(1),
        ..NO_ATS
    };

    /// Another, that sleeps later.
    const SLOW: DeviceSpec = DeviceSpec {
        sleep_after: Some(8),
        ..NARROW
    };

    fn read(port: &Port, ssid: u32, at: usize) -> Result<[u8; 64], hw::DmaError> {
        let mut seen = [0; 64];
        port.read(Some(ssid), at as u64, &mut seen, Attrs::default())?;
        Ok(seen)
    }

    fn cd(instance: &Instance, spec: &DeviceSpec, pasid: u32) -> Result<Cd> {
        instance.hw().cd(spec.sid, pasid).ok_or(ENOENT)
    }

    fn asleep(instance: &Instance, spec: &DeviceSpec, pasid: u32) -> Result<bool> {
        let cd = cd(instance, spec, pasid)?;
        check!(cd.v() && cd.epd0() == (cd.asid() == PARKED));
        Ok(cd.epd0())
    }

    /// Whether the SMMU or the device has anything that came by the bond.
    fn cached(instance: &Instance, spec: &DeviceSpec, pasid: u32) -> bool {
        let hw = instance.hw();
        let mut index = 0;
        while let Some(entry) = hw.atc_entry(spec.sid, index) {
            index += 1;
            if entry.is_some_and(|entry| entry.tag == pasid) {
                return true;
            }
        }
        let mut index = 0;
        while let Some(entry) = hw.tlb_entry(index) {
            index += 1;
            if entry.is_some() {
                return true;
            }
        }
        false
    }

    /// Flushes of a process: a page that comes and goes.
    fn flush(mm: &TestMm, times: usize) -> Result {
        for _ in 0..times {
            let at = mm.map(1, Protection::ReadWrite)?;
            mm.write(at, &[1])?;
            mm.unmap(at, 1)?;
        }
        Ok(())
    }

    /// Flushes until the bond sleeps.
    fn put_to_sleep(mm: &TestMm, instance: &Instance, spec: &DeviceSpec, pasid: u32) -> Result {
        pause();
        for _ in 0..1000 {
            if asleep(instance, spec, pasid)? {
                return Ok(());
            }
            flush(mm, 1)?;
        }
        Err(ETIMEDOUT)
    }

    /// Longer than a descriptor is awake at least.
    fn pause() {
        fsleep(Delta::from_micros(300));
    }

    #[test]
    fn a_sleeping_bond_sends_no_command() -> Result {
        for spec in [QUICK, QUICK_STALLS] {
            let (mm, instance) = (TestMm::new()?, instance(&[spec])?);
            let port = device(&instance, 0)?.port();
            let bond = InTreeBond::new(device(&instance, 0)?.endpoint(), mm.mm())?;
            let addr = mm.map(1, Protection::ReadWrite)?;
            for _ in 0..3 {
                check!(asleep(&instance, &spec, bond.pasid())?);
                let before = instance.smmu().cmdq().stats();
                flush(&mm, 20)?;
                check!(instance.smmu().cmdq().stats() == before);

                // A page that is there, or not: it wakes for either, and the page is the process's.
                mm.write(addr, &pattern(1))?;
                check!(read(port, bond.pasid(), addr)? == pattern(1));
                check!(!asleep(&instance, &spec, bond.pasid())?);
                check!(cached(&instance, &spec, bond.pasid()));
                put_to_sleep(&mm, &instance, &spec, bond.pasid())?;
                check!(!cached(&instance, &spec, bond.pasid()));
            }
            let idle = instance.smmu().idle();
            check!(idle.wakes.load(Relaxed) == 3 && idle.sleeps.load(Relaxed) == 3);
        }
        Ok(())
    }

    /// Who is awake is flushed each time, as if nobody slept.
    #[test]
    fn a_busy_neighbour() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[QUICK, SLOW])?);
        let (one, two) = (device(&instance, 0)?, device(&instance, 1)?);
        let bonds = [
            InTreeBond::new(one.endpoint(), mm.mm())?,
            InTreeBond::new(two.endpoint(), mm.mm())?,
        ];
        let pasid = bonds[0].pasid();
        for round in 0..8 {
            let addr = mm.map(2, Protection::ReadWrite)?;
            mm.write(addr, &pattern(round))?;
            mm.write(addr + PAGE_SIZE, &pattern(round))?;
            check!(read(two.port(), pasid, addr)? == pattern(round));
            let asid = cd(&instance, &SLOW, pasid)?.asid();
            check!(in_tlb(instance.hw(), asid, addr));
            if round % 2 == 1 {
                // What the TLB has for the other is not for who sleeps: it would keep it.
                check!(asleep(&instance, &QUICK, pasid)?);
                let missing = one
                    .port()
                    .locate(Some(pasid), addr as u64, hw::Intent::Read);
                check!(missing == Ok(None));
                check!(read(one.port(), pasid, addr)? == pattern(round));
            }
            pause();
            mm.unmap(addr, 1)?;
            check!(!in_tlb(instance.hw(), asid, addr));
            for spec in [QUICK, SLOW] {
                check!(!in_atc(instance.hw(), spec.sid, pasid, addr));
            }
            check!(read(two.port(), pasid, addr).is_err());
            check!(read(two.port(), pasid, addr + PAGE_SIZE)? == pattern(round));
            put_to_sleep(&mm, &instance, &QUICK, pasid)?;
            mm.unmap(addr + PAGE_SIZE, 1)?;
        }
        Ok(())
    }

    #[test]
    fn off_for_who_cannot_wait_or_is_told_not_to() -> Result {
        let no_pri = DeviceSpec { pri: false, ..WIDE };
        let told = DeviceSpec {
            sleep_after: Some(0),
            ..WIDE
        };
        for spec in [no_pri, told, NO_ATS] {
            let (mm, instance) = (TestMm::new()?, instance(&[spec])?);
            let bond = InTreeBond::new(device(&instance, 0)?.endpoint(), mm.mm())?;
            let addr = mm.map(1, Protection::ReadWrite)?;
            mm.write(addr, &pattern(1))?;
            pause();
            flush(&mm, 50)?;
            check!(!asleep(&instance, &spec, bond.pasid())?);
            check!(read(device(&instance, 0)?.port(), bond.pasid(), addr)? == pattern(1));
        }
        Ok(())
    }

    /// Those that are there, and those that come later.
    #[test]
    fn kept_awake() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[QUICK, SLOW])?);
        let (smmu, addr) = (instance.smmu(), mm.map(1, Protection::ReadWrite)?);
        let clients = [
            device(&instance, 0)?.client(),
            device(&instance, 1)?.client(),
        ];
        let domain = smmu.alloc_sva(&clients[0], mm.mm())?;
        mm.write(addr, &pattern(1))?;
        smmu.attach_sva(&domain, &clients[0], 3)?;
        check!(asleep(&instance, &QUICK, 3)?);
        driver::Smmu::keep_awake(&domain);
        smmu.attach_sva(&domain, &clients[1], 3)?;
        pause();
        flush(&mm, 50)?;
        for (i, spec) in [QUICK, SLOW].iter().enumerate() {
            check!(!asleep(&instance, spec, 3)?);
            check!(read(device(&instance, i)?.port(), 3, addr)? == pattern(1));
            smmu.block_pasid(&clients[i], 3);
        }
        Ok(())
    }

    /// The end of a process or of a bond that sleeps: as of one that is awake, with fewer commands.
    #[test]
    fn ends_while_asleep() -> Result {
        for exits in [true, false] {
            let (mm, instance) = (TestMm::new()?, instance(&[QUICK])?);
            let port = device(&instance, 0)?.port();
            let addr = mm.map(1, Protection::ReadWrite)?;
            let bond = InTreeBond::new(device(&instance, 0)?.endpoint(), mm.mm())?;
            let pasid = bond.pasid();
            read(port, pasid, addr)?;
            put_to_sleep(&mm, &instance, &QUICK, pasid)?;
            let before = instance.hw().stats();
            if exits {
                drop(mm);
                let cd = cd(&instance, &QUICK, pasid)?;
                check!(cd.v() && cd.epd0() && !cd.r() && cd.ttb0() == 0);
                drop(bond);
            } else {
                drop(bond);
                drop(mm);
            }
            let after = instance.hw().stats();
            check!(after.tlbi_asid == before.tlbi_asid && after.atc_inv == before.atc_inv);
            check!(!cd(&instance, &QUICK, pasid)?.v());
            check!(read(port, pasid, addr).is_err());
        }
        Ok(())
    }

    /// After the exit, which has made all forget, nothing is flushed any more; nor on the unbind.
    #[test]
    fn nothing_after_the_exit() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let addr = mm.map(512, Protection::ReadWrite)?;
        let bond = InTreeBond::new(device(&instance, 0)?.endpoint(), mm.mm())?;
        for page in 0..512 {
            mm.write(addr + page * PAGE_SIZE, &[1])?;
        }
        read(device(&instance, 0)?.port(), bond.pasid(), addr)?;
        let before = instance.hw().stats();
        drop(mm);
        let exit = instance.hw().stats();
        check!(exit.tlbi_asid == before.tlbi_asid + 1 && exit.atc_inv == before.atc_inv + 1);
        check!(exit.tlbi_va == before.tlbi_va);
        drop(bond);
        let end = instance.hw().stats();
        check!(end.tlbi_asid == exit.tlbi_asid && end.atc_inv == exit.atc_inv);
        Ok(())
    }

    /// A device that works all the time, and flushes all the time: no job fails, whenever it is put
    /// to sleep, and none finds what is not there any more.
    #[test]
    fn jobs_under_flushes() -> Result {
        for sleep_after in [1, 2, 8] {
            for spec in [QUICK, QUICK_STALLS] {
                let spec = DeviceSpec {
                    sleep_after: Some(sleep_after),
                    ..spec
                };
                let (mm, instance) = (TestMm::new()?, instance(&[spec])?);
                let bond = InTreeBond::new(device(&instance, 0)?.endpoint(), mm.mm())?;
                let (port, pasid) = (device(&instance, 0)?.port().clone(), bond.pasid());
                let addr = mm.map(4, Protection::ReadWrite)?;
                for page in 0..4 {
                    mm.write(addr + page * PAGE_SIZE, &pattern(page as u8))?;
                }
                let tally = Arc::new((Atomic::new(0u64), Atomic::new(0u64)), GFP_KERNEL)?;
                let count = tally.clone();
                let thread = KThread::spawn(c"smmu-kunit-idle", move |stop| {
                    while !stop.requested() {
                        let page = count.0.fetch_add(1, Relaxed) as usize % 4;
                        let seen = read(&port, pasid, addr + page * PAGE_SIZE);
                        let stopped = stop.requested();
                        if !stopped && seen != Ok(pattern(page as u8)) {
                            count.1.fetch_add(1, Relaxed);
                        }
                    }
                })?;
                for _ in 0..60 {
                    flush(&mm, 8)?;
                    pause();
                }
                let done = wait_until(|| tally.0.load(Relaxed) > 100);
                drop(thread);
                check!(done && tally.1.load(Relaxed) == 0);
                check!(instance.smmu().idle().wakes.load(Relaxed) > 1);
                check!(instance.hw().strict_check() == 0);
            }
        }
        Ok(())
    }
}
