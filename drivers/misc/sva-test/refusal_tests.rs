// SPDX-License-Identifier: GPL-2.0

//! What a driver hears of page requests that are refused.

#[kernel::prelude::kunit_tests(sva_rust_refusal)]
mod tests {
    use crate::{
        fixture::{check, new_group, TestDevice, FLAGS},
        record::Record,
    };
    use kernel::prelude::*;
    use kernel_test_ext::mm::{Protection, TestMm};
    use sva::{AccessKind, Reason, Refusal};

    #[test]
    fn refusals_are_told() -> Result {
        let (mm, device, record) = (TestMm::new()?, TestDevice::new()?, Record::new()?);
        let (only, gone) = (mm.map(1, Protection::Read)?, mm.map(1, Protection::Read)?);
        let bond = device.sva()?.bind(mm.mm(), FLAGS, record.clone())?;
        let pasid = bond.pasid();

        check!(device.reaches(pasid, only) && record.take_refusals().is_empty());
        check!(device.write(pasid, only, 1).is_err());
        let expected = Refusal {
            addr: only as u64,
            access: AccessKind::Write.into(),
            reason: Reason::NoRight,
            requests: 1,
            untold: 0,
        };
        check!(*record.take_refusals() == [(pasid, expected)]);

        mm.unmap(gone, 1)?;
        check!(!device.reaches(pasid, gone + 8));
        let told = record.take_refusals();
        check!(told.len() == 1 && told[0].1.reason == Reason::NotMapped);
        check!(told[0].1.addr == gone as u64 && told[0].1.reason.text() == "not mapped");

        drop(bond);
        check!(!device.reaches(pasid, gone) && record.take_refusals().is_empty());
        Ok(())
    }

    #[test]
    fn each_member_hears_of_its_own() -> Result {
        let (mm, group, record) = (TestMm::new()?, new_group(), Record::new()?);
        let (a, b) = (TestDevice::in_group(group)?, TestDevice::in_group(group)?);
        let bond = a.sva()?.bind_group(mm.mm(), FLAGS, record.clone())?;

        check!(!a.reaches(bond.pasid(), 0) && record.take_refusals().len() == 1);
        check!(!b.reaches(bond.pasid(), 0) && record.take_refusals().len() == 1);
        Ok(())
    }
}
