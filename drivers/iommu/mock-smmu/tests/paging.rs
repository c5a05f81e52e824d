// SPDX-License-Identifier: GPL-2.0

//! Paging domains: page tables of the kernel's, and shared address spaces beside them.

#[kernel::prelude::kunit_tests(smmu_paging)]
mod tests {
    use super::super::{
        dma::*,
        *, //
    };
    use crate::{
        fmt::{
            event::EventId,
            ste, //
        },
        hw::DmaErrorKind, //
    };
    use kernel_ext::phys::PhysPages;
    use kernel_test_ext::dma::TestDomain;

    /// Where tests map memory.
    const IOVA: usize = 0x1_2340_0000;

    /// The ASID of accesses without PASID.
    fn asid(instance: &Instance, sid: u32) -> Result<u16> {
        Ok(instance.hw().cd(sid, 0).ok_or(ENOENT)?.asid())
    }

    #[test]
    fn iommu_map_beside_sva() -> Result {
        let specs = [WIDE, NO_ATS];
        let (mm, instance) = (TestMm::new()?, instance(&specs)?);
        let addr = mm.map(1, Protection::ReadWrite)?;
        let memory = PhysPages::alloc(2 * PAGE_SIZE)?;

        for (i, spec) in specs.iter().enumerate() {
            let device = device(&instance, i)?;
            let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
            let pasid = Some(bond.pasid());
            let mut domain = TestDomain::new(device.endpoint())?;
            domain.attach()?;
            domain.map(IOVA, &memory, 2 * PAGE_SIZE, true)?;
            check!(domain.translate(IOVA + PAGE_SIZE + 5) == memory.phys() + PAGE_SIZE as u64 + 5);

            // The same device, at the same time, in two address spaces.
            mm.write(addr, &pattern(1))?;
            for round in 0..4 {
                let at = IOVA + PAGE_SIZE - 32;
                write(device, None, at, &pattern(round))?;
                check!(bytes(&memory, PAGE_SIZE - 32)? == pattern(round));
                check!(read(device, None, at)? == pattern(round));
                check!(read(device, pasid, addr)? == pattern(1));
                write(device, pasid, addr, &pattern(1))?;
            }
            check!(kind(read(device, None, addr)) == refusal(spec));
            check!(kind(read(device, pasid, IOVA)) == refusal(spec));

            // The one's end is not the other's.
            drop(domain);
            check!(read(device, pasid, addr)? == pattern(1));
            check!(kind(read(device, None, IOVA)).is_some());
            check!(read(device, None, memory.phys() as usize)? == bytes(&memory, 0)?);

            let mut domain = TestDomain::new(device.endpoint())?;
            domain.map(IOVA, &memory, PAGE_SIZE, true)?;
            domain.attach()?;
            drop(bond);
            check!(read(device, None, IOVA)? == bytes(&memory, 0)?);
            check!(read(device, pasid, addr).is_err());
        }
        Ok(())
    }

    #[test]
    fn context_descriptor_of_a_domain() -> Result {
        let instance = instance(&[WIDE])?;
        let before = instance.hw().ste(WIDE.sid).ok_or(ENOENT)?;
        let mut domain = TestDomain::new(device(&instance, 0)?.endpoint())?;
        check!(domain.page_sizes() & PAGE_SIZE != 0);
        check!(instance.hw().cd(WIDE.sid, 0).is_none_or(|cd| !cd.v()));

        domain.attach()?;
        let ste = instance.hw().ste(WIDE.sid).ok_or(ENOENT)?;
        check!(ste.config() == ste::CONFIG_S1 && ste.s1_dss() == ste::S1DSS_SSID0);
        let cd = instance.hw().cd(WIDE.sid, 0).ok_or(ENOENT)?;
        check!(cd.v() && !cd.epd0() && cd.epd1() && cd.asid() != 0 && cd.ttb0() != 0);
        check!(cd.t0sz() == 16 && !cd.ha() && !cd.hd());

        domain.detach();
        check!(instance.hw().ste(WIDE.sid) == Some(before));
        check!(instance.hw().cd(WIDE.sid, 0).is_some_and(|cd| !cd.v()));
        Ok(())
    }

