// SPDX-License-Identifier: GPL-2.0

//! Hints of devices that stall: the pages come early, so that the accesses need not wait.
//!
//! A hint is reported like the page requests that would follow, but nobody waits for the answers.
//! (SMMUv3, 3.12.4.1.)

use super::Smmu;
use crate::fmt::event::Event;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};
use kernel_ext::{
    fault::{
        Access,
        AccessKind, //
    },
    iopf_queue::FaultReport, //
};

/// The group index of what nobody waits for: those of page request groups and of stalled
/// transactions are others.
const HINTED: u32 = 1 << 17;

/// Most pages that are fetched for one hint.
const MOST: u64 = 64;

/// The unit of a hint's span.
const UNIT: u64 = 4096;

/// Whether a response to `group` is one that nobody waits for.
pub(super) fn is_hint(group: u32) -> bool {
    group == HINTED
}

/// The pages that a hint is about.
fn pages(event: &Event) -> impl Iterator<Item = u64> {
    let (start, page) = (event.address(), PAGE_SIZE as u64);
    let end = start.saturating_add(u64::from(event.span()) * UNIT);
    let first = start & !(page - 1);
    let count = (end - first).div_ceil(page).min(MOST);
    (0..count).map(move |i| first.wrapping_add(i * page))
}

/// The accesses that a hint announces.
fn access(event: &Event) -> Access {
    let mut access = Access::default();
    for (wanted, kind) in [
        (event.user_read() || event.priv_read(), AccessKind::Read),
        (event.user_write() || event.priv_write(), AccessKind::Write),
        (event.user_exec() || event.priv_exec(), AccessKind::Exec),
        (
            event.priv_read() || event.priv_write() || event.priv_exec(),
            AccessKind::Privileged,
        ),
    ] {
        if wanted {
            access |= kind;
        }
    }
    access
}

impl Smmu {
    /// Has the pages of a hint fetched, as far as somebody serves the device's faults there. For
    /// the event queue's thread.
    pub(super) fn serve_hint(&self, event: &Event) {
        let Some(client) = self.client(event.sid()) else {
            return;
        };
        let pasid = event.ssv().then(|| event.ssid());
        for addr in pages(event) {
            if !client.data().stalls() {
                return;
            }
            // As for what stalls: a detach removes the bond first and then drains.
            let Some(addr) = client.data().untagged(pasid, addr) else {
                return;
            };
            // Whether it can be served is for the access to find out.
            let _ = client.faults().report(FaultReport {
                pasid,
                group: HINTED,
                last: true,
                access: access(event),
                addr,
            });
        }
    }
}

#[kunit_tests(smmu_driver_hint)]
mod tests {
    use super::*;

    const PAGE: u64 = PAGE_SIZE as u64;

    #[test]
    fn e_page_request_spans() {
        let span = |address, span| {
            let event = Event::default().with_address(address).with_span(span);
            (pages(&event).next(), pages(&event).count() as u64)
        };
        assert_eq!(span(8 * PAGE, 0).1, 0);
        assert_eq!(span(8 * PAGE, 1), (Some(8 * PAGE), 1));
        // CAST: A page has at most sixteen units.
        let unit = (PAGE / UNIT) as u8;
        assert_eq!(span(8 * PAGE, 2 * unit), (Some(8 * PAGE), 2));
        assert_eq!(
            span(9 * PAGE - UNIT, 2 * unit),
            (
                Some(9 * PAGE - UNIT & !(PAGE - 1)),
                if unit == 1 { 2 } else { 3 }
            )
        );
        assert_eq!(span(0, 255).1, MOST.min((255 * UNIT).div_ceil(PAGE)));
        // At the very end of the addresses.
        assert_eq!(span(u64::MAX & !(UNIT - 1), 255).1, 1);
    }

    #[test]
    fn e_page_request_accesses() {
        let user = Event::default().with_user_read(true).with_user_exec(true);
        assert_eq!(access(&user), AccessKind::Read | AccessKind::Exec);
        let privileged = Event::default().with_priv_write(true);
        assert_eq!(
            access(&privileged),
            AccessKind::Write | AccessKind::Privileged
        );
    }

    #[test]
    fn hints_are_neither_groups_nor_stags() {
        assert!(is_hint(HINTED));
        for group in [0, 511, 1 << 16, 1 << 16 | 0xffff] {
            assert!(!is_hint(group));
        }
    }
}
