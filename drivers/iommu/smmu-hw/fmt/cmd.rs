// SPDX-License-Identifier: GPL-2.0

//! Commands (SMMUv3, chapter 4).

use super::ppr::Response;
use super::record;

mod range;
pub use range::{
    atc_span,
    tlbi_range,
    tlbi_reserved, //
};

/// Prefetch a configuration.
pub const OP_PREFETCH_CFG: u8 = 0x01;
/// Prefetch a translation.
pub const OP_PREFETCH_ADDR: u8 = 0x02;
/// Forget a stream table entry and what was found through it.
pub const OP_CFGI_STE: u8 = 0x03;
/// Forget a range of stream table entries; with range 31, all.
pub const OP_CFGI_STE_RANGE: u8 = 0x04;
/// Forget a context descriptor.
pub const OP_CFGI_CD: u8 = 0x05;
/// Forget all context descriptors of a stream.
pub const OP_CFGI_CD_ALL: u8 = 0x06;
/// Forget all EL1 translations of a VMID.
pub const OP_TLBI_NH_ALL: u8 = 0x10;
/// Forget the translations of an ASID.
pub const OP_TLBI_NH_ASID: u8 = 0x11;
/// Forget the translations of an address in an ASID.
pub const OP_TLBI_NH_VA: u8 = 0x12;
/// Forget the translations of an address in every ASID.
pub const OP_TLBI_NH_VAA: u8 = 0x13;
/// Forget all EL2 translations.
pub const OP_TLBI_EL2_ALL: u8 = 0x20;
/// Forget the EL2 translations of an ASID.
pub const OP_TLBI_EL2_ASID: u8 = 0x21;
/// Forget the EL2 translations of an address in an ASID.
pub const OP_TLBI_EL2_VA: u8 = 0x22;
/// Forget all translations of a VMID.
pub const OP_TLBI_S12_VMALL: u8 = 0x28;
/// Forget the stage 2 translations of an address.
pub const OP_TLBI_S2_IPA: u8 = 0x2a;
/// Forget all non-secure translations.
pub const OP_TLBI_NSNH_ALL: u8 = 0x30;
/// Make a device forget ATS translations.
pub const OP_ATC_INV: u8 = 0x40;
/// Answer a page request group.
pub const OP_PRI_RESP: u8 = 0x41;
/// Answer a stalled transaction.
pub const OP_RESUME: u8 = 0x44;
/// Abort the stalled transactions of a stream.
pub const OP_STALL_TERM: u8 = 0x45;
/// Wait for all commands before.
pub const OP_SYNC: u8 = 0x46;

/// [`Command::range`] of `CFGI_STE_RANGE` that makes it `CFGI_ALL`.
pub const CFGI_RANGE_ALL: u8 = 31;
/// [`Command::atc_size`] that covers every address.
pub const ATC_INV_ALL: u8 = 52;

/// [`Command::cs`]: a SYNC completes silently.
pub const SYNC_NONE: u8 = 0;
/// [`Command::cs`]: a SYNC raises an interrupt, or writes a message if an address is given.
pub const SYNC_IRQ: u8 = 1;
/// [`Command::cs`]: a SYNC sends an event to waiting CPUs.
pub const SYNC_SEV: u8 = 2;

/// The name that the architecture gives an opcode.
pub const fn name(op: u8) -> Option<&'static str> {
    Some(match op {
        OP_PREFETCH_CFG => "PREFETCH_CFG",
        OP_PREFETCH_ADDR => "PREFETCH_ADDR",
        OP_CFGI_STE => "CFGI_STE",
        OP_CFGI_STE_RANGE => "CFGI_STE_RANGE",
        OP_CFGI_CD => "CFGI_CD",
        OP_CFGI_CD_ALL => "CFGI_CD_ALL",
        OP_TLBI_NH_ALL => "TLBI_NH_ALL",
        OP_TLBI_NH_ASID => "TLBI_NH_ASID",
        OP_TLBI_NH_VA => "TLBI_NH_VA",
        OP_TLBI_NH_VAA => "TLBI_NH_VAA",
        OP_TLBI_EL2_ALL => "TLBI_EL2_ALL",
        OP_TLBI_EL2_ASID => "TLBI_EL2_ASID",
        OP_TLBI_EL2_VA => "TLBI_EL2_VA",
        OP_TLBI_S12_VMALL => "TLBI_S12_VMALL",
        OP_TLBI_S2_IPA => "TLBI_S2_IPA",
        OP_TLBI_NSNH_ALL => "TLBI_NSNH_ALL",
        OP_ATC_INV => "ATC_INV",
        OP_PRI_RESP => "PRI_RESP",
        OP_RESUME => "RESUME",
        OP_STALL_TERM => "STALL_TERM",
        OP_SYNC => "CMD_SYNC",
        _ => return None,
    })
}

