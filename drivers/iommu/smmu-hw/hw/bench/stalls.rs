// SPDX-License-Identifier: GPL-2.0

//! For tests: accesses that stall, while the test plays the driver.

use kernel::{
    prelude::*,
    sync::Arc, //
};
use kernel_test_ext::wait::wait_until;

use crate::{
    fmt::{
        cmd::{
            Command,
            Resume, //
        },
        event::Event,
        regs, //
    },
    hw::{
        Config,
        DmaErrorKind,
        Port, //
    }, //
};

use super::{
    kind,
    set_cd,
    Job,
    OneSpace,
    ASID,
    SSID,
    USER, //
};

/// Like [`OneSpace`], but faults stall.
pub(in crate::hw) fn stalling(config: Config) -> Result<OneSpace> {
    let one = OneSpace::with_config(config)?;
    set_cd(
        &one.cds,
        SSID as usize,
        &one.space.cd(ASID).with_s(true).with_r(false),
    )?;
    Ok(one)
}

/// A thread that writes a byte at `va`.
pub(in crate::hw) fn write_at(port: &Arc<Port>, va: u64) -> Result<Arc<Job>> {
    let port = port.clone();
    Job::start(move || port.write(Some(SSID), va, b"1", USER))
}

/// How the access ended.
pub(in crate::hw) fn join(job: &Job) -> Option<DmaErrorKind> {
    job.join().and_then(kind)
}

/// Waits until `condition` holds, for a while.
pub(in crate::hw) fn wait_for(condition: impl Fn() -> bool) -> Result {
    wait_until(condition).then_some(()).ok_or(ETIMEDOUT)
}

impl OneSpace {
    /// Waits for an event, for a while.
    pub(in crate::hw) fn next_event(&self) -> Result<Event> {
        wait_for(|| {
            let regs = &self.bench.regs;
            regs.read32(regs::EVTQ_PROD) & 7 != regs.read32(regs::EVTQ_CONS) & 7
        })?;
        self.bench.event().ok_or(EIO)
    }

    /// Ends the stall of which `event` tells.
    pub(in crate::hw) fn resume(&self, event: &Event, how: Resume) -> Result {
        let command = Command::resume(event.sid(), event.stag(), how);
        self.bench.command(command)
    }
}
