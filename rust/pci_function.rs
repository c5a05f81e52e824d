// SPDX-License-Identifier: GPL-2.0

//! What the driver of an IOMMU does to PCI functions behind it: it switches PASIDs, ATS and page
//! requests on and off, and asks what the bus keeps for itself.
//!
//! On a kernel without PCI no device is one.
//!
//! C header: [`include/linux/pci-ats.h`](srctree/include/linux/pci-ats.h)

use crate::resv_region::ResvRegion;
use kernel::{device::Device, prelude::*};

/// A PCI function that is behind an IOMMU, as the IOMMU's driver has it while it probes or releases
/// the device, or in between.
pub struct PciFunction<'a>(&'a Device);

#[cfg(CONFIG_PCI)]
mod with_pci {
    use super::*;
    use crate::{bindings, device_raw, resv_region::ResvKind};
    use kernel::error::to_result;

    impl<'a> PciFunction<'a> {
        /// `dev` as a PCI function, if it is one.
        pub fn of(dev: &'a Device) -> Option<Self> {
            // SAFETY: The device is live.
            unsafe { bindings::dev_is_pci(device_raw(dev)) }.then_some(Self(dev))
        }

        /// Lets it send PASIDs, if it has any, and if each bridge above it has the requests pass by
        /// its IOMMU (ACS). Gives their bits; 0 if it sends none. Before it translates by ATS.
        pub fn enable_pasid(&self) -> u8 {
            // SAFETY: It is a PCI device. CAST: At most 20.
            unsafe { bindings::sva_pci_enable_pasid(device_raw(self.0)) as u8 }
        }

        /// Whether it can translate by ATS, and is trusted with that.
        pub fn has_ats(&self) -> bool {
            // SAFETY: It is a PCI device.
            unsafe { bindings::sva_pci_ats_supported(device_raw(self.0)) }
        }

        /// Whether it can ask for pages.
        pub fn has_pri(&self) -> bool {
            // SAFETY: It is a PCI device.
            unsafe { bindings::sva_pci_pri_supported(device_raw(self.0)) }
        }

        /// Lets it translate by ATS, in pages, and ask for pages if `pri` and if it can. Not before
        /// the IOMMU answers it.
        ///
        /// # Errors
        ///
        /// `EINVAL` if it has no ATS; `EBUSY` if page requests of before are under way: then it does
        /// not send any.
        pub fn enable_ats(&self, pri: bool) -> Result {
            // SAFETY: It is a PCI device.
            to_result(unsafe {
                bindings::sva_pci_enable_ats(
                    device_raw(self.0),
                    kernel::page::PAGE_SHIFT as c_int,
                    pri,
                )
            })
        }

        /// Switches all of that off.
        pub fn disable(&self) {
            // SAFETY: It is a PCI device.
            unsafe { bindings::sva_pci_disable(device_raw(self.0)) };
        }

        /// Adds the addresses of its host bridge's memory to `regions`: all BARs are there, and the
        /// windows of all bridges, so that a request could go to another device. May sleep.
        ///
        /// # Errors
        ///
        /// `ENOMEM`.
        pub fn add_windows(&self, regions: &mut KVec<ResvRegion>) -> Result {
            let (mut start, mut last) = (0, 0);
            let mut nth = 0;

            // SAFETY: It is a PCI device, below a host bridge, whose windows do not change.
            while unsafe {
                bindings::sva_pci_window(device_raw(self.0), nth, &mut start, &mut last)
            } {
                let region = ResvRegion {
                    start,
                    len: last - start + 1,
                    kind: ResvKind::Reserved,
                };

                regions.push(region, GFP_KERNEL)?;
                nth += 1;
            }
            Ok(())
        }
    }

    /// Whether `dev` is a PCI function that has PASIDs, and may not send any.
    pub(crate) fn pasid_is_off(dev: &Device) -> bool {
        // SAFETY: The device is live.
        unsafe { bindings::sva_pci_pasid_is_off(device_raw(dev)) }
    }
}

#[cfg(CONFIG_PCI)]
pub(crate) use with_pci::pasid_is_off;

#[cfg(not(CONFIG_PCI))]
impl<'a> PciFunction<'a> {
    /// None is.
    pub fn of(_dev: &'a Device) -> Option<Self> {
        None
    }

    /// See the other.
    pub fn enable_pasid(&self) -> u8 {
        0
    }

    /// See the other.
    pub fn has_ats(&self) -> bool {
        false
    }

    /// See the other.
    pub fn has_pri(&self) -> bool {
        false
    }

    /// See the other.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn enable_ats(&self, _pri: bool) -> Result {
        Err(ENODEV)
    }

    /// See the other.
    pub fn disable(&self) {
        let _ = self.0;
    }

    /// See the other.
    ///
    /// # Errors
    ///
    /// None.
    pub fn add_windows(&self, _regions: &mut KVec<ResvRegion>) -> Result {
        Ok(())
    }
}

#[cfg(not(CONFIG_PCI))]
pub(crate) fn pasid_is_off(_dev: &Device) -> bool {
    false
}