    #[test]
    fn f_translation_after_unmap() -> Result {
        let specs = [WIDE, NO_ATS, PLAIN];
        let instance = instance(&specs)?;
        let memory = PhysPages::alloc(PAGE_SIZE)?;

        for (i, spec) in specs.iter().enumerate() {
            let device = device(&instance, i)?;
            let mut domain = TestDomain::new(device.endpoint())?;
            domain.attach()?;
            check!(kind(read(device, None, IOVA)) == refusal(spec));
            // What was not mapped is not remembered.
            domain.map(IOVA, &memory, PAGE_SIZE, true)?;
            write(device, None, IOVA, &pattern(7))?;
            let asid = asid(&instance, spec.sid)?;
            check!(in_tlb(instance.hw(), asid, IOVA));
            check!(in_atc(instance.hw(), spec.sid, u32::MAX, IOVA) == spec.ats);

            check!(domain.unmap(IOVA) == PAGE_SIZE);
            check!(domain.translate(IOVA) == 0);
            check!(!in_tlb(instance.hw(), asid, IOVA));
            check!(!in_atc(instance.hw(), spec.sid, u32::MAX, IOVA));
            check!(kind(write(device, None, IOVA, &pattern(8))) == refusal(spec));
            check!(bytes(&memory, 0)? == pattern(7));
        }
        check!(events(&instance, EventId::Translation, 4) == 4);
        Ok(())
    }

    #[test]
    fn f_permission_read_only() -> Result {
        let instance = instance(&[NO_ATS])?;
        let (device, memory) = (device(&instance, 0)?, PhysPages::alloc(PAGE_SIZE)?);
        let mut domain = TestDomain::new(device.endpoint())?;
        domain.attach()?;
        domain.map(IOVA, &memory, PAGE_SIZE, false)?;
        check!(read(device, None, IOVA)? == [0; 64]);
        check!(kind(write(device, None, IOVA, &[1])) == Some(DmaErrorKind::Aborted));
        check!(bytes(&memory, 0)? == [0; 64]);
        check!(events(&instance, EventId::Permission, 1) == 1);
        Ok(())
    }

    /// Only what was unmapped is forgotten, with and without range commands.
    #[test]
    fn tlbi_nh_va_by_iova_range() -> Result {
        for ril in [true, false] {
            let config = hw::Config {
                ril,
                ..default_config()
            };
            let instance = instance_with(config, &[WIDE])?;
            let (device, memory) = (device(&instance, 0)?, PhysPages::alloc(8 * PAGE_SIZE)?);
            let mut domain = TestDomain::new(device.endpoint())?;
            domain.attach()?;
            let page = |n: usize| IOVA + n * PAGE_SIZE;
            domain.map(page(0), &memory, 2 * PAGE_SIZE, true)?;
            domain.map(page(2), &memory, 3 * PAGE_SIZE, true)?;
            domain.map(page(5), &memory, PAGE_SIZE, true)?;
            for n in 0..6 {
                read(device, None, page(n))?;
            }
            let before = instance.hw().stats();
            let (hw, asid) = (instance.hw(), asid(&instance, WIDE.sid)?);
            check!(domain.unmap(page(2)) == 3 * PAGE_SIZE);
            for n in 0..6 {
                let gone = (2..5).contains(&n);
                check!(in_tlb(hw, asid, page(n)) != gone);
                check!(!gone || !in_atc(hw, WIDE.sid, u32::MAX, page(n)));
                check!(read(device, None, page(n)).is_err() == gone);
            }
            let after = instance.hw().stats();
            check!(after.tlbi_va == before.tlbi_va + if ril { 1 } else { 3 });
        }
        Ok(())
    }

    #[test]
    fn blocks() -> Result {
        // What an entry of the last level but one maps: 2 MiB with pages of 4 KiB.
        let block = PAGE_SIZE * (PAGE_SIZE / size_of::<u64>());
        let Ok(memory) = PhysPages::alloc(block) else {
            // Too large for the page allocator.
            return Ok(());
        };
        let instance = instance(&[WIDE])?;
        let device = device(&instance, 0)?;
        let mut domain = TestDomain::new(device.endpoint())?;
        check!(domain.page_sizes() & block != 0);
        let iova = 8 * block;
        domain.map(iova, &memory, block, true)?;
        domain.attach()?;
        write(device, None, iova + block - 64, &pattern(3))?;
        check!(bytes(&memory, block - 64)? == pattern(3));
        let asid = asid(&instance, WIDE.sid)?;
        // One entry for all of it.
        check!(in_tlb(instance.hw(), asid, iova));
        check!(domain.unmap(iova) == block);
        check!(!in_tlb(instance.hw(), asid, iova));
        check!(read(device, None, iova).is_err());

        // A block where a table was: the table is freed, after whoever walked it has forgotten.
        for n in 0..4 {
            domain.map(iova + n * PAGE_SIZE, &memory, PAGE_SIZE, true)?;
            check!(read(device, None, iova + n * PAGE_SIZE).is_ok());
        }
        for n in 0..4 {
            check!(domain.unmap(iova + n * PAGE_SIZE) == PAGE_SIZE);
        }
        check!(read(device, None, iova).is_err());
        domain.map(iova, &memory, block, true)?;
        check!(read(device, None, iova + block - 64)? == pattern(3));
        Ok(())
    }

