// SPDX-License-Identifier: GPL-2.0

//! The queues: their pointers, and the entries written last.

use super::{
    meaning,
    words,
    View, //
};
use crate::fmt::{
    event::Event,
    ppr::PriEntry,
    queue::Layout,
    regs, //
};
use kernel::fmt::{
    self,
    Formatter, //
};

/// How many entries are shown.
const SHOWN: u32 = 32;

/// Pointers and last entries; `peek` gives an entry, and `tell` says what it means.
fn queue<const N: usize>(
    f: &mut Formatter<'_>,
    layout: Layout,
    (prod, cons): (u32, u32),
    peek: impl Fn(u32) -> [u64; N],
    tell: impl Fn(&mut Formatter<'_>, [u64; N]) -> fmt::Result,
) -> fmt::Result {
    writeln!(
        f,
        "entries {} prod {prod:#x} cons {cons:#x}",
        layout.entries()
    )?;
    for back in (1..=SHOWN.min(layout.entries())).rev() {
        let position = layout.position(prod.wrapping_sub(back));
        let entry = peek(position);
        write!(f, "{}:", layout.index(position))?;
        words(f, &entry)?;
        tell(f, entry)?;
    }
    Ok(())
}

pub(super) fn commands(view: &View, f: &mut Formatter<'_>) -> fmt::Result {
    let (regs, cmdq) = (view.smmu.regs(), view.smmu.cmdq());
    queue(
        f,
        cmdq.layout(),
        (regs.read32(regs::CMDQ_PROD), regs.read32(regs::CMDQ_CONS)),
        |position| cmdq.peek(position).words(),
        |f, words| meaning::command(f, &crate::fmt::cmd::Command::from_words(words)),
    )
}

pub(super) fn events(view: &View, f: &mut Formatter<'_>) -> fmt::Result {
    let evtq = view.smmu.evtq().queue();
    queue(
        f,
        evtq.layout(),
        (evtq.prod(), evtq.cons()),
        |position| evtq.peek(position),
        |f, words| meaning::event(f, &Event::from_words(words)),
    )
}

pub(super) fn page_requests(view: &View, f: &mut Formatter<'_>) -> fmt::Result {
    let priq = view.smmu.priq().queue();
    queue(
        f,
        priq.layout(),
        (priq.prod(), priq.cons()),
        |position| priq.peek(position),
        |f, words| {
            let request = PriEntry::from_words(words);
            let name = if request.is_stop_marker() {
                "stop marker"
            } else {
                ""
            };
            meaning::fields(f, name, |visit| request.each(visit))
        },
    )
}
