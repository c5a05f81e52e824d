// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/debug/mock_smmu/<instance>/`.
//!
//! | file | holds |
//! |---|---|
//! | `regs` | the registers, by name |
//! | `ste` | stream table entries of the devices: `index: eight 64-bit words in hex` |
//! | `cd` | context descriptors in use: `sid ssid: eight 64-bit words in hex` |
//! | `cmdq`, `evtq`, `priq` | pointers, and the queue's last entries: `index: words in hex` |
//! | `stats` | counters, and the first records of strict mode |

use crate::{
    driver::Smmu,
    fmt::{
        queue::Layout,
        regs, //
    },
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

/// How many entries of a queue are shown.
const SHOWN: u32 = 32;

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
            dir.read_callback_file(c"ste", view, &stes);
            dir.read_callback_file(c"cd", view, &cds);
            dir.read_callback_file(c"cmdq", view, &cmdq);
            dir.read_callback_file(c"evtq", view, &evtq);
            dir.read_callback_file(c"priq", view, &priq);
            dir.read_callback_file(c"stats", view, &stats);
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
        ("IDR3", regs::IDR3),
        ("IDR5", regs::IDR5),
        ("CR0", regs::CR0),
        ("CR0ACK", regs::CR0ACK),
        ("CR2", regs::CR2),
        ("GBPA", regs::GBPA),
        ("IRQ_CTRL", regs::IRQ_CTRL),
        ("GERROR", regs::GERROR),
        ("GERRORN", regs::GERRORN),
        ("STRTAB_BASE_CFG", regs::STRTAB_BASE_CFG),
        ("CMDQ_PROD", regs::CMDQ_PROD),
        ("CMDQ_CONS", regs::CMDQ_CONS),
        ("EVTQ_PROD", regs::EVTQ_PROD),
        ("EVTQ_CONS", regs::EVTQ_CONS),
        ("PRIQ_PROD", regs::PRIQ_PROD),
        ("PRIQ_CONS", regs::PRIQ_CONS),
    ] {
        writeln!(f, "{name}: {:#010x}", regs.read32(offset))?;
    }
    for (name, offset) in [
        ("STRTAB_BASE", regs::STRTAB_BASE),
        ("CMDQ_BASE", regs::CMDQ_BASE),
        ("EVTQ_BASE", regs::EVTQ_BASE),
        ("PRIQ_BASE", regs::PRIQ_BASE),
    ] {
        writeln!(f, "{name}: {:#018x}", regs.read64(offset))?;
    }
    Ok(())
}

fn words(f: &mut Formatter<'_>, words: &[u64]) -> fmt::Result {
    for word in words {
        write!(f, " {word:016x}")?;
    }
    writeln!(f)
}

fn stes(view: &View, f: &mut Formatter<'_>) -> fmt::Result {
    view.smmu.for_each_client(|sid, _| {
        let Some(ste) = view.smmu.streams().read(sid) else {
            return Ok(());
        };
        write!(f, "{sid:#x}:")?;
        words(f, &ste.words())
    })
}

fn cds(view: &View, f: &mut Formatter<'_>) -> fmt::Result {
    view.smmu.for_each_client(|sid, client| {
        let master = client.data();
        let bonds = master.bonds().lock();
        for &ssid in bonds.keys() {
            let slot = master.cds().and_then(|cds| cds.find(ssid));
            if let Some(slot) = slot {
                write!(f, "{sid:#x} {ssid:#x}:")?;
                words(f, &slot.read().words())?;
            }
        }
        Ok(())
    })
}

/// Pointers and last entries of a queue.
fn queue<const N: usize>(
    f: &mut Formatter<'_>,
    layout: Layout,
    prod: u32,
    cons: u32,
    peek: impl Fn(u32) -> [u64; N],
) -> fmt::Result {
    writeln!(
        f,
        "entries {} prod {prod:#x} cons {cons:#x}",
        layout.entries()
    )?;
    for back in (1..=SHOWN.min(layout.entries())).rev() {
        let position = layout.position(prod.wrapping_sub(back));
        write!(f, "{}:", layout.index(position))?;
        words(f, &peek(position))?;
    }
    Ok(())
}

fn cmdq(view: &View, f: &mut Formatter<'_>) -> fmt::Result {
    let (regs, cmdq) = (view.smmu.regs(), view.smmu.cmdq());
    queue(
        f,
        cmdq.layout(),
        regs.read32(regs::CMDQ_PROD),
        regs.read32(regs::CMDQ_CONS),
        |position| cmdq.peek(position).words(),
    )
}

fn evtq(view: &View, f: &mut Formatter<'_>) -> fmt::Result {
    let evtq = view.smmu.evtq().queue();
    queue(f, evtq.layout(), evtq.prod(), evtq.cons(), |position| {
        evtq.peek(position)
    })
}

fn priq(view: &View, f: &mut Formatter<'_>) -> fmt::Result {
    let priq = view.smmu.priq().queue();
    queue(f, priq.layout(), priq.prod(), priq.cons(), |position| {
        priq.peek(position)
    })
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

    writeln!(f, "event_overflows: {}", view.smmu.evtq().overflows())?;
    for (id, count) in view.smmu.evtq().counts() {
        writeln!(f, "event_{id:#04x}: {count}")?;
    }
    let mut written = Ok(());

    view.hw.stats().each(|name, count| {
        written = written.and_then(|()| writeln!(f, "hw_{name}: {count}"));
    });
    written?;

    let mut index = 0;
    while let Some(record) = view.hw.strict_record(index) {
        writeln!(f, "strict_record: {record:x?}")?;
        index += 1;
    }
    Ok(())
}
