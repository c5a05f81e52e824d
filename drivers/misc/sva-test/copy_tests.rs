// SPDX-License-Identifier: GPL-2.0

//! The memory of a bond's process, for the driver.

#[kernel::prelude::kunit_tests(sva_rust_copy)]
mod tests {
    use crate::{
        fixture::{check, check_err, new_group, TestDevice, FLAGS},
        record::Record,
    };
    use kernel::{
        page::PAGE_SIZE,
        prelude::*,
        sync::{
            atomic::{Atomic, Relaxed},
            Arc,
        },
    };
    use kernel_test_ext::mm::{Protection, TestMm};

    #[test]
    fn write_and_read() -> Result {
        let (mm, device) = (TestMm::new()?, TestDevice::new()?);
        let addr = mm.map(3, Protection::ReadWrite)?;
        let bond = device.sva()?.bind(mm.mm(), FLAGS, Record::new()?)?;
        let (at, mut seen) = (addr + PAGE_SIZE - 3, [0; 6]);

        bond.write(at as u64, b"across")?;
        mm.read(at, &mut seen)?;
        check!(&seen == b"across");
        mm.write(at, b"ACROSS")?;
        bond.read(at as u64, &mut seen)?;
        check!(&seen == b"ACROSS");
        let only = mm.map(1, Protection::Read)?;
        check_err!(bond.write(only as u64, &[1]), EFAULT);
        check_err!(bond.read(u64::MAX >> 8, &mut seen), EFAULT);
        Ok(())
    }

    /// A driver writes its last record when it is told to stop; and nothing afterwards.
    #[test]
    fn until_the_end() -> Result {
        let (mm, mut device) = (TestMm::new()?, TestDevice::new()?);
        let addr = mm.map(1, Protection::ReadWrite)?;
        let record = Record::new()?;
        let bond = Arc::new(
            device.sva()?.bind(mm.mm(), FLAGS, record.clone())?,
            GFP_KERNEL,
        )?;
        let written = Arc::new(Atomic::new(false), GFP_KERNEL)?;
        let (last, writer) = (written.clone(), bond.clone());

        record.on_stop(move || last.store(writer.write(addr as u64, b"end").is_ok(), Relaxed))?;
        device.shut_down();
        check!(written.load(Relaxed));
        let mut seen = [0; 3];
        mm.read(addr, &mut seen)?;
        check!(&seen == b"end");
        check_err!(bond.write(addr as u64, b"too late"), ESRCH);
        check_err!(bond.read(addr as u64, &mut seen), ESRCH);
        check_err!(bond.prefetch(addr as u64..addr as u64 + 1, true), ESRCH);
        Ok(())
    }

    #[test]
    fn prefetched_pages_are_there() -> Result {
        let (mm, group) = (TestMm::new()?, new_group());
        let (a, _b) = (TestDevice::in_group(group)?, TestDevice::in_group(group)?);
        let addr = mm.map(4, Protection::ReadWrite)?;
        let bond = a.sva()?.bind_group(mm.mm(), FLAGS, Record::new()?)?;
        let range = addr as u64..(addr + 4 * PAGE_SIZE) as u64;

        // A bond may sleep until its first request.
        a.write(bond.pasid(), addr, 1)?;
        check!(bond.prefetch(range.clone(), true)? == 4);
        let before = a.page_requests();
        for page in 0..4 {
            a.write(bond.pasid(), addr + page * PAGE_SIZE, 1)?;
        }
        check!(a.page_requests() == before);
        mm.unmap(addr, 1)?;
        check!(bond.prefetch(range, true)? == 3);
        Ok(())
    }
}
