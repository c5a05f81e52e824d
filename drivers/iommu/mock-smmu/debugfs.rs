// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/debug/mock_smmu/<instance>/`.
//!
//! | file | holds |
//! |---|---|
//! | `stats` | counters of both halves |
//! | all others | what the hardware half holds, see [`smmuv3::debugfs`] |

use crate::{
    driver::Smmu,
    hw, //
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
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

/// The directory that has those of the instances.
pub(crate) const TOP: &CStr = c"mock_smmu";

/// What the files of an instance show.
pub(crate) struct View {
    /// The driver half.
    pub(crate) smmu: Arc<Smmu>,
    /// The hardware half.
    pub(crate) hw: Arc<hw::Smmu>,
}

/// The directory of an instance; removed when dropped.
pub(crate) struct InstanceDir {
    _scope: Pin<KBox<Scope<View>>>,
}

impl InstanceDir {
    /// Makes the directory `name` in `parent`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(parent: &Dir, name: &CStr, view: View) -> Result<Self> {
        let scope = parent.scope(view, name, |view, dir| {
            smmuv3::debugfs::show(dir, &view.hw);
            dir.read_callback_file(c"stats", view, &stats);
        });
        Ok(Self {
            _scope: KBox::pin_init(scope, GFP_KERNEL)?,
        })
    }
}

fn stats(view: &View, f: &mut Formatter<'_>) -> fmt::Result {
    let cmdq = view.smmu.cmdq().stats();
    writeln!(f, "commands: {}", cmdq.commands)?;
    writeln!(f, "syncs: {}", cmdq.syncs)?;
    writeln!(f, "command_errors: {}", cmdq.errors)?;
    writeln!(f, "command_timeouts: {}", cmdq.timeouts)?;

    let pri = view.smmu.priq().stats();
    for (name, counter) in [
        ("page_requests", &pri.requests),
        ("page_request_groups", &pri.groups),
        ("stop_markers", &pri.stop_markers),
        ("page_responses", &pri.responses),
        ("page_requests_refused", &pri.refused),
        ("pri_overflows", &pri.overflows),
    ] {
        writeln!(f, "{name}: {}", counter.load(Relaxed))?;
    }

    let (stalls, idle) = (view.smmu.stalls(), view.smmu.idle());
    for (name, value) in [
        ("stall_events", &stalls.events),
        ("stalls_refused", &stalls.refused),
        ("stall_resumes", &stalls.resumes),
        ("sleeps", &idle.sleeps),
        ("wakes", &idle.wakes),
    ] {
        writeln!(f, "{name}: {}", value.load(Relaxed))?;
    }
    writeln!(f, "event_overflows: {}", view.smmu.evtq().overflows())?;
    for (id, count) in view.smmu.evtq().counts() {
        writeln!(f, "event_{id:#04x}: {count}")?;
    }
    smmuv3::debugfs::stats(&view.hw, f)
}
