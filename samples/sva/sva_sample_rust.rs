// SPDX-License-Identifier: GPL-2.0

//! The driver of such a device as a platform device: `counter` has all that is not about the bus.

use kernel::{device::Core, platform, prelude::*};
use pin_init::pin_init_scope;

mod counter;
use counter::Counter;

kernel::module_platform_driver! {
    type: Sample,
    name: "sva_sample_rust",
    authors: ["The sva developers"],
    description: "A device that counts in its users' memory, driven in Rust",
    license: "GPL",
}

struct Sample;

impl platform::Driver for Sample {
    type IdInfo = ();
    type Data<'bound> = Counter;

    fn probe<'bound>(
        pdev: &'bound platform::Device<Core<'_>>,
        _id: Option<&'bound ()>,
    ) -> impl PinInit<Counter, Error> + 'bound {
        pin_init_scope(move || Counter::probe(pdev.as_ref()))
    }

    fn unbind<'bound>(_: &'bound platform::Device<Core<'_>>, counter: Pin<&Counter>) {
        counter.leave();
    }
}
