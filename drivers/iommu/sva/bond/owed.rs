// SPDX-License-Identifier: GPL-2.0

//! Unbinds that may come late, of drivers that name their bonds by device and PASID.
//!
//! The exit of a process ends its bond, and such a driver should not unbind it then (S9). If it does,
//! by mistake, that must not end the bond of another process. So the PASID of the former is nobody's
//! until the driver has unbound it as often as it had bound it; but a driver that does as it should
//! never will. The last few are kept therefore, and none when PASIDs run out.
//!
//! A device has one place without PASID, which is needed. An unbind of that is a late one if any is
//! owed, unless the process that has the place makes it.

use super::{attach::SpaceTranslation, device::SvaDevice};
use kernel::{prelude::*, sync::Arc};
use kernel_ext::{pasid::Pasid, translation::Translation};

/// Most that are kept of one device.
const MOST: usize = 64;
/// Nor more than this part of the PASIDs that it can have.
const PART: u32 = 4;

/// What keeps a PASID from being given anew.
enum Kept {
    Pasid(#[expect(dead_code)] Pasid),
    /// Other devices use it still.
    Shared(#[expect(dead_code)] Arc<SpaceTranslation>),
}

/// The unbinds that are owed for one PASID.
pub(super) struct Debt {
    pasid: u32,
    times: u32,
    _kept: Kept,
}

impl Debt {
    /// `times` unbinds under `pasid`, of a bond that had `attached` alone, or that shared what is one
    /// of `others`. `None`: nothing keeps the PASID.
    pub(super) fn new(
        pasid: u32,
        times: u32,
        attached: Option<Arc<SpaceTranslation>>,
        mut others: impl Iterator<Item = Arc<SpaceTranslation>>,
    ) -> Option<Self> {
        let own = attached.and_then(Translation::into_pasid);
        let _kept = match own {
            Some(own) => Kept::Pasid(own),
            None => Kept::Shared(others.find(|there| there.pasid() == pasid)?),
        };

        Some(Self {
            pasid,
            times,
            _kept,
        })
    }
}

/// The unbinds that are owed to one device, the oldest first.
#[derive(Default)]
pub(super) struct Owed {
    debts: KVec<Debt>,
    /// How many are owed for the place without PASID.
    without_pasid: u32,
}

impl Owed {
    /// Gives what is to be dropped: of too many the oldest, or the new one.
    fn add(&mut self, debt: Debt, most: usize) -> Option<Debt> {
        if most == 0 {
            return Some(debt);
        }
        let oldest = match self.debts.len() >= most {
            true => self.debts.remove(0).ok(),
            false => None,
        };

        // Without memory nothing is kept.
        let _ = self.debts.push(debt, GFP_KERNEL);
        oldest
    }

    fn pay(&mut self, pasid: u32) -> Option<Debt> {
        let at = self.debts.iter().position(|debt| debt.pasid == pasid)?;

        self.debts[at].times -= 1;
        (self.debts[at].times == 0).then(|| self.debts.remove(at).ok())?
    }
}

impl SvaDevice {
    /// A process has exited whose driver may unbind it late.
    pub(super) fn owe(&self, debt: Debt) {
        let most = (self.max_pasid - self.min_pasid + 1) / PART;
        let most = MOST.min(most as usize);
        let over = self.with_owed(|owed| owed.add(debt, most));

        // PASIDs are given back without the lock.
        drop(over);
    }

    /// A late unbind has come.
    pub(crate) fn pay(&self, pasid: u32) {
        let paid = self.with_owed(|owed| owed.pay(pasid));

        drop(paid);
    }

    /// The same of a bond without PASID.
    pub(super) fn owe_without_pasid(&self, times: u32) {
        self.with_owed(|owed| owed.without_pasid = owed.without_pasid.saturating_add(times));
    }

    /// A late unbind of the place without PASID may have come: whether one is owed.
    pub(crate) fn pay_without_pasid(&self) -> bool {
        self.with_owed(|owed| {
            let left = owed.without_pasid.checked_sub(1);

            owed.without_pasid = left.unwrap_or(0);
            left.is_some()
        })
    }

    /// Late unbinds are not expected any more, but of the place without PASID.
    pub(super) fn forgive(&self) {
        let all = self.with_owed(|owed| core::mem::take(&mut owed.debts));

        drop(all);
    }
}
