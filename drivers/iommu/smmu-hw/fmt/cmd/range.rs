// SPDX-License-Identifier: GPL-2.0

//! Which addresses an invalidation covers.

use super::{
    Command,
    ATC_INV_ALL, //
};

/// The range of addresses, first and size in bytes, that a TLBI with [`Command::tg`] covers
/// (SMMUv3, 4.4.1.1); `None` if it is one page only.
pub fn tlbi_range(cmd: &Command) -> Option<(u64, u64)> {
    let granule = match cmd.tg() {
        0 => return None,
        tg => 10 + 2 * u32::from(tg),
    };
    let pages = u128::from(cmd.num() + 1) << cmd.scale();
    let start = cmd.address() & !((1 << granule) - 1);
    let bytes = (pages << granule).min(u128::from(u64::MAX - start));
    Some((start, bytes as u64))
}

/// Whether a TLBI by address says what the architecture reserves, where there are ranges: a granule
/// that serves nothing, neither a range nor a level. (SMMUv3, 4.4.1.1.)
pub fn tlbi_reserved(cmd: &Command) -> bool {
    // Level 1 has no leaves in the 16 KiB granule, and counts as none.
    let no_level = cmd.ttl() == 0 || (cmd.tg() == 2 && cmd.ttl() == 1);
    cmd.tg() != 0 && cmd.num() == 0 && cmd.scale() == 0 && no_level
}

/// The aligned address and log2 size in 4 KiB pages of the smallest ATC_INV that covers
/// `start..=last`.
pub fn atc_span(start: u64, last: u64) -> (u64, u8) {
    let (first_page, last_page) = (start >> 12, last >> 12);
    let size = 64 - (first_page ^ last_page).leading_zeros();
    if size >= u32::from(ATC_INV_ALL) {
        return (0, ATC_INV_ALL);
    }
    ((first_page >> size << size) << 12, size as u8)
}

#[kernel::prelude::kunit_tests(smmu_fmt_cmd_range)]
mod tests {
    use super::*;

    #[test]
    fn tlbi_ranges() {
        let one = Command::tlbi_va(1, 0x5000, true);
        assert_eq!(tlbi_range(&one), None);
        assert_eq!(tlbi_range(&one.with_tg(1)), Some((0x5000, 0x1000)));
        let four = one.with_tg(1).with_num(1).with_scale(1);
        assert_eq!(tlbi_range(&four), Some((0x5000, 0x4000)));
        let huge = Command::tlbi_va(1, 0x1_0000, true)
            .with_tg(3)
            .with_num(31)
            .with_scale(39);
        assert_eq!(tlbi_range(&huge), Some((0x1_0000, 32 << 55)));
        let past_the_end = huge.with_scale(63);
        assert_eq!(
            tlbi_range(&past_the_end),
            Some((0x1_0000, u64::MAX - 0x1_0000))
        );
    }

    #[test]
    fn tlbi_reserved_encodings() {
        let one = Command::tlbi_va(1, 0x5000, true);
        assert!(!tlbi_reserved(&one) && !tlbi_reserved(&one.with_ttl(3)));
        for tg in 1..=3 {
            let one = one.with_tg(tg);
            assert!(tlbi_reserved(&one));
            assert_eq!(tlbi_reserved(&one.with_ttl(1)), tg == 2);
            assert!(!tlbi_reserved(&one.with_ttl(2)) && !tlbi_reserved(&one.with_ttl(3)));
            assert!(!tlbi_reserved(&one.with_num(1)) && !tlbi_reserved(&one.with_scale(1)));
        }
    }

    #[test]
    fn atc_inv_spans() {
        assert_eq!(atc_span(0x8000, 0x8fff), (0x8000, 0));
        assert_eq!(atc_span(0x8000, 0x9fff), (0x8000, 1));
        // Crossing an alignment needs the larger block.
        assert_eq!(atc_span(0x9000, 0xafff), (0x8000, 2));
        assert_eq!(atc_span(0x7000, 0x8fff), (0, 4));
        assert_eq!(atc_span(0, u64::MAX), (0, ATC_INV_ALL));
    }
}
