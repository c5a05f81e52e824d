// SPDX-License-Identifier: GPL-2.0

//! Unbinds that may come late, of drivers that name their bonds by device and PASID.
//!
//! The exit of a process ends its bond, and such a driver should not unbind it then (S9). If it does,
//! by mistake, that must not end the bond of another process. So the PASID of the former is nobody's
//! until the driver has unbound it as often as it had bound it; but a driver that does as it should
//! never will. The last few are kept therefore, and none when PASIDs run out.

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
pub(super) struct Owed(KVec<Debt>);

impl Owed {
    /// Gives what is to be dropped: of too many the oldest, or the new one.
    fn add(&mut self, debt: Debt, most: usize) -> Option<Debt> {
        if most == 0 {
            return Some(debt);
        }
        let oldest = match self.0.len() >= most {
            true => self.0.remove(0).ok(),
            false => None,
        };

        // Without memory nothing is kept.
        let _ = self.0.push(debt, GFP_KERNEL);
        oldest
    }

    fn pay(&mut self, pasid: u32) -> Option<Debt> {
        let at = self.0.iter().position(|debt| debt.pasid == pasid)?;

        self.0[at].times -= 1;
        (self.0[at].times == 0).then(|| self.0.remove(at).ok())?
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

    /// Late unbinds are not expected any more.
    pub(super) fn forgive(&self) {
        let all = self.with_owed(core::mem::take);

        drop(all);
    }
}
