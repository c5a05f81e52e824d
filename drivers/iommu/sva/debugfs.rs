// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/debug/sva`: `bonds` and `stats`, and in `devices` a file for each device.

use crate::{
    bond::{
        core::{Core, Gallery, CORE},
        device::SvaDevice,
        Bond,
    },
    fault::{
        refusal::Reason,
        stats::{FaultTotals, Totals},
    },
};
use core::any::Any;
use kernel::{
    debugfs::{Dir, File},
    device::Device,
    fmt::{self, Formatter},
    prelude::*,
    str::CString,
    sync::Arc,
};
use kernel_ext::devres;

/// The files that are there as long as the module; they go when this is dropped.
#[pin_data]
pub(crate) struct Debugfs {
    #[pin]
    bonds: File<()>,
    #[pin]
    stats: File<()>,
    #[pin]
    refused: File<()>,
}

impl Debugfs {
    /// The folder of all our files.
    pub(crate) fn root() -> Dir {
        Dir::new(c"sva")
    }

    pub(crate) fn new(root: Dir) -> impl PinInit<Self, Error> {
        let (for_stats, for_refused) = (root.clone(), root.clone());

        try_pin_init!(Self {
            bonds <- root.read_callback_file(c"bonds", (), &bonds),
            stats <- for_stats.read_callback_file(c"stats", (), &stats),
            refused <- for_refused.read_callback_file(c"refused", (), &refused),
        })
    }
}

/// The folder of the devices' files.
pub(crate) struct DeviceFiles(Dir);

