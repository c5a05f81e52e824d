// SPDX-License-Identifier: GPL-2.0

//! How bonds end: S8 to S11.

#[kernel::prelude::kunit_tests(sva_rust_end)]
mod tests {
    use crate::{
        driver::Engine,
        fixture::{check, check_err, flag, TestDevice, FLAGS},
        record::{Record, Stop},
    };
    use kernel::{
        new_mutex,
        page::PAGE_SIZE,
        prelude::*,
        sync::{
            atomic::{Acquire, Relaxed, Release},
            Arc, Mutex,
        },
        time::{delay::fsleep, Delta},
    };
    use kernel_ext::thread::KThread;
    use kernel_test_ext::{
        mm::{IdleMm, Protection, TestMm},
        wait::wait_until, //
    };
    use sva::{Bond, End};

    /// A bond that several tasks may use, or drop.
    #[pin_data]
    struct Shared {
        #[pin]
        bond: Mutex<Option<Bond<Engine>>>,
    }

    impl Shared {
        fn new(bond: Bond<Engine>) -> Result<Arc<Self>> {
            Arc::pin_init(
                pin_init!(Self {
                    bond <- new_mutex!(Some(bond), "sva_test_bond"),
                }),
                GFP_KERNEL,
            )
        }

        fn drop_bond(&self) {
            let bond = self.bond.lock().take();

            drop(bond);
        }
    }

    #[test]
    fn s8_exit_stops_the_device() -> Result {
        let (device, record) = (TestDevice::new()?, Record::new()?);
        let mm = TestMm::new()?;
        let addr = mm.map(1, Protection::ReadWrite)?;
        let bond = device.sva()?.bind(mm.mm(), FLAGS, record.clone())?;
        let pasid = bond.pasid();

        record.probe_at(addr);
        check!(device.reaches(pasid, addr));
        drop(mm);
        check!(wait_until(|| record.count() == 1 && !bond.is_live()));
        check!(
            record.first()
                == Some(Stop {
                    pasid,
                    why: End::Exit,
                    reached: false,
                })
        );
        drop(bond);
        check!(record.count() == 1);
        Ok(())
    }

    #[test]
    fn s8_stop_may_drop_the_bond() -> Result {
        let (device, record) = (TestDevice::new()?, Record::new()?);
        let mm = TestMm::new()?;
        let shared = Shared::new(device.sva()?.bind(mm.mm(), FLAGS, record.clone())?)?;
        let dropped = shared.clone();

        record.on_stop(move || dropped.drop_bond())?;
        drop(mm);
        check!(wait_until(|| record.count() == 1));
        check!(shared.bond.lock().is_none());
        // There is nothing left to end.
        drop(device);
        check!(record.count() == 1);
        Ok(())
    }

    #[test]
    fn s8_exit_stops_each_device() -> Result {
        let (a, b) = (TestDevice::new()?, TestDevice::new()?);
        let (of_a, of_b) = (Record::new()?, Record::new()?);
        let mm = TestMm::new()?;
        let _bonds = [
            a.sva()?.bind(mm.mm(), FLAGS, of_a.clone())?,
            b.sva()?.bind(mm.mm(), FLAGS, of_b.clone())?,
        ];

        drop(mm);
        check!(wait_until(|| of_a.count() == 1 && of_b.count() == 1));
        Ok(())
    }

    #[test]
    fn s9_nothing_starts_after_the_exit() -> Result {
        let (device, record) = (TestDevice::new()?, Record::new()?);
        let mm = TestMm::new()?;
        let bond = device.sva()?.bind(mm.mm(), FLAGS, record.clone())?;

        drop(mm);
        check!(wait_until(|| record.count() == 1));
        let mut started = false;
        check_err!(bond.start(|_| started = true), ESRCH);
        check!(!started);
        check_err!(bond.pin(0..PAGE_SIZE, false), ESRCH);
        Ok(())
    }

    #[test]
    fn s9_late_drop_hits_nobody() -> Result {
        let (device, record) = (TestDevice::new()?, Record::new()?);
        let mm = TestMm::new()?;
        let bond = device.sva()?.bind(mm.mm(), FLAGS, record.clone())?;

        drop(mm);
        check!(wait_until(|| !bond.is_live() && record.count() == 1));
        let mm = TestMm::new()?;
        let addr = mm.map(1, Protection::ReadWrite)?;
        // The number is free again once the first bond is gone altogether.
        let mut next = device.sva()?.bind(mm.mm(), FLAGS, Record::new()?)?;
        for _ in 0..100 {
            if next.pasid() == bond.pasid() {
                break;
            }
            drop(next);
            fsleep(Delta::from_millis(10));
            next = device.sva()?.bind(mm.mm(), FLAGS, Record::new()?)?;
        }

        check!(next.pasid() == bond.pasid());
        drop(bond);
        check!(next.is_live() && device.reaches(next.pasid(), addr));
        Ok(())
    }

