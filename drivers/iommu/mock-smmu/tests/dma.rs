// SPDX-License-Identifier: GPL-2.0

//! Accesses for the suites about classic DMA.

use super::*;
use crate::hw::{
    Attrs,
    DmaError,
    DmaErrorKind, //
};
use kernel_ext::phys::PhysPages;

/// How accesses fail: devices with page requests ask first.
pub(super) fn refusal(spec: &DeviceSpec) -> Option<DmaErrorKind> {
    Some(if spec.ats {
        DmaErrorKind::Refused
    } else {
        DmaErrorKind::Aborted
    })
}

pub(super) fn kind<T>(result: Result<T, DmaError>) -> Option<DmaErrorKind> {
    result.err().map(|error| error.kind)
}

pub(super) fn read(
    device: &MockDevice,
    ssid: Option<u32>,
    at: usize,
) -> Result<[u8; 64], DmaError> {
    let mut seen = [0; 64];
    device
        .port()
        .read(ssid, at as u64, &mut seen, Attrs::default())?;
    Ok(seen)
}

pub(super) fn write(
    device: &MockDevice,
    ssid: Option<u32>,
    at: usize,
    data: &[u8],
) -> Result<(), DmaError> {
    device.port().write(ssid, at as u64, data, Attrs::default())
}

pub(super) fn bytes(memory: &PhysPages, at: usize) -> Result<[u8; 64]> {
    let mut seen = [0; 64];
    memory.window().read(at, &mut seen)?;
    Ok(seen)
}
