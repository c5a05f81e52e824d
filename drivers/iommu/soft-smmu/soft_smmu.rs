// SPDX-License-Identifier: GPL-2.0

//! An SMMUv3 in software under the kernel's own driver, arm-smmu-v3.
//!
//! Firmware describes an SMMU whose registers are memory that nobody else uses (the property
//! [`firmware_device::PLAYED`](kernel_ext::firmware_device::PLAYED) of its node says so). Here the
//! model of the hardware ([`smmuv3`]) looks at that memory, in a thread that has a processor of its
//! own; then the kernel's driver is asked to probe the SMMU, and devices are put behind it, for the
//! same drivers as behind the mock.
//!
//! - [`smmu`]: the SMMU, from its registers to its driver
//! - [`poller`]: the thread that looks at registers
//! - [`devices`]: what is behind it
//! - `bus`: who answers for the memory that the hardware accesses
//! - [`debugfs`](mod@debugfs): what the hardware holds
//!
//! `Documentation/soft-smmu.rst` tells how to use it.

use kernel::prelude::*;

mod bus;
mod debugfs;
mod devices;
mod module;
mod poller;
mod smmu;

use module::SoftSmmu;

module! {
    type: SoftSmmu,
    name: "soft_smmu",
    authors: ["The sva developers"],
    description: "SMMUv3 in software under the kernel's driver",
    license: "GPL",
    params: {
        cpu: i32 {
            default: -1,
            description: "the processor that is kept for it; the last one if negative",
        },
        strict: bool {
            default: false,
            description: "look for stale translations at each use",
        },
        walk_cache: bool {
            default: false,
            description: "cache tables, and forget no more than it is told to",
        },
        evict_one_in: u32 {
            default: 0,
            description: "drop an entry of a cache in one of so many look-ups; 0 is never",
        },
        ssid_bits: u8 {
            default: 16,
            description: "bits of a SubstreamID, 0 to 20",
        },
        sid_bits: u8 {
            default: 16,
            description: "bits of a StreamID, up to 32",
        },
        oas: i8 {
            default: -1,
            description: "size of output addresses as IDR5 has it; the processors' if negative",
        },
        sev: bool {
            default: true,
            description: "completed SYNCs wake processors",
        },
        msi: bool {
            default: false,
            description: "interrupts by messages, those of SYNCs at least",
        },
        stall: u8 {
            default: 0,
            description: "IDR0.STALL_MODEL: 0 may stall, 1 never, 2 always",
        },
        devices: bool {
            default: true,
            description: "plug in devices called mock_accel",
        },
    },
}
kernel_ext::module_version!();