/// The fields that a command with an opcode has.
pub const fn fields(op: u8) -> &'static [&'static str] {
    match op {
        OP_PREFETCH_CFG => &["ssec", "ssv", "ssid", "sid"],
        OP_PREFETCH_ADDR => &["ssec", "ssv", "ssid", "sid", "prefetch_size", "address"],
        OP_CFGI_STE | OP_CFGI_CD_ALL => &["ssec", "sid", "leaf"],
        OP_CFGI_STE_RANGE => &["ssec", "sid", "range"],
        OP_CFGI_CD => &["ssec", "ssid", "sid", "leaf"],
        OP_TLBI_NH_ALL | OP_TLBI_S12_VMALL => &["vmid"],
        OP_TLBI_NH_ASID => &["vmid", "asid"],
        OP_TLBI_EL2_ASID => &["asid"],
        OP_TLBI_NH_VA => &[
            "num", "scale", "vmid", "asid", "leaf", "ttl", "tg", "address",
        ],
        OP_TLBI_NH_VAA | OP_TLBI_S2_IPA => {
            &["num", "scale", "vmid", "leaf", "ttl", "tg", "address"]
        }
        OP_TLBI_EL2_VA => &["num", "scale", "asid", "leaf", "ttl", "tg", "address"],
        OP_ATC_INV => &[
            "global", "ssec", "ssv", "ssid", "sid", "address", "atc_size",
        ],
        OP_PRI_RESP => &["ssec", "ssv", "ssid", "sid", "group", "response"],
        OP_RESUME => &["ssec", "sid", "resume_code", "stag"],
        OP_STALL_TERM => &["ssec", "sid"],
        OP_SYNC => &["cs", "msh", "msi_attr", "msi_data", "msi_address"],
        _ => &[],
    }
}

/// Why a command was not consumed: the code in `CMDQ_CONS.ERR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CommandError {
    /// The command is unknown, not supported or has a reserved value.
    Ill = 1,
    /// The command could not be fetched.
    Abt = 2,
    /// An ATC invalidation was not answered in time.
    AtcInv = 3,
}

record! {
    /// A command. Fields that share bits belong to different opcodes.
    pub struct Command([u64; 2]) {
        /// One of the `OP_*`.
        0 7:0 op: u8;
        /// ATC_INV: the invalidation is for every PASID.
        0 9:9 global: bool;
        /// Commands with `sid`: it is one of the secure world's.
        0 10:10 ssec: bool;
        /// `ssid` is valid.
        0 11:11 ssv: bool;
        /// SubstreamID: CFGI_CD, ATC_INV, PRI_RESP.
        0 31:12 ssid: u32;
        /// StreamID: CFGI_*, ATC_INV, PRI_RESP, RESUME, PREFETCH_*.
        0 63:32 sid: u32;
        /// TLBI: NUM of a range.
        0 16:12 num: u8;
        /// TLBI: SCALE of a range.
        0 25:20 scale: u8;
        /// TLBI: VMID.
        0 47:32 vmid: u16;
        /// TLBI: ASID.
        0 63:48 asid: u16;
        /// RESUME: a [`Resume`].
        0 13:12 resume_code: u8;
        /// SYNC: one of the `SYNC_*`.
        0 13:12 cs: u8;
        /// SYNC: shareability of the message.
        0 23:22 msh: u8;
        /// SYNC: memory attributes of the message.
        0 27:24 msi_attr: u8;
        /// SYNC: the message.
        0 63:32 msi_data: u32;
        /// CFGI, TLBI: only the last level of the tables changed.
        1 0:0 leaf: bool;
        /// CFGI_STE_RANGE: 2^(`range` + 1) streams, aligned.
        1 4:0 range: u8;
        /// PREFETCH_ADDR: log2 of the number of 4 KiB pages.
        1 4:0 prefetch_size: u8;
        /// TLBI: level of the leaf, 0 if unknown.
        1 9:8 ttl: u8;
        /// TLBI: granule of a range: 1 is 4 KiB, 2 is 16 KiB, 3 is 64 KiB, 0 is no range.
        1 11:10 tg: u8;
        /// TLBI, ATC_INV, PREFETCH_ADDR: address.
        1 63:12 address: addr;
        /// ATC_INV: log2 of the number of 4 KiB pages, aligned; [`ATC_INV_ALL`] for all.
        1 5:0 atc_size: u8;
        /// PRI_RESP: page request group index.
        1 8:0 group: u16;
        /// PRI_RESP: a [`Response`].
        1 13:12 response: u8;
        /// RESUME: stall tag.
        1 15:0 stag: u16;
        /// SYNC: where to write the message, 0 for none.
        1 51:2 msi_address: addr;
    }
}

