// SPDX-License-Identifier: GPL-2.0

//! The kernel's CRC-32 library.
//!
//! C header: [`include/linux/crc32.h`](srctree/include/linux/crc32.h)

use crate::bindings;

/// The CRC-32 of `data` as IEEE 802.3 and zlib have it, after data whose checksum is `crc`
/// (0 if there is none before).
pub fn crc32(crc: u32, data: &[u8]) -> u32 {
    // SAFETY: Reads `data.len()` bytes at `data`, which are valid.
    !unsafe { bindings::sva_crc32_le(!crc, data.as_ptr().cast(), data.len()) }
}
