// SPDX-License-Identifier: GPL-2.0

//! Init, bind, flags, find: S1 to S6, S17, S18.

#[kernel::prelude::kunit_tests(sva_rust_bind)]
mod tests {
    use crate::{
        driver::Engine,
        fixture::{check, check_err, Plugged, Setup, TestDevice, FLAGS, SHARED, SPEC},
        record::Record,
    };
    use kernel::{page::PAGE_SIZE, prelude::*, sync::Arc};
    use kernel_ext::resv_region::{ResvKind, ResvRegion};
    use kernel_test_ext::mm::{IdleMm, Protection, TestMm};
    use smmuv3::{
        api::Dma,
        device::{DeviceSpec, NO_RESV},
    };
    use sva::{Feature, Features, Refused, Why};

    #[test]
    fn s1_bind_shares_memory() -> Result {
        let (mm, device) = (TestMm::new()?, TestDevice::new()?);
        let addr = mm.map(2, Protection::ReadWrite)?;
        let bond = device.sva()?.bind(mm.mm(), FLAGS, Record::new()?)?;
        let pasid = bond.pasid();

        check!(pasid > 0 && pasid < 1 << SPEC.pasid_bits);
        check!(bond.is_live() && bond.left_out() == 0);
        check!(bond.start(|started| started)? == pasid);

        // Neither has touched the page before.
        device.write(pasid, addr, 0x51)?;
        let mut seen = [0; 8];
        mm.read(addr, &mut seen)?;
        check!(u64::from_ne_bytes(seen) == 0x51);
        mm.write(addr + PAGE_SIZE, &0x15_u64.to_ne_bytes())?;
        check!(device.read(pasid, addr + PAGE_SIZE)? == 0x15);
        drop(bond);
        check!(!device.reaches(pasid, addr));
        Ok(())
    }

    #[test]
    fn data_is_found_or_made() -> Result {
        let (mm, device) = (TestMm::new()?, TestDevice::new()?);
        let sva = device.sva()?;
        let mut made = 0;
        let first = sva.bind_with(mm.mm(), FLAGS, || {
            made += 1;
            Record::new()
        })?;
        let second = sva.bind_with(mm.mm(), FLAGS, || {
            made += 1;
            Record::new()
        })?;

        check!(made == 1 && Arc::ptr_eq(first.data(), second.data()));
        check!(first.pasid() == second.pasid());
        check!(first.is_callers());
        check_err!(sva.bind_with(mm.mm(), Features::PASID, Record::new), EEXIST);
        check_err!(sva.bind(mm.mm(), FLAGS, Record::new()?), EEXIST);
        drop(first);
        check!(second.is_live());
        let record = second.data().clone();
        drop(second);
        check!(record.count() == 1);
        drop(sva.bind_with(mm.mm(), FLAGS, Record::new)?);
        check_err!(sva.bind_with(mm.mm(), FLAGS, || Err(EINTR)), EINTR);
        drop(mm);
        Ok(())
    }

    /// The error of a result that is one.
    fn refused<T>(result: Result<T, Refused>) -> Option<Refused> {
        result.err()
    }

    #[test]
    fn errors_say_why() -> Result {
        let (mm, record) = (TestMm::new()?, Record::new()?);
        let plain = DeviceSpec {
            pasid_bits: 0,
            ..SPEC
        };
        let plugged = Plugged::new(&plain)?;
        let engine = Arc::new(Engine(plugged.with_bound(Dma::of)?), GFP_KERNEL)?;
        let tried = plugged.with_bound(|dev| -> Result<_> {
            Ok(refused(sva::Device::init(dev, FLAGS, 0, engine)))
        })?;

        check!(tried.and_then(|e| e.why()) == Some(Why::NoPasids));
        check!(tried.is_some_and(|e| e == EOPNOTSUPP));

        let device = TestDevice::with(
            &SPEC,
            Setup {
                features: Features::PASID,
                max_pasid: 0,
            },
        )?;
        let sva = device.sva()?;
        let why = |flags| {
            let tried = refused(sva.bind(mm.mm(), flags, record.clone()));

            tried.and_then(|e| e.why())
        };

        check!(why(FLAGS) == Some(Why::WithoutIopf));
        check!(why(Features::default()).is_none());
        let _bond = sva.bind(mm.mm(), Features::PASID, Record::new()?)?;
        check!(why(Features::PASID) == Some(Why::Exists));
        check!(Why::Exists.text().starts_with("not bound: "));
        Ok(())
    }

