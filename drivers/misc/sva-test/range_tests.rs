// SPDX-License-Identifier: GPL-2.0

//! Memory for devices of any kind, by one call.

#[kernel::prelude::kunit_tests(sva_rust_range)]
mod tests {
    use crate::{
        fixture::{check, check_err, new_group, Setup, TestDevice, SPEC},
        record::Record,
    };
    use kernel::{page::PAGE_SIZE, prelude::*};
    use kernel_test_ext::mm::{Protection, TestMm};
    use smmuv3::device::DeviceSpec;
    use sva::{Features, Mode, Reason};

    const ANY: Setup = Setup {
        features: Features::ANY_SHARED,
        max_pasid: 0,
    };
    /// What devices of each mode are like.
    const MODES: [(Mode, DeviceSpec); 4] = [
        (Mode::Shared, SPEC),
        (Mode::Pinned, DeviceSpec { pri: false, ..SPEC }),
        (
            Mode::Mapped,
            DeviceSpec {
                pasid_bits: 0,
                ..SPEC
            },
        ),
        (
            Mode::Mapped,
            DeviceSpec {
                pasid_bits: 0,
                pri: false,
                ats: false,
                translated: true,
                ..SPEC
            },
        ),
    ];

    #[test]
    fn one_path_for_all() -> Result {
        for (mode, spec) in &MODES {
            let (mm, device) = (TestMm::new()?, TestDevice::with(spec, ANY)?);
            let addr = mm.map(3, Protection::ReadWrite)?;
            let bind = || {
                device
                    .sva()?
                    .bind_with(mm.mm(), ANY.features, Record::new)
                    .map_err(Error::from)
            };
            let bond = bind()?;

            check!(bond.mode() == *mode);
            let range = bond.range((addr + 100) as u64, PAGE_SIZE as u64, true)?;

            check!(range.is_held() == (*mode != Mode::Shared));
            let at = range.device_addr() as usize + 4;
            device.write(bond.pasid(), at, 0x57)?;
            let mut seen = [0; 8];
            mm.read(addr + 104, &mut seen)?;
            check!(u64::from_ne_bytes(seen) == 0x57);
            // The same bond again.
            check!(core::ptr::eq(&**bind()?.data(), &**bond.data()));
            drop(range);
            check!(*mode != Mode::Mapped || !device.reaches(bond.pasid(), at));
        }
        Ok(())
    }

    #[test]
    fn why_not() -> Result {
        for (mode, spec) in &MODES {
            let (mm, device) = (TestMm::new()?, TestDevice::with(spec, ANY)?);
            let (only, gone) = (mm.map(1, Protection::Read)?, mm.map(1, Protection::Read)?);
            let bond = device.sva()?.bind(mm.mm(), ANY.features, Record::new()?)?;

            mm.unmap(gone, 1)?;
            check!(bond.why_not(only as u64, false)?.is_none());
            check!(bond.why_not(only as u64, true)? == Some(Reason::NoRight));
            check!(bond.why_not(gone as u64, false)? == Some(Reason::NotMapped));
            check_err!(bond.range(only as u64, 0, false), EINVAL);
            if *mode != Mode::Shared {
                check_err!(bond.range(only as u64, 1, true), EFAULT);
                check_err!(bond.range(gone as u64, 1, false), EFAULT);
            }
        }
        Ok(())
    }

    #[test]
    fn unplugged_with_a_range_held() -> Result {
        for (_, spec) in &MODES[1..] {
            let (mm, mut device) = (TestMm::new()?, TestDevice::with(spec, ANY)?);
            let addr = mm.map(1, Protection::ReadWrite)?;
            let record = Record::new()?;
            let bond = device.sva()?.bind(mm.mm(), ANY.features, record.clone())?;
            let range = bond.range(addr as u64, 8, true)?;

            record.probe_at(range.device_addr() as usize);
            device.shut_down();
            // It was there until the driver had stopped the device.
            check!(record.first().is_some_and(|stop| stop.reached));
            check!(!device.reaches(bond.pasid(), range.device_addr() as usize));
            check_err!(bond.range(addr as u64, 8, true), ESRCH);
            device.unplug()?;
            drop((range, bond));
        }
        Ok(())
    }

    #[test]
    fn of_a_group() -> Result {
        let (mm, group) = (TestMm::new()?, new_group());
        let spec = DeviceSpec {
            group,
            pri: false,
            ..SPEC
        };
        let (a, b) = (TestDevice::with(&spec, ANY)?, TestDevice::with(&spec, ANY)?);
        let addr = mm.map(1, Protection::ReadWrite)?;
        let bond = a
            .sva()?
            .bind_group_with(mm.mm(), ANY.features, Record::new)?;
        let range = bond.range(addr as u64, 8, true)?;

        check!(bond.mode() == Mode::Pinned && bond.left_out() == 0);
        check!(a.reaches(bond.pasid(), addr));
        // By the same page tables.
        check!(b.reaches(bond.pasid(), addr));
        drop(range);
        // Without PASID a device in company has no bond.
        let without = DeviceSpec {
            pasid_bits: 0,
            ..spec
        };
        check_err!(TestDevice::with(&without, ANY), EOPNOTSUPP);
        Ok(())
    }
}
