// SPDX-License-Identifier: GPL-2.0

//! Refused page requests: which, and why.

use kernel::prelude::*;
use kernel_ext::{
    bindings,
    fault::{Access, PageRequest, Requests},
};

/// Why a page request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Reason {
    /// Nothing is mapped there.
    NotMapped = bindings::sva_reason_SVA_REASON_NOT_MAPPED,
    /// The process may not do that there either.
    NoRight = bindings::sva_reason_SVA_REASON_NO_RIGHT,
    /// The process has exited.
    ProcessGone = bindings::sva_reason_SVA_REASON_PROCESS_GONE,
    /// The page did not come in time: its file or its `userfaultfd` did not give it.
    NeverCame = bindings::sva_reason_SVA_REASON_NEVER_CAME,
    /// Too many of the process, or of the device, wait already.
    Quota = bindings::sva_reason_SVA_REASON_QUOTA,
    /// The kernel has no memory for it.
    NoMemory = bindings::sva_reason_SVA_REASON_NO_MEMORY,
    /// The page cannot be had: beyond the end of its file, an I/O error, broken memory.
    NoPage = bindings::sva_reason_SVA_REASON_NO_PAGE,
    /// The bond has no page requests ([`Features::IOPF`](crate::Features::IOPF)).
    NotAsked = bindings::sva_reason_SVA_REASON_NOT_ASKED,
    /// The bond is about to end.
    Ending = bindings::sva_reason_SVA_REASON_ENDING,
}

impl Reason {
    /// Of what the fault handler says.
    pub(crate) fn of(e: Error) -> Self {
        match e {
            e if e == EFAULT => Self::NotMapped,
            e if e == EACCES => Self::NoRight,
            e if e == ENOMEM => Self::NoMemory,
            _ => Self::NoPage,
        }
    }

    /// In words, for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::NotMapped => "not mapped",
            Self::NoRight => "no right",
            Self::ProcessGone => "process gone",
            Self::NeverCame => "page never came",
            Self::Quota => "too many wait",
            Self::NoMemory => "no memory",
            Self::NoPage => "no page",
            Self::NotAsked => "no page requests",
            Self::Ending => "bond ends",
        }
    }

    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 9] = [
        Self::NotMapped,
        Self::NoRight,
        Self::ProcessGone,
        Self::NeverCame,
        Self::Quota,
        Self::NoMemory,
        Self::NoPage,
        Self::NotAsked,
        Self::Ending,
    ];
}

/// What a driver is told of a group of page requests that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The page of the first request that was refused.
    pub addr: u64,
    /// What the device wanted to do there.
    pub access: Access,
    /// Why it may not.
    pub reason: Reason,
    /// How many requests of the group were refused, this one included.
    pub requests: u32,
    /// How many groups were refused since the last call, and not told of: there were too many.
    pub untold: u32,
}

impl Refusal {
    pub(crate) fn new(request: PageRequest, reason: Reason, requests: usize) -> Self {
        Self {
            addr: request.addr,
            access: request.access,
            reason,
            requests: u32::try_from(requests).unwrap_or(u32::MAX),
            untold: 0,
        }
    }

    /// Of all requests of a group.
    pub(super) fn of_all(group: &Requests, reason: Reason) -> Self {
        let mut requests = group.iter();
        let first = requests.next().unwrap_or_default();

        Self::new(first, reason, 1 + requests.count())
    }

    /// The same, with `more` requests.
    pub(super) fn and(self, more: usize) -> Self {
        let more = u32::try_from(more).unwrap_or(u32::MAX);

        Self {
            requests: self.requests.saturating_add(more),
            ..self
        }
    }
}

#[kunit_tests(sva_refusal)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_order() {
        for (i, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, i + 1);
        }
    }

    #[test]
    fn reasons_of_errors() {
        assert_eq!(Reason::of(EFAULT), Reason::NotMapped);
        assert_eq!(Reason::of(EACCES), Reason::NoRight);
        assert_eq!(Reason::of(ENOMEM), Reason::NoMemory);
        assert_eq!(Reason::of(EIO), Reason::NoPage);
    }
}
