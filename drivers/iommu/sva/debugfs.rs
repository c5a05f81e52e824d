// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/debug/sva`: `bonds` and `stats`.

use crate::{
    core::{Core, CORE},
    stats::FaultStats,
};
use kernel::{
    debugfs::{Dir, File},
    fmt::{self, Formatter},
    prelude::*,
};

/// The files; they go when this is dropped.
#[pin_data]
pub(crate) struct Debugfs {
    #[pin]
    bonds: File<()>,
    #[pin]
    stats: File<()>,
}

impl Debugfs {
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        let dir = Dir::new(c"sva");
        let again = dir.clone();

        try_pin_init!(Self {
            bonds <- dir.read_callback_file(c"bonds", (), &bonds),
            stats <- again.read_callback_file(c"stats", (), &stats),
        })
    }
}

/// A line for each bond.
fn bonds(_: &(), f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(
        f,
        "{:<16} {:>5} {:>7} {:>7} {:>4} {:<10} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "device",
        "group",
        "pasid",
        "pid",
        "refs",
        "flags",
        "requests",
        "pages",
        "refused",
        "ahead",
        "pinned"
    )?;
    let Some(core) = CORE.get() else {
        return Ok(());
    };

    for device in core.devices().map_err(|_| fmt::Error)? {
        for bond in device.bonds().map_err(|_| fmt::Error)? {
            let refs = bond.refs();

            if refs == 0 {
                continue;
            }
            writeln!(
                f,
                "{:<16} {:>5} {:>7} {:>7} {:>4} {:<10} {:>8} {:>8} {:>8} {:>8} {:>8}",
                device.endpoint.dev().name().to_str().unwrap_or("?"),
                device.endpoint.group().id(),
                bond.pasid,
                bond.pid,
                refs,
                bond.flags.name(),
                bond.faults.stats.requests.get(),
                bond.faults.stats.served.get(),
                bond.faults.stats.refused.get(),
                bond.faults.stats.read_ahead.get(),
                bond.pins.pages(),
            )?;
        }
    }
    Ok(())
}

/// A line for each total, `name value`.
fn stats(_: &(), f: &mut Formatter<'_>) -> fmt::Result {
    let Some(core) = CORE.get() else {
        return Ok(());
    };
    let (faults, devices, bonds) = live(&core).map_err(|_| fmt::Error)?;
    let totals = &core.totals;

    writeln!(f, "devices {devices}")?;
    writeln!(f, "bonds {bonds}")?;
    writeln!(f, "address_spaces {}", core.count_spaces())?;
    writeln!(f, "binds {}", totals.binds.get())?;
    writeln!(f, "unbinds {}", totals.unbinds.get())?;
    writeln!(f, "exits {}", totals.exits.get())?;
    writeln!(f, "page_request_groups {}", faults.groups.get())?;
    writeln!(f, "page_requests {}", faults.requests.get())?;
    writeln!(f, "pages_served {}", faults.served.get())?;
    writeln!(f, "faults_refused {}", faults.refused.get())?;
    writeln!(f, "pages_there_before {}", faults.ready.get())?;
    writeln!(f, "page_requests_deferred {}", faults.deferred.get())?;
    writeln!(f, "pages_read_ahead {}", faults.read_ahead.get())?;
    writeln!(f, "pages_read_ahead_wasted {}", faults.wasted.get())
}

/// The faults of all bonds, ended or not, and how many devices and bonds there are.
fn live(core: &Core) -> Result<(FaultStats, usize, usize)> {
    let sum = FaultStats::default();
    let mut live = 0;
    let devices = core.devices()?;

    sum.absorb(&core.totals.ended);
    for device in &devices {
        let bonds = device.bonds()?;

        live += bonds.len();
        for bond in &bonds {
            sum.absorb(&bond.faults.stats);
        }
    }
    Ok((sum, devices.len(), live))
}
