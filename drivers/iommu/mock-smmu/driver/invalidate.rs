// SPDX-License-Identifier: GPL-2.0

//! Which commands make the SMMU and the devices forget translations of an address range.

use super::cmdq::Batch;
use crate::fmt::cmd::{
    self,
    Command, //
};
use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};

/// How many pages are invalidated one by one at most; beyond, the whole ASID is.
pub const MAX_TLBI_PAGES: u64 = 512;

/// The bits of a number of pages that one NUM can hold.
const NUM_MASK: u64 = 31;

/// Part of an address space: from the first to the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// All of it.
    All,
    /// These bytes; `start` is page-aligned, and `last` the last byte of a page.
    Bytes {
        /// First byte.
        start: u64,
        /// Last byte.
        last: u64,
    },
}

impl Range {
    /// The range `start..end` as an mmu notifier gives it, in whole pages.
    pub fn from_notifier(start: usize, end: usize) -> Self {
        if end == usize::MAX || end <= start {
            return Self::All;
        }
        let (start, last) = (start & !(PAGE_SIZE - 1), (end - 1) | (PAGE_SIZE - 1));
        Self::Bytes {
            start: start as u64,
            last: last as u64,
        }
    }

    /// Number of pages; `None` for all.
    fn pages(self) -> Option<u64> {
        match self {
            Self::All => None,
            Self::Bytes { start, last } => Some((last - start) / PAGE_SIZE as u64 + 1),
        }
    }
}

/// [`Command::tg`] for this kernel's page size.
fn tg() -> u8 {
    match PAGE_SHIFT {
        12 => 1,
        14 => 2,
        _ => 3,
    }
}

/// Puts in the TLBIs for `range` of `asid`.
///
/// With `ranges` the SMMU takes range commands: few commands for many pages.
///
/// # Errors
///
/// Those of [`Batch::push`].
pub fn tlbi(batch: &mut Batch<'_>, asid: u16, range: Range, ranges: bool) -> Result {
    tlbi_commands(asid, range, ranges, |command| batch.push(command))
}

fn tlbi_commands(
    asid: u16,
    range: Range,
    ranges: bool,
    mut push: impl FnMut(Command) -> Result,
) -> Result {
    let (Range::Bytes { start, .. }, Some(mut pages)) = (range, range.pages()) else {
        return push(Command::tlbi_asid(asid));
    };

    if pages > MAX_TLBI_PAGES && (!ranges || pages > MAX_TLBI_PAGES * MAX_TLBI_PAGES) {
        return push(Command::tlbi_asid(asid));
    }
    // Tables may have gone as well as pages, so none of them is for the leaf only.
    let mut va = start;
    while pages > 0 {
        let (mut command, mut covered) = (Command::tlbi_va(asid, va, false), 1);
        if ranges && pages > 1 {
            // The lowest bits that are set, as many as NUM has room for. A plain command covers
            // one page, which NUM and SCALE of 0 cannot say.
            let scale = pages.trailing_zeros();
            let num = (pages >> scale) & NUM_MASK;
            if num > 1 || scale > 0 {
                // CAST: NUM is below 31, SCALE below 64: both fit their fields.

                command = command
                    .with_tg(tg())
                    .with_scale(scale as u8)
                    .with_num((num - 1) as u8);
                covered = num << scale;
            }
        }
        push(command)?;
        va += covered << PAGE_SHIFT;
        pages -= covered;
    }
    Ok(())
}

/// The ATC_INV for `range` of `ssid` of the device `sid`.
pub fn atc_inv(sid: u32, ssid: Option<u32>, range: Range) -> Command {
    match range {
        Range::All => Command::atc_inv(sid, ssid, 0, cmd::ATC_INV_ALL),
        Range::Bytes { start, last } => {
            let (start, size) = cmd::atc_span(start, last);
            Command::atc_inv(sid, ssid, start, size)
        }
    }
}

#[kunit_tests(smmu_driver_invalidate)]
mod tests {
    use super::*;
    use crate::fmt::cmd::tlbi_range;

    const PAGE: u64 = PAGE_SIZE as u64;

    fn range(first: u64, pages: u64) -> Range {
        Range::from_notifier((first * PAGE) as usize, ((first + pages) * PAGE) as usize)
    }

    fn commands(range: Range, ranges: bool) -> Result<KVec<Command>> {
        let mut commands = KVec::new();
        tlbi_commands(5, range, ranges, |command| {
            Ok(commands.push(command, GFP_KERNEL)?)
        })?;
        Ok(commands)
    }

    #[test]
    fn notifier_ranges() {
        assert_eq!(Range::from_notifier(0x1_0000, usize::MAX), Range::All);
        assert_eq!(Range::from_notifier(0, 0), Range::All);
        assert_eq!(
            Range::from_notifier(0x1_0001, 0x1_0002),
            Range::Bytes {
                start: 0x1_0000,
                last: 0x1_0000 + PAGE - 1,
            }
        );
        assert_eq!(range(3, 4).pages(), Some(4));
    }

    #[test]
    fn tlbi_page_by_page() -> Result {
        let commands = commands(range(16, 3), false)?;
        assert_eq!(commands.len(), 3);
        for (i, command) in commands.iter().enumerate() {
            let va = (16 + i as u64) * PAGE;
            assert_eq!(*command, Command::tlbi_va(5, va, false));
        }
        Ok(())
    }

    #[test]
    fn tlbi_large_becomes_asid() -> Result {
        let asid = Command::tlbi_asid(5);
        assert_eq!(commands(Range::All, true)?.as_slice(), &[asid]);
        assert_eq!(
            commands(range(0, MAX_TLBI_PAGES + 1), false)?.as_slice(),
            &[asid]
        );
        assert_eq!(commands(range(0, MAX_TLBI_PAGES), false)?.len(), 512);
        let huge = range(0, MAX_TLBI_PAGES * MAX_TLBI_PAGES + 1);
        assert_eq!(commands(huge, true)?.as_slice(), &[asid]);
        Ok(())
    }

    /// What range commands cover, as the other half decodes them, is exactly the range.
    #[test]
    fn tlbi_ranges_cover() -> Result {
        let large = [511, 512, 513, 4095, 4096, 65_537, 262_143, 262_144];
        for pages in Iterator::chain(1..300, large) {
            let commands = commands(range(7, pages), true)?;
            let mut va = 7 * PAGE;
            for command in &commands {
                let (start, bytes) = tlbi_range(command).unwrap_or((command.address(), PAGE));
                assert_eq!(start, va);
                va += bytes;
            }
            assert_eq!(va, (7 + pages) * PAGE);
            assert!(commands.len() <= 8);
        }
        Ok(())
    }

    #[test]
    fn atc_inv_covers() {
        assert_eq!(
            atc_inv(1, Some(2), Range::All),
            Command::atc_inv(1, Some(2), 0, cmd::ATC_INV_ALL)
        );
        let command = atc_inv(1, None, range(8, 1));
        assert_eq!(command.address(), 8 * PAGE);
        assert!(!command.ssv());
    }
}
