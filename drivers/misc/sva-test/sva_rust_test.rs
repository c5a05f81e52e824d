// SPDX-License-Identifier: GPL-2.0

//! Tests of the interface for drivers in Rust, from where such drivers are.
//!
//! | module | its one idea |
//! |---|---|
//! | [`driver`] | the driver of the test devices |
//! | [`fixture`] | test devices behind the mock SMMU |
//! | [`record`] | what a test learns of the end of a bond |
//! | `*_tests` | the suites; tests carry the number of what they prove: S1 to S18 |
//! | [`context`] | what the examples in documentation use |

use kernel::platform;
use kernel_ext::managed_dma::ManagedDma;

mod bind_tests;
mod context;
mod copy_tests;
mod driver;
mod end_tests;
mod fixture;
mod group_tests;
mod pin_tests;
mod range_tests;
mod record;
mod refusal_tests;

kernel::module_driver!(<T>, ManagedDma<platform::Adapter<T>>, {
    type: driver::TestDriver,
    name: "sva_rust_test",
    authors: ["The sva developers"],
    description: "KUnit suites for shared virtual addressing in Rust",
    license: "GPL",
});
kernel_ext::module_version!();
