// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/debug/mock_smmu/smmu0/`, where the mock has it too: what the hardware holds, as
//! [`smmuv3::debugfs`] tells; `stats` has its counters.

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
    sync::Arc, //
};
use smmuv3::hw::Smmu;

/// The directory that has that of the SMMU: the same tests and tools look at it.
const TOP: &CStr = c"mock_smmu";

/// What the SMMU's is called.
const NAME: &CStr = c"smmu0";

/// The directories; removed when dropped.
pub(crate) struct Shown {
    _scope: Pin<KBox<Scope<Arc<Smmu>>>>,
    _top: Dir,
}

fn stats(hw: &Arc<Smmu>, f: &mut Formatter<'_>) -> fmt::Result {
    smmuv3::debugfs::stats(hw, f)
}

/// Shows `hw`, where faults can be injected too. May sleep.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn show(hw: &Arc<Smmu>) -> Result<Shown> {
    let top = Dir::new(TOP);
    let scope = top.scope(hw.clone(), NAME, |hw, dir| {
        smmuv3::debugfs::show(dir, hw);
        dir.read_callback_file(c"stats", hw, &stats);
    });
    let scope = KBox::pin_init(scope, GFP_KERNEL)?;

    #[cfg(CONFIG_FAULT_INJECTION_DEBUG_FS)]
    hw.inject(smmuv3::debugfs::faults::new(TOP, NAME)?);
    Ok(Shown {
        _scope: scope,
        _top: top,
    })
}
