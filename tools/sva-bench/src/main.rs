// SPDX-License-Identifier: GPL-2.0

//! What a CPU pays for the memory operations of a device: the floor of the benchmark.
//!
//! Prints lines as the kernel module of the benchmark does: row, side, x, value, unit.

mod bound;
mod sys;

use std::{process::ExitCode, sync::atomic::Ordering::Relaxed};
use sys::{now, Mapping, PAGE};

/// How many pages are touched.
const PAGES: usize = 4096;

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

fn report_as(row: &str, side: &str, value: u64) {
    println!("{row} | {side} | 0 | {value} | instructions");
}

fn report(row: &str, value: u64) {
    report_as(row, "cpu", value);
}

/// What a page costs that is made by `MADV_POPULATE_WRITE`, if this kernel has that.
fn populate() -> Option<u64> {
    let memory = Mapping::new(PAGES)?;
    let begin = now();

    memory.populate().then(|| (now() - begin) / PAGES as u64)
}

fn main() -> ExitCode {
    // What a bond costs its process, if that is asked for.
    if std::env::args().nth(1).as_deref() == Some("bound") {
        if bound::run().is_none() {
            eprintln!("sva-bench: a bond could not be measured");
            return ExitCode::FAILURE;
        }
        return ExitCode::SUCCESS;
    }
    let Some(memory) = Mapping::new(PAGES) else {
        eprintln!("sva-bench: no memory");
        return ExitCode::FAILURE;
    };
    let nothing = sys::nothing();
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
        report("prefetch", populated);
    }
    report("stream of 4096", stream);
    report("stream of 4096, null hardware", stream);
    ExitCode::SUCCESS
}
