// SPDX-License-Identifier: GPL-2.0

//! Other devices, on PCI, or without page requests or PASIDs, do what the first one did.

use super::{list, refused};
use crate::{accel::Accel, pci, Result};
use std::path::Path;

pub fn run(device: &Path) -> Result<String> {
    let accel = Accel::open(device)?;
    let info = accel.info()?;
    let what = pci::describe(device)?.unwrap_or_else(|| device.display().to_string());

    list::run(&accel)?;
    refused::run(&accel)?;
    Ok(format!("{what}: such a list too; {}", info.how()))
}
