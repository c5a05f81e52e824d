// SPDX-License-Identifier: GPL-2.0

//! The queues: their pointers, and the entries written last.

use super::{
    meaning,
    words, //
};
use crate::{
    fmt::{
        cmd::Command,
        event::Event,
        ppr::PriEntry, //
    },
    hw::{
        Smmu,
        WhichQueue, //
    }, //
};
use kernel::{
    fmt::{
        self,
        Formatter, //
    },
    sync::Arc, //
};

/// How many entries are shown.
const SHOWN: u32 = 32;

/// Pointers and last entries of queue `which`; `tell` says what an entry of `N` words means.
fn queue<const N: usize>(
    hw: &Smmu,
    f: &mut Formatter<'_>,
    which: WhichQueue,
    tell: impl Fn(&mut Formatter<'_>, [u64; N]) -> fmt::Result,
) -> fmt::Result {
    let (layout, prod, cons) = hw.queue_pointers(which);

    writeln!(
        f,
        "entries {} prod {prod:#x} cons {cons:#x}",
        layout.entries()
    )?;
    for back in (1..=SHOWN.min(layout.entries())).rev() {
        let position = layout.position(prod.wrapping_sub(back));
        let index = layout.index(position);
        let Some(entry) = hw.queue_entry(which, index) else {
            continue;
        };
        let mut entry_words = [0; N];
        entry_words.copy_from_slice(&entry[..N]);

        write!(f, "{index}:")?;
        words(f, &entry_words)?;
        tell(f, entry_words)?;
    }
    Ok(())
}

pub(super) fn commands(hw: &Arc<Smmu>, f: &mut Formatter<'_>) -> fmt::Result {
    queue(hw, f, WhichQueue::Commands, |f, words| {
        meaning::command(f, &Command::from_words(words))
    })
}

pub(super) fn events(hw: &Arc<Smmu>, f: &mut Formatter<'_>) -> fmt::Result {
    queue(hw, f, WhichQueue::Events, |f, words| {
        meaning::event(f, &Event::from_words(words))
    })
}

pub(super) fn page_requests(hw: &Arc<Smmu>, f: &mut Formatter<'_>) -> fmt::Result {
    queue(hw, f, WhichQueue::PageRequests, |f, words| {
        let request = PriEntry::from_words(words);
        let name = if request.is_stop_marker() {
            "stop marker"
        } else {
            ""
        };
        meaning::fields(f, name, |visit| request.each(visit))
    })
}
