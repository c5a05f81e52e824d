// SPDX-License-Identifier: GPL-2.0

//! The DMA API with a flush queue: what is unmapped is invalidated later, all at once.

#[kernel::prelude::kunit_tests(smmu_flush_queue)]
mod tests {
    use super::super::{
        dma::*,
        *, //
    };
    use kernel_ext::phys::PhysPages;
    use kernel_test_ext::dma::{set_domain_type, DmaMapping};

    const DMA: &CStr = c"DMA";
    const DMA_FQ: &CStr = c"DMA-FQ";

    /// Whether some cache of `instance` has a translation of `iova` for the device with `spec`.
    fn cached(instance: &Instance, spec: &DeviceSpec, iova: usize) -> Result<bool> {
        let asid = instance.hw().cd(spec.sid, 0).ok_or(ENOENT)?.asid();
        Ok(in_tlb(instance.hw(), asid, iova) || in_atc(instance.hw(), spec.sid, u32::MAX, iova))
    }

    /// Maps and unmaps memory that the device uses; gives where it was, and whether the device
    /// could still go there just afterwards.
    fn use_once(instance: &Instance, index: usize) -> Result<(usize, bool)> {
        let (device, memory) = (device(instance, index)?, PhysPages::alloc(PAGE_SIZE)?);
        let mapping = DmaMapping::new(device.endpoint(), &memory)?;
        let iova = mapping.iova() as usize;
        write(device, None, iova, &pattern(1))?;
        check!(bytes(&memory, 0)? == pattern(1));
        check!(cached(instance, &TRANSLATED[index], iova)?);
        drop(mapping);
        // Before the memory goes.
        let still = read(device, None, iova) == Ok(pattern(1));
        Ok((iova, still))
    }

    #[test]
    fn flush_iotlb_all_comes_later() -> Result {
        let instance = instance(&TRANSLATED)?;
        for (i, spec) in TRANSLATED.iter().enumerate() {
            let device = device(&instance, i)?;
            set_domain_type(device.endpoint(), DMA_FQ)?;
            let before = instance.hw().stats();
            let (mut iova, mut still, mut tries) = (0, false, 0);
            // The queue's timer may have been faster than we.
            while !still && tries < 100 {
                (iova, still) = use_once(&instance, i)?;
                tries += 1;
            }
            check!(still);
            check!(wait_until(|| cached(&instance, spec, iova) == Ok(false)));
            check!(kind(read(device, None, iova)) == refusal(spec));
            // One command for all, and none for an address.
            let after = instance.hw().stats();
            check!(after.tlbi_asid > before.tlbi_asid);
            check!(after.tlbi_va == before.tlbi_va);
            check!(instance.hw().strict_scan() == 0);
        }
        // Strict mode saw the uses in between, and that they were excused.
        check!(instance.hw().stats().strict_suspicions > 0);
        Ok(())
    }

    /// No address leads to what was there before, however often it is given anew.
    #[test]
    fn addresses_are_not_given_before_the_flush() -> Result {
        let instance = instance(&TRANSLATED)?;
        for i in 0..TRANSLATED.len() {
            let device = device(&instance, i)?;
            set_domain_type(device.endpoint(), DMA_FQ)?;
            let memory = PhysPages::alloc(2 * PAGE_SIZE)?;
            let before = instance.hw().stats();
            // More than the queue has room for.
            for round in 0..1000 {
                let mapping = DmaMapping::new(device.endpoint(), &memory)?;
                let (iova, seed) = (mapping.iova() as usize, round as u8);
                write(device, None, iova + PAGE_SIZE, &pattern(seed))?;
                check!(bytes(&memory, PAGE_SIZE)? == pattern(seed));
                let other = PhysPages::alloc(PAGE_SIZE)?;
                let second = DmaMapping::new(device.endpoint(), &other)?;
                check!(read(device, None, second.iova() as usize)? == [0; 64]);
            }
            let after = instance.hw().stats();
            check!(after.tlbi_asid > before.tlbi_asid && after.tlbi_va == before.tlbi_va);
            check!(instance.hw().strict_scan() == 0);
        }
        Ok(())
    }

    /// Back to a domain where unmapping is invalidation, and once more.
    #[test]
    fn domain_types_at_run_time() -> Result {
        let instance = instance(&TRANSLATED)?;
        for (i, spec) in TRANSLATED.iter().enumerate() {
            let device = device(&instance, i)?;
            for _ in 0..3 {
                set_domain_type(device.endpoint(), DMA_FQ)?;
                use_once(&instance, i)?;
                // With what is in the queue.
                set_domain_type(device.endpoint(), DMA)?;
                let before = instance.hw().stats();
                let (iova, still) = use_once(&instance, i)?;
                check!(!still && !cached(&instance, spec, iova)?);
                check!(instance.hw().stats().tlbi_va > before.tlbi_va);
            }
            check!(set_domain_type(device.endpoint(), c"lazy") == Err(EINVAL));
        }
        check!(instance.hw().strict_scan() == 0);
        Ok(())
    }
}
