// SPDX-License-Identifier: GPL-2.0

//! The driver's side of a bond.

use crate::{c_api::COwner, device::SvaDevice};
use core::ops::Deref;
use kernel::sync::Arc;

/// Why a bond ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The last bind was taken back.
    Unbind,
    /// The process has exited (S8).
    Exit,
    /// The device is shut down, or its driver leaves it (S11).
    Shutdown,
}

/// When the driver is called before a bond ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    /// Never.
    None,
    /// When the process exits. It may then unbind, which ends the bond at once.
    Exit,
    /// Whatever ends the bond; which never happens before the call returns.
    Always,
}

/// The driver's side of a bond. It goes before the bond's end is known to others, since it may be
/// code of a driver that then leaves.
pub(crate) trait Owner: Send + Sync {
    /// Tells the driver's data of one bond from that of another.
    fn identity(&self) -> usize;

    /// Whether this owner can have bonds of `device`, which is in the group of one that it has.
    fn suits(&self, device: &SvaDevice) -> bool;

    /// When it is called for a bond of `device`.
    fn hook(&self, device: &SvaDevice) -> Hook;

    /// Stops the device for `pasid`. Without locks; may sleep.
    fn stop(&self, device: &SvaDevice, pasid: u32, why: End);
}

/// An [`Owner`] of either kind.
#[derive(Clone)]
pub(crate) enum AnyOwner {
    /// A driver in C, which a bond has no object for.
    C(COwner),
    /// A driver in Rust, with its data.
    Rust(Arc<dyn Owner>),
}

impl Deref for AnyOwner {
    type Target = dyn Owner;

    fn deref(&self) -> &(dyn Owner + 'static) {
        match self {
            Self::C(owner) => owner,
            Self::Rust(owner) => &**owner,
        }
    }
}