    /// A shared address space takes the place of a paging domain, and gives it back.
    #[test]
    fn rid_from_paging_to_sva_and_back() -> Result {
        let specs = [WIDE, NO_ATS, PLAIN];
        let (mm, instance) = (TestMm::new()?, instance(&specs)?);
        let (smmu, addr) = (instance.smmu(), mm.map(1, Protection::ReadWrite)?);
        mm.write(addr, &pattern(1))?;

        for (i, spec) in specs.iter().enumerate() {
            let device = device(&instance, i)?;
            let client = device.client();
            let paging = smmu.alloc_paging(&client)?;
            let sva = awake_domain(&instance, &client, &mm)?;
            for _ in 0..3 {
                smmu.attach_paging(&paging, &client, None)?;
                check!(read(device, None, addr).is_err());
                let asid = paging.user().asid();
                check!(self::asid(&instance, spec.sid)? == asid);
                smmu.attach_sva_rid(&sva, &client)?;
                check!(read(device, None, addr)? == pattern(1));
            }
            smmu.attach_paging(&paging, &client, None)?;
            check!(!in_tlb(instance.hw(), sva.space().asid(), addr));
            check!(!in_atc(instance.hw(), spec.sid, u32::MAX, addr));
            smmu.attach_identity(&client)?;
            check!(client.data().bonds().lock().get(&0).is_none());
        }
        Ok(())
    }

    #[test]
    fn paging_with_pasid() -> Result {
        let instance = instance(&[WIDE])?;
        let (device, smmu) = (device(&instance, 0)?, instance.smmu());
        let client = device.client();
        let domain = smmu.alloc_paging(&client)?;
        smmu.attach_paging(&domain, &client, Some(0x1207))?;
        check!(kind(read(device, Some(0x1207), IOVA)) == Some(DmaErrorKind::Refused));
        let cd = instance.hw().cd(WIDE.sid, 0x1207).ok_or(ENOENT)?;
        check!(cd.v() && cd.asid() == domain.user().asid());
        check!(smmu.attach_paging(&domain, &client, Some(0x1_0000)) == Err(EINVAL));
        smmu.block_pasid(&client, 0x1207);
        check!(instance.hw().cd(WIDE.sid, 0x1207).is_some_and(|cd| !cd.v()));
        Ok(())
    }

    /// The hardware notes what is written where a domain is asked to tell, if it can.
    #[test]
    fn dirty_states() -> Result {
        for httu in 0..=2 {
            let config = hw::Config {
                httu,
                ..default_config()
            };
            let instance = instance_with(config, &[WIDE])?;
            let (device, smmu) = (device(&instance, 0)?, instance.smmu());
            let client = device.client();
            let able = httu == 2;

            check!(smmu.tracks_dirty(&client) == able);
            check!(!smmu.alloc_paging(&client)?.page_table().tracks_dirty());
            let domain = match smmu.alloc_dirty_paging(&client) {
                Ok(domain) => domain,
                Err(error) => {
                    check!(error == EOPNOTSUPP && !able);
                    continue;
                }
            };
            check!(able && domain.page_table().tracks_dirty());
            smmu.attach_paging(&domain, &client, Some(9))?;
            let cd = instance.hw().cd(WIDE.sid, 9).ok_or(ENOENT)?;
            check!(cd.ha() && cd.hd());
            smmu.block_pasid(&client, 9);
        }
        Ok(())
    }

    /// Classic DMA needs no PASIDs.
    #[test]
    fn smmu_without_pasids() -> Result {
        let config = hw::Config {
            ssid_bits: 0,
            ..default_config()
        };
        let (mm, instance) = (TestMm::new()?, instance_with(config, &[WIDE, PLAIN])?);
        for i in 0..2 {
            let (device, memory) = (device(&instance, i)?, PhysPages::alloc(PAGE_SIZE)?);
            let mut domain = TestDomain::new(device.endpoint())?;
            domain.attach()?;
            domain.map(IOVA, &memory, PAGE_SIZE, true)?;
            write(device, None, IOVA, &pattern(4))?;
            check!(bytes(&memory, 0)? == pattern(4));
            domain.unmap(IOVA);
            check!(read(device, None, IOVA).is_err());
            domain.detach();
            check!(read(device, None, memory.phys() as usize)? == pattern(4));
            let sva = instance.smmu().alloc_sva(&device.client(), mm.mm());
            check!(sva.err() == Some(EOPNOTSUPP));
        }
        Ok(())
    }
}
