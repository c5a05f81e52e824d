// SPDX-License-Identifier: GPL-2.0

//! Memory for devices that do not wait for page faults: S7.

#[kernel::prelude::kunit_tests(sva_rust_pin)]
mod tests {
    use crate::{
        fixture::{check, check_err, new_group, TestDevice},
        record::Record,
    };
    use kernel::{page::PAGE_SIZE, prelude::*};
    use kernel_test_ext::mm::{Protection, TestMm};
    use sva::{Bond, Features, Handler};

    fn pin_one_page<T: Handler>(bond: &Bond<T>, addr: usize) -> Result<sva::Pinned> {
        bond.pin(addr..addr + PAGE_SIZE, true)
    }

    #[test]
    fn s7_pinned_memory_needs_no_page_request() -> Result {
        let (mm, device) = (TestMm::new()?, TestDevice::new()?);
        let addr = mm.map(2, Protection::ReadWrite)?;
        let bond = device
            .sva()?
            .bind(mm.mm(), Features::PASID, Record::new()?)?;
        let pasid = bond.pasid();

        check!(!device.reaches(pasid, addr));
        let pinned = pin_one_page(&bond, addr)?;
        let again = pin_one_page(&bond, addr)?;

        device.write(pasid, addr, 0x57)?;
        check!(!device.reaches(pasid, addr + PAGE_SIZE));
        let mut seen = [0; 8];
        mm.read(addr, &mut seen)?;
        check!(u64::from_ne_bytes(seen) == 0x57);
        drop(pinned);
        drop(again);
        Ok(())
    }

    /// Also where pages could be asked for: a bond may sleep until its first request, but not with pins.
    #[test]
    fn s7_pinned_memory_is_reached_at_once() -> Result {
        let (mm, device) = (TestMm::new()?, TestDevice::new()?);
        let addr = mm.map(1, Protection::ReadWrite)?;
        let bond = device
            .sva()?
            .bind(mm.mm(), Features::SHARED, Record::new()?)?;

        let pinned = pin_one_page(&bond, addr)?;
        let before = device.page_requests();
        check!(device.reaches(bond.pasid(), addr));
        check!(device.page_requests() == before);
        drop(pinned);
        Ok(())
    }

    #[test]
    fn s7_pins_outlive_their_bond_harmlessly() -> Result {
        let (mm, device) = (TestMm::new()?, TestDevice::new()?);
        let addr = mm.map(1, Protection::ReadWrite)?;
        let bond = device
            .sva()?
            .bind(mm.mm(), Features::PASID, Record::new()?)?;
        let pinned = pin_one_page(&bond, addr)?;

        drop(bond);
        drop(pinned);
        Ok(())
    }

    #[test]
    fn s7_pin_errors() -> Result {
        let (mm, device) = (TestMm::new()?, TestDevice::new()?);
        let addr = mm.map(1, Protection::Read)?;
        let bond = device
            .sva()?
            .bind(mm.mm(), Features::PASID, Record::new()?)?;

        check_err!(bond.pin(addr..addr + 1, false), EINVAL);
        check_err!(bond.pin(addr..addr, false), EINVAL);
        check_err!(pin_one_page(&bond, addr), EFAULT);
        check!(bond.pin(addr..addr + PAGE_SIZE, false).is_ok());
        mm.unmap(addr, 1)?;
        check_err!(bond.pin(addr..addr + PAGE_SIZE, false), EFAULT);
        Ok(())
    }

    #[test]
    fn s7_pins_of_a_group() -> Result {
        let (mm, group) = (TestMm::new()?, new_group());
        let (mut a, b) = (TestDevice::in_group(group)?, TestDevice::in_group(group)?);
        let addr = mm.map(1, Protection::ReadWrite)?;
        let bond = a
            .sva()?
            .bind_group(mm.mm(), Features::PASID, Record::new()?)?;
        let pasid = bond.pasid();
        let pinned = pin_one_page(&bond, addr)?;

        check!(a.reaches(pasid, addr) && b.reaches(pasid, addr));
        // What one member has pinned does not go with another.
        a.shut_down();
        check!(b.reaches(pasid, addr));
        drop(pinned);
        Ok(())
    }
}
