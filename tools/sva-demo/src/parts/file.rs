// SPDX-License-Identifier: GPL-2.0

//! A private mapping of a file: the device writes to copies of its pages.

use crate::{
    accel::{Accel, Operation},
    random::Random,
    sys::{Mapping, PAGE},
    verify, Result,
};
use std::{
    env,
    fs,
    fs::File,
    sync::atomic::Ordering::Relaxed, //
};

const SIZE: usize = 4 << 20;
/// The device fills every second piece.
const PIECE: usize = 16 * PAGE;
const PATTERN: u64 = 0x5afe_c0de_5afe_c0de;

pub fn run(accel: &Accel) -> Result<String> {
    let path = env::temp_dir().join(format!("sva-demo.{}", std::process::id()));
    let mut random = Random::new(3);
    let content: Vec<u8> = (0..SIZE).map(|_| random.next() as u8).collect();

    fs::write(&path, &content)?;
    let result = write_to_mapping(accel, &File::open(&path)?, &content);
    let after = fs::read(&path)?;

    fs::remove_file(&path)?;
    result?;
    verify(after == content, || "the file has changed".into())?;
    Ok(format!(
        "private mapping of a {} MB file: the device's writes are in it, the file is unchanged",
        SIZE >> 20
    ))
}

/// Has the device write to the mapping, and looks at all of it.
fn write_to_mapping(accel: &Accel, file: &File, content: &[u8]) -> Result<()> {
    let mapping = Mapping::of_file(file, SIZE)?;

    for offset in (0..SIZE).step_by(2 * PIECE) {
        accel.result(Operation::Fill {
            dst: mapping.addr() + offset as u64,
            length: PIECE,
            pattern: PATTERN,
        })?;
    }
    for (i, (word, bytes)) in mapping.words().iter().zip(content.chunks(8)).enumerate() {
        let filled = i * 8 / PIECE % 2 == 0;
        let right = if filled {
            PATTERN
        } else {
            u64::from_le_bytes(bytes.try_into()?)
        };

        verify(word.load(Relaxed) == right, || {
            format!("the mapping is wrong at {:#x}", i * 8)
        })?;
    }
    Ok(())
}
