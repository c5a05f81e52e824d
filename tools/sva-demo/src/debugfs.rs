// SPDX-License-Identifier: GPL-2.0

//! What the kernel counts: `/sys/kernel/debug/sva`.

use std::{
    fs,
    io::{ErrorKind, Result},
};

const BONDS: &str = "/sys/kernel/debug/sva/bonds";
const STATS: &str = "/sys/kernel/debug/sva/stats";

/// A file's text; `None` if the kernel has no debugfs, nobody has mounted it, or it is root's.
fn read(path: &str) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) => match e.kind() {
            ErrorKind::NotFound | ErrorKind::PermissionDenied => Ok(None),
            _ => Err(e),
        },
    }
}

/// A line of `bonds`.
#[derive(Clone, Debug, Default)]
pub struct Bond {
    pub pasid: u32,
    pub pid: i32,
    pub requests: u64,
    pub pages: u64,
    pub refused: u64,
}

/// The bonds of the devices of this demo; `None` without debugfs.
pub fn bonds() -> Result<Option<Vec<Bond>>> {
    Ok(read(BONDS)?.map(|text| parse(&text)))
}

fn parse(text: &str) -> Vec<Bond> {
    let mut lines = text.lines().map(|line| line.split_whitespace());
    let header: Vec<_> = lines.next().into_iter().flatten().collect();

    lines
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
        .collect()
}

/// The bond of process `pid` under `pasid`, which must be there; `None` without debugfs.
pub fn bond(pasid: u32, pid: i32) -> crate::Result<Option<Bond>> {
    let Some(bonds) = bonds()? else {
        return Ok(None);
    };
    let mut bonds: Vec<_> = bonds
        .into_iter()
        .filter(|bond| bond.pasid == pasid)
        .collect();

    if pasid == 0 {
        // That says which process as little as nothing does.
        bonds.retain(|bond| bond.pid == pid);
    }
    let bond = bonds
        .into_iter()
        .next()
        .ok_or_else(|| format!("no bond with PASID {pasid} in {BONDS}"))?;

    crate::verify(bond.pid == pid, || {
        format!("PASID {pasid} is bound to process {}", bond.pid)
    })?;
    Ok(Some(bond))
}

/// The totals, by name; `None` without debugfs.
pub fn stats() -> Result<Option<Vec<(String, u64)>>> {
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ')?;

        Some((name.to_string(), value.trim().parse().ok()?))
    };

    Ok(read(STATS)?.map(|text| text.lines().filter_map(pair).collect()))
}
