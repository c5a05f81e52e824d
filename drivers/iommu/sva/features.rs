// SPDX-License-Identifier: GPL-2.0

//! What a device and a bond can do.

use kernel::{bits::bit_u32, impl_flags, prelude::*};
use kernel_ext::bindings;

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
        /// Whatever of these the device and its IOMMU have; and bonds where they have none.
        Any = bit_u32(3),
        /// Several processes may share the addresses of a device without PASIDs.
        SharedAddresses = bit_u32(4),
        /// What a bond with [`Self::Any`] has become: see [`Mode::Mapped`]. Not to be asked for.
        Mapped = bit_u32(31),
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

    /// Whatever the device and its IOMMU have, for a driver that reaches memory by
    /// [`Bond::range`](crate::Bond::range): a device without PASIDs, without page requests, or behind
    /// an IOMMU without SVA is initialised and bound like any other; but one without PASIDs must be
    /// alone in its group, and gives all that it accesses without to its bonds. [`Mode`] tells what a
    /// bond is.
    pub const ANY: Self = Self(Feature::Any as u32);
    /// With [`Self::ANY`]: on a device without PASIDs several processes may have bonds at once, and
    /// share its addresses. The driver sees to it that for each process the device uses none but
    /// those of that process's ranges. Else one process at a time has a device without PASIDs.
    pub const SHARED_ADDRESSES: Self = Self(Feature::SharedAddresses as u32);

    /// Both: all that this has, for a driver that uses nothing but ranges.
    pub const ANY_SHARED: Self = Self(Self::ANY.0 | Self::SHARED_ADDRESSES.0);

    const MAPPED: Self = Self(Feature::Mapped as u32);

    const ALL: u32 =
        Self::SHARED.0 | Self::NO_READ_AHEAD.0 | Self::ANY.0 | Self::SHARED_ADDRESSES.0;

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
        let mapped = match self.contains(Feature::Any) {
            true => Self::MAPPED,
            false => Self::default(),
        };

        asked
            .is_subset_of(self | off | mapped)
            .then_some(asked | (self & off))
    }

    /// What bonds may become that are asked for with `asked`, the best first, on a device that was
    /// initialised with `self`; nothing if the device cannot do that.
    ///
    /// [`Feature::Iopf`] says here that page requests are served if there are any.
    pub(crate) fn candidates(self, asked: Self) -> impl Iterator<Item = Self> {
        let any = asked.contains(Feature::Any) && self.contains(Feature::Any);
        let shared = asked.contains(Feature::SharedAddresses);
        let base = self.of_bond(asked).map(|flags| flags | Self::IOPF);
        let when = move |is: bool| base.filter(|_| is && any);

        [
            self.of_bond(asked).filter(|_| !any),
            when(self.contains(Feature::Pasid)).map(|flags| flags | Self::PASID),
            when(!shared),
            when(true).map(|flags| flags | Self::MAPPED),
        ]
        .into_iter()
        .flatten()
    }

    /// What a device is initialised with that asks for `self`, and has PASIDs or not.
    pub(crate) fn of_device(self, has_pasids: bool) -> Self {
        match (self.contains(Feature::Any), has_pasids) {
            (false, _) => self,
            (true, false) => self | Self::IOPF,
            (true, true) => self | Self::SHARED,
        }
    }

    /// Whether a bond with one may count as one with the other.
    pub(crate) fn is_same(self, other: Self) -> bool {
        // Asked for in the same way, and then found to be possible or not.
        (self.0 ^ other.0) & !Self::MAPPED.0 == 0
    }

    /// What a bond in `mode` has, or a device if that is `None`, for people: not what was asked for and
    /// is not there.
    pub(crate) fn shown(self, mode: Option<Mode>) -> Self {
        match mode {
            None => self & (Self::SHARED | Self::SHARED_ADDRESSES),
            Some(Mode::Shared) => self & Self::SHARED,
            Some(Mode::Pinned) => self & Self::PASID,
            Some(Mode::Mapped) => Self::MAPPED,
        }
    }

    /// As text for debugfs: `pasid+iopf`.
    pub fn name(self) -> &'static str {
        if self.contains(Feature::Mapped) {
            return "mapped";
        }
        match (self.contains(Feature::Pasid), self.contains(Feature::Iopf)) {
            (true, true) => "pasid+iopf",
            (true, false) => "pasid",
            (false, true) => "iopf",
            (false, false) => "none",
        }
    }
}

/// How the device of a bond reaches the process's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Mode {
    /// By the process's own addresses, and it waits for pages: any of its memory, at any time.
    Shared = bindings::sva_mode_SVA_MODE_SHARED,
    /// By the process's own addresses, but it does not wait for pages: what is in a
    /// [range](crate::Range), as long as that is there and the process leaves its mapping alone.
    Pinned = bindings::sva_mode_SVA_MODE_PINNED,
    /// By addresses that a range tells: what is in it, as long as it is there. Without PASID.
    Mapped = bindings::sva_mode_SVA_MODE_MAPPED,
}

#[kunit_tests(sva_features)]
mod tests {
    use super::*;

    #[test]
    fn from_bits_knows_its_bits() {
        assert_eq!(Features::from_bits(0), Ok(Features::default()));
        assert_eq!(Features::from_bits(3), Ok(Features::SHARED));
        assert_eq!(Features::from_bits(4), Ok(Features::NO_READ_AHEAD));
        assert_eq!(Features::from_bits(8), Ok(Features::ANY));
        assert_eq!(Features::from_bits(16), Ok(Features::SHARED_ADDRESSES));
        assert_eq!(Features::from_bits(32), Err(EINVAL));
        assert_eq!(Features::from_bits(1 << 31), Err(EINVAL));
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
    fn candidates_of_any() {
        let any = Features::ANY;
        let of = |device: Features, asked| -> [Option<Features>; 3] {
            let mut all = device.candidates(asked);

            core::array::from_fn(|_| all.next())
        };
        let (rid, pasid) = (any | Features::IOPF, any | Features::SHARED);
        let mapped = rid | Features::MAPPED;

        assert_eq!(of(rid, any), [Some(rid), Some(mapped), None]);
        assert_eq!(of(pasid, any), [Some(pasid), Some(rid), Some(mapped)]);
        assert!(rid.is_same(mapped) && !rid.is_same(pasid));
        // Who shares addresses has no page tables of one process there.
        let shared = Features::SHARED_ADDRESSES;
        assert_eq!(
            of(rid | shared, any | shared),
            [Some(mapped | shared), None, None]
        );
        // As before.
        assert_eq!(of(Features::SHARED, any), [None; 3]);
        assert_eq!(
            of(pasid, Features::PASID),
            [Some(Features::PASID), None, None]
        );
    }

    #[test]
    fn subsets() {
        assert!(Features::PASID.is_subset_of(Features::SHARED));
        assert!(!Features::SHARED.is_subset_of(Features::IOPF));
        assert!(Features::default().is_subset_of(Features::default()));
    }
}
