// SPDX-License-Identifier: GPL-2.0

//! Stream table entries and context descriptors: which is a transaction's, and is it any good?

use super::{
    address,
    bits,
    id,
    Quirk,
    Reference,
    Refused, //
};

/// Where a stream table entry sends a transaction.
pub(super) enum Route {
    Abort,
    Bypass,
    /// To the context descriptor of a SubstreamID.
    Context(u32),
}

/// One of the two halves of an address space.
#[derive(Clone, Copy, Default)]
pub(super) struct Half {
    pub(super) disabled: bool,
    /// TxSZ.
    pub(super) size: u32,
    /// log2 of the granule.
    pub(super) granule: u32,
    /// TTBx.
    pub(super) base: u64,
    /// The top byte is ignored.
    pub(super) tbi: bool,
    /// Limits in table descriptors are ignored.
    pub(super) had: bool,
}

/// A context descriptor that is good.
pub(super) struct Context {
    pub(super) halves: [Half; 2],
    /// Bits of an output address.
    pub(super) output: u32,
    pub(super) affd: bool,
    pub(super) wxn: bool,
    pub(super) pan: bool,
    pub(super) ha: bool,
    pub(super) hd: bool,
    pub(super) haft: bool,
    pub(super) stall: bool,
    pub(super) record: bool,
    pub(super) abort: bool,
}

