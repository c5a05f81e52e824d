// SPDX-License-Identifier: GPL-2.0

//! Translation requests of PCIe devices (SMMUv3, 3.9).

use core::cell::Cell;

use smmuv3::hw::Config;

use super::{
    bits,
    config::Route,
    id,
    Access,
    Arena,
    Outcome,
    Quirks,
    Reference,
    Setup,
    PAGE, //
};

/// F_BAD_ATS_TREQ.
const BAD_ATS_TREQ: u64 = 0x05;

/// What a device is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It may access this physical address.
    Place(u64),
    /// It may not, for now.
    Missing,
    /// It asks for what there is not: words 0 and 2 of the event, if there is one.
    Abort(Option<[u64; 2]>),
}

/// What the device of `access` is told of its address, and what became of the tables; `None` if
/// that would leave the arena.
pub(crate) fn answer(
    arena: &Arena,
    setup: &Setup,
    able: &Config,
    access: &Access,
) -> Option<(Answer, Outcome)> {
    let mut reference = Reference {
        arena,
        setup,
        able,
        quirks: Quirks::NONE,
        access,
        strayed: Cell::new(false),
        outcome: Outcome::default(),
    };
    let answer = reference.answer();
    (!reference.strayed.get()).then_some((answer, reference.outcome))
}

impl Reference<'_> {
    fn bad_request(&self) -> Answer {
        let page = self.access.va & !(PAGE - 1);
        Answer::Abort(Some([self.head(BAD_ATS_TREQ), page]))
    }

    fn answer(&mut self) -> Answer {
        const ABORT: Answer = Answer::Abort(None);

        if !self.setup.enabled {
            return self.bad_request();
        }
        let Ok(entry) = self.stream_table_entry() else {
            return ABORT;
        };
        if bits(entry[0], 0, 0) == 1 && bits(entry[0], 3, 1) == 4 {
            return self.bad_request();
        }
        // Errors of the configuration are not recorded; those of the entry come first, then that
        // it has no ATS, then those of SubstreamIDs.
        let route = self.route(&entry);
        let bad_entry = matches!(
            route,
            Err((_, Some([word, ..]))) if word & 0xff == id::BAD_STE
        );
        if bad_entry || matches!(route, Ok(Route::Abort)) {
            return ABORT;
        }
        if bits(entry[1], 29, 28) != 1 {
            return self.bad_request();
        }
        let va = self.access.va;
        let ssid = match route {
            Ok(Route::Context(ssid)) => ssid,
            Ok(Route::Bypass) => return self.pass(va).map_or(ABORT, Answer::Place),
            _ => return ABORT,
        };
        let Ok(context) = self.context(&entry, ssid) else {
            return ABORT;
        };
        match self.translate(&context, va) {
            Ok(phys) => Answer::Place(phys),
            Err(super::walk::Failure::Fault(_)) => Answer::Missing,
            Err(super::walk::Failure::Fetch(_)) => ABORT,
        }
    }
}
