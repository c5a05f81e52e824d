// SPDX-License-Identifier: GPL-2.0

//! The C interface, called as C calls it.

#[kernel::prelude::kunit_tests(smmu_c_api)]
mod tests {
    use crate::{
        fmt::event::{
            Event,
            EventId,
            CLASS_IN, //
        },
        hw::default_config,
        instance::Instance, //
    };
    use kernel::{
        device::Device,
        prelude::*, //
    };
    use kernel_ext::{
        bindings::{
            self,
            mock_smmu_access,
            mock_smmu_drain,
            mock_smmu_fetch_add,
            mock_smmu_port_get,
            mock_smmu_port_put,
            mock_smmu_prefetch,
            mock_smmu_read,
            mock_smmu_set_lies,
            mock_smmu_set_limits,
            mock_smmu_start,
            mock_smmu_stop,
            mock_smmu_submit,
            mock_smmu_write, //
        },
        phys::PhysPages, //
    };
    use kernel_test_ext::{
        in_tree::InTreeBond,
        mm::{Protection, TestMm}, //
    };
    use smmuv3::device::DeviceSpec;

    const NONE: u32 = bindings::MOCK_SMMU_NO_SSID;

    fn raw(dev: &Device) -> *mut bindings::device {
        core::ptr::from_ref(dev).cast_mut().cast()
    }

    /// An instance with one device that has neither PASIDs nor ATS.
    fn instance() -> Result<Instance> {
        let mut instance = Instance::new(c"mock_smmu_kunit_c", default_config())?;
        let spec = DeviceSpec {
            sid: 5,
            pasid_bits: 0,
            ats: false,
            pri: false,
            ..DeviceSpec::DEFAULT
        };
        instance.add_device(c"mock_smmu_kunit_c_device", &spec)?;
        Ok(instance)
    }

    #[test]
    fn port_accesses() -> Result {
        let instance = instance()?;
        let dev = raw(instance.devices().first().ok_or(ENODEV)?.device());
        let memory = PhysPages::alloc(4096)?;
        let (addr, mut old, mut fault) = (memory.phys(), 0, 0);
        let (data, mut seen) = (7u64.to_ne_bytes(), [0; 8]);

        // SAFETY: The device stays behind its SMMU until the end of the test, which is what being
        // bound stands for here. All other arguments are valid.
        let results = unsafe {
            let port = mock_smmu_port_get(dev);
            let written = mock_smmu_write(port, NONE, addr, data.as_ptr().cast(), 8, &mut fault);
            let added = mock_smmu_fetch_add(port, NONE, addr, 3, &mut old);
            let read = mock_smmu_read(port, NONE, addr, seen.as_mut_ptr().cast(), 8, &mut fault);
            let misaligned = mock_smmu_fetch_add(port, NONE, addr + 1, 3, &mut old);
            mock_smmu_stop(port);
            let stopped = mock_smmu_read(port, NONE, addr, seen.as_mut_ptr().cast(), 8, &mut fault);
            mock_smmu_start(port);
            let prefetched = mock_smmu_prefetch(port, NONE, addr, 8, false);
            mock_smmu_port_put(port);
            [written, added, read, misaligned, stopped, prefetched]
        };
        drop(instance);
        let (einval, eshutdown) = (EINVAL.to_errno(), ESHUTDOWN.to_errno());
        assert_eq!(results, [0, 0, 0, einval, eshutdown, 0]);
        assert_eq!((old, u64::from_ne_bytes(seen)), (7, 10));
        assert_eq!(fault, addr);
        Ok(())
    }

    #[test]
    fn no_mock_smmu() -> Result {
        let instance = Instance::new(c"mock_smmu_kunit_c", default_config())?;
        // The SMMU itself is behind none.
        let dev = raw(instance.device());
        // SAFETY: The device is live until the end of the test and behind no IOMMU.
        let error = unsafe { kernel::bindings::PTR_ERR(mock_smmu_port_get(dev).cast()) };
        drop(instance);
        assert_eq!(error, ENODEV.to_errno() as isize);
        Ok(())
    }

