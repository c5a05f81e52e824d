// SPDX-License-Identifier: GPL-2.0

//! Why a device cannot be initialised or bound, in words: once in the log, and in debugfs for as
//! long as it is among the last.

use kernel::{
    device::Device,
    new_mutex,
    prelude::*,
    str::CString,
    sync::Mutex, //
};
use kernel_ext::{cpu, endpoint::Endpoint};

/// A reason.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    NoIommu,
    NoSva,
    NoPasids,
    PasidsOff,
    NoSuchPasids,
    Initialised,
    OwnedByOthers,
    Flags,
    Unsupported,
    ShadowStacks,
    Exists,
    NotAlone,
    Occupied,
    NoPasidLeft,
    DriverCoreOwnsDma,
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

    /// Why a bind failed with `e`, unless that says it all.
    pub(super) fn of_bind(e: Error) -> Option<Self> {
        match e {
            e if e == EINVAL => Some(Self::Flags),
            e if e == EOPNOTSUPP && cpu::shadow_stacks() => Some(Self::ShadowStacks),
            e if e == EOPNOTSUPP => Some(Self::Unsupported),
            e if e == EEXIST => Some(Self::Exists),
            e if e == EBUSY => Some(Self::NotAlone),
            e if e == EADDRINUSE => Some(Self::Occupied),
            e if e == ENOSPC => Some(Self::NoPasidLeft),
            e if e == EPERM => Some(Self::DriverCoreOwnsDma),
            _ => None,
        }
    }

    /// For the log.
    fn text(self) -> &'static str {
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
            Self::Flags => "not bound: it was not initialised with these flags",
            Self::Unsupported => {
                "not bound: its IOMMU cannot share this address space, or not without PASID"
            }
            Self::ShadowStacks => {
                "not bound: the CPUs have shadow stacks (GCS), which the device could write to; \
                 the kernel has none with arm64.nogcs"
            }
            Self::Exists => "not bound: the process is bound with other flags or other data",
            Self::NotAlone => {
                "not bound: other devices are in its IOMMU group (bind the group), or without \
                 PASID somebody else has the place"
            }
            Self::Occupied => {
                "not bound: the process uses addresses that the IOMMU cannot translate"
            }
            Self::NoPasidLeft => "not bound: no PASID is left that it can send",
            Self::DriverCoreOwnsDma => {
                "not bound: a member of its group could not come back (set driver_managed_dma)"
            }
        }
    }

    fn error(self) -> Error {
        match self {
            Self::NoIommu => ENODEV,
            Self::NoSva
            | Self::NoPasids
            | Self::PasidsOff
            | Self::Unsupported
            | Self::ShadowStacks => EOPNOTSUPP,
            Self::Initialised | Self::OwnedByOthers | Self::NotAlone => EBUSY,
            Self::Flags | Self::NoSuchPasids => EINVAL,
            Self::Exists => EEXIST,
            Self::Occupied => EADDRINUSE,
            Self::NoPasidLeft => ENOSPC,
            Self::DriverCoreOwnsDma => EPERM,
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
}

impl Refusals {
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            list <- new_mutex!(KVec::new(), "sva_refusals"),
        })
    }

    /// Logs a reason, unless that is remembered still; what is to be returned. May sleep.
    pub(super) fn tell(&self, dev: &Device, why: Why) -> Error {
        let mut list = self.list.lock();
        let known = list
            .iter_mut()
            .find(|there| there.why == why && *there.dev == *dev.name());

        if let Some(there) = known {
            there.times += 1;
            return why.error();
        }
        if list.len() == KEPT {
            let _ = list.remove(0);
        }
        if let Ok(dev) = CString::try_from(dev.name()) {
            // Without memory it is told again.
            let _ = list.push(Refusal { dev, why, times: 1 }, GFP_KERNEL);
        }
        drop(list);
        dev_info!(dev, "{}\n", why.text());
        why.error()
    }

    /// Calls `line` with each reason that is remembered, of one device or of all: the device's name,
    /// the reason, how often. May sleep.
    ///
    /// # Errors
    ///
    /// What `line` says.
    pub(crate) fn each<E>(
        &self,
        of: Option<&Device>,
        mut line: impl FnMut(&CStr, &str, u64) -> core::result::Result<(), E>,
    ) -> core::result::Result<(), E> {
        for there in self.list.lock().iter() {
            if of.is_none_or(|dev| *there.dev == *dev.name()) {
                line(&there.dev, there.why.text(), there.times)?;
            }
        }
        Ok(())
    }
}
