// SPDX-License-Identifier: GPL-2.0

//! KUnit suites of the whole: driver half on hardware half, real IOMMU core, real address spaces.
//!
//! Each test has an instance of its own. A failed assertion would end the test's thread and leave
//! the instance behind, so tests here return errors instead: [`check`].

mod abstractions;
mod bring_up;
mod c_api;
mod command_order;
mod commands;
mod devices;
mod dma;
mod dma_api;
mod faults;
mod flush_queue;
mod hints;
mod hitless;
mod hitless_levels;
mod idle;
mod idle_order;
mod lies;
mod paging;
mod stall;
mod stress;
mod sva;
mod variants;

use crate::{
    device::MockDevice,
    driver,
    fmt::event::EventId,
    hw,
    hw::default_config,
    instance::Instance, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    }, //
};
use kernel_ext::iommu_device::Driver as _;
use kernel_test_ext::{
    in_tree::InTreeBond,
    mm::{Protection, TestMm},
    wait::wait_until, //
};
use smmuv3::device::DeviceSpec;

/// Fails the test with a message, but lets destructors run.
macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            pr_err!("{}:{}: {}\n", file!(), line!(), stringify!($condition));
            return Err(EINVAL);
        }
    };
}
use check;

/// A device alone in its group, with two-level context descriptors.
const WIDE: DeviceSpec = DeviceSpec {
    sid: 0x1234,
    ..DeviceSpec::DEFAULT
};

/// A device alone in its group, with a linear table of context descriptors.
const NARROW: DeviceSpec = DeviceSpec {
    id: 1,
    sid: 0x7,
    pasid_bits: 8,
    ..DeviceSpec::DEFAULT
};

/// A device with PASIDs but without ATS.
const NO_ATS: DeviceSpec = DeviceSpec {
    id: 2,
    sid: 0x1235,
    pasid_bits: 8,
    ats: false,
    pri: false,
    ..DeviceSpec::DEFAULT
};

/// A device with neither PASIDs nor ATS.
const PLAIN: DeviceSpec = DeviceSpec {
    id: 5,
    sid: 0x31,
    pasid_bits: 0,
    ats: false,
    pri: false,
    ..WIDE
};

/// Devices that the DMA API maps memory for: one that asks for translations, and one that does not.
const TRANSLATED: [DeviceSpec; 2] = [
    DeviceSpec {
        translated: true,
        ..WIDE
    },
    DeviceSpec {
        translated: true,
        ..PLAIN
    },
];

const NAME: &CStr = c"mock_smmu_kunit";

fn instance_with(config: hw::Config, specs: &[DeviceSpec]) -> Result<Instance> {
    // Strict mode warns when the instance goes if anything was wrong.
    let config = hw::Config {
        strict: true,
        walk_cache: true,
        ..config
    };
    let mut instance = Instance::new(NAME, config)?;
    for spec in specs {
        instance.add_device(c"mock_smmu_kunit_device", spec)?;
    }
    Ok(instance)
}

fn instance(specs: &[DeviceSpec]) -> Result<Instance> {
    instance_with(default_config(), specs)
}

fn device(instance: &Instance, index: usize) -> Result<&MockDevice> {
    instance.devices().get(index).ok_or(ENODEV)
}

/// A domain for `mm`, to be attached past the IOMMU core, where nobody serves page requests: so that
/// what leads there must not wait for one.
fn awake_domain(
    instance: &Instance,
    client: &driver::Client,
    mm: &TestMm,
) -> Result<driver::domain_sva::SharedSpace> {
    let domain = instance.smmu().alloc_sva(client, mm.mm())?;
    driver::Smmu::keep_awake(&domain);
    Ok(domain)
}

/// A byte pattern that differs from page to page.
fn pattern(seed: u8) -> [u8; 64] {
    core::array::from_fn(|i| (i as u8).wrapping_mul(7).wrapping_add(seed))
}

/// Whether the ATC of `sid` holds a translation of `va` for `ssid`.
fn in_atc(hw: &hw::Smmu, sid: u32, ssid: u32, va: usize) -> bool {
    let mut index = 0;
    while let Some(entry) = hw.atc_entry(sid, index) {
        index += 1;
        if entry.is_some_and(|e| e.tag == ssid && e.va >> e.shift == va as u64 >> e.shift) {
            return true;
        }
    }
    false
}

/// Whether the TLB holds a translation of `va` for `asid`.
fn in_tlb(hw: &hw::Smmu, asid: u16, va: usize) -> bool {
    let mut index = 0;
    while let Some(entry) = hw.tlb_entry(index) {
        index += 1;
        if entry
            .is_some_and(|e| e.tag == u32::from(asid) && e.va >> e.shift == va as u64 >> e.shift)
        {
            return true;
        }
    }
    false
}

/// How many events of kind `id` were counted; the event thread gets time until there are `expected`.
fn events(instance: &Instance, id: EventId, expected: u64) -> u64 {
    let count = || instance.smmu().evtq().count(id as u8);

    wait_until(|| count() >= expected);
    count()
}