    #[test]
    fn pasids_within_a_range() -> Result {
        let (mm, plugged) = (TestMm::new()?, Plugged::new(&SPEC)?);
        let engine = Arc::new(Engine(plugged.with_bound(Dma::of)?), GFP_KERNEL)?;
        let engine = || engine.clone();

        plugged.with_bound(|dev| -> Result {
            check_err!(
                sva::Device::init_within(dev, FLAGS, 1024.., engine()),
                EINVAL
            );
            check_err!(sva::Device::init_within(dev, FLAGS, 9..9, engine()), EINVAL);
            check_err!(sva::Device::init_within(dev, FLAGS, ..1, engine()), EINVAL);
            Ok(())
        })?;
        let device =
            plugged.with_bound(|dev| sva::Device::init_within(dev, FLAGS, 77..100, engine()))?;
        let bond = device.bind(mm.mm(), FLAGS, Record::new()?)?;

        check!(device.min_pasid() == 77 && device.max_pasid() == 99);
        check!((77..=99).contains(&bond.pasid()));
        Ok(())
    }

    #[test]
    fn s2_second_bind_counts() -> Result {
        let (mm, device, record) = (TestMm::new()?, TestDevice::new()?, Record::new()?);
        let addr = mm.map(1, Protection::ReadWrite)?;
        let first = device.sva()?.bind(mm.mm(), FLAGS, record.clone())?;
        let second = device.sva()?.bind(mm.mm(), FLAGS, record.clone())?;
        let pasid = first.pasid();

        check!(second.pasid() == pasid);
        drop(first);
        check!(record.count() == 0 && second.is_live() && device.reaches(pasid, addr));
        drop(second);
        check!(record.count() == 1 && !device.reaches(pasid, addr));
        Ok(())
    }

    #[test]
    fn s2_other_data_or_flags_are_refused() -> Result {
        let (mm, device, record) = (TestMm::new()?, TestDevice::new()?, Record::new()?);
        let _bond = device.sva()?.bind(mm.mm(), FLAGS, record.clone())?;

        check_err!(device.sva()?.bind(mm.mm(), FLAGS, Record::new()?), EEXIST);
        check_err!(
            device.sva()?.bind(mm.mm(), Features::PASID, record.clone()),
            EEXIST
        );
        check!(record.count() == 0);
        Ok(())
    }

    #[test]
    fn s2_data_without_contents_are_the_same() -> Result {
        let mm = TestMm::new()?;
        let device = TestDevice::other(&SPEC)?;
        let data = || kernel::sync::Arc::new((), GFP_KERNEL);
        let first = device.sva()?.bind(mm.mm(), FLAGS, data()?)?;
        let second = device.sva()?.bind(mm.mm(), FLAGS, data()?)?;

        check!(first.pasid() == second.pasid());
        Ok(())
    }

    #[test]
    fn s2_two_devices_share_the_pasid() -> Result {
        let mm = TestMm::new()?;
        let (a, b) = (TestDevice::new()?, TestDevice::new()?);
        let addr = mm.map(1, Protection::ReadWrite)?;
        let of_a = a.sva()?.bind(mm.mm(), FLAGS, Record::new()?)?;
        let of_b = b.sva()?.bind(mm.mm(), FLAGS, Record::new()?)?;
        let pasid = of_b.pasid();

        check!(of_a.pasid() == pasid);
        drop(of_a);
        check!(!a.reaches(pasid, addr) && b.reaches(pasid, addr));
        Ok(())
    }

    #[test]
    fn s3_init_refuses_what_cannot_work() -> Result {
        let spec = DeviceSpec {
            pasid_bits: 0,
            ..SPEC
        };

        check_err!(TestDevice::with(&spec, SHARED), EOPNOTSUPP);
        check!(Plugged::new(&spec)?.with_bound(sva::max_pasid)? == 0);

        // Bonds without PASIDs are possible.
        let setup = Setup {
            features: Features::IOPF,
            ..SHARED
        };
        check!(TestDevice::with(&spec, setup)?.sva()?.max_pasid() == 0);
        Ok(())
    }

