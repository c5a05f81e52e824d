// SPDX-License-Identifier: GPL-2.0

//! Event records (SMMUv3, chapter 7).

use super::record;

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EventId {
    /// The kind of transaction is not supported.
    Uut = 0x01,
    /// StreamID outside the stream table.
    BadStreamId = 0x02,
    /// A stream table entry could not be read.
    SteFetch = 0x03,
    /// A stream table entry is invalid or illegal.
    BadSte = 0x04,
    /// An ATS translation request is not allowed.
    BadAtsTreq = 0x05,
    /// Traffic without, or with, a SubstreamID is disabled.
    StreamDisabled = 0x06,
    /// A translated request is not allowed.
    TranslForbidden = 0x07,
    /// SubstreamID outside the table of context descriptors.
    BadSubstreamId = 0x08,
    /// A context descriptor could not be read.
    CdFetch = 0x09,
    /// A context descriptor is invalid or illegal.
    BadCd = 0x0a,
    /// A translation table could not be read.
    WalkEabt = 0x0b,
    /// No translation.
    Translation = 0x10,
    /// An address is too large.
    AddrSize = 0x11,
    /// The access flag is clear.
    Access = 0x12,
    /// The access is not permitted.
    Permission = 0x13,
    /// A device will soon use some pages.
    PageRequest = 0x24,
}

/// The name that the architecture gives an event.
pub const fn name(id: u8) -> Option<&'static str> {
    Some(match id {
        0x01 => "F_UUT",
        0x02 => "C_BAD_STREAMID",
        0x03 => "F_STE_FETCH",
        0x04 => "C_BAD_STE",
        0x05 => "F_BAD_ATS_TREQ",
        0x06 => "F_STREAM_DISABLED",
        0x07 => "F_TRANSL_FORBIDDEN",
        0x08 => "C_BAD_SUBSTREAMID",
        0x09 => "F_CD_FETCH",
        0x0a => "C_BAD_CD",
        0x0b => "F_WALK_EABT",
        0x10 => "F_TRANSLATION",
        0x11 => "F_ADDR_SIZE",
        0x12 => "F_ACCESS",
        0x13 => "F_PERMISSION",
        0x24 => "E_PAGE_REQUEST",
        0x25 => "F_VMS_FETCH",
        _ => return None,
    })
}

/// Whether a record of kind `id` has `field`: those of E_PAGE_REQUEST and F_BAD_ATS_TREQ lie where
/// others have theirs.
pub fn has_field(id: u8, field: &str) -> bool {
    const ALL: [&str; 5] = ["id", "ssv", "ssid", "sid", "address"];
    const OF_HINTS: [&str; 7] = [
        "user_exec",
        "user_write",
        "user_read",
        "priv_exec",
        "priv_write",
        "priv_read",
        "span",
    ];
    const OF_REQUESTS: [&str; 5] = ["treq_priv", "treq_exec", "treq_write", "treq_read", "span"];
    const HINT: u8 = EventId::PageRequest as u8;
    const REQUEST: u8 = EventId::BadAtsTreq as u8;

    ALL.contains(&field)
        || match id {
            HINT => OF_HINTS.contains(&field),
            REQUEST => OF_REQUESTS.contains(&field),
            _ => !OF_HINTS.contains(&field) && !OF_REQUESTS.contains(&field),
        }
}

/// [`Event::class`]: the fault was on the fetch of a context descriptor.
pub const CLASS_CD: u8 = 0;
/// [`Event::class`]: the fault was on a translation table walk.
pub const CLASS_TT: u8 = 1;
/// [`Event::class`]: the fault was on the access itself.
pub const CLASS_IN: u8 = 2;

