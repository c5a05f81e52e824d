// SPDX-License-Identifier: GPL-2.0

//! For tests: accesses of devices, and what became of them.

use core::cell::Cell;

use kernel::{
    prelude::*,
    sync::{
        new_spinlock,
        Arc,
        Completion,
        SpinLock, //
    },
    workqueue, //
};
use kernel_test_ext::wait::wait_until;

use crate::{
    fmt::{
        cmd::Command,
        event::{
            Event,
            EventId, //
        },
        ppr::{
            PriEntry,
            Response, //
        }, //
    },
    hw::{
        Attrs,
        DmaError,
        DmaErrorKind,
        DmaResult,
        Port,
        PortConfig, //
    }, //
};

use super::{
    OneSpace,
    SSID,
    VA, //
};

pub(in crate::hw) const USER: Attrs = Attrs {
    privileged: false,
    exec: false,
};

/// A SubstreamID that leads nowhere.
const OTHER: u32 = 9;

/// A port that makes untranslated requests only.
pub(in crate::hw) const PLAIN: PortConfig = PortConfig {
    ats: false,
    ats_no_ssid: false,
    pri: false,
    needs_pasid: false,
    max_outstanding: 1,
    max_retries: 0,
    timeout_ms: 1000,
    gives_up: true,
};

/// A port that translates but cannot ask for pages.
pub(in crate::hw) const NO_PRI: PortConfig = PortConfig { ats: true, ..PLAIN };

/// Reads a byte.
pub(in crate::hw) fn read(port: &Port, ssid: Option<u32>, va: u64) -> Result<u8, DmaError> {
    let mut byte = [0xee];
    port.read(ssid, va, &mut byte, USER).map(|()| byte[0])
}

pub(in crate::hw) fn kind<T>(result: DmaResult<T>) -> Option<DmaErrorKind> {
    result.err().map(|e| e.kind)
}

pub(in crate::hw) fn aborted<T>(result: DmaResult<T>) -> bool {
    kind(result) == Some(DmaErrorKind::Aborted)
}

pub(in crate::hw) fn id(event: Option<Event>) -> Option<u8> {
    event.map(|event| event.id())
}

impl OneSpace {
    /// Fills the event queue, which has room for four, with events of another address space.
    pub(in crate::hw) fn fill_events(&self, port: &Port) {
        for i in 0..4 {
            assert!(aborted(read(port, Some(OTHER), VA + i)));
        }
    }

    /// Takes what [`Self::fill_events`] put in.
    pub(in crate::hw) fn take_filled(&self) {
        for _ in 0..4 {
            let event = self.bench.event();
            let expected = (EventId::BadCd as u8, OTHER);
            assert_eq!(event.map(|e| (e.id(), e.ssid())), Some(expected));
        }
    }

    /// Waits for a page request, for a while.
    pub(in crate::hw) fn next_request(&self) -> Option<PriEntry> {
        let found = Cell::new(None);

        wait_until(|| {
            found.set(self.bench.page_request());
            found.get().is_some()
        });
        found.get()
    }

    /// Answers the group of a page request.
    pub(in crate::hw) fn respond(&self, request: &PriEntry, response: Response) -> Result {
        let (ssid, group) = (Some(request.ssid()), request.group());
        let command = Command::pri_resp(request.sid(), ssid, group, response);
        self.bench.command(command)
    }
}

/// A thread that writes `len` bytes at `VA`.
pub(in crate::hw) fn start_write(port: &Arc<Port>, len: usize) -> Result<Arc<Job>> {
    let port = port.clone();
    let bytes = KVec::from_elem(0xa5, len, GFP_KERNEL)?;
    Job::start(move || port.write(Some(SSID), VA, &bytes, USER))
}

/// An access that another thread makes, while the test plays the driver.
#[pin_data]
pub(in crate::hw) struct Job {
    #[pin]
    done: Completion,
    #[pin]
    result: SpinLock<Option<DmaResult>>,
}

impl Job {
    pub(in crate::hw) fn start(
        access: impl FnOnce() -> DmaResult + Send + 'static,
    ) -> Result<Arc<Self>> {
        let job = Arc::pin_init(
            pin_init!(Self {
                done <- Completion::new(),
                result <- new_spinlock!(None),
            }),
            GFP_KERNEL,
        )?;
        let worker = job.clone();
        workqueue::system_long().try_spawn(GFP_KERNEL, move || {
            let result = access();
            *worker.result.lock() = Some(result);
            worker.done.complete_all();
        })?;
        Ok(job)
    }

    /// Waits for the end.
    pub(in crate::hw) fn join(&self) -> Option<DmaResult> {
        self.done.wait_for_completion();
        *self.result.lock()
    }
}
