// SPDX-License-Identifier: GPL-2.0

//! Ranges, as `include/linux/sva.h` declares and documents them.

use super::{
    errno, export,
    handle::{Handle, LentHandle},
};
use crate::{
    bond::{pin::PinId, Bond},
    features::Mode,
};
use kernel::{
    ffi::{c_int, c_ulong},
    prelude::*,
};
use kernel_ext::bindings;

impl LentHandle<'_> {
    fn mode(&self) -> Mode {
        let bonds = self.bonds().unwrap_or_default();
        let modes = bonds.iter().map(|bond| bond.mode());

        modes
            .max_by_key(|mode| *mode as u32)
            .unwrap_or(Mode::Shared)
    }

    /// The range's address for the devices, and what is kept for it: in a group for all members, or for
    /// none.
    fn range(&self, addr: u64, len: u64, write: bool) -> Result<(u64, Option<PinId>)> {
        if let Self::Device(bond) = self {
            return bond.range(addr, len, write);
        }
        let bonds = self.bonds()?;
        let mut got = Err(ESRCH);

        for (done, bond) in bonds.iter().enumerate() {
            match bond.range(addr, len, write) {
                // With several members all have the process's addresses.
                Ok((at, id)) => {
                    let before = got.ok().and_then(|(_, id)| id);

                    got = Ok((at, id.or(before)));
                }
                Err(e) => {
                    if let Ok((_, Some(id))) = got {
                        bonds[..done].iter().for_each(|bond| unpin(bond, id));
                    }
                    return Err(e);
                }
            }
        }
        got
    }
}

/// Releases what a member of a group has kept for the pages of `id`, which may be another member's.
fn unpin(bond: &Bond, id: PinId) {
    let (start, len, _) = id.into_parts();

    // A member that needed nothing, or has ended, has none.
    let _ = bond.unpin(&(start..start + len));
}

export! {
    /// # Safety
    ///
    /// As for `sva_bond_pasid`.
    fn sva_bond_mode(bond: *const bindings::sva_bond) -> bindings::sva_mode {
        // SAFETY: By this function's contract.
        unsafe { LentHandle::from_raw(bond) }.mode() as bindings::sva_mode
    }

    /// # Safety
    ///
    /// As for `sva_bond_pasid`; `range` must be valid for writing.
    fn sva_bond_range(
        bond: *mut bindings::sva_bond,
        addr: c_ulong,
        len: usize,
        write: bool,
        range: *mut bindings::sva_range
    ) -> c_int {
        // SAFETY: By this function's contract.
        let handle = unsafe { LentHandle::from_raw(bond) };

        errno(handle.range(addr as u64, len as u64, write).map(|(addr, id)| {
            let kept = id.map_or((0, 0, 0), PinId::into_parts);
            let told = bindings::sva_range {
                addr,
                bond: id.map_or(core::ptr::null_mut(), |_| bond),
                first: kept.0,
                len: kept.1,
                number: kept.2,
            };

            // SAFETY: By this function's contract.
            unsafe { range.write(told) };
        }))
    }

    /// # Safety
    ///
    /// `range` must come from `sva_bond_range`, whose bond has not been given up.
    fn sva_range_end(range: *mut bindings::sva_range) -> () {
        // SAFETY: By this function's contract.
        let range = unsafe { &mut *range };
        let bond = core::mem::replace(&mut range.bond, core::ptr::null_mut());

        if bond.is_null() {
            return;
        }
        let id = PinId::from_parts((range.first, range.len, range.number));

        // SAFETY: By this function's contract.
        match unsafe { LentHandle::from_raw(bond) } {
            Handle::Device(bond) => bond.unpin_one(id),
            Handle::Group(group) => {
                for bond in &group.members().unwrap_or_default() {
                    unpin(bond, id);
                }
            }
        }
    }

    /// # Safety
    ///
    /// As for `sva_bond_pasid`.
    fn sva_bond_why_not(bond: *mut bindings::sva_bond, addr: c_ulong, write: bool) -> c_int {
        // SAFETY: By this function's contract.
        let handle = unsafe { LentHandle::from_raw(bond) };
        let why = handle
            .any()
            .and_then(|bond| bond.why_not(addr as u64, write));

        match why {
            Ok(reason) => reason.map_or(0, |reason| reason as c_int),
            Err(e) => e.to_errno(),
        }
    }
}
