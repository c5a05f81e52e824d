// SPDX-License-Identifier: GPL-2.0

//! The work of a started queue: from the doorbell to completion records.

use crate::{
    isolation::Isolation,
    queue::Doorbell, //
};
use accel_engine::{
    dma::{
        everywhere,
        PasidBus, //
    },
    engine::{
        self,
        BUFFER, //
    },
    uapi::{
        Descriptor,
        Status,
        DESC_ALIGN, //
    }, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::Atomic,
        Arc, //
    },
    time::{
        delay::fsleep,
        Delta,
        Instant, //
    }, //
};
use kernel_ext::{
    bindings::MOCK_UACCE_MAX_ENTRIES,
    thread::Stop,
    uacce::Waiters, //
};
use smmuv3::api::Dma;

/// How long the device takes to notice its doorbell.
const IDLE: Delta = Delta::from_micros(100);

/// A ring of descriptors in the memory of a process.
///
/// # Invariants
///
/// `entries` is a power of two, at most [`MOCK_UACCE_MAX_ENTRIES`]; the ring does not wrap around
/// the end of the address space.
#[derive(Clone, Copy)]
pub(crate) struct Ring {
    addr: u64,
    entries: u32,
}

impl Ring {
    const STRIDE: u64 = size_of::<Descriptor>() as u64;

    /// # Errors
    ///
    /// `EINVAL` for one that cannot be.
    pub(crate) fn new(addr: u64, entries: u32) -> Result<Self> {
        let good = entries.is_power_of_two()
            && entries <= MOCK_UACCE_MAX_ENTRIES
            && addr % u64::from(DESC_ALIGN) == 0
            && addr
                .checked_add(u64::from(entries) * Self::STRIDE)
                .is_some();

        // INVARIANT: Just checked.
        good.then_some(Self { addr, entries }).ok_or(EINVAL)
    }

    /// Where the descriptor is that is carried out after `head` others.
    fn descriptor(&self, head: u32) -> u64 {
        self.addr + u64::from(head & (self.entries - 1)) * Self::STRIDE
    }

    /// Whether there is something to do for `tail`.
    fn has_work(&self, head: u32, tail: u32) -> bool {
        (1..=self.entries).contains(&tail.wrapping_sub(head))
    }
}

/// What a started queue works with.
pub(crate) struct Worker {
    dma: Dma,
    isolation: Arc<Isolation>,
    pasid: u32,
    ring: Ring,
    doorbell: Arc<Doorbell>,
    waiters: Arc<Waiters>,
    stopped: Arc<Atomic<bool>>,
    buffer: KVVec<u8>,
}

impl Worker {
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(
        dma: Dma,
        isolation: Arc<Isolation>,
        pasid: u32,
        ring: Ring,
        doorbell: Arc<Doorbell>,
        waiters: Arc<Waiters>,
        stopped: Arc<Atomic<bool>>,
    ) -> Result<Self> {
        Ok(Self {
            dma,
            isolation,
            pasid,
            ring,
            doorbell,
            waiters,
            stopped,
            buffer: KVVec::from_elem(0, BUFFER, GFP_KERNEL)?,
        })
    }

    /// Works until it is told to stop, or the device is isolated.
    pub(crate) fn run(mut self, stop: &Stop) {
        let mut head = 0u32;

        while !stop.requested() {
            let work = self.ring.has_work(head, self.doorbell.tail());

            if !work || self.isolation.isolated() || !self.carry_out(head) {
                fsleep(IDLE);
                continue;
            }
            head = head.wrapping_add(1);
            self.doorbell.set_head(head);
            self.waiters.wake();
        }
    }

    /// Carries out one descriptor, up to its completion record; whether it came to an end.
    fn carry_out(&mut self, head: u32) -> bool {
        let bus = PasidBus {
            dma: &self.dma,
            pasid: Some(self.pasid),
            stopped: &self.stopped,
            reach: &everywhere,
            // The kernel's own bond tells nobody.
            reason: &|_| 0,
        };
        let outcome = engine::run(&bus, self.ring.descriptor(head), &mut self.buffer);

        // What a process may not do is no error of the device.
        if outcome.completion.status == Status::BusError as u32
            && self.isolation.error(Instant::now())
        {
            pr_warn!("too many errors: the device is isolated\n");
        }
        outcome.completion.status != Status::Stopped as u32
    }
}

#[kunit_tests(mock_uacce_ring)]
mod tests {
    use super::*;

    #[test]
    fn uacce_rings() {
        for (addr, entries, good) in [
            (0x1000, 1, true),
            (0x1000, MOCK_UACCE_MAX_ENTRIES, true),
            (0x1000, 2 * MOCK_UACCE_MAX_ENTRIES, false),
            (0x1000, 0, false),
            (0x1000, 3, false),
            (0x1020, 4, false),
            (u64::MAX - 127, 1, true),
            (u64::MAX - 127, 2, false),
        ] {
            assert_eq!(Ring::new(addr, entries).is_ok(), good);
        }
    }

    #[test]
    fn uacce_doorbell_values() -> Result {
        let ring = Ring::new(0x1000, 4)?;

        assert_eq!(ring.descriptor(5), 0x1000 + 64);
        for (head, tail, work) in [
            (0, 0, false),
            (0, 1, true),
            (0, 4, true),
            (0, 5, false),
            (1, 0, false),
            (u32::MAX, 1, true),
        ] {
            assert_eq!(ring.has_work(head, tail), work);
        }
        Ok(())
    }
}
