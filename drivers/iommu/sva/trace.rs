// SPDX-License-Identifier: GPL-2.0

//! Trace events: `sva:*`, as `include/trace/events/sva.h` describes them.
//!
//! The events are this module's own. What generic code calls is compiled into drivers, so it must
//! not be inlined there.

use crate::fault::refusal::Refusal;
use kernel::device::Device;
use kernel_ext::{
    attachment::FaultHandler,
    fault::{FaultGroup, Requests, Response},
    tracepoint::trace_enabled, //
};

mod events {
    use super::Device;

    kernel_ext::tracepoint::declare_trace! {
        pub(super) fn device_init(dev: &Device, features: u32, max_pasid: u32);
        pub(super) fn device_shutdown(dev: &Device);
        pub(super) fn bond_state(dev: &Device, pasid: u32, tgid: i32, state: u32);
        pub(super) fn bind(dev: &Device, pasid: u32, tgid: i32, flags: u32, refs: u64);
        pub(super) fn unbind(dev: &Device, pasid: u32, tgid: i32, flags: u32, refs: u64);
        pub(super) fn page_request(dev: &Device, pasid: u32, grpid: u32, addr: u64, access: u32);
        pub(super) fn page_response(
            dev: &Device,
            pasid: u32,
            grpid: u32,
            code: u32,
            requests: u64,
            latency: u64,
        );
        pub(super) fn refusal(
            dev: &Device,
            pasid: u32,
            grpid: u32,
            addr: u64,
            access: u32,
            reason: u32,
        );
        pub(super) fn mm_exit(dev: &Device, pasid: u32, tgid: i32);
        /// A range of addresses is taken from a process, or given back.
        pub(crate) fn carve(start: u64, end: u64, taken: bool);
    }
}

pub(crate) use events::carve;

/// What events say of a bond.
pub(crate) struct Traced<'a> {
    pub(crate) dev: &'a Device,
    pub(crate) pasid: u32,
    pub(crate) pid: i32,
    pub(crate) flags: u32,
}

/// A device has been initialised.
#[inline]
pub(crate) fn device_init(dev: &Device, features: u32, max_pasid: u32) {
    events::device_init(dev, features, max_pasid);
}

/// A device has been shut down.
#[inline]
pub(crate) fn device_shutdown(dev: &Device) {
    events::device_shutdown(dev);
}

/// What state a bond has come into, as numbered in the event.
#[derive(Clone, Copy)]
pub(crate) enum State {
    Making = 1,
    Live,
    Stopping,
    Ended,
}

/// A bond has come into this state, or is about to.
#[inline(never)]
pub(crate) fn bond_state(bond: Traced<'_>, state: State) {
    events::bond_state(bond.dev, bond.pasid, bond.pid, state as u32);
}

/// Whether somebody wants to know of each bind and unbind.
#[inline(never)]
pub(crate) fn counts() -> bool {
    trace_enabled!(bind) || trace_enabled!(unbind)
}

/// A bind has succeeded, and the bond counts `refs` now.
#[inline(never)]
pub(crate) fn bind(bond: Traced<'_>, refs: usize) {
    events::bind(bond.dev, bond.pasid, bond.pid, bond.flags, refs as u64);
}

/// The bond counts one less, or has ended.
#[inline(never)]
pub(crate) fn unbind(bond: Traced<'_>, refs: usize) {
    events::unbind(bond.dev, bond.pasid, bond.pid, bond.flags, refs as u64);
}

/// The driver will be told of the exit of the process.
#[inline]
pub(crate) fn mm_exit(bond: Traced<'_>) {
    events::mm_exit(bond.dev, bond.pasid, bond.pid);
}

/// A group of page requests has arrived. The clock is read only for those who want the latency.
#[inline]
pub(crate) fn page_requests<T: FaultHandler>(group: &mut FaultGroup<'_, T>) {
    if trace_enabled!(page_response) {
        group.note_arrival();
    }
    if trace_enabled!(page_request) {
        for request in group.iter() {
            events::page_request(
                group.device(),
                group.pasid(),
                group.index(),
                request.addr,
                request.access.into(),
            );
        }
    }
}

/// A group of page requests is about to be refused.
pub(crate) fn refusal(group: &Requests, refusal: &Refusal) {
    if trace_enabled!(refusal) {
        events::refusal(
            group.device(),
            group.pasid(),
            group.index(),
            refusal.addr,
            refusal.access.into(),
            refusal.reason as u32,
        );
    }
}

/// A group of page requests is about to be answered.
#[inline]
pub(crate) fn page_response(group: &Requests, response: Response) {
    if trace_enabled!(page_response) {
        events::page_response(
            group.device(),
            group.pasid(),
            group.index(),
            response.code(),
            group.len() as u64,
            group.since_arrival().unwrap_or(0),
        );
    }
}
