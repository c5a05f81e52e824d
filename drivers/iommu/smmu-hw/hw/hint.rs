// SPDX-License-Identifier: GPL-2.0

//! Hints of devices at what they are about to use: E_PAGE_REQUEST (SMMUv3, 3.12.4.1 and 7.3.19).
//!
//! For devices without ATS, to which page requests are not open. Nobody waits for anything: a hint
//! may be dropped, by the SMMU and by software.

use crate::fmt::event::{
    Event,
    EventId, //
};

use super::{
    engine::Engine,
    pri::PAGE,
    translate::Transaction, //
};

/// Most pages that one hint is about.
const MOST: u64 = 255;

impl Engine {
    /// Tells software, if the SMMU does that, that the device will make accesses like `t` to `len`
    /// bytes from there on.
    pub(super) fn hint(&mut self, t: &Transaction, len: u64) {
        if !self.config.page_hints || !self.cr0().smmuen() || len == 0 {
            return;
        }
        let first = t.va & !(PAGE - 1);
        let span = len.saturating_add(t.va - first).div_ceil(PAGE);
        let event = Event::default()
            .with_id(EventId::PageRequest as u8)
            .with_sid(t.sid)
            .with_ssv(t.ssid.is_some())
            .with_ssid(t.ssid.unwrap_or(0))
            .with_address(first)
            // CAST: At most 255.
            .with_span(span.min(MOST) as u8);
        let access = t.access;
        let event = if access.privileged {
            event
                .with_priv_read(access.read)
                .with_priv_write(access.write)
                .with_priv_exec(access.exec)
        } else {
            event
                .with_user_read(access.read)
                .with_user_write(access.write)
                .with_user_exec(access.exec)
        };
        self.record(&event);
    }
}
