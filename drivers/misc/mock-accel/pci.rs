// SPDX-License-Identifier: GPL-2.0

//! Devices on PCI. Their PASIDs, ATS and page requests the driver of their IOMMU has switched on, as
//! is usual; here they are let do DMA.

use crate::Probed;
use kernel::{
    device::Core,
    pci,
    prelude::*,
    str::CString, //
};
use kernel_ext::bindings;
use pin_init::pin_init_scope;

/// The PCI driver.
pub(crate) struct MockAccel;

const _: () = assert!(pci::Vendor::REDHAT_QUMRANET.as_raw() as u32 == bindings::MOCK_PCI_VENDOR_ID);

kernel::pci_device_table!(
    PCI_TABLE,
    <MockAccel as pci::Driver>::IdInfo,
    [(
        pci::DeviceId::from_id(
            pci::Vendor::REDHAT_QUMRANET,
            bindings::MOCK_PCI_DEVICE_ACCEL
        ),
        ()
    )]
);

impl pci::Driver for MockAccel {
    type IdInfo = ();
    type Data<'bound> = Probed;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _id_info: Option<&'bound ()>,
    ) -> impl PinInit<Probed, Error> + 'bound {
        pin_init_scope(move || {
            let dev = pdev.as_ref();
            let name = CString::try_from_fmt(fmt!("mock_accel-{}", dev.name().to_str()?))?;

            pdev.enable_device_mem()?;
            pdev.set_master();
            Probed::new(dev, name)
        })
    }

    fn unbind<'bound>(_pdev: &'bound pci::Device<Core<'_>>, this: Pin<&Probed>) {
        this.leave();
    }
}
