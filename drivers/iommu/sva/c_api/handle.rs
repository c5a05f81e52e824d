// SPDX-License-Identifier: GPL-2.0

//! Handles: what `struct sva_bond *` points at.

use crate::bond::{group::GroupBond, Bond};
use core::{ops::Range, ptr::NonNull};
use kernel::{
    ffi::c_int,
    prelude::*,
    sync::{Arc, ArcBorrow},
};
use kernel_ext::bindings;

/// What a `struct sva_bond` is: a pointer to one of these, whose lowest bit tells which.
pub(super) enum Handle<D, G> {
    Device(D),
    Group(G),
}

/// A handle with its reference.
pub(super) type OwnedHandle = Handle<Arc<Bond>, Arc<GroupBond>>;
/// A handle that is only looked at.
pub(super) type LentHandle<'a> = Handle<ArcBorrow<'a, Bond>, ArcBorrow<'a, GroupBond>>;

/// In the pointer of a group's bond. What is in an `Arc` lies at a multiple of more.
const GROUP: usize = 1;
const _: () = assert!(align_of::<GroupBond>() > GROUP && align_of::<Bond>() > GROUP);

impl OwnedHandle {
    pub(super) fn into_raw(self) -> *mut bindings::sva_bond {
        match self {
            Self::Device(bond) => Arc::into_raw(bond).cast_mut().cast(),
            Self::Group(group) => Arc::into_raw(group)
                .map_addr(|addr| addr | GROUP)
                .cast_mut()
                .cast(),
        }
    }

    /// # Safety
    ///
    /// `raw` must come from [`Self::into_raw`], and is given up.
    pub(super) unsafe fn from_raw(raw: NonNull<bindings::sva_bond>) -> Self {
        let raw = raw.as_ptr();

        // SAFETY: By this function's contract, and the bit tells which.
        unsafe {
            if raw.addr() & GROUP == 0 {
                Self::Device(Arc::from_raw(raw.cast()))
            } else {
                Self::Group(Arc::from_raw(raw.map_addr(|addr| addr & !GROUP).cast()))
            }
        }
    }
}

/// Calls `start` while each of the bonds is being started.
fn start_all(first: &Bond, others: &[Arc<Bond>], start: &mut dyn FnMut()) -> Result {
    first.start(|_| match others.split_first() {
        Some((next, others)) => start_all(next, others, start),
        None => {
            start();
            Ok(())
        }
    })?
}

impl<'a> LentHandle<'a> {
    /// # Safety
    ///
    /// `raw` must come from [`OwnedHandle::into_raw`], and not be given up during `'a`.
    pub(super) unsafe fn from_raw(raw: *const bindings::sva_bond) -> Self {
        // SAFETY: By this function's contract, and the bit tells which.
        unsafe {
            if raw.addr() & GROUP == 0 {
                Self::Device(ArcBorrow::from_raw(raw.cast()))
            } else {
                Self::Group(ArcBorrow::from_raw(
                    raw.map_addr(|addr| addr & !GROUP).cast(),
                ))
            }
        }
    }

    pub(super) fn pasid(&self) -> u32 {
        match self {
            Self::Device(bond) => bond.pasid,
            Self::Group(group) => group.pasid,
        }
    }

    /// The bonds of its devices.
    pub(super) fn bonds(&self) -> Result<KVec<Arc<Bond>>> {
        match self {
            Self::Device(bond) => {
                let mut bonds = KVec::new();

                bonds.push((*bond).into(), GFP_KERNEL)?;
                Ok(bonds)
            }
            Self::Group(group) => group.members(),
        }
    }

    /// See [`Bond::is_callers`].
    pub(super) fn is_callers(&self) -> bool {
        match self {
            Self::Device(bond) => bond.is_callers(),
            Self::Group(group) => group.is_callers(),
        }
    }

    /// Calls `start`, unless the bond has ended: of a group's devices none ends meanwhile.
    pub(super) fn start(&self, start: impl FnOnce(u32) -> c_int) -> Result<c_int> {
        let pasid = self.pasid();
        let bonds = self.bonds()?;
        let mut started = Err(ESRCH);

        let mut start = Some(start);

        if let Some((first, others)) = bonds.split_first() {
            start_all(first, others, &mut || {
                if let Some(start) = start.take() {
                    started = Ok(start(pasid));
                }
            })?;
        }
        started
    }

    /// The bond of one of its devices: all reach the same memory.
    pub(super) fn any(&self) -> Result<Arc<Bond>> {
        match self {
            Self::Device(bond) => Ok((*bond).into()),
            Self::Group(group) => group.any_member().ok_or(ESRCH),
        }
    }

    /// Pins `range` for all devices, or for none.
    pub(super) fn pin(&self, range: &Range<usize>, write: bool) -> Result {
        let bonds = self.bonds()?;
        let mut pins = KVec::with_capacity(bonds.len(), GFP_KERNEL)?;
        let mut result = Err(ESRCH);

        for bond in &bonds {
            result = match bond.pin(range.clone(), write) {
                Ok(pin) => pins.push(pin, GFP_KERNEL).map_err(Error::from),
                Err(e) => Err(e),
            };
            if result.is_err() {
                for (bond, pin) in bonds.iter().zip(&pins) {
                    bond.unpin_one(*pin);
                }
                break;
            }
        }
        result
    }

    /// Undoes [`Self::pin`]: goes on past errors, and gives the first.
    pub(super) fn unpin(&self, range: &Range<usize>) -> Result {
        let bonds = self.bonds()?;
        let mut results = bonds.iter().map(|bond| bond.unpin(range));
        let first = results.next().unwrap_or(Err(ESRCH));

        results.fold(first, Result::and)
    }
}