/// The file of one device. Dropping it waits for those who are just reading it, who take the locks
/// of the device, of its group and of address spaces.
struct DeviceFile(#[expect(dead_code)] Pin<KBox<File<Arc<SvaDevice>>>>);

/// The file of a device that is not initialised. Dropping it waits for those who are just reading it,
/// who take the lock of the reasons.
struct RefusedFile(#[expect(dead_code)] Pin<KBox<File<CString>>>);

impl DeviceFiles {
    pub(crate) fn new(root: &Dir) -> Self {
        Self(root.subdir(c"devices"))
    }
}

impl Gallery for DeviceFiles {
    /// Makes the file of `device`, under its name. A device whose name another one has gets no file,
    /// and that is no error.
    fn show(&self, device: &Arc<SvaDevice>) -> Result<KBox<dyn Any + Send + Sync>> {
        let name = device.endpoint.dev().name();
        let file = KBox::pin_init(
            self.0.read_callback_file(name, device.clone(), &one_device),
            GFP_KERNEL,
        )?;

        Ok(KBox::new(DeviceFile(file), GFP_KERNEL)?)
    }

    fn show_refused(&self, name: &CStr) -> Result<KBox<dyn Any + Send + Sync>> {
        let whose = CString::try_from(name)?;
        let file = KBox::pin_init(
            self.0.read_callback_file(name, whose, &one_refused),
            GFP_KERNEL,
        )?;

        Ok(KBox::new(RefusedFile(file), GFP_KERNEL)?)
    }
}

fn name(dev: &Device) -> &str {
    dev.name().to_str().unwrap_or("?")
}

/// A line for each bond.
fn bonds(_: &(), f: &mut Formatter<'_>) -> fmt::Result {
    bonds_header(f)?;
    let Some(core) = CORE.get() else {
        return Ok(());
    };

    for device in core.devices().map_err(|_| fmt::Error)? {
        for bond in device.bonds().map_err(|_| fmt::Error)? {
            bond_line(&bond, f)?;
        }
    }
    Ok(())
}

fn bonds_header(f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(
        f,
        "{:<16} {:>5} {:>7} {:>7} {:>4} {:<10} {:>8} {:>8} {:>8} {:>8} {:>8}  process",
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
    )
}

/// Nothing, if the bond has ended.
fn bond_line(bond: &Bond, f: &mut Formatter<'_>) -> fmt::Result {
    let endpoint = &bond.device.endpoint;
    let refs = bond.refs();
    let faults = FaultTotals::of(&bond.attachment);

    if refs == 0 {
        return Ok(());
    }
    writeln!(
        f,
        "{:<16} {:>5} {:>7} {:>7} {:>4} {:<10} {:>8} {:>8} {:>8} {:>8} {:>8}  {}",
        name(endpoint.dev()),
        endpoint.group().id(),
        bond.pasid,
        bond.space.pid,
        refs,
        bond.shown().name(),
        faults.requests(),
        faults.served(),
        faults.all.refused.get(),
        faults.all.read_ahead.get(),
        bond.pins.pages(),
        process(bond),
    )
}

/// The name of the process that bound.
fn process(bond: &Bond) -> &str {
    let name = CStr::from_bytes_until_nul(&bond.space.comm);

    name.ok().and_then(|name| name.to_str().ok()).unwrap_or("?")
}

/// What a device is and has: lines `name value`, the members of its group, and after an empty
/// line its bonds.
fn one_device(device: &Arc<SvaDevice>, f: &mut Formatter<'_>) -> fmt::Result {
    let group = device.endpoint.group();
    let bonds = device.bonds().map_err(|_| fmt::Error)?;
    let faults = FaultTotals::default();

    faults.add_totals(&device.totals.ended);
    for bond in &bonds {
        faults.add(&bond.attachment);
    }
    writeln!(f, "features {}", device.features.name())?;
    writeln!(f, "min_pasid {}", device.min_pasid)?;
    writeln!(f, "max_pasid {}", device.max_pasid)?;
    writeln!(f, "group {}", group.id())?;
    for member in &group.members().map_err(|_| fmt::Error)? {
        let features = devres::find::<SvaDevice>(member).map_or("-", |there| there.features.name());

        writeln!(f, "member {} {features}", name(member))?;
    }
    device
        .core
        .refusals
        .each(Some(device.endpoint.dev().name()), |_, why, times| {
            writeln!(f, "refused {times} {why}")
        })?;
    writeln!(f, "bonds {}", bonds.len())?;
    write_totals(&device.totals, &faults, f)?;
    writeln!(f)?;
    bonds_header(f)?;
    for bond in &bonds {
        bond_line(bond, f)?;
    }
    Ok(())
}

/// Why a device is not initialised.
fn one_refused(name: &CString, f: &mut Formatter<'_>) -> fmt::Result {
    let Some(core) = CORE.get() else {
        return Ok(());
    };

    core.refusals.each(Some(name), |_, why, times| {
        writeln!(f, "refused {times} {why}")
    })
}

/// Why devices could not be initialised or bound: a line for each reason, the last ones.
fn refused(_: &(), f: &mut Formatter<'_>) -> fmt::Result {
    let Some(core) = CORE.get() else {
        return Ok(());
    };

    core.refusals.each(None, |dev, why, times| {
        writeln!(f, "{} {times} {why}", dev.to_str().unwrap_or("?"))
    })
}

/// A line for each total, `name value`.
fn stats(_: &(), f: &mut Formatter<'_>) -> fmt::Result {
    let Some(core) = CORE.get() else {
        return Ok(());
    };
    let (faults, devices, bonds) = live(&core).map_err(|_| fmt::Error)?;

    writeln!(f, "devices {devices}")?;
    writeln!(f, "bonds {bonds}")?;
    writeln!(f, "address_spaces {}", core.count_spaces())?;
    for (name, value) in [
        ("waiting", core.waits.count() as u64),
        ("over_limit", core.waits.over_limit.get()),
        ("timed_out", core.waits.timed_out.get()),
    ] {
        writeln!(f, "page_request_groups_{name} {value}")?;
    }
    for reason in Reason::ALL {
        write!(f, "page_request_groups_refused")?;
        for word in reason.text().split(' ') {
            write!(f, "_{word}")?;
        }
        writeln!(f, " {}", core.waits.refused(reason).get())?;
    }
    write_totals(&core.totals, &faults, f)
}

fn write_totals(totals: &Totals, faults: &FaultTotals, f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(f, "binds {}", totals.binds.get())?;
    writeln!(f, "unbinds {}", totals.unbinds.get())?;
    writeln!(f, "exits {}", totals.exits.get())?;
    writeln!(f, "page_request_groups {}", faults.groups.get())?;
    writeln!(f, "page_requests {}", faults.requests())?;
    writeln!(f, "pages_served {}", faults.served())?;
    writeln!(f, "faults_refused {}", faults.all.refused.get())?;
    writeln!(f, "pages_there_before {}", faults.all.ready.get())?;
    writeln!(f, "page_requests_deferred {}", faults.all.deferred.get())?;
    writeln!(f, "pages_read_ahead {}", faults.all.read_ahead.get())?;
    writeln!(f, "pages_read_ahead_wasted {}", faults.all.wasted.get())
}

/// The faults of all bonds, ended or not, and how many devices and bonds there are.
fn live(core: &Core) -> Result<(FaultTotals, usize, usize)> {
    let sum = FaultTotals::default();
    let mut live = 0;
    let devices = core.devices()?;

    sum.add_totals(&core.totals.ended);
    sum.add_spare(&core.waits);
    for device in &devices {
        let bonds = device.bonds()?;

        live += bonds.len();
        for bond in &bonds {
            // Members of a group share one.
            if bond.attachment.is_through(device.endpoint.dev()) {
                sum.add(&bond.attachment);
            }
        }
    }
    Ok((sum, devices.len(), live))
}