    /// With a PASID, of each privilege, data and instructions: as the SMMU's event has it.
    #[test]
    fn ssid_privilege_and_fetch() -> Result {
        let (mm, mut instance) = (TestMm::new()?, instance()?);
        let spec = DeviceSpec {
            id: 1,
            sid: 6,
            pasid_bits: 8,
            ats: false,
            pri: false,
            ..DeviceSpec::DEFAULT
        };
        instance.add_device(c"mock_smmu_kunit_c_device", &spec)?;
        let device = instance.devices().get(1).ok_or(ENODEV)?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        let (events, addr) = (instance.smmu().evtq().queue(), mm.map(1, Protection::Read)?);
        let (mut errors, mut seen) = ([0; 3], [Event::default(); 3]);
        for (i, (privileged, exec)) in [(false, false), (true, false), (false, true)]
            .into_iter()
            .enumerate()
        {
            let mut word = 0u64;
            let mut request = bindings::mock_smmu_request {
                op: bindings::mock_smmu_op_MOCK_SMMU_READ,
                ssid: bond.pasid(),
                privileged,
                exec,
                addr: addr as u64,
                buf: (&raw mut word).cast(),
                len: 8,
                ..pin_init::zeroed()
            };
            // SAFETY: As in `port_accesses`.
            unsafe {
                let port = mock_smmu_port_get(raw(device.device()));
                errors[i] = mock_smmu_access(port, &mut request);
                mock_smmu_port_put(port);
            }
            seen[i] = Event::from_words(events.peek(events.prod().wrapping_sub(1)));
        }
        let pasid = bond.pasid();
        drop(bond);
        drop(instance);
        let event = Event::default()
            .with_id(EventId::Translation as u8)
            .with_sid(6)
            .with_ssv(true)
            .with_ssid(pasid)
            .with_rnw(true)
            .with_class(CLASS_IN)
            .with_address(addr as u64);
        assert_eq!(errors, [EIO.to_errno(); 3]);
        assert_eq!(seen, [event, event.with_pnu(true), event.with_ind(true)]);
        Ok(())
    }

    /// Says in its context that it was called.
    ///
    /// # Safety
    ///
    /// The request must be live, and its context a `u64`.
    unsafe extern "C" fn complete(request: *mut bindings::mock_smmu_request) {
        // SAFETY: By this function's contract.
        unsafe { (*request).context.cast::<u64>().write(1) };
    }

    /// Requests of all kinds on one word: what each says was there, and its errno.
    #[test]
    fn requests_of_every_kind() -> Result {
        let instance = instance()?;
        let dev = raw(instance.devices().first().ok_or(ENODEV)?.device());
        let memory = PhysPages::alloc(4096)?;
        let (mut data, mut called) = (5u64, 0u64);
        let new = |op| bindings::mock_smmu_request {
            op,
            ssid: NONE,
            addr: memory.phys(),
            ..pin_init::zeroed()
        };
        let mut requests = [
            bindings::mock_smmu_op_MOCK_SMMU_WRITE,
            bindings::mock_smmu_op_MOCK_SMMU_FETCH_ADD,
            bindings::mock_smmu_op_MOCK_SMMU_SWAP,
            bindings::mock_smmu_op_MOCK_SMMU_COMPARE_EXCHANGE,
            bindings::mock_smmu_op_MOCK_SMMU_COMPARE_EXCHANGE,
            bindings::mock_smmu_op_MOCK_SMMU_PREFETCH_WRITE,
            bindings::mock_smmu_op_MOCK_SMMU_READ,
            99,
        ]
        .map(new);
        for request in &mut requests {
            request.buf = (&raw mut data).cast();
            request.len = 8;
        }
        requests[1].operand = 3;
        requests[2].operand = 20;
        (requests[3].expected, requests[3].operand) = (1, 30);
        (requests[4].expected, requests[4].operand) = (20, 40);

        // SAFETY: As in `port_accesses`; requests and their buffers outlive the calls, and the
        // submitted one the drain.
        let (errors, submitted) = unsafe {
            let port = mock_smmu_port_get(dev);
            let errors = requests.each_mut().map(|r| mock_smmu_access(port, r));
            let mut last = new(bindings::mock_smmu_op_MOCK_SMMU_FETCH_ADD);
            let no_callback = mock_smmu_submit(port, &mut last);
            last.operand = 2;
            last.complete = Some(complete);
            last.context = (&raw mut called).cast();
            let queued = mock_smmu_submit(port, &mut last);
            mock_smmu_drain(port);
            let mut limits = bindings::mock_smmu_limits {
                max_outstanding: 0,
                max_retries: 1,
                timeout_ms: 1,
            };
            let none = mock_smmu_set_limits(port, &limits);
            limits.max_outstanding = 1;
            let one = mock_smmu_set_limits(port, &limits);
            let honest = mock_smmu_set_lies(port, &pin_init::zeroed());
            mock_smmu_port_put(port);
            (errors, [no_callback, queued, last.error, none, one, honest])
        };
        drop(instance);
        let einval = EINVAL.to_errno();
        assert_eq!(errors, [0, 0, 0, 0, 0, 0, 0, einval]);
        assert_eq!([1, 2, 3, 4].map(|i| requests[i].old), [5, 8, 20, 20]);
        assert_eq!((data, called), (40, 1));
        assert_eq!(submitted, [einval, 0, 0, einval, 0, 0]);
        assert_eq!(memory.window().load64(0), Ok(42));
        Ok(())
    }
}
