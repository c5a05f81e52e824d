// SPDX-License-Identifier: GPL-2.0

//! QEMU's `edu`: it copies between memory and a buffer of its own, in either direction, a tenth of
//! a second after it is asked to. It does not tell whether that was possible; what it could not
//! read is zero.

use kernel::{
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

use crate::devices::Endpoint;

const SOURCE: usize = 0x80;
const DESTINATION: usize = 0x88;
const COUNT: usize = 0x90;
const COMMAND: usize = 0x98;
const RUN: u32 = 1;
const TO_MEMORY: u32 = 2;
/// Its buffer, as it calls it.
const BUFFER: u64 = 0x4_0000;

/// Copies `len` bytes at `address` into the buffer, or out of it.
pub(crate) fn copy(endpoint: &Endpoint, address: u64, len: usize, to_memory: bool) -> Result {
    let (from, to) = if to_memory {
        (BUFFER, address)
    } else {
        (address, BUFFER)
    };
    endpoint.write_whole64(SOURCE, from)?;
    endpoint.write_whole64(DESTINATION, to)?;
    endpoint.write_whole64(COUNT, len as u64)?;
    endpoint.write32(COMMAND, if to_memory { RUN | TO_MEMORY } else { RUN })?;
    for _ in 0..100 {
        fsleep(Delta::from_millis(101));
        if endpoint.read32(COMMAND)? & RUN == 0 {
            return Ok(());
        }
    }
    Err(ETIMEDOUT)
}
