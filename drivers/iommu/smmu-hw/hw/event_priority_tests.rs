// SPDX-License-Identifier: GPL-2.0

//! The order of events: of all that is wrong with an access, the first is told (SMMUv3, 7.3.22).

use kernel::prelude::*;

#[kunit_tests(smmu_hw_event_priority)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cmd::Command,
            event::EventId,
            regs::{
                self,
                StrtabBase,
                StrtabBaseCfg, //
            },
            ste::Ste, //
        },
        hw::{
            bench::{
                aborted,
                id,
                set_cd,
                stage1,
                OneSpace,
                AF,
                ASID,
                PLAIN,
                READ_ONLY,
                SID,
                SSID,
                STREAMS_LOG2,
                USER,
                USER_RW,
                VA, //
            },
            Port, //
        }, //
    };

    /// Not memory.
    const NOWHERE: u64 = 0x1000;

    /// Whether writing to `va` fails for this reason, and no other is told.
    fn fails(one: &OneSpace, port: &Port, ssid: u32, va: u64, expect: EventId) -> Result<bool> {
        one.bench.command(Command::cfgi_all())?;
        one.bench.command(Command::tlbi_all())?;
        let result = port.write(Some(ssid), va, b"1", USER);
        let event = one.bench.event();
        Ok(aborted(result) && id(event) == Some(expect as u8) && one.bench.event().is_none())
    }

    /// Everything is wrong at first, and mended step by step.
    #[test]
    fn event_priority() -> Result {
        let mut one = OneSpace::new()?;
        let port = one.port(PLAIN)?;
        let regs = one.bench.regs.clone();
        let good = one.space.cd(ASID).with_ha(false).with_hd(false);
        let invalid = good.with_v(false).with_epd0(true).with_ttb0(NOWHERE);
        let elsewhere = stage1(&one.cds, 6).with_s1_context_ptr(NOWHERE);
        let wide = 1 << 50;
        set_cd(&one.cds, SSID as usize, &invalid)?;
        one.bench.set_ste(SID, &elsewhere.with_v(false))?;
        let streams = regs.read64(regs::STRTAB_BASE);
        let cfg = StrtabBaseCfg::default();
        let base = StrtabBase::default();
        regs.write64(regs::STRTAB_BASE, base.with_base(NOWHERE).raw());
        regs.write32(regs::STRTAB_BASE_CFG, cfg.with_log2size(2).raw());

        // The stream: of a number, in memory, valid.
        assert!(fails(&one, &port, 64, wide, EventId::BadStreamId)?);
        regs.write32(regs::STRTAB_BASE_CFG, cfg.with_log2size(STREAMS_LOG2).raw());
        assert!(fails(&one, &port, 64, wide, EventId::SteFetch)?);
        regs.write64(regs::STRTAB_BASE, streams);
        assert!(fails(&one, &port, 64, wide, EventId::BadSte)?);
        one.bench.set_ste(SID, &elsewhere)?;

        // The substream: of a number, allowed, in memory, valid.
        assert!(fails(&one, &port, 64, wide, EventId::BadSubstreamId)?);
        assert!(fails(&one, &port, 0, wide, EventId::StreamDisabled)?);
        assert!(fails(&one, &port, SSID, wide, EventId::CdFetch)?);
        one.bench.set_ste(SID, &stage1(&one.cds, 6))?;
        assert!(fails(&one, &port, SSID, wide, EventId::BadCd)?);

        // The address: translated at all, in range.
        set_cd(&one.cds, SSID as usize, &invalid.with_v(true))?;
        assert!(fails(&one, &port, SSID, VA, EventId::Translation)?);
        let unreadable = good.with_ttb0(NOWHERE);
        set_cd(&one.cds, SSID as usize, &unreadable)?;
        assert!(fails(&one, &port, SSID, wide, EventId::Translation)?);

        // The tables: in memory, with something valid that is not too large.
        assert!(fails(&one, &port, SSID, VA, EventId::WalkEabt)?);
        set_cd(&one.cds, SSID as usize, &good.with_ips(4))?;
        let page = one.data.phys() | USER_RW | READ_ONLY;
        one.space.set(VA, 3, (1 << 47 | page) & !AF & !1)?;
        assert!(fails(&one, &port, SSID, VA, EventId::Translation)?);
        one.space.set(VA, 3, (1 << 47 | page) & !AF)?;
        assert!(fails(&one, &port, SSID, VA, EventId::AddrSize)?);

        // The page: accessed before, for this access.
        one.space.set(VA, 3, page & !AF)?;
        assert!(fails(&one, &port, SSID, VA, EventId::Access)?);
        one.space.set(VA, 3, page)?;
        assert!(fails(&one, &port, SSID, VA, EventId::Permission)?);
        one.map(0, USER_RW)?;
        one.bench.command(Command::tlbi_all())?;
        assert_eq!(port.write(Some(SSID), VA, b"1", USER), Ok(()));
        Ok(())
    }

    /// Without stage 1 nothing of it matters.
    #[test]
    fn event_priority_of_a_closed_stream() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PLAIN)?;
        let closed = Ste::from_words([u64::MAX; 8]).with_config(0);
        one.bench.set_ste(SID, &closed)?;
        assert!(aborted(port.write(Some(64), 1 << 50, b"1", USER)));
        assert!(one.bench.event().is_none());
        Ok(())
    }
}
