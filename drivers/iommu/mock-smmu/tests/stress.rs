// SPDX-License-Identifier: GPL-2.0

//! Many things at once.

#[kernel::prelude::kunit_tests(smmu_stress)]
mod tests {
    use super::super::*;
    use crate::hw::{
        Attrs,
        DmaErrorKind, //
    };
    use kernel::{
        sync::{
            atomic::{
                Atomic,
                Relaxed, //
            },
            Arc, //
        }, //
    };
    use kernel_ext::thread::KThread;

    /// What the device's thread did.
    struct Tally {
        done: Atomic<u64>,
        refused: Atomic<u64>,
        wrong: Atomic<u64>,
    }

    /// While a device writes to one place, the CPU unmaps it and maps it anew. What the device
    /// wrote must never show in the pages that another mapping got.
    #[test]
    fn unmap_under_dma() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let bond = InTreeBond::new(device(&instance, 0)?.endpoint(), mm.mm())?;
        let addr = mm.map(8, Protection::ReadWrite)?;
        let tally = Arc::new(
            Tally {
                done: Atomic::new(0),
                refused: Atomic::new(0),
                wrong: Atomic::new(0),
            },
            GFP_KERNEL,
        )?;

        let (port, pasid, count) = (
            device(&instance, 0)?.port().clone(),
            bond.pasid(),
            tally.clone(),
        );
        let thread = KThread::spawn(c"smmu-kunit-stress", move |stop| {
            while !stop.requested() {
                let result = port.write(Some(pasid), addr as u64, &[0xff; 64], Attrs::default());
                match result.map_err(|error| error.kind) {
                    Ok(()) => count.done.fetch_add(1, Relaxed),
                    Err(DmaErrorKind::Refused) => count.refused.fetch_add(1, Relaxed),
                    // The thread is being stopped.
                    Err(DmaErrorKind::Interrupted) => break,
                    Err(_) => count.wrong.fetch_add(1, Relaxed),
                };
            }
        })?;

        let mut strays = 0;
        for _ in 0..300 {
            mm.unmap(addr, 1)?;
            // The page just freed is a likely choice for this mapping.
            let other = mm.map(4, Protection::ReadWrite)?;
            for page in 0..4 {
                mm.write(other + page * PAGE_SIZE, &[0; 64])?;
            }
            for page in 0..4 {
                let at = other + page * PAGE_SIZE;
                let mut seen = [0; 64];
                mm.read(at, &mut seen)?;
                // The kernel may have put the new mapping where the old one was.
                strays += u64::from(at != addr && seen != [0; 64]);
            }
            mm.unmap(other, 4)?;
            mm.map_at(addr, 1)?;
        }
        // On a busy machine the thread may not have had a chance yet.
        let done = wait_until(|| tally.done.load(Relaxed) > 0);
        drop(thread);
        check!(strays == 0);
        check!(tally.wrong.load(Relaxed) == 0);
        check!(done);
        Ok(())
    }

    #[test]
    fn bind_and_unbind_under_dma() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE, NARROW])?);
        let addr = mm.map(1, Protection::ReadWrite)?;
        mm.write(addr, &pattern(1))?;
        // The PASID of the address space is the same each time.
        let pasid = InTreeBond::new(device(&instance, 0)?.endpoint(), mm.mm())?.pasid();
        let wrong = Arc::new(Atomic::new(0u64), GFP_KERNEL)?;

        let mut threads = KVec::new();
        for i in 0..2 {
            let (port, count) = (device(&instance, i)?.port().clone(), wrong.clone());
            let thread = KThread::spawn(c"smmu-kunit-stress", move |stop| {
                while !stop.requested() {
                    let mut seen = [0; 64];
                    let read = port.read(Some(pasid), addr as u64, &mut seen, Attrs::default());
                    if read.is_ok() && seen != pattern(1) {
                        count.fetch_add(1, Relaxed);
                    }
                }
            })?;
            threads.push(thread, GFP_KERNEL)?;
        }
        for _ in 0..40 {
            let one = InTreeBond::new(device(&instance, 0)?.endpoint(), mm.mm())?;
            let two = InTreeBond::new(device(&instance, 1)?.endpoint(), mm.mm())?;
            drop(one);
            drop(two);
        }
        threads.clear();
        check!(wrong.load(Relaxed) == 0);
        check!(instance.hw().stats().pri_resp_stray == 0);
        Ok(())
    }

    #[test]
    fn exit_under_dma() -> Result {
        let instance = instance(&[WIDE])?;
        for _ in 0..20 {
            let mm = TestMm::new()?;
            let addr = mm.map(4, Protection::ReadWrite)?;
            let bond = InTreeBond::new(device(&instance, 0)?.endpoint(), mm.mm())?;
            let (port, pasid) = (device(&instance, 0)?.port().clone(), bond.pasid());
            let thread = KThread::spawn(c"smmu-kunit-stress", move |stop| {
                while !stop.requested() {
                    let _ = port.write(Some(pasid), addr as u64, &[1; 8], Attrs::default());
                }
            })?;
            mm.write(addr, &[2; 8])?;
            drop(mm);
            drop(thread);
            drop(bond);
        }
        Ok(())
    }

    #[test]
    fn instances_come_and_go() -> Result {
        for _ in 0..8 {
            drop(instance(&[WIDE, NARROW])?);
        }
        Ok(())
    }
}