/// What happens to a stalled transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Resume {
    /// Reads give zero, writes vanish.
    Terminate = 0,
    /// It is looked up again.
    Retry = 1,
    /// It is aborted.
    Abort = 2,
}

impl Resume {
    /// Decodes the field of RESUME: of a retry nothing else matters.
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Terminate,
            2 => Self::Abort,
            _ => Self::Retry,
        }
    }
}

impl Command {
    /// A command without operands.
    pub fn new(op: u8) -> Self {
        Self::default().with_op(op)
    }

    /// Whether its purpose is that something is forgotten.
    pub fn invalidates(&self) -> bool {
        matches!(self.op(), OP_CFGI_STE..=OP_ATC_INV)
    }

    /// Whether it is about a stream, which `sid` names.
    pub fn names_stream(&self) -> bool {
        matches!(
            self.op(),
            OP_PREFETCH_CFG..=OP_CFGI_CD_ALL | OP_ATC_INV..=OP_PRI_RESP | OP_RESUME..=OP_STALL_TERM
        )
    }

    /// PREFETCH_CFG: fetch what accesses of `sid` with `ssid` need to know.
    pub fn prefetch_cfg(sid: u32, ssid: Option<u32>) -> Self {
        Self::new(OP_PREFETCH_CFG)
            .with_sid(sid)
            .with_ssv(ssid.is_some())
            .with_ssid(ssid.unwrap_or(0))
    }

    /// PREFETCH_ADDR: also fetch the translations of 2^`size` pages of 4 KiB at `va`.
    pub fn prefetch_addr(sid: u32, ssid: Option<u32>, va: u64, size: u8) -> Self {
        Self::prefetch_cfg(sid, ssid)
            .with_op(OP_PREFETCH_ADDR)
            .with_address(va)
            .with_prefetch_size(size)
    }

    /// CFGI_STE: forget the stream table entry of `sid`; with `leaf`, keep first-level descriptors.
    pub fn cfgi_ste(sid: u32, leaf: bool) -> Self {
        Self::new(OP_CFGI_STE).with_sid(sid).with_leaf(leaf)
    }

    /// CFGI_ALL: forget all configuration.
    pub fn cfgi_all() -> Self {
        Self::new(OP_CFGI_STE_RANGE).with_range(CFGI_RANGE_ALL)
    }

    /// CFGI_CD: forget one context descriptor; with `leaf`, keep first-level descriptors.
    pub fn cfgi_cd(sid: u32, ssid: u32, leaf: bool) -> Self {
        Self::new(OP_CFGI_CD)
            .with_sid(sid)
            .with_ssid(ssid)
            .with_leaf(leaf)
    }

    /// CFGI_CD_ALL: forget all context descriptors of `sid`.
    pub fn cfgi_cd_all(sid: u32) -> Self {
        Self::new(OP_CFGI_CD_ALL).with_sid(sid)
    }

    /// TLBI_NH_ASID: forget the translations of `asid`.
    pub fn tlbi_asid(asid: u16) -> Self {
        Self::new(OP_TLBI_NH_ASID).with_asid(asid)
    }

    /// TLBI_NH_VA: forget the translations of the page at `va` in `asid`.
    pub fn tlbi_va(asid: u16, va: u64, leaf: bool) -> Self {
        Self::new(OP_TLBI_NH_VA)
            .with_asid(asid)
            .with_address(va)
            .with_leaf(leaf)
    }

    /// TLBI_NSNH_ALL: forget all translations.
    pub fn tlbi_all() -> Self {
        Self::new(OP_TLBI_NSNH_ALL)
    }

