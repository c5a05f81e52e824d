// SPDX-License-Identifier: GPL-2.0

//! The order of commands, as they stand in the queue.
//!
//! The model carries out each command at once. Hardware may take until the next SYNC, so that
//! what must come after another must have one in between.

#[kernel::prelude::kunit_tests(smmu_command_order)]
mod tests {
    use super::super::{
        dma::*,
        *, //
    };
    use crate::fmt::{
        cmd::{
            self,
            Command, //
        },
        regs, //
    };
    use kernel_ext::{notifier, phys::PhysPages};
    use kernel_test_ext::dma::TestDomain;

    const SSID: u32 = 5;
    const IOVA: usize = 0x1_2340_0000;

    /// What `act` has put into the command queue.
    fn commands(instance: &Instance, act: impl FnOnce() -> Result) -> Result<KVec<Command>> {
        let (regs, cmdq) = (instance.smmu().regs(), instance.smmu().cmdq());
        let (layout, mut at) = (cmdq.layout(), regs.read32(regs::CMDQ_PROD));
        act()?;
        let mut commands = KVec::new();
        while at != regs.read32(regs::CMDQ_PROD) {
            commands.push(cmdq.peek(at), GFP_KERNEL)?;
            at = layout.advance(at, 1);
        }
        Ok(commands)
    }

    fn is_tlbi(op: u8) -> bool {
        (cmd::OP_TLBI_NH_ALL..=cmd::OP_TLBI_NSNH_ALL).contains(&op)
    }

    fn is_cfgi(op: u8) -> bool {
        (cmd::OP_CFGI_STE..=cmd::OP_CFGI_CD_ALL).contains(&op)
    }

    /// Whether there are TLBIs and, if devices have ATCs, ATC_INVs; each of the latter after a SYNC
    /// for all of the former, and all of a batch for configuration before that; a SYNC at the end.
    fn ordered(commands: &[Command], ats: bool) -> bool {
        let (mut cfgi, mut tlbi, mut unordered) = (false, false, 0);
        for command in commands {
            match command.op() {
                cmd::OP_SYNC => (cfgi, tlbi) = (false, false),
                // The TLB may be filled again by a descriptor that is not forgotten yet.
                op if is_tlbi(op) => {
                    unordered += u32::from(cfgi);
                    tlbi = true;
                }
                // And a device's cache from the TLB.
                cmd::OP_ATC_INV => unordered += u32::from(tlbi),
                op => cfgi |= is_cfgi(op),
            }
        }
        let has = |wanted: &dyn Fn(u8) -> bool| commands.iter().any(|c| wanted(c.op()));
        unordered == 0
            && has(&is_tlbi)
            && has(&|op| op == cmd::OP_ATC_INV) == ats
            && commands.last().is_some_and(|c| c.op() == cmd::OP_SYNC)
    }

    #[test]
    fn tlbi_sync_atc_inv() -> Result {
        for specs in [&[WIDE][..], &[NO_ATS], &[NO_ATS, WIDE, NARROW]] {
            let (mm, instance) = (TestMm::new()?, instance(specs)?);
            let smmu = instance.smmu();
            let first = device(&instance, 0)?.client();
            let ats = specs.iter().any(|spec| spec.ats);
            let addr = mm.map(3000, Protection::ReadWrite)?;
            let domain = awake_domain(&instance, &first, &mm)?;
            let other = awake_domain(&instance, &first, &mm)?;
            for i in 0..specs.len() {
                smmu.attach_sva(&domain, &device(&instance, i)?.client(), SSID)?;
            }
            // Of one page, of several, of very many.
            for (first, pages) in [(0, 1), (1, 7), (8, 2900)] {
                let at = addr + first * PAGE_SIZE;
                mm.write(at, &pattern(1))?;
                mm.write(at + (pages - 1) * PAGE_SIZE, &pattern(1))?;
                let munmap = commands(&instance, || mm.unmap(at, pages))?;
                check!(ordered(&munmap, ats));
            }
            // Another address space; none any more; a process that exits.
            let replaced = commands(&instance, || smmu.attach_sva(&other, &first, SSID))?;
            check!(ordered(&replaced, specs[0].ats));
            smmu.attach_sva(&domain, &first, SSID)?;
            let blocked = commands(&instance, || {
                smmu.block_pasid(&first, SSID);
                Ok(())
            })?;
            check!(ordered(&blocked, specs[0].ats));
            check!(blocked[0] == Command::cfgi_cd(specs[0].sid, SSID, true));
            smmu.attach_sva(&domain, &first, SSID)?;
            let exit = commands(&instance, || {
                drop(mm);
                Ok(())
            })?;
            check!(ordered(&exit, ats));
            for i in 0..specs.len() {
                smmu.block_pasid(&device(&instance, i)?.client(), SSID);
            }
        }
        Ok(())
    }