impl Reference<'_> {
    fn bad_stream(&self) -> Refused {
        let (end, event) = self.bad(id::BAD_STREAMID);
        let recorded = self.setup.record_bad_sid || self.has(Quirk::BadStreamIdRecorded);
        (end, event.filter(|_| recorded))
    }

    /// The entry of the access's stream (SMMUv3, 3.3.1, 5.1 and 6.3).
    pub(super) fn stream_table_entry(&self) -> Result<[u64; 8], Refused> {
        let setup = self.setup;
        let sid = u64::from(self.access.sid);
        let size = u32::from(setup.log2size.min(self.able.sid_bits));
        let base = address(setup.strtab_base, 51, 6);

        if sid >> size != 0 {
            return Err(self.bad_stream());
        }
        let entry = if setup.two_level {
            let split = match setup.split {
                8 => 8,
                10 => 10,
                _ => 6,
            };
            // A table is aligned to its size, to 64 bytes at least.
            let bytes = (8u64 << size.saturating_sub(split)).max(64);
            let at = (base & !(bytes - 1)) + 8 * (sid >> split);
            let descriptor = self.word(at).ok_or(self.unfetched(id::STE_FETCH, at))?;
            let span = bits(descriptor, 4, 0) as u32;
            let index = sid & ((1 << split) - 1);

            if span == 0 || span > split + 1 {
                return Err(self.bad_stream());
            }
            let twice = u32::from(self.has(Quirk::SpanCountsTwice));
            if index >> (span - 1 + twice) != 0 {
                if self.has(Quirk::OutsideSpanIsBadSte) {
                    return Err(self.bad(id::BAD_STE));
                }
                return Err(self.bad_stream());
            }
            let bytes = 64u64 << (span - 1);
            let top = if self.has(Quirk::LongL2Ptr) { 63 } else { 51 };
            (address(descriptor, top, 6) & !(bytes - 1)) + 64 * index
        } else {
            let bytes = 64u64 << size;
            (base & !(bytes - 1)) + 64 * sid
        };
        self.words(entry)
            .ok_or(self.unfetched(id::STE_FETCH, entry))
    }

    /// Whether an entry is good, and where it leads (SMMUv3, 5.2 and 3.9).
    pub(super) fn route(&self, entry: &[u64; 8]) -> Result<Route, Refused> {
        let able = self.able;
        let bad = || Err(self.bad(id::BAD_STE));

        if bits(entry[0], 0, 0) == 0 {
            return bad();
        }
        match bits(entry[0], 3, 1) {
            0..=3 => return Ok(Route::Abort),
            // There are no substreams without stage 1.
            4 if self.access.ssid.is_some() => return Err(self.bad(id::BAD_SUBSTREAMID)),
            4 => return Ok(Route::Bypass),
            5 => {}
            // No stage 2.
            _ => return bad(),
        }
        // Of what there is not, the fields mean nothing.
        let reserved_is_0 = |value: u64| if value == 3 { 0 } else { value };
        let max = if able.ssid_bits == 0 {
            0
        } else {
            bits(entry[0], 63, 59)
        };
        if self.has(Quirk::CdMaxWithoutSubstreams) && bits(entry[0], 63, 59) != 0 {
            return bad();
        }
        let dss = reserved_is_0(bits(entry[1], 1, 0));
        let eats = if able.ats {
            reserved_is_0(bits(entry[1], 29, 28))
        } else {
            0
        };
        let stall_disabled = bits(entry[1], 27, 27) == 1;

        if max > u64::from(able.ssid_bits) || eats == 2 || (stall_disabled && able.stall_model != 0)
        {
            return bad();
        }
        match self.access.ssid {
            None if max == 0 => Ok(Route::Context(0)),
            None if dss == 1 => Ok(Route::Bypass),
            None if dss == 2 => Ok(Route::Context(0)),
            None => Err(self.bad(id::STREAM_DISABLED)),
            Some(_) if max == 0 => Err(self.bad(id::BAD_SUBSTREAMID)),
            Some(ssid) if u64::from(ssid) >= 1 << max => Err(self.bad(id::BAD_SUBSTREAMID)),
            Some(0) if dss == 2 => Err(self.bad(id::STREAM_DISABLED)),
            Some(ssid) => Ok(Route::Context(ssid)),
        }
    }

    /// The descriptor of `ssid` in the table of an entry (SMMUv3, 5.2, 5.3 and 3.4.3).
    pub(super) fn context(&self, entry: &[u64; 8], ssid: u32) -> Result<Context, Refused> {
        let ssid = u64::from(ssid);
        let top = if self.has(Quirk::LongContextPointer) {
            55
        } else {
            51
        };
        let base = address(entry[0], top, 6);
        let (max, format) = (bits(entry[0], 63, 59), bits(entry[0], 5, 4));
        let reaches = |at: u64| at >> self.oas() == 0;
        let at = match format {
            1 | 2 if max != 0 && self.able.ssid_bits != 0 => {
                let split = if format == 1 { 6 } else { 10 };
                let at = base + 8 * (ssid >> split);
                if !reaches(at) {
                    return Err(self.bad(id::BAD_STE));
                }
                let descriptor = self.word(at).ok_or(self.unfetched(id::CD_FETCH, at))?;
                if bits(descriptor, 0, 0) == 0 {
                    return Err(self.bad(id::BAD_SUBSTREAMID));
                }
                let bytes = 64u64 << split;
                let table = address(descriptor, 51, 12) & !(bytes - 1);
                let at = table + 64 * (ssid & ((1 << split) - 1));
                if !reaches(at) {
                    return Err(self.bad(id::BAD_SUBSTREAMID));
                }
                at
            }
            _ => {
                let at = base + 64 * ssid;
                if !reaches(at) && !self.has(Quirk::ContextBeyondOas) {
                    return Err(self.bad(id::BAD_STE));
                }
                at
            }
        };
        let words = self.words(at).ok_or(self.unfetched(id::CD_FETCH, at))?;
        self.check_context(entry, &words)
            .ok_or(self.bad(id::BAD_CD))
    }

    /// A descriptor's fields, if it is good (SMMUv3, 5.4).
    fn check_context(&self, entry: &[u64; 8], cd: &[u64; 8]) -> Option<Context> {
        let able = self.able;
        let flag = |bit: u32| bits(cd[0], bit, bit) == 1;
        let (valid, aa64, endi) = (flag(31), flag(41), flag(15));
        let (ha, hd, haft) = (flag(43), flag(42), bits(cd[1], 3, 3) == 1);
        let (stall, record, abort) = (flag(44), flag(45), flag(46));
        let stall_disabled = bits(entry[1], 27, 27) == 1;
        let disabled = [flag(14), flag(30)];

        let stalls_as_it_must = match able.stall_model {
            0 => !(stall && stall_disabled),
            1 => !stall,
            _ => stall,
        };
        let good = valid
            && aa64
            && !(endi && disabled != [true, true])
            && stalls_as_it_must
            && (abort || !able.term_model)
            && !(ha && able.httu < 1)
            && !(hd && able.httu < 2)
            && !(haft && able.httu == 3 && !ha)
            && (able.asid16 || bits(cd[0], 63, 48) < 256);
        if !good {
            return None;
        }
        let ips = bits(cd[0], 34, 32) as usize;
        let output = [32, 36, 40, 42, 44, 48, 52, 52][ips].min(self.oas());
        let mut halves = [Half::default(); 2];

        for (i, half) in halves.iter_mut().enumerate() {
            let upper = i == 1;
            half.disabled = disabled[i];
            if half.disabled {
                continue;
            }
            half.size = bits(
                cd[0],
                if upper { 21 } else { 5 },
                if upper { 16 } else { 0 },
            ) as u32;
            half.tbi = flag(if upper { 39 } else { 38 });
            if upper && self.has(Quirk::Tbi1IsTbi0) {
                half.tbi = flag(38);
            }
            half.had = bits(cd[1 + i], 1, 1) == 1;
            half.granule = match (upper, bits(cd[0], 7 + 16 * i as u32, 6 + 16 * i as u32)) {
                (false, 0) | (true, 2) => 12,
                (false, 2) | (true, 1) if able.gran16k => 14,
                (false, 1) | (true, 3) if able.gran64k => 16,
                _ => return None,
            };
            // 52 bits are for the largest granule.
            let large = half.granule == 16 && able.gran64k && self.oas() == 52;
            let least = if large { 12 } else { 16 };
            half.base = address(cd[1 + i], 51, 4);
            let reach = if half.granule == 16 {
                output
            } else {
                output.min(48)
            };
            if half.size < least || half.size > 39 || half.base >> reach != 0 {
                return None;
            }
        }
        Some(Context {
            halves,
            output,
            affd: flag(35),
            wxn: flag(36),
            pan: flag(40),
            ha,
            hd: ha && hd,
            haft: haft && able.httu == 3,
            stall,
            record,
            abort,
        })
    }
}
