// SPDX-License-Identifier: GPL-2.0

//! The thread that sees what software writes to registers, and has the hardware act on it.
//!
//! The kernel's driver waits for a SYNC with interrupts off, for a second at most. If it does that
//! on the thread's processor, the thread cannot run, and the SYNC times out. So a processor is kept
//! for the thread: the guest's command line keeps others off it (`isolcpus=`).

use kernel::{
    prelude::*,
    processor::cpu_relax,
    sync::Arc,
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    }, //
};
use kernel_ext::thread::{
    KThread,
    Stop, //
};
use smmuv3::hw::Smmu;

/// How long the thread goes on looking after there was something to do.
const BUSY: Delta = Delta::from_micros(200);

/// How long it sleeps between looks after that.
const IDLE: Delta = Delta::from_micros(20);

/// When it is told that the thread did not look: half of what the driver waits for a SYNC.
const LATE: Delta = Delta::from_millis(500);

/// Looks until it is told to stop.
fn look(hw: &Smmu, stop: &Stop) {
    let mut last = Instant::<Monotonic>::now();
    let mut looked = last;

    while !stop.requested() {
        let away = looked.elapsed();
        let busy = hw.poll();

        if looked.elapsed() > LATE {
            let (away, all) = (away.as_millis(), looked.elapsed().as_millis());
            pr_warn!("no look for {all} ms, {away} ms of them not running: isolcpus=?\n");
        }
        looked = Instant::now();
        if busy {
            last = looked;
        } else if last.elapsed() > BUSY {
            fsleep(IDLE);
        } else {
            cpu_relax();
            stop.yield_now();
        }
    }
}

/// Starts the thread on processor `cpu`. Dropping the result ends it; sleeps.
///
/// # Errors
///
/// `EINVAL` if there is no such processor; `ENOMEM`.
pub(crate) fn start(hw: Arc<Smmu>, cpu: u32) -> Result<KThread> {
    KThread::spawn_on(Some(cpu), c"soft-smmu", move |stop| look(&hw, stop))
}
