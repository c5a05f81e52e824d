// SPDX-License-Identifier: GPL-2.0

//! Shows what shared virtual addressing does for a program, and checks each result.
//!
//! A device works on the memory of ordinary processes, by their own pointers. No memory is
//! registered, pinned or copied for it.

mod accel;
mod debugfs;
mod parts;
mod random;
mod report;
mod sys;
mod worker;

use crate::{
    accel::Accel,
    parts::{copy, file, fork, isolation, kill, list},
    report::{Row, Steps, Table},
};
use std::{error::Error, process::ExitCode};

/// What a part of the demo ends with.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Fails with a text unless something holds.
fn verify(holds: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(otherwise().into())
    }
}

fn demo() -> Result<()> {
    let accel = Accel::open(0)?;
    let info = accel.info()?;
    let mut steps = Steps::new();
    let mut table = Table::default();

    println!(
        "sva-demo: /dev/mock_accel0 works on this process's memory, PASID {}\n",
        info.pasid
    );
    steps.run('a', || list::run(&accel))?;
    steps.run('b', || copy::run(&accel))?;
    steps.run('c', || file::run(&accel))?;
    steps.run('d', || isolation::run(&mut table))?;
    steps.run('e', || fork::run(&accel))?;
    steps.run('f', || kill::run(&mut table))?;

    table.put_first(Row::of("this process", &accel)?);
    println!("\n{table}");
    println!("totals from debugfs:");
    for (name, value) in debugfs::stats()? {
        println!("  {name:<24} {value:>10}");
    }
    println!("\ndemo: all {} parts verified", steps.verified());
    Ok(())
}

fn main() -> ExitCode {
    match demo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            println!("demo: FAILED: {e}");
            ExitCode::FAILURE
        }
    }
}