    #[test]
    fn tlbi_sync_atc_inv_of_a_paging_domain() -> Result {
        for spec in [WIDE, NO_ATS, PLAIN] {
            let instance = instance(&[spec])?;
            let memory = PhysPages::alloc(8 * PAGE_SIZE)?;
            let mut domain = TestDomain::new(device(&instance, 0)?.endpoint())?;
            domain.attach()?;
            domain.map(IOVA, &memory, 8 * PAGE_SIZE, true)?;
            read(device(&instance, 0)?, None, IOVA)?;
            let unmap = commands(&instance, || {
                domain.unmap(IOVA);
                Ok(())
            })?;
            check!(ordered(&unmap, spec.ats));
        }
        Ok(())
    }

    /// Its ASID is clean when the last device has left an address space; so it may be given out again.
    #[test]
    fn tlbi_nh_asid_when_the_last_device_leaves() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let (smmu, client) = (instance.smmu(), device(&instance, 0)?.client());
        let paging = smmu.alloc_paging(&client)?;
        let sva = awake_domain(&instance, &client, &mm)?;
        smmu.attach_paging(&paging, &client, Some(SSID))?;
        for (asid, change) in [
            (paging.user().asid(), true),
            (sva.space().asid(), false), //
        ] {
            let left = commands(&instance, || {
                if change {
                    smmu.attach_sva(&sva, &client, SSID)
                } else {
                    smmu.block_pasid(&client, SSID);
                    Ok(())
                }
            })?;
            check!(left.contains(&Command::tlbi_asid(asid)));
            check!(left.last().is_some_and(|c| c.op() == cmd::OP_SYNC));
        }
        let end = commands(&instance, || {
            drop((paging, sva));
            notifier::synchronize();
            Ok(())
        })?;
        check!(end.is_empty());
        Ok(())
    }

    /// A first-level descriptor that is new: hardware may have it cached as it was.
    #[test]
    fn cfgi_cd_of_a_first_level() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let (smmu, client) = (instance.smmu(), device(&instance, 0)?.client());
        let domain = awake_domain(&instance, &client, &mm)?;
        for (ssid, is_new) in [(0x1001, true), (0x1002, false)] {
            let attach = commands(&instance, || smmu.attach_sva(&domain, &client, ssid))?;
            let mut first = attach.iter();
            if is_new {
                check!(first.next() == Some(&Command::cfgi_cd(WIDE.sid, ssid, false)));
                check!(first.next().is_some_and(|c| c.op() == cmd::OP_SYNC));
            }
            check!(first
                .all(|c| c.op() == cmd::OP_SYNC || *c == Command::cfgi_cd(WIDE.sid, ssid, true)));
            check!(read(device(&instance, 0)?, Some(ssid), 0x1000).is_err());
            smmu.block_pasid(&client, ssid);
        }
        Ok(())
    }

    #[test]
    fn cfgi_ste_of_a_first_level() -> Result {
        let mut instance = instance(&[])?;
        for (sid, is_new) in [(0x4301, true), (0x4302, false)] {
            let spec = DeviceSpec {
                id: sid as i32,
                sid,
                ..WIDE
            };
            let (regs, smmu) = (instance.smmu().regs(), instance.smmu().clone());
            let at = regs.read32(regs::CMDQ_PROD);
            instance.add_device(c"mock_smmu_kunit_device", &spec)?;
            let first = smmu.cmdq().peek(at);
            check!(first == Command::cfgi_ste(sid, !is_new));
            check!(smmu.cmdq().peek(smmu.cmdq().layout().advance(at, 1)).op() == cmd::OP_SYNC);
        }
        Ok(())
    }
}
