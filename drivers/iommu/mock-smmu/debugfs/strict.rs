// SPDX-License-Identifier: GPL-2.0

//! What strict mode has found.

use super::View;
use kernel::{
    fmt::{
        self,
        Formatter, //
    },
    prelude::*,
    uaccess::UserSliceReader, //
};

/// How many records there are, then the first of them.
pub(super) fn records(view: &View, f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(f, "records: {}", view.hw.strict_count())?;
    let mut index = 0;
    while let Some(record) = view.hw.strict_record(index) {
        f.write_fmt(fmt!("{record}\n"))?;
        index += 1;
    }
    Ok(())
}

/// `scan` looks through all caches now; `clear` forgets the records.
pub(super) fn command(view: &View, written: &mut UserSliceReader) -> Result {
    let mut text = [0; 8];
    let text = text.get_mut(..written.len()).ok_or(EINVAL)?;
    written.read_slice(text)?;
    match text.trim_ascii() {
        b"scan" => view.hw.strict_scan(),
        b"clear" => view.hw.take_strict_records(),
        _ => return Err(EINVAL),
    };
    Ok(())
}
