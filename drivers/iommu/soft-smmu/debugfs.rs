// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/debug/mock_smmu/smmu0/`, where the mock has it too: what the hardware holds, as
//! [`smmuv3::debugfs`] tells; `stats` has its counters. `driver` says whether a driver has it, and
//! has that leave and come back: the kernel's can be told so by nothing in sysfs.

use crate::{
    devices::Devices,
    smmu::NAME, //
};
use kernel::{
    debugfs::{
        Dir,
        Scope, //
    },
    fmt::{
        self,
        Formatter, //
    },
    prelude::*,
    sync::Arc,
    uaccess::UserSliceReader, //
};

/// The directory that has that of the SMMU: the same tests and tools look at it.
const TOP: &CStr = c"mock_smmu";

/// The directories; removed when dropped.
pub(crate) struct Shown {
    _scope: Pin<KBox<Scope<Arc<Devices>>>>,
    _top: Dir,
}

fn stats(devices: &Arc<Devices>, f: &mut Formatter<'_>) -> fmt::Result {
    smmuv3::debugfs::stats(devices.smmu().hw(), f)
}

fn driver(devices: &Arc<Devices>, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str(if devices.is_driven() {
        "bound\n"
    } else {
        "none\n"
    })
}

/// `unbind` has the driver leave, `bind` has it come back.
fn drive(devices: &Arc<Devices>, written: &mut UserSliceReader) -> Result {
    let mut text = [0; 8];
    let text = text.get_mut(..written.len()).ok_or(EINVAL)?;
    written.read_slice(text)?;
    match text.trim_ascii() {
        b"unbind" => devices.drive(false),
        b"bind" => devices.drive(true),
        _ => Err(EINVAL),
    }
}

/// Shows the SMMU of `devices`, where faults can be injected too. May sleep.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn show(devices: &Arc<Devices>) -> Result<Shown> {
    let top = Dir::new(TOP);
    let scope = top.scope(devices.clone(), NAME, |devices, dir| {
        smmuv3::debugfs::show(dir, devices.smmu().hw());
        dir.read_callback_file(c"stats", devices, &stats);
        dir.read_write_callback_file(c"driver", devices, &driver, &drive);
    });
    let scope = KBox::pin_init(scope, GFP_KERNEL)?;

    #[cfg(CONFIG_FAULT_INJECTION_DEBUG_FS)]
    devices
        .smmu()
        .hw()
        .inject(smmuv3::debugfs::faults::new(TOP, NAME)?);
    Ok(Shown {
        _scope: scope,
        _top: top,
    })
}
