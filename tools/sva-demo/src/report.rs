// SPDX-License-Identifier: GPL-2.0

//! What the user reads: a line for each part, and a table.

use crate::{accel::Accel, debugfs, Result};
use std::{
    env, fmt,
    fs::File,
    io::{stdout, Write},
    num::ParseIntError,
    str::FromStr,
    time::Instant,
};

/// The progress of the demo.
pub struct Steps {
    verified: usize,
    /// The kernel's trace, if that is recorded: see `svactl record`.
    marker: Option<File>,
}

impl Steps {
    pub fn new() -> Result<Self> {
        let marker = env::var_os("TRACE_MARKER").map(|path| File::options().write(true).open(path));

        Ok(Self {
            verified: 0,
            marker: marker.transpose()?,
        })
    }

    /// Runs a part, which tells what it has verified, and prints that with the time it took.
    pub fn run(
        &mut self,
        name: char,
        title: &str,
        part: impl FnOnce() -> Result<String>,
    ) -> Result<()> {
        let start = Instant::now();

        if let Some(marker) = &mut self.marker {
            marker.write_all(format!("{name} {title}").as_bytes())?;
        }

        print!("  {name}  ");
        stdout().flush()?;
        let what = part().map_err(|e| format!("part {name}: {e}"))?;

        println!("{what:<88} {:>6.2} s", start.elapsed().as_secs_f64());
        self.verified += 1;
        Ok(())
    }

    /// How many parts have been run, all with success.
    pub fn verified(&self) -> usize {
        self.verified
    }
}

/// What the kernel counts, if it can be seen.
#[derive(Clone, Copy, Debug)]
pub struct Count(Option<u64>);

const UNSEEN: &str = "-";

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(n) => n.fmt(f),
            None => f.pad(UNSEEN),
        }
    }
}

impl FromStr for Count {
    type Err = ParseIntError;

    fn from_str(text: &str) -> std::result::Result<Self, ParseIntError> {
        match text {
            UNSEEN => Ok(Self(None)),
            number => Ok(Self(Some(number.parse()?))),
        }
    }
}

/// What a process has had done by the device.
#[derive(Clone, Debug)]
pub struct Row {
    pub process: String,
    pub pasid: u32,
    pub jobs: u64,
    pub bytes: u64,
    pub requests: Count,
    pub pages: Count,
    pub refused: Count,
}

impl Row {
    /// Of the calling process, by what its context and the kernel say.
    pub fn of(process: &str, accel: &Accel) -> Result<Self> {
        let info = accel.info()?;
        let bond = debugfs::bond(info.pasid, std::process::id() as i32)?;
        let bond = bond.as_ref();

        Ok(Self {
            process: process.into(),
            pasid: info.pasid,
            jobs: info.jobs,
            bytes: info.bytes,
            requests: Count(bond.map(|bond| bond.requests)),
            pages: Count(bond.map(|bond| bond.pages)),
            refused: Count(bond.map(|bond| bond.refused)),
        })
    }

    /// As a line that [`Self::parse`] understands.
    pub fn to_line(&self) -> String {
        format!(
            "{},{},{},{},{},{},{}",
            self.process,
            self.pasid,
            self.jobs,
            self.bytes,
            self.requests,
            self.pages,
            self.refused
        )
    }

    /// Reads a line of [`Self::to_line`].
    pub fn parse(line: &str) -> Result<Self> {
        let fields: Vec<_> = line.split(',').collect();
        let [process, pasid, jobs, bytes, requests, pages, refused] = fields[..] else {
            return Err(format!("not a row: {line:?}").into());
        };

        Ok(Self {
            process: process.into(),
            pasid: pasid.parse()?,
            jobs: jobs.parse()?,
            bytes: bytes.parse()?,
            requests: requests.parse()?,
            pages: pages.parse()?,
            refused: refused.parse()?,
        })
    }
}

/// A row for each process.
#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    pub fn put(&mut self, row: Row) {
        self.0.push(row);
    }

    pub fn put_first(&mut self, row: Row) {
        self.0.insert(0, row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<24} {:>6} {:>6} {:>12} {:>14} {:>13} {:>15}",
            "process", "PASID", "jobs", "bytes", "page requests", "pages served", "faults refused"
        )?;
        for row in &self.0 {
            writeln!(
                f,
                "{:<24} {:>6} {:>6} {:>12} {:>14} {:>13} {:>15}",
                row.process, row.pasid, row.jobs, row.bytes, row.requests, row.pages, row.refused
            )?;
        }
        Ok(())
    }
}
