// SPDX-License-Identifier: GPL-2.0

//! Groups of several devices: S12, S14, S15, S16, S19.

#[kernel::prelude::kunit_tests(sva_rust_group)]
mod tests {
    use crate::{
        driver::Other,
        fixture::{
            check, check_err, flag, new_group, Plugged, Setup, TestDevice, FLAGS, SHARED, SPEC,
        },
        record::Record,
    };
    use kernel::{
        mm::MmWithUser,
        prelude::*,
        sync::{
            aref::ARef,
            atomic::{Acquire, Release},
            Arc,
        },
    };
    use kernel_ext::thread::KThread;
    use kernel_test_ext::{
        mm::{Protection, TestMm},
        wait::wait_until, //
    };
    use smmuv3::device::DeviceSpec;
    use sva::{End, Features};

    /// With KASAN all takes far longer.
    const ROUNDS: usize = if cfg!(CONFIG_KASAN) { 300 } else { 10_000 };

    /// Two devices in one group.
    fn two_members() -> Result<(TestDevice, TestDevice)> {
        let group = new_group();

        Ok((TestDevice::in_group(group)?, TestDevice::in_group(group)?))
    }

    #[test]
    fn s12_bind_group_binds_all() -> Result {
        let (mm, (a, b)) = (TestMm::new()?, two_members()?);
        let addr = mm.map(1, Protection::ReadWrite)?;
        let record = Record::new()?;
        let bond = a.sva()?.bind_group(mm.mm(), FLAGS, record.clone())?;
        let pasid = bond.pasid();

        check!(bond.left_out() == 0 && bond.is_live());
        a.write(pasid, addr, 0x12)?;
        check!(b.read(pasid, addr)? == 0x12);
        record.probe_at(addr);
        drop(bond);
        // Each member was stopped, while it still reached the memory.
        check!(record.count() == 2 && record.first().is_some_and(|stop| stop.reached));
        check!(!a.reaches(pasid, addr) && !b.reaches(pasid, addr));
        Ok(())
    }

    #[test]
    fn s12_bind_group_counts() -> Result {
        let (mm, (a, b)) = (TestMm::new()?, two_members()?);
        let addr = mm.map(1, Protection::ReadWrite)?;
        let record = Record::new()?;
        // As two drivers do it, or one for two devices: each through its own.
        let of_a = a.sva()?.bind_group(mm.mm(), FLAGS, record.clone())?;
        let of_b = b.sva()?.bind_group(mm.mm(), FLAGS, record.clone())?;
        let pasid = of_a.pasid();

        check!(of_b.pasid() == pasid);
        check_err!(b.sva()?.bind_group(mm.mm(), FLAGS, Record::new()?), EEXIST);
        drop(of_a);
        check!(record.count() == 0);
        check!(a.reaches(pasid, addr) && b.reaches(pasid, addr));
        drop(of_b);
        check!(!a.reaches(pasid, addr) && !b.reaches(pasid, addr));
        Ok(())
    }

    #[test]
    fn s12_bind_group_unwinds() -> Result {
        let (mm, group) = (TestMm::new()?, new_group());
        let addr = mm.map(1, Protection::ReadWrite)?;
        let narrow = Setup {
            features: Features::PASID,
            ..SHARED
        };
        let a = TestDevice::in_group(group)?;
        let b = TestDevice::with(&DeviceSpec { group, ..SPEC }, narrow)?;

        // One member cannot do what is asked for, so none is bound.
        check_err!(a.sva()?.bind_group(mm.mm(), FLAGS, Record::new()?), EINVAL);
        check!(!a.reaches(1, addr) && !b.reaches(1, addr));
        // Both can do this, and nothing of before is left.
        drop(
            a.sva()?
                .bind_group(mm.mm(), Features::PASID, Record::new()?)?,
        );
        Ok(())
    }

    #[test]
    fn s14_bind_refuses_a_group_of_two() -> Result {
        let (mm, (a, b)) = (TestMm::new()?, two_members()?);

        check_err!(a.sva()?.bind(mm.mm(), FLAGS, Record::new()?), EBUSY);
        check_err!(b.sva()?.bind(mm.mm(), FLAGS, Record::new()?), EBUSY);
        Ok(())
    }

