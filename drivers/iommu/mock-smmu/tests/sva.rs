// SPDX-License-Identifier: GPL-2.0

//! Shared address spaces, bound by the kernel's own SVA.

#[kernel::prelude::kunit_tests(smmu_sva)]
mod tests {
    use super::super::*;
    use crate::hw::{
        Attrs,
        DmaErrorKind, //
    };
    use kernel::sync::atomic::Relaxed;
    use kernel_ext::{
        cpu,
        notifier, //
    };

    fn kind<T>(result: Result<T, hw::DmaError>) -> Option<DmaErrorKind> {
        result.err().map(|error| error.kind)
    }

    fn read(device: &MockDevice, ssid: u32, addr: usize) -> Result<[u8; 64], hw::DmaError> {
        let mut seen = [0; 64];
        device
            .port()
            .read(Some(ssid), addr as u64, &mut seen, Attrs::default())?;
        Ok(seen)
    }

    fn write(device: &MockDevice, ssid: u32, addr: usize, data: &[u8]) -> Result<(), hw::DmaError> {
        device
            .port()
            .write(Some(ssid), addr as u64, data, Attrs::default())
    }

    #[test]
    fn device_and_cpu_share_memory() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE, NARROW])?);
        for i in 0..2 {
            let device = device(&instance, i)?;
            let addr = mm.map(2, Protection::ReadWrite)?;
            let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
            mm.write(addr, &pattern(9))?;
            check!(read(device, bond.pasid(), addr)? == pattern(9));

            // Never touched before: the device's fault brings the page.
            let fresh = addr + PAGE_SIZE;
            write(device, bond.pasid(), fresh, &pattern(10))?;
            let mut seen = [0; 64];
            mm.read(fresh, &mut seen)?;
            check!(seen == pattern(10));
            let old =
                device
                    .port()
                    .fetch_add64(Some(bond.pasid()), fresh as u64, 1, Attrs::default())?;
            check!(old.to_ne_bytes() == pattern(10)[..8]);
        }
        Ok(())
    }

    #[test]
    fn context_descriptor_of_a_bond() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let device = device(&instance, 0)?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        let pasid = bond.pasid();
        let addr = mm.map(1, Protection::Read)?;
        // First it sleeps.
        for asleep in [true, false] {
            let cd = instance.hw().cd(WIDE.sid, pasid).ok_or(ENOENT)?;
            check!(cd.v() && cd.epd0() == asleep && cd.epd1());
            check!((cd.asid() == driver::asid::PARKED) == asleep);
            check!(cd.ttb0() == cpu::page_table_root(mm.mm()));
            check!(cd.ha() && cd.hd());
            read(device, pasid, addr)?;
        }
        drop(bond);
        check!(instance.hw().cd(WIDE.sid, pasid).is_some_and(|cd| !cd.v()));
        Ok(())
    }

    #[test]
    fn faults_are_served_and_counted() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let device = device(&instance, 0)?;
        let addr = mm.map(3, Protection::ReadWrite)?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        for page in 0..3 {
            write(device, bond.pasid(), addr + page * PAGE_SIZE, &[1; 8])?;
        }
        let (port, pri) = (device.port().stats(), instance.smmu().priq().stats());
        check!(port.groups == 3 && port.responses_success == 3);
        check!(pri.groups.load(Relaxed) == 3 && pri.responses.load(Relaxed) == 3);
        Ok(())
    }

    #[test]
    fn unmapped_or_read_only_is_refused() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let device = device(&instance, 0)?;
        let addr = mm.map(1, Protection::Read)?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        check!(kind(write(device, bond.pasid(), addr, &[0; 4])) == Some(DmaErrorKind::Refused));
        check!(read(device, bond.pasid(), addr)? == [0; 64]);
        check!(kind(write(device, bond.pasid(), addr, &[0; 4])) == Some(DmaErrorKind::Refused));
        mm.unmap(addr, 1)?;
        check!(kind(read(device, bond.pasid(), addr)) == Some(DmaErrorKind::Refused));
        check!(device.port().stats().responses_invalid == 3);
        Ok(())
    }

    /// Tables that go with the last of their pages.
    #[test]
    fn tables_are_forgotten_when_they_go() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let device = device(&instance, 0)?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;

        for round in 0..4 {
            let before = instance.hw().stats().walk_hits;
            let addr = mm.map(2, Protection::ReadWrite)?;
            for page in [addr, addr + PAGE_SIZE] {
                write(device, bond.pasid(), page, &pattern(round))?;
            }
            check!(instance.hw().stats().walk_hits > before);
            mm.unmap(addr, 2)?;
            check!(read(device, bond.pasid(), addr).is_err());
            check!(instance.hw().strict_check() == 0);
        }
        Ok(())
    }

    #[test]
    fn munmap_invalidates() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE, NARROW])?);
        let (one, two) = (device(&instance, 0)?, device(&instance, 1)?);
        let addr = mm.map(2, Protection::ReadWrite)?;
        let bonds = [
            InTreeBond::new(one.endpoint(), mm.mm())?,
            InTreeBond::new(two.endpoint(), mm.mm())?,
        ];
        let pasid = bonds[0].pasid();
        check!(bonds[1].pasid() == pasid);
        for page in [addr, addr + PAGE_SIZE] {
            mm.write(page, &pattern(3))?;
            check!(read(one, pasid, page)? == pattern(3));
            check!(read(two, pasid, page)? == pattern(3));
        }
        let hw = instance.hw();
        let asid = hw.cd(WIDE.sid, pasid).ok_or(ENOENT)?.asid();
        // Both devices use one domain.
        check!(hw.cd(NARROW.sid, pasid).ok_or(ENOENT)?.asid() == asid);
        check!(in_tlb(hw, asid, addr) && in_atc(hw, WIDE.sid, pasid, addr));
        check!(in_atc(hw, NARROW.sid, pasid, addr));

        mm.unmap(addr, 1)?;
        check!(!in_tlb(hw, asid, addr));
        check!(!in_atc(hw, WIDE.sid, pasid, addr) && !in_atc(hw, NARROW.sid, pasid, addr));
        check!(kind(read(one, pasid, addr)) == Some(DmaErrorKind::Refused));
        check!(kind(read(two, pasid, addr)) == Some(DmaErrorKind::Refused));
        check!(read(two, pasid, addr + PAGE_SIZE)? == pattern(3));
        Ok(())
    }

    #[test]
    fn large_munmap_invalidates() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let device = device(&instance, 0)?;
        let pages = 2048;
        let addr = mm.map(pages, Protection::ReadWrite)?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        let last = addr + (pages - 1) * PAGE_SIZE;
        for page in [addr, last] {
            write(device, bond.pasid(), page, &[5; 8])?;
        }
        mm.unmap(addr, pages)?;
        for page in [addr, last] {
            check!(!in_atc(instance.hw(), WIDE.sid, bond.pasid(), page));
            check!(kind(read(device, bond.pasid(), page)) == Some(DmaErrorKind::Refused));
        }
        Ok(())
    }

    #[test]
    fn unbind_ends_access() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let device = device(&instance, 0)?;
        let addr = mm.map(1, Protection::ReadWrite)?;
        mm.write(addr, &pattern(4))?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        let pasid = bond.pasid();
        check!(read(device, pasid, addr)? == pattern(4));
        drop(bond);
        check!(!in_atc(instance.hw(), WIDE.sid, pasid, addr));
        check!(read(device, pasid, addr).is_err());
        // And again.
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        check!(read(device, bond.pasid(), addr)? == pattern(4));
        Ok(())
    }

    #[test]
    fn exit_refuses_access() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let device = device(&instance, 0)?;
        let addr = mm.map(1, Protection::ReadWrite)?;
        mm.write(addr, &pattern(4))?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        check!(read(device, bond.pasid(), addr)? == pattern(4));
        drop(mm);
        // Still valid, so that late accesses are refused rather than misconfigured.
        let cd = instance.hw().cd(WIDE.sid, bond.pasid()).ok_or(ENOENT)?;
        check!(cd.v() && cd.epd0() && cd.ttb0() == 0);
        check!(!in_atc(instance.hw(), WIDE.sid, bond.pasid(), addr));
        check!(kind(read(device, bond.pasid(), addr)) == Some(DmaErrorKind::Refused));
        Ok(())
    }

    #[test]
    fn attach_after_exit_fails() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let client = device(&instance, 0)?.client();
        let domain = instance.smmu().alloc_sva(&client, mm.mm())?;
        drop(mm);
        check!(instance.smmu().attach_sva(&domain, &client, 3) == Err(EINVAL));
        check!(instance.hw().cd(WIDE.sid, 3).is_none_or(|cd| !cd.v()));
        Ok(())
    }

    #[test]
    fn two_level_high_pasid() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE, NARROW])?);
        let (wide, narrow) = (device(&instance, 0)?, device(&instance, 1)?);
        let addr = mm.map(1, Protection::ReadWrite)?;
        mm.write(addr, &pattern(6))?;
        let smmu = instance.smmu();
        let domain = awake_domain(&instance, &wide.client(), &mm)?;
        for pasid in [1, 1023, 1024, 0xfc05, 0xffff] {
            smmu.attach_sva(&domain, &wide.client(), pasid)?;
            check!(read(wide, pasid, addr)? == pattern(6));
            smmu.block_pasid(&wide.client(), pasid);
            check!(read(wide, pasid, addr).is_err());
        }
        check!(smmu.attach_sva(&domain, &wide.client(), 0x1_0000) == Err(EINVAL));
        check!(smmu.attach_sva(&domain, &narrow.client(), 256) == Err(EINVAL));
        Ok(())
    }

    #[test]
    fn replaced_domain_is_left() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let device = device(&instance, 0)?;
        let (smmu, client) = (instance.smmu(), device.client());
        let addr = mm.map(1, Protection::ReadWrite)?;
        mm.write(addr, &pattern(2))?;
        let old = awake_domain(&instance, &client, &mm)?;
        let new = awake_domain(&instance, &client, &mm)?;
        check!(old.space().asid() != new.space().asid());

        smmu.attach_sva(&old, &client, 7)?;
        check!(read(device, 7, addr)? == pattern(2));
        smmu.attach_sva(&new, &client, 7)?;
        check!(!in_tlb(instance.hw(), old.space().asid(), addr));
        check!(read(device, 7, addr)? == pattern(2));
        let cd = instance.hw().cd(WIDE.sid, 7).ok_or(ENOENT)?;
        check!(cd.asid() == new.space().asid());
        // The old one's end changes nothing.
        drop(old);
        check!(read(device, 7, addr)? == pattern(2));
        smmu.block_pasid(&client, 7);
        Ok(())
    }

    /// A domain whose SMMU is gone has nobody to tell of its end, and may be the SMMU's last user.
    #[test]
    fn domain_outlives_its_smmu() -> Result {
        for last in [false, true] {
            let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
            let client = device(&instance, 0)?.client();
            let smmu = instance.smmu().clone();
            let domain = smmu.alloc_sva(&client, mm.mm())?;
            drop(client);
            drop(instance);
            let stats = smmu.cmdq().stats();
            let smmu = (!last).then_some(smmu);
            drop(domain);
            notifier::synchronize();
            check!(smmu.is_none_or(|smmu| smmu.cmdq().stats() == stats));
        }
        Ok(())
    }

    #[test]
    fn block_of_nothing() -> Result {
        let instance = instance(&[WIDE])?;
        instance
            .smmu()
            .block_pasid(&device(&instance, 0)?.client(), 77);
        Ok(())
    }

    /// An SMMU whose output addresses are smaller than the CPUs' cannot share their tables.
    #[test]
    fn eopnotsupp_output_addresses_too_small() -> Result {
        let config = hw::Config {
            oas: 0,
            ..default_config()
        };
        let (mm, instance) = (TestMm::new()?, instance_with(config, &[WIDE])?);
        let bond = InTreeBond::new(device(&instance, 0)?.endpoint(), mm.mm());
        check!(bond.err() == Some(EOPNOTSUPP));
        Ok(())
    }
}
