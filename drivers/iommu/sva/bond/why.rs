// SPDX-License-Identifier: GPL-2.0

//! Why a device cannot be initialised or bound, in words: in the error, once in the log, and in debugfs
//! for as long as it is among the last.

use super::{core::Core, device::SvaDevice};
use crate::features::{Feature, Features};
use core::any::Any;
use kernel::{
    alloc::AllocError,
    device::Device,
    fmt,
    new_mutex,
    prelude::*,
    str::CString,
    sync::Mutex, //
};
use kernel_ext::{cpu, endpoint::Endpoint};

/// A reason why a device is not initialised, or not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No IOMMU serves the device.
    NoIommu,
    /// The driver of its IOMMU cannot share address spaces.
    NoSva,
    /// The device or its IOMMU has no PASIDs.
    NoPasids,
    /// Its PASIDs are off, as requests that carry one could go to another device.
    PasidsOff,
    /// It has none of the PASIDs that its driver asks for.
    NoSuchPasids,
    /// It is initialised already.
    Initialised,
    /// Its IOMMU group is user space's, or that of a driver which uses the DMA API.
    OwnedByOthers,
    /// It was not initialised with [`Feature::Pasid`].
    WithoutPasid,
    /// It was not initialised with [`Feature::Iopf`].
    WithoutIopf,
    /// Its IOMMU cannot share this address space.
    Unsupported,
    /// Its IOMMU cannot share an address space without PASID.
    UnsupportedWithoutPasid,
    /// The CPUs have shadow stacks, which the device could write to.
    ShadowStacks,
    /// The process is bound with other flags or other data.
    Exists,
    /// Other devices are in its IOMMU group.
    NotAlone,
    /// Its firmware needs memory mapped one to one, where it has no PASID.
    NeedsDirect,
    /// Somebody else has its accesses without PASID, or its PASID.
    PlaceTaken,
    /// The process uses addresses that the IOMMU cannot translate.
    Occupied,
    /// No PASID is left that it can send.
    NoPasidLeft,
    /// PASIDs of another device of its group are off, and the IOMMU's driver counts them.
    OthersPasidsOff,
    /// A member of its group could not come back.
    DriverCoreOwnsDma,
    /// It is being shut down, or its driver leaves it.
    Leaving,
}

impl Why {
    /// Why a device that should have PASIDs has none.
    pub(super) fn no_pasids(endpoint: &Endpoint) -> Self {
        if !endpoint.has_sva() {
            Self::NoSva
        } else if endpoint.pasid_is_off() {
            Self::PasidsOff
        } else {
            Self::NoPasids
        }
    }

