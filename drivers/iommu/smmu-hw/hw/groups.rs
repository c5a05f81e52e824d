// SPDX-License-Identifier: GPL-2.0

//! The page request groups that a port has under way, and how its address spaces share them.
//!
//! A port may have so many page requests under way, its credits, and there are so many group
//! indexes. Both are shared by a dynamic threshold: an address space gets no more than it leaves for
//! the others. So one whose pages never come has half of them at most, and another always finds
//! some, whoever came first; one that is alone and is answered is not slowed down.
//!
//! Credits come back with the response, or when nobody waits for it any more: the request has long
//! left the queue then. The index does not, as the response may still come; it comes back with that,
//! or when the device stops using the address space.

use kernel::{
    alloc::flags::GFP_KERNEL,
    prelude::*, //
};

use crate::fmt::ppr::{
    self,
    Response, //
};

/// A page request group index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// Not in use.
    Free,
    /// Sent; somebody waits for the response.
    Waiting { pages: u16, ssid: Option<u32> },
    /// Sent; nobody waits any more, but the index is in use until the response comes.
    Abandoned { ssid: Option<u32> },
    /// Answered, by software or (`auto`) by the SMMU itself.
    Answered { response: Response, auto: bool },
}

impl Group {
    /// Requests that wait for a response.
    fn pages(self) -> u16 {
        match self {
            Self::Waiting { pages, .. } => pages,
            _ => 0,
        }
    }

    /// Whether it is of `ssid`, and a response may come.
    fn is_of(self, ssid: Option<u32>) -> bool {
        match self {
            Self::Waiting { ssid: own, .. } | Self::Abandoned { ssid: own } => own == ssid,
            Self::Free | Self::Answered { .. } => false,
        }
    }
}

/// How much one may take of `limit` things, of which `used` are in use, `own` of them its own.
fn share(limit: usize, used: usize, own: usize) -> usize {
    let free = limit.saturating_sub(used);
    // After it has taken so many, it has no more than are left.
    let fair = free.saturating_sub(own) / 2;
    if own == 0 {
        fair.max(free.min(1))
    } else {
        fair
    }
}

/// All groups of a port, by index.
pub(super) struct Groups {
    groups: KVec<Group>,
    next: usize,
    /// Indexes in use.
    used: usize,
    /// Page requests that wait for a response.
    outstanding: u16,
}

impl Groups {
    /// None is under way. May sleep.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            groups: KVec::from_elem(Group::Free, ppr::GROUPS, GFP_KERNEL)?,
            next: 0,
            used: 0,
            outstanding: 0,
        })
    }

    /// Page requests that wait for a response.
    pub(super) fn outstanding(&self) -> u16 {
        self.outstanding
    }

    /// The group at an index, if there is such an index.
    pub(super) fn get(&self, index: usize) -> Option<Group> {
        self.groups.get(index).copied()
    }

    /// Changes a group.
    pub(super) fn set(&mut self, index: usize, group: Group) {
        let old = core::mem::replace(&mut self.groups[index], group);
        self.used -= usize::from(old != Group::Free);
        self.used += usize::from(group != Group::Free);
        self.outstanding -= old.pages();
        self.outstanding += group.pages();
    }

    /// How many pages `ssid` may ask for now, in one more group; `most` is the port's limit.
    pub(super) fn room(&self, most: u16, ssid: Option<u32>) -> usize {
        let (mut groups, mut pages) = (0, 0);
        if self.used != 0 {
            for group in self.groups.iter().filter(|group| group.is_of(ssid)) {
                groups += 1;
                pages += usize::from(group.pages());
            }
        }
        if share(self.groups.len(), self.used, groups) == 0 {
            return 0;
        }
        share(usize::from(most), usize::from(self.outstanding), pages)
    }

    /// The next free index, round and round.
    pub(super) fn next_free(&mut self) -> Option<usize> {
        let count = self.groups.len();
        let index = (0..count)
            .map(|i| (self.next + i) % count)
            .find(|&i| self.groups[i] == Group::Free)?;
        self.next = (index + 1) % count;
        Some(index)
    }

    /// Frees the groups for which nobody waits, of `ssid` or of all.
    pub(super) fn forget_abandoned(&mut self, of: impl Fn(Option<u32>) -> bool) {
        for index in 0..self.groups.len() {
            match self.groups[index] {
                Group::Abandoned { ssid } if of(ssid) => self.set(index, Group::Free),
                _ => {}
            }
        }
    }
}

#[kunit_tests(smmu_hw_groups)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        // Alone: half. Then the others get theirs.
        assert_eq!(share(256, 0, 0), 128);
        assert_eq!(share(256, 64, 64), 64);
        assert_eq!(share(256, 128, 128), 0);
        assert_eq!(share(256, 128, 0), 64);
        // The last one is for who has none.
        assert_eq!(share(256, 255, 0), 1);
        assert_eq!(share(256, 255, 1), 0);
        assert_eq!(share(1, 0, 0), 1);
        assert_eq!(share(2, 0, 0), 1);
        assert_eq!(share(2, 2, 0), 0);
        // The limit may have been lowered meanwhile.
        assert_eq!(share(2, 4, 0), 0);
    }

    #[test]
    fn accounts() -> Result {
        let mut groups = Groups::new()?;
        let ssid = Some(1);
        assert_eq!(groups.room(256, ssid), 128);
        groups.set(0, Group::Waiting { pages: 100, ssid });
        assert_eq!((groups.outstanding(), groups.room(256, ssid)), (100, 28));
        assert_eq!(groups.room(256, None), 78);
        // Given up: the credits are back, the index is not.
        groups.set(0, Group::Abandoned { ssid });
        assert_eq!((groups.outstanding(), groups.used), (0, 1));
        assert_eq!(groups.next_free(), Some(1));
        groups.forget_abandoned(|own| own.is_none());
        assert_eq!(groups.used, 1);
        groups.forget_abandoned(|own| own == ssid);
        assert_eq!(groups.used, 0);
        Ok(())
    }

    /// One that gives up all it asks for does not get all indexes either.
    #[test]
    fn indexes_are_shared_too() -> Result {
        let mut groups = Groups::new()?;
        let ssid = Some(1);
        let mut taken = 0;
        while groups.room(256, ssid) != 0 {
            let index = groups.next_free().ok_or(ENOSPC)?;
            groups.set(index, Group::Abandoned { ssid });
            taken += 1;
        }
        assert_eq!(taken, ppr::GROUPS / 2);
        assert_eq!(groups.room(256, Some(2)), 128);
        Ok(())
    }
}
