// SPDX-License-Identifier: GPL-2.0

//! Hints of devices that stall: pages come before they are accessed.

#[kernel::prelude::kunit_tests(smmu_hints)]
mod tests {
    use super::super::{
        dma::*,
        *, //
    };
    use crate::hw::Attrs;
    use kernel::sync::atomic::Relaxed;

    /// A device that stalls, with PASIDs but without ATS.
    const STALLS: DeviceSpec = DeviceSpec {
        stall: true,
        // What hints spare is counted.
        sleep_after: Some(0),
        ..NO_ATS
    };

    /// One that does not.
    const NO_STALLS: DeviceSpec = DeviceSpec {
        id: 3,
        sid: 0x1236,
        ..NO_ATS
    };

    fn hinting(specs: &[DeviceSpec]) -> Result<Instance> {
        let config = hw::Config {
            page_hints: true,
            ..default_config()
        };
        instance_with(config, specs)
    }

    fn hint(device: &MockDevice, ssid: u32, at: usize, pages: usize) -> Result {
        let (port, len) = (device.port(), pages * PAGE_SIZE);
        Ok(port.prefetch(Some(ssid), at as u64, len, true, Attrs::default())?)
    }

    #[test]
    fn e_page_request_spares_stalls() -> Result {
        let (mm, instance) = (TestMm::new()?, hinting(&[STALLS])?);
        let device = device(&instance, 0)?;
        let addr = mm.map(10, Protection::ReadWrite)?;
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        hint(device, bond.pasid(), addr + PAGE_SIZE, 8)?;
        check!(events(&instance, EventId::PageRequest, 1) == 1);
        // A hint counts before it is passed on; one that comes to no bond is dropped.
        instance.smmu().evtq().drain();
        // Whoever unbinds waits for what is being served; the pages stay.
        drop(bond);
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        for page in 1..9 {
            write(
                device,
                Some(bond.pasid()),
                addr + page * PAGE_SIZE,
                &pattern(1),
            )?;
        }
        let stats = instance.hw().stats();
        check!(stats.stalls == 0 && stats.resume == 0 && stats.events_lost == 0);
        for (count, page) in [(1, 0), (2, 9)] {
            write(
                device,
                Some(bond.pasid()),
                addr + page * PAGE_SIZE,
                &pattern(1),
            )?;
            check!(instance.hw().stats().stalls == count);
        }
        Ok(())
    }

    /// What cannot be served has no consequences.
    #[test]
    fn e_page_request_in_vain() -> Result {
        let (mm, instance) = (TestMm::new()?, hinting(&[STALLS, NO_STALLS])?);
        let stalls = device(&instance, 0)?;
        let addr = mm.map(2, Protection::Read)?;
        // Without a bond; of a device that does not wait; nothing there; not to be written.
        hint(stalls, 5, addr, 1)?;
        let other = InTreeBond::new(device(&instance, 1)?.endpoint(), mm.mm())?;
        hint(device(&instance, 1)?, other.pasid(), addr, 1)?;
        let bond = InTreeBond::new(stalls.endpoint(), mm.mm())?;
        mm.unmap(addr + PAGE_SIZE, 1)?;
        hint(stalls, bond.pasid(), addr + PAGE_SIZE, 1)?;
        hint(stalls, bond.pasid(), addr, 1)?;
        check!(events(&instance, EventId::PageRequest, 4) == 4);
        check!(read(stalls, Some(bond.pasid()), addr)? == [0; 64]);
        drop(bond);
        let (stats, driver) = (instance.hw().stats(), instance.smmu().stalls());
        check!(stats.resume == stats.stalls && driver.refused.load(Relaxed) == 0);
        check!(stats.pri_resp == 0 && stats.resume_stray == 0);
        Ok(())
    }

    /// Bonds come and go under a device that gives hints all the time.
    #[test]
    fn e_page_request_in_flight() -> Result {
        let (mm, instance) = (TestMm::new()?, hinting(&[STALLS])?);
        let device = device(&instance, 0)?;
        let addr = mm.map(64, Protection::ReadWrite)?;
        for _ in 0..20 {
            let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
            for page in 0..4 {
                hint(device, bond.pasid(), addr + 16 * page * PAGE_SIZE, 16)?;
            }
            drop(bond);
            hint(device, 1, addr, 16)?;
            mm.unmap(addr, 64)?;
            mm.map_at(addr, 64)?;
        }
        // The process is gone.
        let bond = InTreeBond::new(device.endpoint(), mm.mm())?;
        drop(mm);
        hint(device, bond.pasid(), addr, 16)?;
        drop(bond);
        check!(instance.hw().stats().resume == 0);
        Ok(())
    }
}
