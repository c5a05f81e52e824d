// SPDX-License-Identifier: GPL-2.0

//! The driver of such a device as a PCI function: `counter` has all that is not about the bus.
//!
//! PASIDs, ATS and page requests the IOMMU's driver switches on; this lets the function do DMA.

use kernel::{device::Core, pci, prelude::*};
use pin_init::pin_init_scope;

mod counter;
use counter::Counter;

kernel::module_pci_driver! {
    type: Sample,
    name: "sva_sample_pci",
    authors: ["The sva developers"],
    description: "A PCI device that counts in its users' memory, driven in Rust",
    license: "GPL",
}

struct Sample;

kernel::pci_device_table!(
    PCI_TABLE,
    <Sample as pci::Driver>::IdInfo,
    [(
        pci::DeviceId::from_id(pci::Vendor::REDHAT_QUMRANET, 0x10f5),
        ()
    )]
);

impl pci::Driver for Sample {
    type IdInfo = ();
    type Data<'bound> = Counter;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _id: Option<&'bound ()>,
    ) -> impl PinInit<Counter, Error> + 'bound {
        pin_init_scope(move || {
            pdev.enable_device_mem()?;
            pdev.set_master();
            Counter::probe(pdev.as_ref())
        })
    }

    fn unbind<'bound>(_: &'bound pci::Device<Core<'_>>, counter: Pin<&Counter>) {
        counter.leave();
    }
}
