// SPDX-License-Identifier: GPL-2.0

//! What a CPU pays for the memory operations of a device: the floor of the benchmark.
//!
//! Prints lines as the kernel module of the benchmark does: row, side, x, value, unit.

mod sys;

use std::{process::ExitCode, sync::atomic::Ordering::Relaxed};
use sys::{now, Mapping, PAGE};

/// How many pages are touched.
const PAGES: usize = 4096;

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

fn report(row: &str, value: u64) {
    println!("{row} | cpu | 0 | {value} | instructions");
}

/// What a page costs that is made by `MADV_POPULATE_WRITE`, if this kernel has that.
fn populate() -> Option<u64> {
    let memory = Mapping::new(PAGES)?;
    let begin = now();

    memory.populate().then(|| (now() - begin) / PAGES as u64)
}

fn main() -> ExitCode {
    let Some(memory) = Mapping::new(PAGES) else {
        eprintln!("sva-bench: no memory");
        return ExitCode::FAILURE;
    };
    let nothing = median(
        (0..101)
            .map(|_| {
                let begin = now();

                now() - begin
            })
            .collect(),
    );
    let words = memory.words();
    let begin = now();
    let touched: Vec<u64> = (0..PAGES)
        .map(|page| {
            let begin = now();

            words[page * PAGE / 8].store(1, Relaxed);
            (now() - begin).saturating_sub(nothing)
        })
        .collect();
    let stream = (now() - begin) / PAGES as u64;
    let cold = median(touched);

    for row in ["single cold page", "group of 64"] {
        report(row, cold);
        report(&format!("{row}, null hardware"), cold);
    }
    if let Some(populated) = populate() {
        report("prefetch of 4096", populated);
    }
    report("stream of 4096", stream);
    report("stream of 4096, null hardware", stream);
    ExitCode::SUCCESS
}
