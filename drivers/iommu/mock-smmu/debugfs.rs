// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/debug/mock_smmu/<instance>/`.
//!
//! | file | holds |
//! |---|---|
//! | `regs` | the registers, by name |
//! | `ste` | stream table entries of the devices: `index: eight 64-bit words in hex` |
//! | `cd` | context descriptors in use: `sid ssid: eight 64-bit words in hex` |
//! | `cmdq`, `evtq`, `priq` | pointers, and the queue's last entries: `index: words in hex` |
//! | `tlb`, `atc` | cached translations: of the SMMU, and of each device |
//! | `stats` | counters |
//! | `strict` | records of strict mode |
//! | `fail_*/` | fault injection, see [`crate::inject`] |
//!
//! After each raw line of a table or queue, a line that begins with `#` tells what it means: the
//! fields that are not 0, by the names that [`crate::fmt`] gives them.

mod caches;
#[cfg(CONFIG_FAULT_INJECTION_DEBUG_FS)]
pub(crate) mod faults;
mod meaning;
mod queues;
mod strict;
mod tables;

use crate::{
    driver::Smmu,
    fmt::regs,
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
            dir.read_callback_file(c"regs", view, &registers);
            dir.read_callback_file(c"ste", view, &tables::stes);
            dir.read_callback_file(c"cd", view, &tables::cds);
            dir.read_callback_file(c"cmdq", view, &queues::commands);
            dir.read_callback_file(c"evtq", view, &queues::events);
            dir.read_callback_file(c"priq", view, &queues::page_requests);
            dir.read_callback_file(c"tlb", view, &caches::tlb);
            dir.read_callback_file(c"atc", view, &caches::atc);
            dir.read_callback_file(c"stats", view, &stats);
            dir.read_write_callback_file(c"strict", view, &strict::records, &strict::command);
        });
        Ok(Self {
            _scope: KBox::pin_init(scope, GFP_KERNEL)?,
        })
    }
}

fn registers(view: &View, f: &mut Formatter<'_>) -> fmt::Result {
    let regs = view.smmu.regs();
    for (name, offset) in [
        ("IDR0", regs::IDR0),
        ("IDR1", regs::IDR1),
        ("IDR2", regs::IDR2),
        ("IDR3", regs::IDR3),
        ("IDR4", regs::IDR4),
        ("IDR5", regs::IDR5),
        ("IIDR", regs::IIDR),
        ("AIDR", regs::AIDR),
        ("CR0", regs::CR0),
        ("CR0ACK", regs::CR0ACK),
        ("CR1", regs::CR1),
        ("CR2", regs::CR2),
        ("GBPA", regs::GBPA),
        ("IRQ_CTRL", regs::IRQ_CTRL),
        ("IRQ_CTRLACK", regs::IRQ_CTRLACK),
        ("GERROR", regs::GERROR),
        ("GERRORN", regs::GERRORN),
        ("STRTAB_BASE_CFG", regs::STRTAB_BASE_CFG),
        ("CMDQ_PROD", regs::CMDQ_PROD),
        ("CMDQ_CONS", regs::CMDQ_CONS),
        ("EVTQ_PROD", regs::EVTQ_PROD),
        ("EVTQ_CONS", regs::EVTQ_CONS),
        ("PRIQ_PROD", regs::PRIQ_PROD),
        ("PRIQ_CONS", regs::PRIQ_CONS),
        ("GERROR_IRQ_CFG1", regs::GERROR_IRQ_CFG0 + regs::MSI_DATA),
        ("EVTQ_IRQ_CFG1", regs::EVTQ_IRQ_CFG0 + regs::MSI_DATA),
        ("PRIQ_IRQ_CFG1", regs::PRIQ_IRQ_CFG0 + regs::MSI_DATA),
    ] {
        writeln!(f, "{name}: {:#010x}", regs.read32(offset))?;
    }
    for (name, offset) in [
        ("STRTAB_BASE", regs::STRTAB_BASE),
        ("CMDQ_BASE", regs::CMDQ_BASE),
        ("EVTQ_BASE", regs::EVTQ_BASE),
        ("PRIQ_BASE", regs::PRIQ_BASE),
        ("GERROR_IRQ_CFG0", regs::GERROR_IRQ_CFG0),
        ("EVTQ_IRQ_CFG0", regs::EVTQ_IRQ_CFG0),
        ("PRIQ_IRQ_CFG0", regs::PRIQ_IRQ_CFG0),
    ] {
        writeln!(f, "{name}: {:#018x}", regs.read64(offset))?;
    }
    Ok(())
}

/// Ends a line with the words of an entry.
fn words(f: &mut Formatter<'_>, words: &[u64]) -> fmt::Result {
    for word in words {
        write!(f, " {word:016x}")?;
    }
    writeln!(f)
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

    let stalls = view.smmu.stalls();
    for (name, value) in [
        ("stall_events", &stalls.events),
        ("stalls_refused", &stalls.refused),
        ("stall_resumes", &stalls.resumes),
    ] {
        writeln!(f, "{name}: {}", value.load(Relaxed))?;
    }
    writeln!(f, "event_overflows: {}", view.smmu.evtq().overflows())?;
    for (id, count) in view.smmu.evtq().counts() {
        writeln!(f, "event_{id:#04x}: {count}")?;
    }
    let mut written = Ok(());

    view.hw.stats().each(|name, count| {
        written = written.and_then(|()| writeln!(f, "hw_{name}: {count}"));
    });
    written
}
