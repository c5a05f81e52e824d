// SPDX-License-Identifier: GPL-2.0

//! Looks into shared virtual addressing: what is bound, what is refused and why, what devices
//! wait for. Everything is read from debugfs and tracefs; see README.md.

mod inject;
mod table;
mod timeline;
mod top;
mod trace;
mod why;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use serde_json::Value;
use std::{ffi::OsString, fmt, fs, io, path::PathBuf, process::ExitCode, time::Duration};

/// Says in one line what was wrong.
pub struct Error(String);

pub type Result<T = ()> = std::result::Result<T, Error>;

impl Error {
    pub fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        Self::new(e)
    }
}

/// Looks into shared virtual addressing.
#[derive(Parser)]
#[command(name = "svactl", version)]
struct Arguments {
    /// Writes JSON: one value, or with trace one a line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The bonds: which process is bound to which device.
    Bonds,
    /// The devices that processes can be bound to.
    Devices,
    /// Why a device cannot be bound.
    Why { device: String },
    /// Rates of each bond, latency of all answers together, and how many groups wait.
    Top {
        /// Shows one interval, and ends.
        #[arg(long)]
        once: bool,
        /// Seconds between two looks.
        #[arg(long, default_value = "1", value_parser = seconds)]
        interval: Duration,
    },
    /// Shows events as they come.
    Trace {
        /// Ends after so many seconds.
        #[arg(long, value_parser = seconds)]
        seconds: Option<Duration>,
    },
    /// Runs a command, and writes the events meanwhile into a file.
    Record {
        /// Does not tell how many.
        #[arg(short, long)]
        quiet: bool,
        file: PathBuf,
        #[arg(required = true, trailing_var_arg = true)]
        command: Vec<OsString>,
    },
    /// Makes a page (OUTPUT.html) of what was recorded, and OUTPUT.json for Perfetto.
    Timeline { file: PathBuf, output: PathBuf },
    /// Lets an SMMU of the mock fail; without a fault, lists what can be asked for.
    Inject {
        smmu: Option<String>,
        fault: Option<String>,
        /// How often it fails; 0 ends it.
        #[arg(long, default_value_t = 1)]
        times: u32,
    },
    /// Writes the completion of a shell.
    Completion { shell: Shell },
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let value: f64 = text.parse().map_err(|_| "not a number of seconds")?;

    if !(0.01..=86400.0).contains(&value) {
        return Err("seconds go from 0.01 to 86400".into());
    }
    Ok(Duration::from_secs_f64(value))
}

/// The text of a file that the kernel shows.
pub fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|e| Error::new(format_args!("{path}: {e}")))
}

/// Writes to standard output; a reader that has gone away is no reason to panic.
pub fn print(text: impl fmt::Display) -> Result {
    use io::Write;

    Ok(writeln!(io::stdout(), "{text}")?)
}

fn show(json: bool, value: impl FnOnce() -> Value, text: &str) -> Result {
    if json {
        print(value())
    } else {
        print(text.trim_end())
    }
}

fn run(arguments: Arguments) -> Result {
    let json = arguments.json;

    match arguments.command {
        Command::Bonds => {
            let text = read(table::BONDS)?;
            show(json, || table::rows(&text).into(), &text)
        }
        Command::Devices => {
            let devices = table::devices()?;
            let text = table::devices_text(&devices);
            show(json, || devices.into(), &text)
        }
        Command::Why { device } => {
            let answer = why::ask(&device)?;
            let text = why::text(&answer);
            show(json, || answer, &text)
        }
        Command::Top { once, interval } => top::run(json, once, interval),
        Command::Trace { seconds } => trace::follow(json, seconds),
        Command::Record {
            quiet,
            file,
            command,
        } => {
            let events = trace::record(&file, &command)?;
            let text = format!("{events} events in {}", file.display());
            if quiet {
                return Ok(());
            }
            show(json, || serde_json::json!({ "events": events }), &text)
        }
        Command::Timeline { file, output } => {
            let bonds = timeline::make(&file, &output)?;
            let text = format!("{bonds} bonds in {}.html", output.display());
            show(json, || serde_json::json!({ "bonds": bonds }), &text)
        }
        Command::Inject { smmu, fault, times } => inject::run(json, smmu, fault, times),
        Command::Completion { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "svactl", &mut text);
            print(String::from_utf8_lossy(&text))
        }
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(e) if !e.use_stderr() => e.exit(),
        Err(e) => {
            // The first paragraph says what is wrong; it may list what is missing.
            let text = e.to_string();
            let said: Vec<_> = text
                .lines()
                .map(str::trim)
                .take_while(|line| !line.is_empty())
                .collect();
            let said = if text.starts_with("error: ") {
                said.join(" ")
            } else {
                "error: a command is missing: svactl --help lists them".into()
            };
            eprintln!("svactl: {said}");
            return ExitCode::from(2);
        }
    };

    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error(text)) => {
            eprintln!("svactl: error: {text}");
            ExitCode::FAILURE
        }
    }
}
