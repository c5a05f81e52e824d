// SPDX-License-Identifier: GPL-2.0

//! The DMA API: for devices that it maps memory for, and for those that get physical addresses.

#[kernel::prelude::kunit_tests(smmu_dma_api)]
mod tests {
    use super::super::{
        dma::*,
        *, //
    };
    use kernel_ext::{
        phys::PhysPages,
        resv_region::{
            ResvKind,
            ResvRegion, //
        },
    };
    use kernel_test_ext::dma::{set_domain_type, DmaMapping, DmaMemory};

    #[test]
    fn dma_api() -> Result {
        let instance = instance(&TRANSLATED)?;

        for (i, spec) in TRANSLATED.iter().enumerate() {
            let device = device(&instance, i)?;
            let memory = PhysPages::alloc(PAGE_SIZE)?;
            // Unmapping is invalidation, whatever the kernel's command line says.
            set_domain_type(device.endpoint(), c"DMA")?;
            let mapping = DmaMapping::new(device.endpoint(), &memory)?;
            let iova = mapping.iova() as usize;
            check!(iova as u64 != memory.phys());
            write(device, None, iova, &pattern(1))?;
            check!(bytes(&memory, 0)? == pattern(1));
            // Physical addresses are nothing to it.
            check!(kind(read(device, None, memory.phys() as usize)) == refusal(spec));

            let coherent = DmaMemory::new(device.endpoint(), 3 * PAGE_SIZE)?;
            write(device, None, coherent.iova() as usize, &pattern(2))?;
            let mut seen = [0; 64];
            coherent.read(&mut seen)?;
            check!(seen == pattern(2));

            drop(mapping);
            check!(kind(read(device, None, iova)) == refusal(spec));
            check!(read(device, None, coherent.iova() as usize)? == pattern(2));
        }
        Ok(())
    }

    #[test]
    fn dma_api_beside_sva() -> Result {
        let spec = DeviceSpec {
            translated: true,
            ..WIDE
        };
        let (mm, instance) = (TestMm::new()?, instance(&[spec])?);
        let device = device(&instance, 0)?;
        let addr = mm.map(2, Protection::ReadWrite)?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        let coherent = DmaMemory::new(device.endpoint(), PAGE_SIZE)?;
        let iova = coherent.iova() as usize;
        write(device, None, iova, &pattern(1))?;
        write(device, Some(bond.pasid()), addr, &pattern(2))?;
        mm.unmap(addr, 1)?;
        check!(read(device, Some(bond.pasid()), addr).is_err());
        check!(read(device, None, iova)? == pattern(1));
        drop(bond);
        check!(read(device, None, iova)? == pattern(1));
        Ok(())
    }

    #[test]
    fn dma_api_without_translation() -> Result {
        let instance = instance(&[WIDE])?;
        let (device, memory) = (device(&instance, 0)?, PhysPages::alloc(PAGE_SIZE)?);
        let mapping = DmaMapping::new(device.endpoint(), &memory)?;
        check!(mapping.iova() == memory.phys());
        write(device, None, mapping.iova() as usize, &pattern(1))?;
        check!(bytes(&memory, 0)? == pattern(1));
        Ok(())
    }

    /// What firmware uses stays mapped one to one under the DMA API.
    #[test]
    fn direct_region_is_mapped() -> Result {
        let memory = PhysPages::alloc(PAGE_SIZE)?;
        let mut spec = DeviceSpec {
            translated: true,
            ..NO_ATS
        };
        spec.resv[0] = Some(ResvRegion {
            start: memory.phys(),
            len: PAGE_SIZE as u64,
            kind: ResvKind::Direct,
        });
        let instance = instance(&[spec])?;
        let (device, at) = (device(&instance, 0)?, memory.phys() as usize);
        write(device, None, at, &pattern(9))?;
        check!(bytes(&memory, 0)? == pattern(9));
        check!(read(device, None, at + PAGE_SIZE).is_err());
        Ok(())
    }
}
