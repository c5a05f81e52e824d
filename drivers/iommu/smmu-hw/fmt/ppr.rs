// SPDX-License-Identifier: GPL-2.0

//! Page requests and the responses to their groups (SMMUv3, chapter 8; PCIe, 10.4).

use super::record;

/// Number of page request group indexes of a device.
pub const GROUPS: usize = 512;

record! {
    /// A page request.
    pub struct PriEntry([u64; 2]) {
        /// StreamID.
        0 31:0 sid: u32;
        /// SubstreamID.
        0 51:32 ssid: u32;
        /// The access will be privileged.
        0 58:58 privileged: bool;
        /// The access will be an instruction fetch.
        0 59:59 exec: bool;
        /// The access will read.
        0 60:60 read: bool;
        /// The access will write.
        0 61:61 write: bool;
        /// The last request of its group: the one that is answered.
        0 62:62 last: bool;
        /// `ssid` is valid.
        0 63:63 ssv: bool;
        /// Page request group index.
        1 8:0 group: u16;
        /// Address of the page, 4 KiB aligned.
        1 63:12 address: addr;
    }
}

impl PriEntry {
    /// Whether this is a stop marker: the device will send no more requests for this PASID until
    /// it is used anew. It gets no response.
    pub fn is_stop_marker(&self) -> bool {
        self.last() && self.ssv() && !self.read() && !self.write()
    }
}

/// The answer to a page request group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Response {
    /// A catastrophic failure: the device stops using the interface.
    Failure = 0,
    /// At least one page cannot be made present with these permissions.
    Invalid = 1,
    /// Translate again.
    Success = 2,
}

impl Response {
    /// Decodes the field of PRI_RESP; `None` for the reserved value.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Failure),
            1 => Some(Self::Invalid),
            2 => Some(Self::Success),
            _ => None,
        }
    }
}

#[kernel::prelude::kunit_tests(smmu_fmt_ppr)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let r = PriEntry::default()
            .with_sid(0x1234_5678)
            .with_ssid(0xf_ffff)
            .with_read(true)
            .with_write(true)
            .with_last(true)
            .with_ssv(true)
            .with_group(0x1ff)
            .with_address(0xffff_ffff_ffff_f123);
        assert_eq!(r.words(), [0xf00f_ffff_1234_5678, 0xffff_ffff_ffff_f1ff]);
        let r = PriEntry::default().with_privileged(true).with_exec(true);
        assert_eq!(r.words()[0], 0x0c00_0000_0000_0000);
        assert!(!r.is_stop_marker());
    }

    #[test]
    fn stop_marker() {
        let marker = PriEntry::default().with_last(true).with_ssv(true);
        assert!(marker.is_stop_marker());
        assert!(!marker.with_read(true).is_stop_marker());
        assert!(!marker.with_write(true).is_stop_marker());
        assert!(!marker.with_ssv(false).is_stop_marker());
        assert!(!marker.with_last(false).is_stop_marker());
    }

    #[test]
    fn response_codes() {
        for r in [Response::Failure, Response::Invalid, Response::Success] {
            assert_eq!(Response::from_code(r as u8), Some(r));
        }
        assert_eq!(Response::from_code(3), None);
    }
}
