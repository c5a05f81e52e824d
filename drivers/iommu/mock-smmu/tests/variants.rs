// SPDX-License-Identifier: GPL-2.0

//! SMMUs that can do less than others, or do it otherwise: the driver half is content.

#[kernel::prelude::kunit_tests(smmu_variants)]
mod tests {
    use super::super::{
        dma::*,
        *, //
    };
    use crate::{
        fmt::regs,
        hw::DmaErrorKind, //
    };
    use kernel_ext::{notifier, phys::PhysPages};
    use kernel_test_ext::dma::TestDomain;

    /// A device that stalls, with PASIDs but without ATS.
    const STALLS: DeviceSpec = DeviceSpec {
        stall: true,
        ..NO_ATS
    };

    const IOVA: usize = 0x1_2340_0000;

    /// No event says that a table has something wrong in it.
    fn well_configured(instance: &Instance) -> bool {
        let smmu = instance.smmu();
        smmu.evtq().drain();
        let kinds = [
            EventId::BadStreamId,
            EventId::BadSte,
            EventId::BadSubstreamId,
            EventId::BadCd,
        ];
        kinds.iter().all(|&id| smmu.evtq().count(id as u8) == 0) && smmu.cmdq().stats().errors == 0
    }

    /// Shared address spaces and classic DMA, from the beginning to the end.
    fn lifetime(config: hw::Config) -> Result {
        let (mm, instance) = (TestMm::new()?, instance_with(config, &[WIDE, STALLS])?);
        let addr = mm.map(4, Protection::ReadWrite)?;
        let memory = PhysPages::alloc(PAGE_SIZE)?;
        for i in 0..2 {
            let device = device(&instance, i)?;
            let stuck = i == 1 && !instance.smmu().features().stalls();
            let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
            let mut domain = TestDomain::new(device.endpoint())?;
            domain.attach()?;
            domain.map(IOVA, &memory, PAGE_SIZE, true)?;
            write(device, None, IOVA, &pattern(1))?;
            check!(bytes(&memory, 0)? == pattern(1));

            let ssid = Some(bond.pasid());
            // Never touched; touched by reading only, then to be written; written by the CPU.
            let (fresh, read_only, written) = (
                addr + i * PAGE_SIZE,
                addr + 2 * PAGE_SIZE,
                addr + 3 * PAGE_SIZE,
            );
            mm.write(written, &pattern(2))?;
            check!(read(device, ssid, written)? == pattern(2));
            if !stuck {
                write(device, ssid, fresh, &pattern(3))?;
                let mut seen = [0; 64];
                mm.read(fresh, &mut seen)?;
                check!(seen == pattern(3));
                read(device, ssid, read_only)?;
                write(device, ssid, read_only, &pattern(4))?;
                check!(read(device, ssid, read_only)? == pattern(4));
            }
            mm.unmap(written, 1)?;
            check!(read(device, ssid, written).is_err());
            mm.map_at(written, 1)?;
            drop(domain);
            drop(bond);
        }
        let wide = device(&instance, 0)?;
        let bond = InTreeBond::new(wide.endpoint(), mm.mm())?;
        drop(mm);
        check!(kind(read(wide, Some(bond.pasid()), addr)) == Some(DmaErrorKind::Refused));
        drop(bond);
        check!(well_configured(&instance));
        Ok(())
    }

    /// With TERM_MODEL, no descriptor may have faults ignored.
    #[test]
    fn term_model() -> Result {
        for stall_model in [regs::STALL_BOTH, regs::STALL_NONE, regs::STALL_ONLY] {
            lifetime(hw::Config {
                term_model: true,
                stall_model,
                ..default_config()
            })?;
        }
        Ok(())
    }

    /// What hardware does not update must not be asked for.
    #[test]
    fn httu() -> Result {
        for httu in 0..=3 {
            lifetime(hw::Config {
                httu,
                ..default_config()
            })?;
        }
        Ok(())
    }

    #[test]
    fn ril() -> Result {
        lifetime(hw::Config {
            ril: false,
            ..default_config()
        })
    }

    /// Stream tables of both kinds. Beyond what a table can hold no device is taken.
    #[test]
    fn sid_bits() -> Result {
        for sid_bits in [0, 1, 8, 9, 25, 32] {
            let config = hw::Config {
                sid_bits,
                ..default_config()
            };
            let most = 1u64 << sid_bits.min(25);
            let spec = DeviceSpec {
                // CAST: At most 2^25.
                sid: (most - 1) as u32,
                ..NO_ATS
            };
            let (mm, mut instance) = (TestMm::new()?, instance_with(config, &[spec])?);
            let beyond = DeviceSpec {
                id: 0,
                sid: most as u32,
                ..NO_ATS
            };
            let refused = instance.add_device(c"mock_smmu_kunit_device", &beyond);
            check!(refused.is_err());
            let device = device(&instance, 0)?;
            let addr = mm.map(1, Protection::ReadWrite)?;
            mm.write(addr, &pattern(1))?;
            let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
            check!(read(device, Some(bond.pasid()), addr)? == pattern(1));
            drop(bond);
            check!(well_configured(&instance));
        }
        Ok(())
    }

