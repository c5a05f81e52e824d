// SPDX-License-Identifier: GPL-2.0

//! KUnit suite of [`kernel_ext::pin`], in address spaces.

#[kernel::prelude::kunit_tests(kernel_ext_pin_mm)]
mod tests {
    use crate::mm::{Protection, TestMm};
    use core::ops::Range;
    use kernel::{
        page::PAGE_SIZE,
        prelude::*, //
    };
    use kernel_ext::pin::{
        PinnedRange,
        BATCH, //
    };

    fn errors_on(mm: &TestMm, range: Range<usize>, write: bool) -> Option<Error> {
        PinnedRange::new(mm.mm(), range, write, usize::MAX).err()
    }

    #[test]
    fn s7_more_than_one_batch() -> Result {
        let mm = TestMm::new()?;
        let pages = 2 * BATCH + 3;
        let start = mm.map(pages, Protection::ReadWrite)?;
        let range = start..start + pages * PAGE_SIZE;
        let pinned = PinnedRange::new(mm.mm(), range.clone(), true, usize::MAX)?;
        let twice = PinnedRange::new(mm.mm(), range.clone(), false, usize::MAX)?;
        let counts = (pinned.pages(), twice.pages());

        drop((pinned, twice));
        // One page is missing, in the last batch.
        mm.unmap(range.end - PAGE_SIZE, 1)?;
        let missing = errors_on(&mm, range, true);

        drop(mm);
        assert_eq!(counts, (pages, pages));
        assert_eq!(missing, Some(EFAULT));
        Ok(())
    }

    #[test]
    fn s7_rights_of_the_process() -> Result {
        let mm = TestMm::new()?;
        let start = mm.map(1, Protection::Read)?;
        let range = start..start + PAGE_SIZE;
        let read = errors_on(&mm, range.clone(), false);
        let write = errors_on(&mm, range, true);

        drop(mm);
        assert_eq!(read, None);
        assert_eq!(write, Some(EFAULT));
        Ok(())
    }
}
