// SPDX-License-Identifier: GPL-2.0

//! What a device and a bond can do.

use kernel::{bits::bit_u32, impl_flags, prelude::*};

impl_flags!(
    /// A set of [`Feature`]s: of a device when it is initialised, of a bond when it is made.
    #[derive(Debug, Clone, Default, Copy, PartialEq, Eq)]
    pub struct Features(u32);

    /// One property of a bond. The numbers are part of the C interface (`IOMMU_SVA_FEAT_*`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Feature {
        /// Accesses carry a PASID.
        Pasid = bit_u32(0),
        /// The device can wait for page faults, so nothing needs to be pinned.
        Iopf = bit_u32(1),
        /// No page is faulted in before the device asks for it.
        NoReadAhead = bit_u32(2),
    }
);

impl Features {
    /// Accesses carry a PASID.
    pub const PASID: Self = Self(Feature::Pasid as u32);
    /// The device can wait for page faults.
    pub const IOPF: Self = Self(Feature::Iopf as u32);
    /// Both: the device uses the address space as the process does.
    pub const SHARED: Self = Self(Self::PASID.0 | Self::IOPF.0);

    /// No page is faulted in before the device asks for it: for one that uses memory in an order
    /// that only looks as if it could be foreseen, or that must leave no trace of it.
    pub const NO_READ_AHEAD: Self = Self(Feature::NoReadAhead as u32);

    const ALL: u32 = Self::SHARED.0 | Self::NO_READ_AHEAD.0;

    /// Reads the flags of the C interface.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a bit that means nothing.
    pub fn from_bits(bits: usize) -> Result<Self> {
        match u32::try_from(bits) {
            Ok(bits) if bits & !Self::ALL == 0 => Ok(Self(bits)),
            _ => Err(EINVAL),
        }
    }

    /// Whether all of `self` is in `other`.
    pub fn is_subset_of(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// What a bond with `asked` gets on a device that was initialised with `self`; `None` if the
    /// device cannot do that. Any bond may do without read-ahead, and all of a device that does.
    pub(crate) fn of_bond(self, asked: Self) -> Option<Self> {
        let off = Self::NO_READ_AHEAD;

        asked
            .is_subset_of(self | off)
            .then_some(asked | (self & off))
    }

    /// As text for debugfs: `pasid+iopf`.
    pub fn name(self) -> &'static str {
        match (self.contains(Feature::Pasid), self.contains(Feature::Iopf)) {
            (true, true) => "pasid+iopf",
            (true, false) => "pasid",
            (false, true) => "iopf",
            (false, false) => "none",
        }
    }
}

#[kunit_tests(sva_features)]
mod tests {
    use super::*;

    #[test]
    fn from_bits_knows_its_bits() {
        assert_eq!(Features::from_bits(0), Ok(Features::default()));
        assert_eq!(Features::from_bits(3), Ok(Features::SHARED));
        assert_eq!(Features::from_bits(4), Ok(Features::NO_READ_AHEAD));
        assert_eq!(Features::from_bits(8), Err(EINVAL));
        assert_eq!(Features::from_bits(usize::MAX), Err(EINVAL));
        assert_eq!(Features::from_bits(1 << 32), Err(EINVAL));
    }

    #[test]
    fn no_read_ahead_is_for_any_bond() {
        let off = Features::NO_READ_AHEAD;
        let device = Features::SHARED;

        assert_eq!(device.of_bond(device), Some(device));
        assert_eq!(device.of_bond(device | off), Some(device | off));
        assert_eq!((device | off).of_bond(device), Some(device | off));
        assert_eq!(Features::PASID.of_bond(device | off), None);
    }

    #[test]
    fn subsets() {
        assert!(Features::PASID.is_subset_of(Features::SHARED));
        assert!(!Features::SHARED.is_subset_of(Features::IOPF));
        assert!(Features::default().is_subset_of(Features::default()));
    }
}
