// SPDX-License-Identifier: GPL-2.0

//! Commands as the driver half sends them, and what the hardware half makes of them.

#[kernel::prelude::kunit_tests(smmu_commands)]
mod tests {
    use super::super::*;
    use crate::{
        driver::invalidate::{
            self,
            Range, //
        },
        fmt::{
            cmd::Command,
            ppr::Response, //
        },
        hw::Attrs, //
    };

    /// An address space attached to PASID 5 of the first device, past the IOMMU core, so that only
    /// what the test does sends commands. Four pages are present and have been read by the device.
    struct Rig {
        domain: driver::domain_sva::SharedSpace,
        addr: usize,
        mm: TestMm,
        instance: Instance,
    }

    const SSID: u32 = 5;

    impl Rig {
        fn new() -> Result<Self> {
            let (mm, instance) = (TestMm::new()?, instance(&[WIDE, NO_ATS])?);
            let addr = mm.map(4, Protection::ReadWrite)?;
            let client = device(&instance, 0)?.client();
            let domain = awake_domain(&instance, &client, &mm)?;
            for i in 0..instance.devices().len() {
                let client = device(&instance, i)?.client();
                instance.smmu().attach_sva(&domain, &client, SSID)?;
            }
            let rig = Self {
                domain,
                addr,
                mm,
                instance,
            };
            for page in 0..4 {
                rig.mm.write(rig.page(page), &pattern(page as u8))?;
                rig.read(0, page)?;
                rig.read(1, page)?;
            }
            Ok(rig)
        }

        fn page(&self, page: usize) -> usize {
            self.addr + page * PAGE_SIZE
        }

        fn read(&self, index: usize, page: usize) -> Result {
            let mut seen = [0; 64];
            let port = device(&self.instance, index)?.port();
            port.read(
                Some(SSID),
                self.page(page) as u64,
                &mut seen,
                Attrs::default(),
            )?;
            check!(seen == pattern(page as u8));
            Ok(())
        }

        fn run(&self, command: Command) -> Result {
            self.instance.smmu().cmdq().run(|batch| batch.push(command))
        }

        fn asid(&self) -> u16 {
            self.domain.space().asid()
        }

        fn cached(&self, page: usize) -> (bool, bool) {
            let (hw, va) = (self.instance.hw(), self.page(page));
            (in_tlb(hw, self.asid(), va), in_atc(hw, WIDE.sid, SSID, va))
        }
    }

    impl Drop for Rig {
        fn drop(&mut self) {
            for device in self.instance.devices() {
                self.instance.smmu().block_pasid(&device.client(), SSID);
            }
        }
    }

    #[test]
    fn tlbi_nh_va() -> Result {
        let rig = Rig::new()?;
        check!(rig.cached(0) == (true, true) && rig.cached(1) == (true, true));
        rig.run(Command::tlbi_va(rig.asid(), rig.page(0) as u64, false))?;
        check!(rig.cached(0) == (false, true) && rig.cached(1) == (true, true));
        Ok(())
    }

    #[test]
    fn tlbi_nh_va_range() -> Result {
        let rig = Rig::new()?;
        let range = Range::from_notifier(rig.page(1), rig.page(4));
        let smmu = rig.instance.smmu();
        smmu.cmdq()
            .run(|batch| invalidate::tlbi(batch, rig.asid(), range, true))?;
        for (page, tlb) in [true, false, false, false].into_iter().enumerate() {
            check!(rig.cached(page) == (tlb, true));
        }
        Ok(())
    }

    #[test]
    fn tlbi_nh_asid() -> Result {
        let rig = Rig::new()?;
        rig.run(Command::tlbi_asid(rig.asid() ^ 1))?;
        check!(rig.cached(3) == (true, true));
        rig.run(Command::tlbi_asid(rig.asid()))?;
        check!(rig.cached(0) == (false, true) && rig.cached(3) == (false, true));
        Ok(())
    }

    #[test]
    fn tlbi_nsnh_all() -> Result {
        let rig = Rig::new()?;
        rig.run(Command::tlbi_all())?;
        check!(rig.cached(0) == (false, true));
        Ok(())
    }

    #[test]
    fn atc_inv() -> Result {
        let rig = Rig::new()?;
        let range = Range::from_notifier(rig.page(2), rig.page(3));
        rig.run(invalidate::atc_inv(WIDE.sid, Some(SSID + 1), range))?;
        check!(rig.cached(2) == (true, true));
        rig.run(invalidate::atc_inv(WIDE.sid, Some(SSID), range))?;
        check!(rig.cached(2) == (true, false));
        check!(rig.cached(0) == (true, true));
        rig.run(invalidate::atc_inv(WIDE.sid, Some(SSID), Range::All))?;
        check!(rig.cached(0) == (true, false));
        // Without a PASID it is for all of them.
        rig.read(0, 0)?;
        check!(rig.cached(0) == (true, true));
        rig.run(invalidate::atc_inv(WIDE.sid, None, Range::All))?;
        check!(rig.cached(0) == (true, false));
        Ok(())
    }

    #[test]
    fn cfgi_cd() -> Result {
        let rig = Rig::new()?;
        let before = rig.instance.hw().stats();
        rig.run(Command::cfgi_cd(WIDE.sid, SSID, true))?;
        let after = rig.instance.hw().stats();
        check!(after.cfgi_cd == before.cfgi_cd + 1 && after.sync == before.sync + 1);
        // It is read anew.
        rig.run(invalidate::atc_inv(WIDE.sid, Some(SSID), Range::All))?;
        rig.read(0, 1)
    }

    #[test]
    fn cfgi_ste() -> Result {
        let rig = Rig::new()?;
        let before = rig.instance.hw().stats().cfgi_ste;
        rig.run(Command::cfgi_ste(WIDE.sid, true))?;
        rig.run(Command::cfgi_all())?;
        check!(rig.instance.hw().stats().cfgi_ste == before + 2);
        rig.read(0, 1)?;
        rig.read(1, 1)
    }

    #[test]
    fn pri_resp_without_a_group() -> Result {
        let rig = Rig::new()?;
        let before = rig.instance.hw().stats().pri_resp_stray;
        rig.run(Command::pri_resp(
            WIDE.sid,
            Some(SSID),
            3,
            Response::Success,
        ))?;
        check!(rig.instance.hw().stats().pri_resp_stray == before + 1);
        Ok(())
    }

    #[test]
    fn refused_command_is_skipped() -> Result {
        let rig = Rig::new()?;
        check!(rig.run(Command::new(0xff)) == Err(EIO));
        check!(rig.instance.smmu().cmdq().stats().errors == 1);
        rig.run(Command::tlbi_asid(rig.asid()))?;
        check!(rig.cached(0) == (false, true));
        Ok(())
    }

    #[test]
    fn batch_larger_than_the_queue() -> Result {
        let rig = Rig::new()?;
        let smmu = rig.instance.smmu();
        let many = 3 * smmu.cmdq().layout().entries() + 5;
        let before = rig.instance.hw().stats();
        smmu.cmdq().run(|batch| {
            for i in 0..u64::from(many) {
                batch.push(Command::tlbi_va(rig.asid(), i << 12, false))?;
            }
            Ok(())
        })?;
        let after = rig.instance.hw().stats();
        check!(after.tlbi_va == before.tlbi_va + u64::from(many));
        check!(after.sync == before.sync + 1);
        Ok(())
    }
}
