// SPDX-License-Identifier: GPL-2.0

//! Shows what shared virtual addressing does for a program, and checks each result.
//!
//! A device works on the memory of ordinary processes, by their own pointers. No memory is
//! registered, pinned or copied for it.

mod accel;
mod debugfs;
mod parts;
mod pci;
mod random;
mod report;
mod sys;
mod worker;

use crate::{
    accel::Accel,
    parts::{beside, copy, file, fork, isolation, kill, list, refused},
    report::{Row, Steps, Table},
};
use std::{
    error::Error,
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

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

const USAGE: &str = "\
usage: sva-demo [DEVICE [OTHER...]]

A mock accelerator works on the memory of this process and of its children; each result is
checked.

  DEVICE         its device file (/dev/mock_accel0)
  OTHER          those of others, each of which does its part too
  -h, --help     this text
  -V, --version  the version";

/// What the command line asks for.
enum Wish {
    Demo(PathBuf, Vec<PathBuf>),
    Text(String),
}

fn wish(args: impl Iterator<Item = OsString>) -> std::result::Result<Wish, String> {
    let mut devices = Vec::new();

    for arg in args {
        let shown = arg.to_string_lossy();

        match &*shown {
            "-h" | "--help" => return Ok(Wish::Text(USAGE.into())),
            "-V" | "--version" => {
                return Ok(Wish::Text(format!(
                    "sva-demo {}",
                    env!("CARGO_PKG_VERSION")
                )))
            }
            option if option.starts_with('-') => {
                return Err(format!("there is no option {option}"))
            }
            _ => devices.push(PathBuf::from(&arg)),
        }
    }
    let mut devices = devices.into_iter();
    let first = devices.next();

    Ok(Wish::Demo(
        first.unwrap_or_else(|| "/dev/mock_accel0".into()),
        devices.collect(),
    ))
}

fn demo(device: &Path, others: &[PathBuf]) -> Result<()> {
    let accel = Accel::open(device)?;
    let info = accel.info()?;
    let mut steps = Steps::new()?;
    let mut table = Table::default();

    println!(
        "sva-demo: {} works on this process's memory: {}\n",
        device.display(),
        info.how()
    );
    steps.run('a', "list", || list::run(&accel))?;
    steps.run('b', "copy", || copy::run(&accel))?;
    steps.run('c', "file", || file::run(&accel))?;
    steps.run('d', "processes", || isolation::run(device, &mut table))?;
    steps.run('e', "fork", || fork::run(&accel))?;
    steps.run('f', "kill", || kill::run(device, &mut table))?;
    steps.run('g', "refused", || refused::run(&accel))?;
    for (name, other) in ('h'..='z').zip(others) {
        steps.run(name, "beside", || beside::run(other))?;
    }

    table.put_first(Row::of("this process", &accel)?);
    println!("\n{table}");
    match debugfs::stats()? {
        Some(stats) => {
            println!("totals from debugfs:");
            for (name, value) in stats {
                println!("  {name:<24} {value:>10}");
            }
        }
        None => println!("no totals: /sys/kernel/debug/sva is not there, or only for root"),
    }
    println!("\ndemo: all {} parts verified", steps.verified());
    Ok(())
}

fn main() -> ExitCode {
    let (device, others) = match wish(std::env::args_os().skip(1)) {
        Ok(Wish::Demo(device, others)) => (device, others),
        Ok(Wish::Text(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(e) => {
            eprintln!("sva-demo: {e}: see sva-demo --help");
            return ExitCode::from(2);
        }
    };

    match demo(&device, &others) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            println!("demo: FAILED: {e}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish_of(args: &[&str]) -> std::result::Result<Wish, String> {
        wish(args.iter().map(OsString::from))
    }

    #[test]
    fn devices() {
        for (args, first, others) in [
            (&[][..], "/dev/mock_accel0", &[][..]),
            (&["/dev/one"], "/dev/one", &[]),
            (&["/dev/one", "/dev/two"], "/dev/one", &["/dev/two"]),
        ] {
            assert!(matches!(
                wish_of(args),
                Ok(Wish::Demo(device, there))
                    if device == Path::new(first)
                        && there.iter().map(PathBuf::as_path).eq(others.iter().map(Path::new))
            ));
        }
    }

    #[test]
    fn help_comes_first() {
        assert!(
            matches!(wish_of(&["/dev/other", "--help"]), Ok(Wish::Text(text)) if text == USAGE)
        );
    }

    #[test]
    fn mistakes() {
        assert!(wish_of(&["--hepl"]).is_err());
    }
}
