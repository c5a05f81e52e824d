// SPDX-License-Identifier: GPL-2.0

//! The memory of a bond's process, for the driver: read and written, or just brought there.

use super::Bond;
use crate::fault::{asked::Asked, refusal::Reason};
use core::ops::Range;
use kernel::{
    mm::{MmWithUser, MmWithUserAsync},
    page::{PAGE_SHIFT, PAGE_SIZE},
    prelude::*,
    sync::aref::ARef,
    time::{delay::fsleep, Delta, Instant, Monotonic},
};
use kernel_ext::{
    fault::{Access, AccessKind, PageRequest},
    touch::TouchedPage,
    wake,
};

/// How long a mapping is waited for that is being changed, in ms.
const PATIENCE: i64 = 10_000;
/// How often a page is brought that is gone again before it can be used; or that is none to be used
/// by others, whatever the fault handler says.
const TRIES: u32 = 64;

/// An address as the page table has it: the device ignores the top byte, too.
pub(super) fn untagged(addr: u64) -> u64 {
    addr & ((1 << 56) - 1)
}

fn access(write: bool) -> Access {
    match write {
        true => AccessKind::Write.into(),
        false => AccessKind::Read.into(),
    }
}

/// What is returned for a page that cannot be had.
fn error(reason: Reason) -> Error {
    match reason {
        Reason::NotMapped | Reason::NoRight | Reason::NoPage | Reason::NotAsked => EFAULT,
        Reason::ProcessGone | Reason::Ending => ESRCH,
        Reason::NeverCame => ETIMEDOUT,
        Reason::Quota => EBUSY,
        Reason::NoMemory => ENOMEM,
    }
}

impl Bond {
    /// The memory of its process, if that has not exited.
    fn memory(&self) -> Result<ARef<MmWithUserAsync>> {
        let mm = self.space.mm().mmget_not_zero().ok_or(ESRCH)?;

        // Were this the last reference, its exit would run right here.
        Ok(MmWithUser::into_mmput_async(mm))
    }

    /// Writes `data` at `addr` of the process, where that may be written. May sleep: see
    /// [`Self::touch`].
    pub(crate) fn write(&self, addr: u64, data: &[u8]) -> Result {
        self.touch(addr, data.len(), true, |page, offset, range| {
            page.write(offset, &data[range])
        })
    }

    /// Reads from `addr` of the process, where that may be read. May sleep: see [`Self::touch`].
    pub(crate) fn read(&self, addr: u64, to: &mut [u8]) -> Result {
        self.touch(addr, to.len(), false, |page, offset, range| {
            page.read(offset, &mut to[range])
        })
    }

    /// Calls `op` with each page of the `len` bytes at `addr`, the offset in the page, and which of the
    /// bytes these are.
    ///
    /// `op` is called with the address space's lock held, and the bond has not ended. For pages that
    /// are not there it sleeps, as long as a device may wait for them, without a lock; less if the
    /// bond ends, or the process, or if the task is being killed.
    ///
    /// # Errors
    ///
    /// Bytes before the page that it is about have been dealt with.
    ///
    /// - `ESRCH`: the bond has ended, or its process has exited.
    /// - `EFAULT`: the process may not do that, or the page cannot be had.
    /// - `ETIMEDOUT`: the page did not come. `EBUSY`: too much waits. `ENOMEM`. `EINTR`.
    pub(super) fn touch(
        &self,
        addr: u64,
        len: usize,
        write: bool,
        mut op: impl FnMut(&TouchedPage, usize, Range<usize>) -> Result,
    ) -> Result {
        let start = usize::try_from(untagged(addr)).map_err(|_| EFAULT)?;
        let end = start.checked_add(len).ok_or(EFAULT)?;
        let mut next = start;

        self.check_there()?;
        while next < end {
            let offset = next % PAGE_SIZE;
            let some = (PAGE_SIZE - offset).min(end - next);
            let done = next - start;

            self.touch_page(next, write, |page| op(page, offset, done..done + some))?;
            next += some;
        }
        Ok(())
    }