    /// Why a bind of `device` with `flags` failed with `e`, unless that says it all.
    fn of_bind(e: Error, device: &SvaDevice, flags: Features) -> Option<Self> {
        let with_pasid = flags.contains(Feature::Pasid);

        match e {
            e if e == EINVAL && with_pasid && !device.features.contains(Feature::Pasid) => {
                Some(Self::WithoutPasid)
            }
            e if e == EINVAL && device.features.of_bond(flags).is_none() => Some(Self::WithoutIopf),
            e if e == EOPNOTSUPP && cpu::shadow_stacks() => Some(Self::ShadowStacks),
            e if e == EOPNOTSUPP && !device.endpoint.has_sva() => Some(Self::NoSva),
            e if e == EOPNOTSUPP && with_pasid => Some(Self::Unsupported),
            e if e == EOPNOTSUPP => Some(Self::UnsupportedWithoutPasid),
            e if e == EEXIST => Some(Self::Exists),
            e if e == EBUSY && device.endpoint.group().len() != 1 => Some(Self::NotAlone),
            e if e == EBUSY && !with_pasid && device.endpoint.needs_direct() => {
                Some(Self::NeedsDirect)
            }
            e if e == EBUSY => Some(Self::PlaceTaken),
            e if e == EADDRINUSE => Some(Self::Occupied),
            e if e == ENOSPC && device.endpoint.group().max_pasid() == 0 => {
                Some(Self::OthersPasidsOff)
            }
            e if e == ENOSPC => Some(Self::NoPasidLeft),
            e if e == EPERM => Some(Self::DriverCoreOwnsDma),
            e if e == ENODEV => Some(Self::Leaving),
            _ => None,
        }
    }

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::NoIommu => "no SVA: no IOMMU serves the device",
            Self::NoSva => "no SVA: the driver of its IOMMU cannot share address spaces",
            Self::NoPasids => "no SVA: the device or its IOMMU has no PASIDs",
            Self::PasidsOff => {
                "no SVA: its PASIDs are off, since a PCI bridge above it, or the function itself, \
                 lacks ACS: requests could go to another device"
            }
            Self::NoSuchPasids => {
                "no SVA: the device or its IOMMU has none of the PASIDs that its driver asks for"
            }
            Self::Initialised => "no SVA: it is initialised already",
            Self::OwnedByOthers => {
                "no SVA: its IOMMU group is user space's (VFIO, iommufd) or that of a driver \
                 which uses the DMA API"
            }
            Self::WithoutPasid => "not bound: its driver has not initialised it with PASID",
            Self::WithoutIopf => "not bound: its driver has not initialised it with IOPF",
            Self::Unsupported => "not bound: its IOMMU cannot share this address space",
            Self::UnsupportedWithoutPasid => {
                "not bound: its IOMMU cannot share an address space without PASID"
            }
            Self::ShadowStacks => {
                "not bound: the CPUs have shadow stacks (GCS), which the device could write to; \
                 the kernel has none with arm64.nogcs"
            }
            Self::Exists => "not bound: the process is bound with other flags or other data",
            Self::NotAlone => "not bound: other devices are in its IOMMU group (bind the group)",
            Self::NeedsDirect => {
                "not bound: its firmware needs memory mapped one to one, where it has no PASID"
            }
            Self::PlaceTaken => "not bound: somebody else has its accesses without PASID",
            Self::Occupied => {
                "not bound: the process uses addresses that the IOMMU cannot translate"
            }
            Self::NoPasidLeft => "not bound: no PASID is left that it can send",
            Self::OthersPasidsOff => {
                "not bound: PASIDs of another device of its group are off, but attached like all by \
                 the driver of the IOMMU"
            }
            Self::DriverCoreOwnsDma => {
                "not bound: a member of its group could not come back (set driver_managed_dma)"
            }
            Self::Leaving => "not bound: it is being shut down",
        }
    }

    fn error(self) -> Error {
        match self {
            Self::NoIommu | Self::Leaving => ENODEV,
            Self::NoSva
            | Self::NoPasids
            | Self::PasidsOff
            | Self::Unsupported
            | Self::UnsupportedWithoutPasid
            | Self::ShadowStacks => EOPNOTSUPP,
            Self::Initialised
            | Self::OwnedByOthers
            | Self::NotAlone
            | Self::NeedsDirect
            | Self::PlaceTaken => EBUSY,
            Self::NoSuchPasids | Self::WithoutPasid | Self::WithoutIopf => EINVAL,
            Self::Exists => EEXIST,
            Self::Occupied => EADDRINUSE,
            Self::NoPasidLeft | Self::OthersPasidsOff => ENOSPC,
            Self::DriverCoreOwnsDma => EPERM,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// The error of an init or a bind: an [`Error`], and in words why. It becomes the former by `?`, and
/// can be compared with it.
#[derive(Clone, Copy)]
pub struct Refused {
    error: Error,
    why: Option<Why>,
}

impl Refused {
    /// The number.
    pub fn error(&self) -> Error {
        self.error
    }

    /// The reason, where the number does not say it all: without memory there is none, say.
    pub fn why(&self) -> Option<Why> {
        self.why
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, why: None }
    }
}

impl From<AllocError> for Refused {
    fn from(_: AllocError) -> Self {
        ENOMEM.into()
    }
}

impl From<Why> for Refused {
    fn from(why: Why) -> Self {
        Self {
            error: why.error(),
            why: Some(why),
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

impl PartialEq<Error> for Refused {
    fn eq(&self, other: &Error) -> bool {
        self.error == *other
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Some(why) => write!(f, "{} ({})", self.error.to_errno(), why.text()),
            None => write!(f, "{}", self.error.to_errno()),
        }
    }
}

/// How many are remembered.
const KEPT: usize = 64;

/// The last reasons that were told.
#[pin_data]
pub(crate) struct Refusals {
    #[pin]
    list: Mutex<KVec<Refusal>>,
}

struct Refusal {
    dev: CString,
    why: Why,
    times: u64,
    /// A device that is not initialised is shown for its refusals.
    shown: Option<KBox<dyn Any + Send + Sync>>,
}

impl Refusals {
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            list <- new_mutex!(KVec::new(), "sva_refusals"),
        })
    }

    /// Remembers a reason, and logs it unless it was remembered. May sleep.
    fn note(&self, dev: &Device, why: Why) {
        let mut list = self.list.lock();
        let known = list
            .iter_mut()
            .find(|there| there.why == why && *there.dev == *dev.name());

        if let Some(there) = known {
            there.times += 1;
            return;
        }
        let oldest = match list.len() {
            KEPT => list.remove(0).ok(),
            _ => None,
        };

        if let Ok(dev) = CString::try_from(dev.name()) {
            let new = Refusal {
                dev,
                why,
                times: 1,
                shown: None,
            };

            // Without memory it is told again.
            let _ = list.push(new, GFP_KERNEL);
        }
        drop(list);
        // What shows it waits for readers, who take the lock.
        drop(oldest);
        dev_info!(dev, "{}\n", why.text());
    }

    /// Whether a device has reasons, and is not shown for them.
    fn is_to_be_shown(&self, dev: &CStr) -> bool {
        let list = self.list.lock();
        let mut of_dev = list.iter().filter(|there| *there.dev == *dev).peekable();

        of_dev.peek().is_some() && of_dev.all(|there| there.shown.is_none())
    }

    fn set_shown(&self, dev: &CStr, shown: KBox<dyn Any + Send + Sync>) {
        let mut list = self.list.lock();
        let first = list.iter_mut().find(|there| *there.dev == *dev);
        let mut shown = Some(shown);

        if let Some(there) = first.filter(|there| there.shown.is_none()) {
            there.shown = shown.take();
        }
        drop(list);
        drop(shown);
    }

    /// Shows a device no more for its reasons, since it is shown itself. May sleep.
    pub(super) fn hide(&self, dev: &Device) {
        loop {
            let mut list = self.list.lock();
            let shown = list
                .iter_mut()
                .filter(|there| *there.dev == *dev.name())
                .find_map(|there| there.shown.take());

            drop(list);
            if shown.is_none() {
                return;
            }
        }
    }

    /// Shows no device any more for its reasons: the module goes. May sleep.
    pub(super) fn hide_all(&self) {
        let all = core::mem::take(&mut *self.list.lock());

        drop(all);
    }

    /// Calls `line` with each reason that is remembered, of one device or of all: the device's name,
    /// the reason, how often. May sleep.
    ///
    /// # Errors
    ///
    /// What `line` says.
    pub(crate) fn each<E>(
        &self,
        of: Option<&CStr>,
        mut line: impl FnMut(&CStr, &str, u64) -> core::result::Result<(), E>,
    ) -> core::result::Result<(), E> {
        for there in self.list.lock().iter() {
            if of.is_none_or(|dev| *there.dev == *dev) {
                line(&there.dev, there.why.text(), there.times)?;
            }
        }
        Ok(())
    }
}

