// SPDX-License-Identifier: GPL-2.0

//! For tests: configuration structures, and what is wrong with them.

use crate::{
    fmt::{
        event::EventId,
        ste::{
            self,
            Ste, //
        }, //
    },
    hw::config::Reject, //
};

/// Why a structure was rejected.
pub(in crate::hw) fn rejected<T>(result: Result<T, Reject>) -> Option<EventId> {
    result.err().map(|reject| reject.event)
}

/// The entry of a stream with 64 substreams, whose descriptors are nowhere.
pub(in crate::hw) fn substreams() -> Ste {
    Ste::default()
        .with_v(true)
        .with_config(ste::CONFIG_S1)
        .with_s1_cd_max(6)
}