    /// Tables of context descriptors of both kinds, down to one descriptor and one PASID.
    #[test]
    fn ssid_bits() -> Result {
        for ssid_bits in [1, 2, 10, 11, 20] {
            let config = hw::Config {
                ssid_bits,
                ..default_config()
            };
            let spec = DeviceSpec {
                pasid_bits: 20,
                ..WIDE
            };
            let (mm, instance) = (TestMm::new()?, instance_with(config, &[spec])?);
            let device = device(&instance, 0)?;
            let addr = mm.map(1, Protection::ReadWrite)?;
            let domain = awake_domain(&instance, &device.client(), &mm)?;
            mm.write(addr, &pattern(1))?;
            let most = 1 << ssid_bits;
            for ssid in [1, most / 2, most - 1] {
                let (smmu, client) = (instance.smmu(), device.client());
                smmu.attach_sva(&domain, &client, ssid)?;
                check!(read(device, Some(ssid), addr)? == pattern(1));
                smmu.block_pasid(&client, ssid);
            }
            let wrong = instance.smmu().attach_sva(&domain, &device.client(), most);
            check!(wrong == Err(EINVAL));
        }
        Ok(())
    }

    /// With ASIDs of 8 bits there are 255 address spaces; one more is refused, and nothing is lost.
    #[test]
    fn asid_exhaustion() -> Result {
        let config = hw::Config {
            asid16: false,
            ..default_config()
        };
        let (mm, instance) = (TestMm::new()?, instance_with(config, &[WIDE])?);
        let device = device(&instance, 0)?;
        let (smmu, client) = (instance.smmu(), device.client());
        let addr = mm.map(1, Protection::ReadWrite)?;
        mm.write(addr, &pattern(1))?;

        let mut domains = KVec::new();
        for _ in 0..255 {
            domains.push(smmu.alloc_paging(&client)?, GFP_KERNEL)?;
        }
        for _ in 0..300 {
            let bond = InTreeBond::new(device.endpoint(), mm.mm());
            check!(bond.err() == Some(ENOSPC));
            check!(TestDomain::new(device.endpoint()).err() == Some(ENOSPC));
            check!(smmu.alloc_paging(&client).err() == Some(ENOSPC));
        }
        check!(client.data().bonds().lock().is_empty());

        // One goes, one comes, again and again.
        for _ in 0..3 {
            drop(domains.pop());
            let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
            check!(read(device, Some(bond.pasid()), addr)? == pattern(1));
            check!(smmu.alloc_paging(&client).err() == Some(ENOSPC));
            drop(bond);
            // An address space goes when its notifier does.
            notifier::synchronize();
            domains.push(smmu.alloc_paging(&client)?, GFP_KERNEL)?;
        }
        drop(domains);
        let mut domain = TestDomain::new(device.endpoint())?;
        domain.attach()?;
        check!(well_configured(&instance));
        Ok(())
    }

    /// Who has an ASID after another finds nothing of the other's translations.
    #[test]
    fn asid_reuse() -> Result {
        let config = hw::Config {
            asid16: false,
            ..default_config()
        };
        for spec in [NO_ATS, WIDE] {
            let instance = instance_with(config, &[spec])?;
            let device = device(&instance, 0)?;
            let (smmu, client) = (instance.smmu(), device.client());
            let mut others = KVec::new();
            for _ in 0..254 {
                others.push(smmu.alloc_paging(&client)?, GFP_KERNEL)?;
            }
            // The same address in one process after the other, and in a page table of the kernel's.
            let (memory, mut last) = (PhysPages::alloc(PAGE_SIZE)?, None);
            for round in 0..4 {
                let mm = TestMm::new()?;
                mm.map_at(IOVA, 2)?;
                for page in [IOVA, IOVA + PAGE_SIZE] {
                    mm.write(page, &pattern(round))?;
                }
                let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
                let pasid = bond.pasid();
                // It is awake from here on.
                read(device, Some(pasid), IOVA + PAGE_SIZE)?;
                let asid = instance.hw().cd(spec.sid, pasid).ok_or(ENOENT)?.asid();
                check!(last.replace(asid).is_none_or(|last| last == asid));
                check!(!in_tlb(instance.hw(), asid, IOVA));
                check!(read(device, Some(pasid), IOVA)? == pattern(round));
                check!(in_tlb(instance.hw(), asid, IOVA));
                drop(bond);
                check!(!in_tlb(instance.hw(), asid, IOVA));
                drop(mm);
                notifier::synchronize();

                let mut domain = TestDomain::new(device.endpoint())?;
                domain.map(IOVA, &memory, PAGE_SIZE, true)?;
                domain.attach()?;
                check!(instance
                    .hw()
                    .cd(spec.sid, 0)
                    .is_some_and(|cd| cd.asid() == asid));
                check!(read(device, None, IOVA)? == [0; 64]);
                drop(domain);
                check!(!in_tlb(instance.hw(), asid, IOVA));
            }
        }
        Ok(())
    }
}