    #[test]
    fn s3_limits_of_a_device() -> Result {
        let device = TestDevice::new()?;
        let largest = (1 << SPEC.pasid_bits) - 1;

        check!(Plugged::new(&SPEC)?.with_bound(sva::max_pasid)? == largest);
        check!(device.sva()?.max_pasid() == largest);
        check!(device.sva()?.features() == FLAGS);

        let mm = TestMm::new()?;
        let other = IdleMm::new()?;
        let device = TestDevice::with(
            &SPEC,
            Setup {
                max_pasid: 1,
                ..SHARED
            },
        )?;
        let bond = device.sva()?.bind(mm.mm(), FLAGS, Record::new()?)?;

        check!(device.sva()?.max_pasid() == 1 && bond.pasid() == 1);
        check_err!(
            device.sva()?.bind(other.mm(), FLAGS, Record::new()?),
            ENOSPC
        );
        drop(bond);
        drop(device.sva()?.bind(other.mm(), FLAGS, Record::new()?)?);
        Ok(())
    }

    #[test]
    fn s4_flags_beyond_the_features() -> Result {
        let mm = TestMm::new()?;
        let device = TestDevice::with(
            &SPEC,
            Setup {
                features: Features::PASID,
                ..SHARED
            },
        )?;

        check_err!(device.sva()?.bind(mm.mm(), FLAGS, Record::new()?), EINVAL);
        drop(
            device
                .sva()?
                .bind(mm.mm(), Features::PASID, Record::new()?)?,
        );
        Ok(())
    }

    #[test]
    fn s5_every_combination_of_flags() -> Result {
        let (mm, device) = (TestMm::new()?, TestDevice::new()?);

        for bits in 0..4 {
            let flags = Features::from_bits(bits)?;
            let bond = device.sva()?.bind(mm.mm(), flags, Record::new()?)?;

            check!((bond.pasid() != 0) == flags.contains(Feature::Pasid));
        }
        Ok(())
    }

    #[test]
    fn s6_bind_without_pasid() -> Result {
        let (mm, device) = (TestMm::new()?, TestDevice::new()?);
        let other = IdleMm::new()?;
        let addr = mm.map(1, Protection::ReadWrite)?;
        let bond = device
            .sva()?
            .bind(mm.mm(), Features::IOPF, Record::new()?)?;

        check!(bond.pasid() == 0);
        device.write(0, addr, 0x56)?;
        check!(device.read(0, addr)? == 0x56);
        check_err!(
            device
                .sva()?
                .bind(other.mm(), Features::IOPF, Record::new()?),
            EBUSY
        );
        // One with a PASID lives beside it.
        drop(device.sva()?.bind(other.mm(), FLAGS, Record::new()?)?);
        check!(device.read(0, addr)? == 0x56);
        Ok(())
    }

    #[test]
    fn find_gives_the_mm() -> Result {
        let (mm, device) = (TestMm::new()?, TestDevice::new()?);
        let bond = device.sva()?.bind(mm.mm(), FLAGS, Record::new()?)?;
        let found = sva::find(bond.pasid()).ok_or(ENOENT)?;

        check!(found.as_raw() == mm.mm().as_raw());
        check!(sva::find(0).is_none() && sva::find(u32::MAX).is_none());
        Ok(())
    }

    /// A device that reserves one page of the bus.
    fn reserving(start: usize, kind: ResvKind) -> Result<TestDevice> {
        let mut resv = NO_RESV;

        resv[0] = Some(ResvRegion {
            start: start as u64,
            len: PAGE_SIZE as u64,
            kind,
        });
        TestDevice::with(&DeviceSpec { resv, ..SPEC }, SHARED)
    }

    const RESERVED: usize = 0x1_0000_0000;

    #[test]
    fn s17_occupied_region() -> Result {
        let (mm, device) = (TestMm::new()?, reserving(RESERVED, ResvKind::Reserved)?);

        mm.map_at(RESERVED, 1)?;
        check_err!(
            device.sva()?.bind(mm.mm(), FLAGS, Record::new()?),
            EADDRINUSE
        );
        mm.unmap(RESERVED, 1)?;
        let bond = device.sva()?.bind(mm.mm(), FLAGS, Record::new()?)?;

        check_err!(mm.map_at(RESERVED, 1), EEXIST);
        drop(bond);
        mm.map_at(RESERVED, 1)
    }

    #[test]
    fn s18_direct_region() -> Result {
        let (mm, device) = (TestMm::new()?, reserving(RESERVED, ResvKind::Direct)?);
        let bond = device.sva()?.bind(mm.mm(), FLAGS, Record::new()?)?;

        check_err!(mm.map_at(RESERVED, 1), EEXIST);
        drop(bond);
        mm.map_at(RESERVED, 1)
    }
}