    #[test]
    fn s15_left_out_are_counted() -> Result {
        let (mm, group) = (TestMm::new()?, new_group());
        let addr = mm.map(1, Protection::ReadWrite)?;
        let spec = DeviceSpec { group, ..SPEC };
        let without_pasids = DeviceSpec {
            pasid_bits: 0,
            ..spec
        };
        let a = TestDevice::with(&spec, SHARED)?;
        let _b = Plugged::new(&without_pasids)?;
        let c = TestDevice::other(&spec)?;
        let bond = a.sva()?.bind_group(mm.mm(), FLAGS, Record::new()?)?;

        check!(bond.left_out() == 2);
        check!(a.reaches(bond.pasid(), addr));
        drop(bond);
        // The driver of the third has the group to itself just so.
        let data = kernel::sync::Arc::new((), GFP_KERNEL)?;
        check!(c.sva()?.bind_group(mm.mm(), FLAGS, data)?.left_out() == 2);
        Ok(())
    }

    #[test]
    fn s16_hot_plugged_device_joins() -> Result {
        let (mm, group) = (TestMm::new()?, new_group());
        let addr = mm.map(1, Protection::ReadWrite)?;
        let record = Record::new()?;
        let a = TestDevice::in_group(group)?;
        let first = a.sva()?.bind_group(mm.mm(), FLAGS, record.clone())?;
        let pasid = first.pasid();

        a.write(pasid, addr, 0x16)?;
        let b = TestDevice::in_group(group)?;
        check!(b.read(pasid, addr)? == 0x16);
        // One bind before it came, one after.
        let second = a.sva()?.bind_group(mm.mm(), FLAGS, record.clone())?;

        check!(first.left_out() == 0 && second.left_out() == 0);
        drop(first);
        check!(a.reaches(pasid, addr) && b.reaches(pasid, addr));
        drop(second);
        check!(record.count() == 2);
        check!(!a.reaches(pasid, addr) && !b.reaches(pasid, addr));
        Ok(())
    }

    #[test]
    fn s16_another_drivers_device_does_not_join() -> Result {
        let (mm, group) = (TestMm::new()?, new_group());
        let a = TestDevice::in_group(group)?;
        let bond = a.sva()?.bind_group(mm.mm(), FLAGS, Record::new()?)?;
        let b = TestDevice::other(&DeviceSpec { group, ..SPEC })?;
        // It has no bond of this address space that has other data.
        let data = kernel::sync::Arc::new((), GFP_KERNEL)?;
        let of_b = b.sva()?.bind_group(mm.mm(), FLAGS, data)?;

        check!(of_b.pasid() == bond.pasid() && of_b.left_out() == 1);
        Ok(())
    }

    #[test]
    fn s19_drop_goes_on_past_a_member_that_left() -> Result {
        let (mm, (mut a, b)) = (TestMm::new()?, two_members()?);
        let addr = mm.map(1, Protection::ReadWrite)?;
        let record = Record::new()?;
        let bond = a.sva()?.bind_group(mm.mm(), FLAGS, record.clone())?;
        let pasid = bond.pasid();

        a.shut_down();
        check!(record.first().is_some_and(|stop| stop.why == End::Shutdown));
        // The device that was asked has left; the other works on.
        check!(!bond.is_live() && b.reaches(pasid, addr));
        drop(bond);
        check!(record.count() == 2 && !b.reaches(pasid, addr));
        Ok(())
    }

    #[test]
    fn s8_exit_stops_each_member() -> Result {
        let (a, _b) = two_members()?;
        let mm = TestMm::new()?;
        let record = Record::new()?;
        let bond = a.sva()?.bind_group(mm.mm(), FLAGS, record.clone())?;

        drop(mm);
        check!(wait_until(|| record.count() == 2));
        check_err!(bond.start(drop), ESRCH);
        Ok(())
    }

    /// Who binds a group asks each member whose driver it has. That may take a reference to a
    /// handler of another driver at no time: the last one runs code of that driver.
    #[test]
    fn r12_handler_of_another_driver() -> Result {
        let (mm, group) = (TestMm::new()?, new_group());
        let a = TestDevice::in_group(group)?;
        let b = Plugged::new(&DeviceSpec { group, ..SPEC })?;
        let (user, record, stop) = (mm.mm().into(), Record::new()?, flag()?);
        let stopped = stop.clone();
        let binder = KThread::spawn(c"sva_r12", move |_| {
            let user: ARef<MmWithUser> = user;

            while !stopped.load(Acquire) {
                let bond = a
                    .sva()
                    .and_then(|a| Ok(a.bind_group(&user, FLAGS, record.clone())?));

                drop(bond);
            }
        })?;
        let mut kept = 0;

        for _ in 0..ROUNDS {
            let handler = Arc::new(Other, GFP_KERNEL)?;
            let device = b.with_bound(|dev| sva::Device::init(dev, FLAGS, 0, handler.clone()))?;

            drop(device);
            kept += usize::from(Arc::into_unique_or_drop(handler).is_none());
        }
        stop.store(true, Release);
        drop(binder);
        check!(kept == 0);
        Ok(())
    }
}
