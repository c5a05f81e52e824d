// SPDX-License-Identifier: GPL-2.0

//! What strict mode has found.

use crate::hw::Smmu;
use kernel::{
    fmt::{
        self,
        Formatter, //
    },
    prelude::*,
    sync::Arc,
    uaccess::UserSliceReader, //
};

/// How many records there are, then the first of them.
pub(super) fn records(hw: &Arc<Smmu>, f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(f, "records: {}", hw.strict_count())?;
    let mut index = 0;
    while let Some(record) = hw.strict_record(index) {
        f.write_fmt(fmt!("{record}\n"))?;
        index += 1;
    }
    Ok(())
}

/// `scan` looks through all caches now; `clear` forgets the records.
pub(super) fn command(hw: &Arc<Smmu>, written: &mut UserSliceReader) -> Result {
    let mut text = [0; 8];
    let text = text.get_mut(..written.len()).ok_or(EINVAL)?;
    written.read_slice(text)?;
    match text.trim_ascii() {
        b"scan" => hw.strict_scan(),
        b"clear" => hw.take_strict_records(),
        _ => return Err(EINVAL),
    };
    Ok(())
}
