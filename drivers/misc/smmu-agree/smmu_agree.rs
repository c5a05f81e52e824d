// SPDX-License-Identifier: GPL-2.0

//! For tests: two SMMUs that must agree, QEMU's own and our model of one.
//!
//! Loaded with `cases` in a guest whose SMMU has no driver (`make agree` boots one), it builds
//! random stream table entries, context descriptors and translation tables in one arena of memory
//! that both SMMUs look at, makes the same access through both, and compares what comes of it. A
//! third opinion, a naive walker, tells who is right.
//!
//! - `compare`: the run
//! - `generate`, `case`, `arena`, `random`: what is compared
//! - `side`, `devices`, `tester`, `edu`, `bus`: both SMMUs, and devices behind them
//! - `reference`: the naive walker; `quirks`: what QEMU does in another way

use kernel::prelude::*;
use kernel_ext::global::Installed;
use smmuv3::{
    fmt::regs,
    hw::PortConfig, //
};

mod arena;
mod bus;
mod case;
mod compare;
mod devices;
mod edu;
mod generate;
mod quirks;
mod random;
mod reference;
#[cfg(CONFIG_KUNIT = "y")]
mod reference_tests;
mod side;
mod tester;

use arena::Arena;
use devices::{
    Devices,
    Drivers,
    Kind,
    DEVICES, //
};
use side::{
    Ours,
    Qemu, //
};

module! {
    type: SmmuAgree,
    name: "smmu_agree",
    authors: ["The sva developers"],
    description: "Compares a model of an SMMUv3 with QEMU's",
    license: "GPL",
    params: {
        cases: u64 {
            default: 0,
            description: "How many cases to compare",
        },
        first: u64 {
            default: 0,
            description: "The number of the first case",
        },
        seed: u64 {
            default: 1,
            description: "What they are made from",
        },
    },
}
kernel_ext::module_version!();

/// The module. Without cases there are only the KUnit suites.
struct SmmuAgree {
    _drivers: Option<Pin<KBox<Drivers>>>,
    _devices: Option<Installed<Devices>>,
}

fn compare() -> Result {
    let devices = DEVICES.get().ok_or(ENODEV)?;
    let (registers, endpoints) = devices.take()?;
    let able = generate::able(
        registers.read32(regs::IDR0),
        registers.read32(regs::IDR1),
        registers.read32(regs::IDR3),
        registers.read32(regs::IDR5),
    );
    let reads = endpoints.iter().any(|endpoint| endpoint.kind == Kind::Edu);
    let arena = Arena::new(reads)?;
    let qemu = Qemu::new(registers, endpoints, &arena)?;
    let mut sids = KVec::new();
    for sid in qemu.sids() {
        sids.push(sid, GFP_KERNEL)?;
    }
    pr_info!("agree: streams {sids:x?}, {able:?}\n");
    let port = PortConfig {
        ats: false,
        pri: false,
        ..PortConfig::default()
    };
    let ours = Ours::new(able, &sids, port)?;
    let seed = module_parameters::seed.value();
    compare::Comparison::new(qemu, ours, arena, able, seed)?.run(
        module_parameters::first.value(),
        module_parameters::cases.value(),
    )
}

impl kernel::Module for SmmuAgree {
    fn init(module: &'static ThisModule) -> Result<Self> {
        if module_parameters::cases.value() == 0 {
            return Ok(Self {
                _drivers: None,
                _devices: None,
            });
        }
        let installed = DEVICES.install(Devices::new()?)?;
        let drivers = KBox::pin_init(Drivers::new(module), GFP_KERNEL)?;
        compare()?;
        Ok(Self {
            _drivers: Some(drivers),
            _devices: Some(installed),
        })
    }
}