    #[test]
    fn s10_drop_stops_before_it_detaches() -> Result {
        let (mm, device, record) = (TestMm::new()?, TestDevice::new()?, Record::new()?);
        let addr = mm.map(1, Protection::ReadWrite)?;
        let bond = device.sva()?.bind(mm.mm(), FLAGS, record.clone())?;
        let pasid = bond.pasid();

        record.probe_at(addr);
        drop(bond);
        check!(
            record.first()
                == Some(Stop {
                    pasid,
                    why: End::Unbind,
                    reached: true,
                })
        );
        check!(record.count() == 1 && !device.reaches(pasid, addr));
        Ok(())
    }

    #[test]
    fn s10_bind_waits_for_the_end() -> Result {
        let (mm, device, record) = (TestMm::new()?, TestDevice::new()?, Record::new()?);
        let addr = mm.map(1, Protection::ReadWrite)?;
        let shared = Shared::new(device.sva()?.bind(mm.mm(), FLAGS, record.clone())?)?;
        let (stopping, go_on) = (flag()?, flag()?);
        let (told, wait) = (stopping.clone(), go_on.clone());

        record.on_stop(move || {
            told.store(true, Release);
            wait_until(|| wait.load(Acquire));
        })?;
        let thread = KThread::spawn(c"sva-test-drop", {
            let shared = shared.clone();
            move |_| shared.drop_bond()
        })?;
        check!(wait_until(|| stopping.load(Acquire)));
        let release = KThread::spawn(c"sva-test-go-on", move |_| {
            fsleep(Delta::from_millis(50));
            go_on.store(true, Release);
        })?;
        // The same data, but not the same bond.
        let next = device.sva()?.bind(mm.mm(), FLAGS, record.clone())?;

        check!(record.count() == 1 && next.is_live());
        check!(next.start(|pasid| device.reaches(pasid, addr))?);
        drop((thread, release));
        drop(next);
        check!(record.count() == 2);
        Ok(())
    }

    #[test]
    fn s10_stop_waits_for_a_start() -> Result {
        let (mm, mut device, record) = (TestMm::new()?, TestDevice::new()?, Record::new()?);
        let shared = Shared::new(device.sva()?.bind(mm.mm(), FLAGS, record.clone())?)?;
        let (starting, started) = (flag()?, flag()?);
        let early = flag()?;

        record.on_stop({
            let (started, early) = (started.clone(), early.clone());
            move || early.store(!started.load(Acquire), Relaxed)
        })?;
        let thread = KThread::spawn(c"sva-test-start", {
            let (shared, starting) = (shared.clone(), starting.clone());
            move |_| {
                let bond = shared.bond.lock();
                let start = |_| {
                    starting.store(true, Release);
                    fsleep(Delta::from_millis(50));
                    started.store(true, Release);
                };

                if let Some(bond) = bond.as_ref() {
                    let _ = bond.start(start);
                }
            }
        })?;
        check!(wait_until(|| starting.load(Acquire)));
        // Ends the bond, which the thread is using.
        device.shut_down();
        check!(record.count() == 1 && !early.load(Relaxed));
        drop(thread);
        check!(shared
            .bond
            .lock()
            .as_ref()
            .is_some_and(|bond| !bond.is_live()));
        Ok(())
    }

    #[test]
    fn s11_shutdown_ends_bonds() -> Result {
        let (mm, mut device, record) = (TestMm::new()?, TestDevice::new()?, Record::new()?);
        let (other, of_other) = (IdleMm::new()?, Record::new()?);
        let addr = mm.map(1, Protection::ReadWrite)?;
        let twice = [
            device.sva()?.bind(mm.mm(), FLAGS, record.clone())?,
            device.sva()?.bind(mm.mm(), FLAGS, record.clone())?,
        ];
        let once = device.sva()?.bind(other.mm(), FLAGS, of_other.clone())?;

        record.probe_at(addr);
        device.shut_down();
        for (bond, record) in [
            (&twice[0], &record),
            (&twice[1], &record),
            (&once, &of_other),
        ] {
            check!(!bond.is_live() && record.count() == 1);
            check!(record.first().is_some_and(|stop| stop.why == End::Shutdown));
            check!(!device.reaches(bond.pasid(), addr));
        }
        check!(record.first().is_some_and(|stop| stop.reached));
        Ok(())
    }

    #[test]
    fn s11_driver_that_forgets() -> Result {
        let (mm, device, record) = (TestMm::new()?, TestDevice::new()?, Record::new()?);
        let bond = device.sva()?.bind(mm.mm(), FLAGS, record.clone())?;

        // The driver leaves the device, and this test has what it should have dropped.
        device.unplug()?;
        check!(!bond.is_live());
        check!(record.first().is_some_and(|stop| stop.why == End::Shutdown));
        check_err!(device.sva()?.bind(mm.mm(), FLAGS, record.clone()), ENODEV);
        Ok(())
    }
}
