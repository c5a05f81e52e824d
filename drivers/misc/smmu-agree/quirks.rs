// SPDX-License-Identifier: GPL-2.0

//! In what QEMU differs from the architecture, or chose another way than we did.
//!
//! A difference is explained if the reference, with some of these and nothing else, comes to
//! exactly what QEMU came to: the same end, the same four words of the event, the same place of the
//! data. `Documentation/agree.rst` has each with its smallest case.

/// One deviation. Its name is what reports call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Quirk {
    /// All accesses are taken for privileged ones.
    Privileged,
    /// APTable is checked where it stands, so before all faults of levels below.
    TableLimitsEarly,
    /// Blocks at every level but the last.
    BlockAnywhere,
    /// What a table descriptor leads to may lie beyond the output size.
    TableBeyondOutput,
    /// The output size of a leaf is checked after its access flag and permissions.
    OutputSizeLast,
    /// Addresses that are not translated may lie beyond the output size.
    BypassBeyondOas,
    /// A context descriptor may be looked for beyond the output size.
    ContextBeyondOas,
    /// The address of F_CD_FETCH is in word 2.
    CdFetchAddress,
    /// TBI1 is what TBI0 is.
    Tbi1IsTbi0,
    /// S1CDMax must be 0 where there are no substreams.
    CdMaxWithoutSubstreams,
    /// S1ContextPtr has four bits more, as in later versions.
    LongContextPointer,
    /// L2Ptr of a stream table has all bits up to 63, and FetchAddr too.
    LongL2Ptr,
    /// C_BAD_STREAMID is recorded whatever CR2.RECINVSID says.
    BadStreamIdRecorded,
    /// Span counts twice as many entries.
    SpanCountsTwice,
    /// A StreamID outside of a second-level table is C_BAD_STE.
    OutsideSpanIsBadSte,
}

impl Quirk {
    pub(crate) const ALL: [Self; 15] = [
        Self::Privileged,
        Self::TableLimitsEarly,
        Self::BlockAnywhere,
        Self::TableBeyondOutput,
        Self::OutputSizeLast,
        Self::BypassBeyondOas,
        Self::ContextBeyondOas,
        Self::CdFetchAddress,
        Self::Tbi1IsTbi0,
        Self::CdMaxWithoutSubstreams,
        Self::LongContextPointer,
        Self::LongL2Ptr,
        Self::BadStreamIdRecorded,
        Self::SpanCountsTwice,
        Self::OutsideSpanIsBadSte,
    ];
}

/// Some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quirks(u32);

impl Quirks {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn all() -> Self {
        Self((1 << Quirk::ALL.len()) - 1)
    }

    pub(crate) fn has(self, quirk: Quirk) -> bool {
        self.0 & 1 << quirk as u32 != 0
    }

    pub(crate) fn without(self, quirk: Quirk) -> Self {
        Self(self.0 & !(1 << quirk as u32))
    }

    /// Those that it takes, of which none can be left out, for `explains` to hold; `None` if it
    /// does not hold with all.
    pub(crate) fn least(explains: impl Fn(Self) -> bool) -> Option<Self> {
        let mut quirks = Self::all();
        if !explains(quirks) {
            return None;
        }
        for quirk in Quirk::ALL {
            let fewer = quirks.without(quirk);
            if explains(fewer) {
                quirks = fewer;
            }
        }
        Some(quirks)
    }
}
