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
    }
);

impl Features {
    /// Accesses carry a PASID.
    pub const PASID: Self = Self(Feature::Pasid as u32);
    /// The device can wait for page faults.
    pub const IOPF: Self = Self(Feature::Iopf as u32);
    /// What most bonds have.
    pub const SHARED: Self = Self(Self::PASID.0 | Self::IOPF.0);

    const ALL: u32 = Self::SHARED.0;

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
        assert_eq!(Features::from_bits(4), Err(EINVAL));
        assert_eq!(Features::from_bits(usize::MAX), Err(EINVAL));
        assert_eq!(Features::from_bits(1 << 32), Err(EINVAL));
    }

    #[test]
    fn subsets() {
        assert!(Features::PASID.is_subset_of(Features::SHARED));
        assert!(!Features::SHARED.is_subset_of(Features::IOPF));
        assert!(Features::default().is_subset_of(Features::default()));
    }
}
