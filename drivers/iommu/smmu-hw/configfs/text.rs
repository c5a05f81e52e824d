// SPDX-License-Identifier: GPL-2.0

//! The values of files: what may be written, and how it is shown.

use crate::device::check_region;
use core::fmt::Write;
use kernel::{
    fmt,
    page::PAGE_SIZE,
    prelude::*,
    str::{
        kstrtobool_bytes,
        parse_int::ParseInt,
        BStr,
        Formatter, //
    }, //
};
use kernel_ext::resv_region::{
    ResvKind,
    ResvRegion, //
};

/// Shows `value` on a line. Gives its length.
pub fn show(page: &mut [u8; PAGE_SIZE], value: fmt::Arguments<'_>) -> Result<usize> {
    let mut text = Formatter::new(page);
    text.write_fmt(value)?;
    text.write_str("\n")?;
    Ok(text.bytes_written())
}

/// What was written, without the space around it.
pub fn word(written: &[u8]) -> Result<&str> {
    Ok(core::str::from_utf8(written).map_err(|_| EINVAL)?.trim())
}

/// A number, with the usual prefixes, of at most `max`.
///
/// # Errors
///
/// `EINVAL` if it is none, `ERANGE` if it is too large.
pub fn number(written: &[u8], max: u64) -> Result<u64> {
    let value = u64::from_str(BStr::from_bytes(word(written)?.as_bytes()))?;
    if value > max {
        return Err(ERANGE);
    }
    Ok(value)
}

/// As [`number`]; `None` for "auto".
pub fn number_or_auto(written: &[u8], max: u64) -> Result<Option<u64>> {
    if word(written)? == "auto" {
        return Ok(None);
    }
    number(written, max).map(Some)
}

/// Yes or no, as the kernel reads it everywhere.
pub fn flag(written: &[u8]) -> Result<bool> {
    kstrtobool_bytes(word(written)?.as_bytes())
}

/// Something that is called by its name: no space, no slash, not too long for a platform device.
pub fn name(written: &[u8]) -> Result<&str> {
    const LONGEST: usize = 19;
    let name = word(written)?;
    let odd = |c: char| !c.is_ascii_graphic() || c == '/';
    if name.is_empty() || name.len() > LONGEST || name.contains(odd) {
        return Err(EINVAL);
    }
    Ok(name)
}

/// Regions as "start+length start+length"; may be none.
///
/// # Errors
///
/// `EINVAL` if it cannot be read so; `E2BIG` if they are more than `max`; those of [`check_region`].
pub fn regions(written: &[u8], kind: ResvKind, max: usize) -> Result<KVec<ResvRegion>> {
    let mut regions = KVec::new();
    for item in word(written)?.split_ascii_whitespace() {
        let (start, len) = item.split_once('+').ok_or(EINVAL)?;
        let start = number(start.as_bytes(), u64::MAX)?;
        let len = number(len.as_bytes(), u64::MAX)?;
        let region = ResvRegion { start, len, kind };
        check_region(&region)?;
        if regions.len() == max {
            return Err(E2BIG);
        }
        regions.push(region, GFP_KERNEL)?;
    }
    Ok(regions)
}

#[kunit_tests(smmu_configfs_text)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number(b"16\n", 20), Ok(16));
        assert_eq!(number(b" 0x10", 20), Ok(16));
        assert_eq!(number(b"21\n", 20), Err(ERANGE));
        for nonsense in [&b""[..], b"\n", b"-1", b"1 2", b"many", b"0x", b"\xff"] {
            assert_eq!(number(nonsense, 20), Err(EINVAL));
        }
        assert_eq!(number_or_auto(b"auto\n", 20), Ok(None));
        assert_eq!(number_or_auto(b"3\n", 20), Ok(Some(3)));
        assert_eq!(number_or_auto(b"autos\n", 20), Err(EINVAL));
    }

    #[test]
    fn flags() {
        assert_eq!(flag(b"1\n"), Ok(true));
        assert_eq!(flag(b"n\n"), Ok(false));
        assert_eq!(flag(b"2\n"), Err(EINVAL));
        assert_eq!(flag(b"\n"), Err(EINVAL));
    }

    #[test]
    fn names() {
        assert_eq!(name(b"mock_accel\n"), Ok("mock_accel"));
        for nonsense in [&b"\n"[..], b"a b", b"a/b", b"a-name-of-twenty-chrs"] {
            assert_eq!(name(nonsense), Err(EINVAL));
        }
    }

    #[test]
    fn regions_one_by_one() -> Result {
        let two = regions(b"0x8000000+0x100000 4096+1\n", ResvKind::Direct, 4)?;
        let seen = [0, 1].map(|i| (two[i].start, two[i].len, two[i].kind));
        assert_eq!(seen[0], (0x800_0000, 0x10_0000, ResvKind::Direct));
        assert_eq!(seen[1], (4096, 1, ResvKind::Direct));
        assert!(regions(b"\n", ResvKind::Direct, 4)?.is_empty());

        let wrong = |text, max| regions(text, ResvKind::Direct, max).err();
        assert_eq!(wrong(&b"1+1 2+1"[..], 1), Some(E2BIG));
        for nonsense in [&b"4096"[..], b"4096+0", b"4096+x", b"1+0xffffffffffffffff"] {
            assert_eq!(wrong(nonsense, 4), Some(EINVAL));
        }

        // The IOMMU core looks at each page of one that must be mapped.
        assert_eq!(wrong(b"0x1000+0x10000000", 4), None);
        assert_eq!(wrong(b"0x1000+0x10000001", 4), Some(ERANGE));
        let reserved = regions(b"0x1000+0x10000001", ResvKind::Reserved, 4)?;
        assert_eq!(reserved.len(), 1);
        Ok(())
    }
}
