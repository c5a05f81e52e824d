// SPDX-License-Identifier: GPL-2.0

//! Bonds that sleep and wake, with a device that asks at each moment in between.
//!
//! The hardware half runs when the driver half rings, so what a device does then it does in the midst
//! of a change: a descriptor is stored and not yet told of, or told of while the TLB still knows.

#[kernel::prelude::kunit_tests(smmu_idle_order)]
mod tests {
    use super::super::*;
    use crate::{
        driver::address_space::AddressSpace,
        hw::Attrs,
        mmio::Doorbell, //
    };
    use kernel::sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    };

    const QUICK: DeviceSpec = DeviceSpec {
        sleep_after: Some(1),
        ..WIDE
    };

    const SLOW: DeviceSpec = DeviceSpec {
        sleep_after: Some(3),
        ..NARROW
    };

    /// What is between the driver half and the hardware half.
    struct Between {
        hw: Arc<hw::Smmu>,
        ports: [Arc<hw::Port>; 2],
        space: Arc<AddressSpace>,
        smmu: Arc<driver::Smmu>,
        pasid: u32,
        addr: u64,
        rings: Atomic<u64>,
        /// Times that flushes would have been passed over while hardware could walk, or had cached
        /// something.
        bad: Atomic<u64>,
    }

    impl Between {
        fn look(&self) {
            // Somebody else may wake it or put it to sleep meanwhile: then nothing is known.
            let wakes = || self.smmu.idle().wakes.load(Relaxed);
            let before = (wakes(), self.space.passes_flushes());
            let asid = self.space.asid();
            let exposed = in_tlb(&self.hw, asid, self.addr as usize)
                || self.ports.iter().any(|port| {
                    let cd = self.hw.cd(port.sid(), self.pasid).unwrap_or_default();
                    (cd.v() && !cd.epd0())
                        || in_atc(&self.hw, port.sid(), self.pasid, self.addr as usize)
                });
            if exposed && before.1 && before == (wakes(), self.space.passes_flushes()) {
                self.bad.fetch_add(1, Relaxed);
            }
        }

        /// Each device asks for the page, as it may at any time. It neither waits nor tells.
        fn ask(&self) {
            for port in &self.ports {
                let _ = port.locate(Some(self.pasid), self.addr, hw::Intent::Read);
            }
            self.look();
        }
    }

    impl Doorbell for Between {
        fn ring(&self, offset: usize) {
            self.rings.fetch_add(1, Relaxed);
            self.ask();
            self.hw.ring(offset);
            self.ask();
        }
    }

    /// Puts the hardware back where it was.
    struct Direct<'a>(&'a Instance);

    impl Drop for Direct<'_> {
        fn drop(&mut self) {
            let regs = self.0.smmu().regs();
            regs.clear_doorbell();
            regs.set_doorbell(self.0.hw().clone());
        }
    }

    #[test]
    fn a_device_asks_at_each_moment() -> Result {
        for exits in [false, true] {
            let (mm, instance) = (TestMm::new()?, instance(&[QUICK, SLOW])?);
            let (one, two) = (device(&instance, 0)?, device(&instance, 1)?);
            let bonds = [
                InTreeBond::new(one.endpoint(), mm.mm())?,
                InTreeBond::new(two.endpoint(), mm.mm())?,
            ];
            let pasid = bonds[0].pasid();
            let addr = mm.map(1, Protection::ReadWrite)?;
            let space = one.client().data().bonds().lock().get(&pasid).cloned();
            let between = Arc::new(
                Between {
                    hw: instance.hw().clone(),
                    ports: [one.port().clone(), two.port().clone()],
                    space: space.ok_or(ENOENT)?,
                    smmu: instance.smmu().clone(),
                    pasid,
                    addr: addr as u64,
                    rings: Atomic::new(0),
                    bad: Atomic::new(0),
                },
                GFP_KERNEL,
            )?;
            instance.smmu().regs().clear_doorbell();
            instance.smmu().regs().set_doorbell(between.clone());
            let direct = Direct(&instance);

            for round in 0..8 {
                mm.write(addr, &pattern(round))?;
                for (i, device) in [one, two].into_iter().enumerate() {
                    // Both; the first alone; the second alone; none.
                    if round as usize >> i & 1 == 0 {
                        let mut seen = [0; 64];
                        let attrs = Attrs::default();
                        device
                            .port()
                            .read(Some(pasid), addr as u64, &mut seen, attrs)?;
                        check!(seen == pattern(round));
                    }
                }
                fsleep(Delta::from_micros(300));
                for _ in 0..12 {
                    // It is another page each time.
                    mm.unmap(addr, 1)?;
                    check!(!in_atc(instance.hw(), QUICK.sid, pasid, addr));
                    check!(!in_atc(instance.hw(), SLOW.sid, pasid, addr));
                    mm.map_at(addr, 1)?;
                    mm.write(addr, &pattern(round))?;
                    between.ask();
                }
            }
            let mut last = [0; 64];
            one.port()
                .read(Some(pasid), addr as u64, &mut last, Attrs::default())?;
            if exits {
                drop(mm);
            }
            drop(bonds);
            check!(between.bad.load(Relaxed) == 0);
            // Each change of a descriptor rings at least once.
            let idle = instance.smmu().idle();
            let changes = idle.wakes.load(Relaxed) + idle.sleeps.load(Relaxed);
            check!(changes > 8 && between.rings.load(Relaxed) > changes);
            drop(direct);
            drop(between);
            check!(instance.hw().strict_check() == 0);
        }
        Ok(())
    }
}
