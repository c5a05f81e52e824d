// SPDX-License-Identifier: GPL-2.0

//! Devices: probe, groups, streams, removal.

#[kernel::prelude::kunit_tests(smmu_devices)]
mod tests {
    use super::super::*;
    use crate::{
        fmt::{
            ppr,
            ste, //
        },
        hw::{
            Attrs,
            DmaErrorKind, //
        }, //
    };
    use kernel::sync::atomic::Relaxed;
    use kernel_ext::{
        group::IommuGroup,
        phys::PhysPages, //
    };

    fn group(device: &MockDevice) -> Result<i32> {
        Ok(IommuGroup::of(device.device()).ok_or(ENODEV)?.id())
    }

    #[test]
    fn groups_are_real() -> Result {
        let pair = |id, sid, pasid_bits, group| DeviceSpec {
            id,
            sid,
            pasid_bits,
            group: Some(group),
            ..WIDE
        };
        let specs = [
            WIDE,
            NARROW,
            pair(2, 0x20, 16, 1),
            pair(3, 0x21, 16, 1),
            pair(4, 0x30, 16, 2),
            pair(5, 0x31, 0, 2),
        ];
        let instance = instance(&specs)?;
        let mut groups = [0; 6];
        for (i, device) in instance.devices().iter().enumerate() {
            groups[i] = group(device)?;
        }
        let [alone, other, first, second, with, without] = groups;
        check!(first == second && with == without);
        check!(alone != other && alone != first && other != first && first != with);
        let members = IommuGroup::of(device(&instance, 2)?.device()).ok_or(ENODEV)?;
        check!(members.len() == 2);
        Ok(())
    }

    #[test]
    fn max_pasids_of_each_device() -> Result {
        let no_pasids = DeviceSpec {
            id: 5,
            sid: 0x31,
            pasid_bits: 0,
            ..WIDE
        };
        let instance = instance(&[WIDE, NARROW, no_pasids])?;
        for (i, max) in [1 << 16, 1 << 8, 0].into_iter().enumerate() {
            check!(device(&instance, i)?.endpoint().max_pasids() == max);
        }
        Ok(())
    }

    #[test]
    fn stream_id_taken() -> Result {
        let mut instance = instance(&[WIDE])?;
        let twin = DeviceSpec { id: 9, ..WIDE };
        check!(instance.add_device(c"mock_smmu_kunit_device", &twin).err() == Some(EBUSY));
        Ok(())
    }

    #[test]
    fn stream_id_too_large() -> Result {
        let mut instance = instance(&[])?;
        let large = DeviceSpec {
            sid: 1 << 16,
            ..WIDE
        };
        check!(instance
            .add_device(c"mock_smmu_kunit_device", &large)
            .is_err());
        Ok(())
    }

    #[test]
    fn stream_table_entries() -> Result {
        let instance = instance(&[WIDE, NARROW, PLAIN])?;
        let entry = |sid| instance.hw().ste(sid).ok_or(ENOENT);
        let wide = entry(WIDE.sid)?;
        check!(wide.v() && wide.config() == ste::CONFIG_S1);
        check!(wide.s1_fmt() == ste::S1FMT_64K_L2 && wide.s1_cd_max() == 16);
        check!(wide.s1_dss() == ste::S1DSS_BYPASS && wide.eats() == ste::EATS_TRANS);
        let narrow = entry(NARROW.sid)?;
        check!(narrow.s1_fmt() == ste::S1FMT_LINEAR && narrow.s1_cd_max() == 8);
        check!(entry(0x31)?.config() == ste::CONFIG_BYPASS);
        // A neighbour that nobody owns.
        check!(entry(0x30)?.config() == ste::CONFIG_ABORT);
        Ok(())
    }

