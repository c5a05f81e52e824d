// SPDX-License-Identifier: GPL-2.0

//! What the process may not do, the device may not do for it; and it is told why.

use crate::{
    accel::{Accel, Operation, PAGE_FAULT},
    sys::{Mapping, PAGE},
    verify, Result,
};
use std::{env, fs, fs::File};

pub fn run(accel: &Accel) -> Result<String> {
    let only = Mapping::read_only(PAGE)?;
    let path = env::temp_dir().join(format!("sva-demo.{}", std::process::id()));

    fs::write(&path, [1; PAGE])?;
    let file = Mapping::of_file(&File::open(&path)?, 2 * PAGE);

    fs::remove_file(&path)?;
    let file = file?;
    let beyond = file.addr() + PAGE as u64;
    // Last, so that nothing is mapped there again.
    let gone = Mapping::new(PAGE)?.addr();
    let mut told = Vec::new();

    for (what, addr, reason) in [
        ("unmapped", gone, "not mapped"),
        ("read-only", only.addr(), "no right"),
        ("beyond a file", beyond, "no page"),
    ] {
        let end = accel.run(Operation::Fill {
            dst: addr,
            length: 8,
            pattern: 1,
        })?;

        verify(
            end.status == PAGE_FAULT && end.fault_address == addr && end.reason() == reason,
            || format!("a write to memory that is {what} ended with: {end}"),
        )?;
        told.push(format!("{what}: \"{reason}\""));
    }
    Ok(format!("refused, with the reason: {}", told.join(", ")))
}