record! {
    /// An event record.
    pub struct Event([u64; 4]) {
        /// An [`EventId`].
        0 7:0 id: u8;
        /// `ssid` is valid.
        0 11:11 ssv: bool;
        /// SubstreamID.
        0 31:12 ssid: u32;
        /// StreamID.
        0 63:32 sid: u32;
        /// Stall tag.
        1 15:0 stag: u16;
        /// The transaction waits for a RESUME.
        1 31:31 stall: bool;
        /// The access was privileged.
        1 33:33 pnu: bool;
        /// The access was an instruction fetch.
        1 34:34 ind: bool;
        /// The access was a read.
        1 35:35 rnw: bool;
        /// Stage 2 faulted.
        1 39:39 s2: bool;
        /// One of the `CLASS_*`.
        1 41:40 class: u8;
        /// F_BAD_ATS_TREQ: what was asked for is for privileged accesses.
        1 32:32 treq_priv: bool;
        /// F_BAD_ATS_TREQ: instruction fetches were asked for.
        1 33:33 treq_exec: bool;
        /// F_BAD_ATS_TREQ: writes were asked for.
        1 34:34 treq_write: bool;
        /// F_BAD_ATS_TREQ: reads were asked for, as always.
        1 35:35 treq_read: bool;
        /// E_PAGE_REQUEST: instruction fetches without privilege will come.
        1 33:33 user_exec: bool;
        /// E_PAGE_REQUEST: writes without privilege will come.
        1 34:34 user_write: bool;
        /// E_PAGE_REQUEST: reads without privilege will come.
        1 35:35 user_read: bool;
        /// E_PAGE_REQUEST: privileged instruction fetches will come.
        1 38:38 priv_exec: bool;
        /// E_PAGE_REQUEST: privileged writes will come.
        1 39:39 priv_write: bool;
        /// E_PAGE_REQUEST: privileged reads will come.
        1 40:40 priv_read: bool;
        /// E_PAGE_REQUEST, F_BAD_ATS_TREQ: the number of 4 KiB pages.
        1 51:44 span: u8;
        /// The input address.
        2 63:0 address: u64;
        /// Physical address of a failed fetch.
        3 51:3 fetch_address: addr;
    }
}

#[kernel::prelude::kunit_tests(smmu_fmt_event)]
mod tests {
    use super::*;

    #[test]
    fn translation_fault() {
        let e = Event::default()
            .with_id(EventId::Translation as u8)
            .with_ssv(true)
            .with_ssid(0xf_ffff)
            .with_sid(0x8000_0001)
            .with_rnw(true)
            .with_class(CLASS_IN)
            .with_address(0xdead_beef_f00d_1234);
        assert_eq!(
            e.words(),
            [
                0x8000_0001_ffff_f810,
                0x0208_0000_0000,
                0xdead_beef_f00d_1234,
                0
            ]
        );
        assert_eq!(Event::SIZE, 32);
    }

    #[test]
    fn stalled_write() {
        let e = Event::default()
            .with_stag(0xabcd)
            .with_stall(true)
            .with_pnu(true)
            .with_ind(true)
            .with_s2(true);
        assert_eq!(e.words()[1], 0x86_8000_abcd);
    }

    #[test]
    fn e_page_request() {
        let e = Event::default()
            .with_id(EventId::PageRequest as u8)
            .with_user_write(true)
            .with_priv_read(true)
            .with_span(0xfe);
        assert_eq!(e.words(), [0x24, 0x000f_e104_0000_0000, 0, 0]);
        assert!(has_field(0x24, "span") && !has_field(0x24, "rnw") && has_field(0x24, "sid"));
        assert!(!has_field(0x10, "span") && has_field(0x10, "rnw") && has_field(0x10, "sid"));
    }

    #[test]
    fn f_bad_ats_treq() {
        let e = Event::default()
            .with_id(EventId::BadAtsTreq as u8)
            .with_treq_read(true)
            .with_treq_write(true)
            .with_span(1);
        assert_eq!(e.words(), [0x05, 0x0000_100c_0000_0000, 0, 0]);
        assert!(has_field(0x05, "span") && has_field(0x05, "treq_exec"));
        assert!(!has_field(0x05, "rnw") && !has_field(0x24, "treq_exec"));
    }

    #[test]
    fn fetch_address_is_aligned() {
        assert_eq!(
            Event::default().with_fetch_address(u64::MAX).words()[3],
            0xf_ffff_ffff_fff8
        );
    }
}