impl Core {
    /// Tells why a device is not initialised: to people, and to its driver. May sleep.
    pub(super) fn refuse_init(&self, dev: &Device, why: Why) -> Refused {
        self.refusals.note(dev, why);
        if why != Why::Initialised && self.refusals.is_to_be_shown(dev.name()) {
            if let Ok(shown) = self.show_refused(dev.name()) {
                self.refusals.set_shown(dev.name(), shown);
            }
        }
        why.into()
    }
}

impl SvaDevice {
    /// Tells why it was not bound with `flags`: to people, and to its driver. May sleep.
    pub(super) fn refuse_bind(&self, e: Error, flags: Features) -> Refused {
        match Why::of_bind(e, self, flags) {
            Some(why) => {
                self.core.refusals.note(self.endpoint.dev(), why);
                Refused {
                    error: e,
                    why: Some(why),
                }
            }
            None => e.into(),
        }
    }
}

#[kunit_tests(sva_why)]
mod tests {
    use super::*;

    #[test]
    fn errors_keep_their_number() {
        let refused = Refused::from(Why::NoIommu);

        assert!(refused == ENODEV && refused.why() == Some(Why::NoIommu));
        assert_eq!(Error::from(refused), ENODEV);
        assert!(Refused::from(ENOMEM).why().is_none());
    }
}
