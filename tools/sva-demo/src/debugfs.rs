// SPDX-License-Identifier: GPL-2.0

//! What the kernel counts: `/sys/kernel/debug/sva`.

use std::{fs, io::Result};

const BONDS: &str = "/sys/kernel/debug/sva/bonds";
const STATS: &str = "/sys/kernel/debug/sva/stats";

/// A line of `bonds`.
#[derive(Clone, Debug, Default)]
pub struct Bond {
    pub pasid: u32,
    pub pid: i32,
    pub requests: u64,
    pub pages: u64,
    pub refused: u64,
}

/// The bonds of the devices of this demo.
pub fn bonds() -> Result<Vec<Bond>> {
    let text = fs::read_to_string(BONDS)?;
    let mut lines = text.lines().map(|line| line.split_whitespace());
    let header: Vec<_> = lines.next().into_iter().flatten().collect();

    Ok(lines
        .map(|line| {
            let mut bond = Bond::default();

            for (&name, value) in header.iter().zip(line) {
                match name {
                    "pasid" => bond.pasid = value.parse().unwrap_or_default(),
                    "pid" => bond.pid = value.parse().unwrap_or_default(),
                    "requests" => bond.requests = value.parse().unwrap_or_default(),
                    "pages" => bond.pages = value.parse().unwrap_or_default(),
                    "refused" => bond.refused = value.parse().unwrap_or_default(),
                    _ => (),
                }
            }
            bond
        })
        .collect())
}

/// The bond under `pasid`.
pub fn bond(pasid: u32) -> Result<Option<Bond>> {
    Ok(bonds()?.into_iter().find(|bond| bond.pasid == pasid))
}

/// The totals, by name.
pub fn stats() -> Result<Vec<(String, u64)>> {
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ')?;

        Some((name.to_string(), value.trim().parse().ok()?))
    };

    Ok(fs::read_to_string(STATS)?
        .lines()
        .filter_map(pair)
        .collect())
}