    #[test]
    fn identity_and_blocked() -> Result {
        let instance = instance(&[WIDE])?;
        let device = device(&instance, 0)?;
        let (memory, data) = (PhysPages::alloc(PAGE_SIZE)?, pattern(1));
        device
            .port()
            .write(None, memory.phys(), &data, Attrs::default())?;
        let mut seen = [0; 64];
        memory.window().read(0, &mut seen)?;
        check!(seen == data);

        let client = device.client();
        instance.smmu().attach_blocked(&client)?;
        let blocked = device
            .port()
            .read(None, memory.phys(), &mut seen, Attrs::default());
        check!(blocked.err().map(|e| e.kind) == Some(DmaErrorKind::Aborted));
        instance.smmu().attach_identity(&client)?;
        device
            .port()
            .read(None, memory.phys(), &mut seen, Attrs::default())?;
        Ok(())
    }

    /// S1DSS 2: accesses without PASID use context descriptor 0.
    #[test]
    fn address_space_without_pasid() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE, NO_ATS, PLAIN])?);
        let (smmu, hw) = (instance.smmu(), instance.hw());
        let addr = mm.map(1, Protection::ReadWrite)?;

        for (i, spec) in [WIDE, NO_ATS, PLAIN].iter().enumerate() {
            let device = device(&instance, i)?;
            let (client, sid) = (device.client(), spec.sid);
            let before = hw.ste(sid).ok_or(ENOENT)?;
            let read = |ssid| {
                let mut seen = [0; 64];
                let port = device.port();
                let result = port.read(ssid, addr as u64, &mut seen, Attrs::default());
                result.map(|()| seen).map_err(|error| error.kind)
            };

            mm.write(addr, &pattern(i as u8))?;
            let domain = awake_domain(&instance, &client, &mm)?;
            smmu.attach_sva_rid(&domain, &client)?;
            let ste = hw.ste(sid).ok_or(ENOENT)?;
            check!(ste.config() == ste::CONFIG_S1 && ste.s1_dss() == ste::S1DSS_SSID0);
            check!(hw.cd(sid, 0).is_some_and(|cd| cd.v() && !cd.epd0()));
            check!(read(None) == Ok(pattern(i as u8)));
            check!(read(Some(0)) == Err(DmaErrorKind::Aborted));
            check!(in_atc(hw, sid, u32::MAX, addr) == spec.ats);

            // The device forgets translations that it has without PASID, too.
            mm.unmap(addr, 1)?;
            check!(!in_atc(hw, sid, u32::MAX, addr));
            check!(read(None).is_err());
            check!(mm.map(1, Protection::ReadWrite)? == addr);

            smmu.attach_identity(&client)?;
            check!(hw.ste(sid) == Some(before));
            check!(hw.cd(sid, 0).is_none_or(|cd| !cd.v()));
            check!(client.data().bonds().lock().get(&0).is_none());
        }
        Ok(())
    }

    /// A page request that its device sent just before it went: somebody answers it.
    #[test]
    fn a14_page_request_of_a_removed_device() -> Result {
        let mut instance = instance(&[WIDE])?;
        let request = ppr::PriEntry::default()
            .with_sid(WIDE.sid)
            .with_read(true)
            .with_last(true);
        instance.remove_device(0)?;
        let (hw, priq) = (instance.hw(), instance.smmu().priq());
        check!(hw.send_page_request(&request).is_none());
        priq.drain();
        check!(priq.stats().refused.load(Relaxed) == 1);
        // To nobody: that does no harm.
        check!(hw.stats().pri_resp == 1 && hw.stats().pri_resp_stray == 1);
        Ok(())
    }

    #[test]
    fn removal_and_return() -> Result {
        let mut instance = instance(&[WIDE, NARROW])?;
        let port = device(&instance, 0)?.port().clone();
        instance.remove_device(0)?;
        check!(instance.hw().ste(WIDE.sid).map(|s| s.config()) == Some(ste::CONFIG_ABORT));
        check!(instance.smmu().client(WIDE.sid).is_none());
        let gone = port.read(None, 0, &mut [0; 8], Attrs::default());
        check!(gone.err().map(|e| e.kind) == Some(DmaErrorKind::Stopped));
        drop(port);
        instance.add_device(c"mock_smmu_kunit_device", &WIDE)?;
        check!(instance.smmu().client(WIDE.sid).is_some());
        check!(instance.remove_device(2) == Err(ENOENT));
        Ok(())
    }
}
