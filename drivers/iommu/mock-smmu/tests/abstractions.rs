// SPDX-License-Identifier: GPL-2.0

//! The abstractions that the driver half stands on.
//!
//! Their crate has no module type of its own, which implementing a `#[vtable]` trait takes.

#[kernel::prelude::kunit_tests(smmu_abstractions)]
mod tests {
    use super::super::*;
    use kernel::sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Completion, //
    };
    use kernel_ext::{
        io_pgtable::{
            Geometry,
            PageTable, //
        },
        iopf_queue::FaultReport,
        notifier::{
            self,
            Callbacks,
            MmNotifier, //
        },
        platform_device::{
            PlatformDevice,
            Property,
            Value, //
        },
        thread::KThread, //
    };

    /// What a notifier saw.
    struct Seen {
        released: Atomic<u64>,
        invalidated: Atomic<u64>,
        dropped: Atomic<u64>,
    }

    impl Seen {
        fn new() -> Result<Arc<Self>> {
            Ok(Arc::new(
                Self {
                    released: Atomic::new(0),
                    invalidated: Atomic::new(0),
                    dropped: Atomic::new(0),
                },
                GFP_KERNEL,
            )?)
        }

        fn counts(&self) -> (u64, u64, u64) {
            (
                self.released.load(Relaxed),
                self.invalidated.load(Relaxed),
                self.dropped.load(Relaxed),
            )
        }
    }

    struct Both(Arc<Seen>);

    #[vtable]
    impl Callbacks for Both {
        fn release(&self) {
            self.0.released.fetch_add(1, Relaxed);
        }

        fn arch_invalidate_secondary_tlbs(&self, _start: usize, _end: usize) {
            self.0.invalidated.fetch_add(1, Relaxed);
        }
    }

    impl Drop for Both {
        fn drop(&mut self) {
            self.0.dropped.fetch_add(1, Relaxed);
        }
    }

    struct ReleaseOnly(Arc<Seen>);

    #[vtable]
    impl Callbacks for ReleaseOnly {
        fn release(&self) {
            self.0.released.fetch_add(1, Relaxed);
        }
    }

    /// Has the CPU forget a translation, so that secondary TLBs must too.
    fn touch_and_unmap(mm: &TestMm) -> Result {
        let addr = mm.map(1, Protection::ReadWrite)?;
        mm.write(addr, &[1])?;
        mm.unmap(addr, 1)
    }

    #[test]
    fn notifier_callbacks() -> Result {
        let (mm, seen) = (TestMm::new()?, Seen::new()?);
        let registered = MmNotifier::register(mm.mm(), Both(seen.clone()))?;
        check!(registered.0.counts() == (0, 0, 0));
        touch_and_unmap(&mm)?;
        check!(seen.invalidated.load(Relaxed) > 0);
        drop(mm);
        check!(seen.released.load(Relaxed) == 1);
        drop(registered);
        notifier::synchronize();
        check!(seen.dropped.load(Relaxed) == 1);
        Ok(())
    }

    #[test]
    fn notifier_put_before_exit() -> Result {
        let (mm, seen) = (TestMm::new()?, Seen::new()?);
        drop(MmNotifier::register(mm.mm(), Both(seen.clone()))?);
        notifier::synchronize();
        check!(seen.counts() == (0, 0, 1));
        touch_and_unmap(&mm)?;
        drop(mm);
        check!(seen.counts() == (0, 0, 1));
        Ok(())
    }

    #[test]
    fn notifier_with_release_only() -> Result {
        let (mm, seen) = (TestMm::new()?, Seen::new()?);
        let registered = MmNotifier::register(mm.mm(), ReleaseOnly(seen.clone()))?;
        touch_and_unmap(&mm)?;
        drop(mm);
        check!(seen.counts() == (1, 0, 0));
        drop(registered);
        Ok(())
    }

    #[test]
    fn thread_runs_and_stops() -> Result {
        let running = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
        let turns = Arc::new(Atomic::new(0u64), GFP_KERNEL)?;
        let (started, counter) = (running.clone(), turns.clone());
        let thread = KThread::spawn(c"smmu-kunit-thread", move |stop| {
            started.complete_all();
            while !stop.requested() {
                counter.fetch_add(1, Relaxed);
                kernel::time::delay::fsleep(kernel::time::Delta::from_millis(1));
            }
        })?;
        running.wait_for_completion();
        drop(thread);
        let stopped_at = turns.load(Relaxed);
        kernel::time::delay::fsleep(kernel::time::Delta::from_millis(5));
        check!(turns.load(Relaxed) == stopped_at);
        Ok(())
    }

    /// Stopped at once: its function may run or not, but what it owns is freed once.
    #[test]
    fn thread_stopped_early() -> Result {
        let owned = Arc::new((), GFP_KERNEL)?;
        for _ in 0..20 {
            let share = owned.clone();
            drop(KThread::spawn(c"smmu-kunit-thread", move |_| drop(share))?);
        }
        check!(Arc::into_unique_or_drop(owned).is_some());
        Ok(())
    }

    #[test]
    fn thread_that_ended_by_itself() -> Result {
        let done = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
        let end = done.clone();
        let thread = KThread::spawn(c"smmu-kunit-thread", move |_| end.complete_all())?;
        done.wait_for_completion();
        drop(thread);
        Ok(())
    }

    #[test]
    fn platform_device_properties() -> Result {
        let cell = |name, value| Property { name, value };
        let properties = [
            cell(c"one", Value::U32(1)),
            cell(c"other", Value::U32(0xffff_ffff)),
            cell(c"many", Value::U64s(&[1, u64::MAX, 3])),
        ];
        let device = PlatformDevice::new(c"mock_smmu_kunit_plain", 3, &properties, None)?;
        let node = device.device().fwnode().ok_or(ENOENT)?;
        check!(node.property_read::<u32>(c"one").optional() == Some(1));
        check!(node.property_read::<u32>(c"other").optional() == Some(u32::MAX));
        check!(node.property_count_elem::<u64>(c"many") == Ok(3));
        let many = node.property_read_array_vec::<u64>(c"many", 3)?;
        check!(matches!(many.optional(), Some(many) if *many == [1, u64::MAX, 3]));
        check!(!node.property_present(c"none"));
        check!(device.device().name() == c"mock_smmu_kunit_plain.3");

        let many = [properties[0]; 9];
        let refused = PlatformDevice::new(c"mock_smmu_kunit_plain", 4, &many, None);
        check!(refused.err() == Some(EINVAL));
        Ok(())
    }

    #[test]
    fn page_table_of_too_few_bits() -> Result {
        let instance = instance(&[WIDE])?;
        let geometry = instance.smmu().features().geometry()?;
        let make = |input_bits| {
            let geometry = Geometry {
                input_bits,
                ..geometry
            };
            PageTable::new(instance.device(), geometry).err()
        };
        // The kernel takes them for a table of no level, or of fewer than that.
        for bits in [0, 1, 12, 24] {
            check!(make(bits) == Some(EINVAL));
        }
        check!(make(u32::MAX).is_none_or(|error| error == ENOMEM));
        check!(make(25).is_none());
        Ok(())
    }

    #[test]
    fn closed_fault_source() -> Result {
        let mut instance = instance(&[WIDE])?;
        let client = device(&instance, 0)?.client();
        let request = FaultReport {
            pasid: Some(1),
            last: true,
            ..FaultReport::default()
        };
        // No domain handles faults, so the device is on no queue: nobody is asked.
        check!(client.driver().fault_queue(&client).is_some());
        check!(client.faults().report(request) == Err(ENODEV));
        check!(instance.smmu().priq().stats().responses.load(Relaxed) == 0);
        instance.remove_device(0)?;
        check!(client.faults().report(request) == Err(ENODEV));
        check!(instance.smmu().priq().stats().responses.load(Relaxed) == 0);
        Ok(())
    }
}