    fn check_there(&self) -> Result {
        let inner = self.space.lock().ok_or(ESRCH)?;

        self.is_there(&inner).then_some(()).ok_or(ESRCH)
    }

    fn touch_page(
        &self,
        addr: usize,
        write: bool,
        mut op: impl FnMut(&TouchedPage) -> Result,
    ) -> Result {
        let begin = Instant::<Monotonic>::now();
        let mut tries = 0;

        loop {
            match self.try_touch(addr, write, &mut op) {
                Err(e) if e == EAGAIN => fsleep(Delta::from_micros(200)),
                Err(e) if e == EFAULT && tries < TRIES => {
                    tries += 1;
                    self.bring(addr, write)?;
                }
                result => return result,
            }
            if wake::is_ending() {
                return Err(EINTR);
            }
            if begin.elapsed().as_millis() > PATIENCE {
                return Err(ETIMEDOUT);
            }
        }
    }

    /// `EAGAIN`, `EFAULT` as [`TouchedPage::get`].
    fn try_touch(
        &self,
        addr: usize,
        write: bool,
        op: impl FnOnce(&TouchedPage) -> Result,
    ) -> Result {
        // Looked at and used under one lock: who has ended the bond finds nobody at it.
        let inner = self.space.lock().ok_or(ESRCH)?;

        if !self.is_there(&inner) {
            return Err(ESRCH);
        }
        let mm = self.memory()?;
        let page = TouchedPage::get(&mm, addr, write)?;
        let result = op(&page);

        drop(inner);
        // It may have to sleep.
        drop(page);
        result
    }

    /// Has the page at `addr` brought, for as long as it takes.
    fn bring(&self, addr: usize, write: bool) -> Result {
        let page = (addr >> PAGE_SHIFT) as u64;
        let service = self.attachment.handler();

        if service
            .prefetch(&*self.memory()?, page..page + 1, access(write))
            .0
            == 1
        {
            return Ok(());
        }
        match self.ask_for(addr as u64, write)? {
            None => Ok(()),
            Some(reason) => Err(error(reason)),
        }
    }

    /// Has the page at `addr` brought by a worker, for as long as it takes: or why it is not.
    pub(super) fn ask_for(&self, addr: u64, write: bool) -> Result<Option<Reason>> {
        self.ask(addr >> PAGE_SHIFT, access(write))?.wait()
    }

    fn ask(&self, page: u64, access: Access) -> Result<Asked> {
        // The detach, which gives up what waits, is done under this lock.
        let inner = self.space.lock().ok_or(ESRCH)?;
        let held = match self.is_there(&inner) {
            true => self.held(&inner).cloned().ok_or(ESRCH)?,
            false => return Err(ESRCH),
        };
        let request = PageRequest {
            addr: page << PAGE_SHIFT,
            access,
        };

        Asked::new(&self.attachment, self.space.mm(), held, request).map_err(error)
    }

    /// Has the pages of the `len` bytes at `addr` there before the device asks for them, as far as that
    /// needs no waiting and memory is plentiful: only memory that no file and no `userfaultfd` stands
    /// behind. Gives how many pages are there. May sleep for memory.
    ///
    /// # Errors
    ///
    /// `ESRCH`: the bond has ended, or its process has exited. `EINVAL`: the range wraps. `EINTR`: the
    /// task is being killed.
    pub(crate) fn prefetch(&self, addr: u64, len: u64, write: bool) -> Result<u64> {
        let start = untagged(addr);
        let end = start.checked_add(len).ok_or(EINVAL)?;
        let mut pages = start >> PAGE_SHIFT..end.div_ceil(PAGE_SIZE as u64);
        let mut there = 0;

        self.check_there()?;
        while !pages.is_empty() {
            // Taken anew each time: an exit is not held up for longer.
            let mm = self.memory()?;
            let service = self.attachment.handler();
            let (some, next) = service.prefetch(&mm, pages.clone(), access(write));

            there += some;
            if next == pages.start {
                break;
            }
            pages.start = next;
            drop(mm);
            if wake::is_ending() {
                return Err(EINTR);
            }
            self.check_there()?;
        }
        Ok(there)
    }
}
