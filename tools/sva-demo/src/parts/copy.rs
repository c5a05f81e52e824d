// SPDX-License-Identifier: GPL-2.0

//! A copy into memory that has never been touched: the device's page requests make it.

use crate::{
    accel::{Accel, Operation},
    random::Random,
    sys::Mapping,
    verify, Result,
};
use std::sync::atomic::Ordering::Relaxed;

const SIZE: usize = 64 << 20;

pub fn run(accel: &Accel) -> Result<String> {
    let (src, dst) = (Mapping::new(SIZE)?, Mapping::new(SIZE)?);
    let mut random = Random::new(2);

    for word in src.words() {
        word.store(random.next(), Relaxed);
    }
    let before = dst.resident()?;

    verify(before == 0, || {
        format!("{before} pages were there before the copy")
    })?;
    accel.result(Operation::Copy {
        src: src.addr(),
        dst: dst.addr(),
        length: SIZE,
    })?;
    let after = dst.resident()?;
    let pairs = src.words().iter().zip(dst.words());
    let different = pairs
        .filter(|(a, b)| a.load(Relaxed) != b.load(Relaxed))
        .count();

    verify(different == 0, || format!("{different} words differ"))?;
    Ok(format!(
        "copy of {} MB into untouched memory: pages there {before} before, {after} after, all equal",
        SIZE >> 20
    ))
}
