// SPDX-License-Identifier: GPL-2.0

//! What an SMMU holds, as files in a directory of debugfs that its maker has:
//!
//! | file | holds |
//! |---|---|
//! | `regs` | the registers, by name |
//! | `ste` | stream table entries of the devices: `index: eight 64-bit words in hex` |
//! | `cd` | valid context descriptors: `sid ssid: eight 64-bit words in hex` |
//! | `cmdq`, `evtq`, `priq` | pointers, and the queue's last entries: `index: words in hex` |
//! | `tlb`, `atc` | cached translations: of the SMMU, and of each device |
//! | `strict` | records of strict mode |
//! | `fail_*/` | fault injection, see [`crate::inject`] |
//!
//! After each raw line of a table or queue, a line that begins with `#` tells what it means: the
//! fields that are not 0, by the names that [`fmt`](mod@crate::fmt) gives them.

mod caches;
#[cfg(CONFIG_FAULT_INJECTION_DEBUG_FS)]
pub mod faults;
mod meaning;
mod queues;
mod strict;
mod tables;

use crate::{
    fmt::regs,
    hw::Smmu, //
};
use kernel::{
    debugfs::ScopedDir,
    fmt::{
        self,
        Formatter, //
    },
    sync::Arc, //
};

/// Makes the files of `hw` in `dir`, but for those of fault injection. May sleep.
pub fn show<'data>(dir: &ScopedDir<'data, '_>, hw: &'data Arc<Smmu>) {
    dir.read_callback_file(c"regs", hw, &registers);
    dir.read_callback_file(c"ste", hw, &tables::stes);
    dir.read_callback_file(c"cd", hw, &tables::cds);
    dir.read_callback_file(c"cmdq", hw, &queues::commands);
    dir.read_callback_file(c"evtq", hw, &queues::events);
    dir.read_callback_file(c"priq", hw, &queues::page_requests);
    dir.read_callback_file(c"tlb", hw, &caches::tlb);
    dir.read_callback_file(c"atc", hw, &caches::atc);
    dir.read_write_callback_file(c"strict", hw, &strict::records, &strict::command);
}

/// Writes the counters of `hw`, a line each. May sleep.
///
/// # Errors
///
/// Those of `f`.
pub fn stats(hw: &Smmu, f: &mut Formatter<'_>) -> fmt::Result {
    let mut written = Ok(());

    hw.stats().each(|name, count| {
        written = written.and_then(|()| writeln!(f, "hw_{name}: {count}"));
    });
    written
}

/// Calls `visit` for each StreamID that has a port, by rising number.
fn streams(hw: &Smmu, mut visit: impl FnMut(u32) -> fmt::Result) -> fmt::Result {
    let mut next = hw.next_stream(0);

    while let Some(sid) = next {
        visit(sid)?;
        next = sid.checked_add(1).and_then(|from| hw.next_stream(from));
    }
    Ok(())
}

fn registers(hw: &Arc<Smmu>, f: &mut Formatter<'_>) -> fmt::Result {
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
        writeln!(f, "{name}: {:#010x}", hw.register32(offset))?;
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
        writeln!(f, "{name}: {:#018x}", hw.register64(offset))?;
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