    /// ATC_INV: make the device forget 2^`size` pages of 4 KiB at `va`, which is aligned to that.
    /// Without an SSID all PASIDs' entries go too.
    pub fn atc_inv(sid: u32, ssid: Option<u32>, va: u64, size: u8) -> Self {
        Self::new(OP_ATC_INV)
            .with_sid(sid)
            .with_ssv(ssid.is_some())
            .with_ssid(ssid.unwrap_or(0))
            .with_address(va)
            .with_atc_size(size)
    }

    /// PRI_RESP: answer the page request group `group` of `sid`.
    pub fn pri_resp(sid: u32, ssid: Option<u32>, group: u16, response: Response) -> Self {
        Self::new(OP_PRI_RESP)
            .with_sid(sid)
            .with_ssv(ssid.is_some())
            .with_ssid(ssid.unwrap_or(0))
            .with_group(group)
            .with_response(response as u8)
    }

    /// RESUME: answer the stalled transaction `stag` of `sid`.
    pub fn resume(sid: u32, stag: u16, resume: Resume) -> Self {
        Self::new(OP_RESUME)
            .with_sid(sid)
            .with_stag(stag)
            .with_resume_code(resume as u8)
    }

    /// STALL_TERM: abort all stalled transactions of `sid`.
    pub fn stall_term(sid: u32) -> Self {
        Self::new(OP_STALL_TERM).with_sid(sid)
    }

    /// SYNC that completes silently: `CMDQ_CONS` passes it when all commands before have effect.
    pub fn sync() -> Self {
        Self::new(OP_SYNC)
    }
}

#[kernel::prelude::kunit_tests(smmu_fmt_cmd)]
mod tests {
    use super::*;

    #[test]
    fn prefetch() {
        let w = Command::prefetch_cfg(7, Some(0xf_fffe)).words();
        assert_eq!(w, [0x0000_0007_ffff_e801, 0]);
        let w = Command::prefetch_addr(7, None, 0x1234_5678, 5).words();
        assert_eq!(w, [0x0000_0007_0000_0002, 0x1234_5005]);
    }

    #[test]
    fn cfgi() {
        let w = Command::cfgi_ste(0x1234_5678, true).words();
        assert_eq!(w, [0x1234_5678_0000_0003, 1]);
        assert_eq!(Command::cfgi_all().words(), [4, 31]);
        let w = Command::cfgi_cd(9, 0xf_ffff, false).words();
        assert_eq!(w, [0x0000_0009_ffff_f005, 0]);
        assert_eq!(Command::cfgi_cd_all(7).words(), [0x7_0000_0006, 0]);
    }

    #[test]
    fn tlbi() {
        let w = Command::tlbi_va(0xabcd, 0xffff_1234_5000, true).words();
        assert_eq!(w, [0xabcd_0000_0000_0012, 0xffff_1234_5001]);
        assert_eq!(Command::tlbi_asid(1).words(), [0x0001_0000_0000_0011, 0]);
        assert_eq!(Command::tlbi_all().words(), [0x30, 0]);
    }

    #[test]
    fn atc_inv() {
        let w = Command::atc_inv(5, Some(3), 0x8000, 3).words();
        assert_eq!(w, [0x0000_0005_0000_3840, 0x8003]);
        let w = Command::atc_inv(5, None, 0, ATC_INV_ALL).words();
        assert_eq!(w, [0x0000_0005_0000_0040, 52]);
    }

    #[test]
    fn pri_resp() {
        let w = Command::pri_resp(6, Some(0xa), 0x1ff, Response::Success).words();
        assert_eq!(w, [0x0000_0006_0000_a841, 0x21ff]);
        let w = Command::pri_resp(6, None, 0, Response::Invalid).words();
        assert_eq!(w, [0x0000_0006_0000_0041, 0x1000]);
    }

    #[test]
    fn resume_and_sync() {
        let w = Command::resume(2, 0xffff, Resume::Abort).words();
        assert_eq!(w, [0x0000_0002_0000_2044, 0xffff]);
        assert_eq!(Command::stall_term(2).words(), [0x2_0000_0045, 0]);
        for code in 0..4 {
            let expect = [
                Resume::Terminate,
                Resume::Retry,
                Resume::Abort,
                Resume::Retry,
            ];
            assert_eq!(Resume::from_code(code), expect[usize::from(code)]);
        }
        assert_eq!(Command::sync().words(), [0x46, 0]);
        assert_eq!(Command::sync().with_cs(SYNC_SEV).words(), [0x2046, 0]);
    }
}
