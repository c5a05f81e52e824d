// SPDX-License-Identifier: GPL-2.0

//! Who hears of refused page requests: the drivers of an attachment's bonds that want to.
//!
//! They are called by who is about to answer the group, with the lock of their list held: so a bond
//! that has been taken off it is not being called, and will not be. Where nothing is refused nobody
//! comes here.

use super::refusal::Refusal;
use kernel::{
    device::Device,
    new_mutex,
    prelude::*,
    sync::{Mutex, SetOnce},
    time::{Instant, Monotonic},
};
use kernel_ext::fault::Requests;

/// How many groups a bond's driver is told of in a [`PERIOD`].
const MOST: u32 = 256;
/// In ms.
const PERIOD: i64 = 1000;

/// A driver that hears of refusals.
pub(crate) trait Hear: Send + Sync {
    /// A page request group of `dev` under `pasid` was refused, and will be answered when this
    /// returns. May sleep, but must not wait for a page, nor call anything of ours.
    fn refused(&self, dev: &Device, pasid: u32, refusal: &Refusal);
}

/// The drivers of one attachment's bonds that hear of refusals. Most attachments have none, and no
/// room for any.
pub(crate) struct Hearers(SetOnce<Pin<KBox<Room>>>);

/// Room for them, made with the first under the lock of the address space.
#[pin_data]
struct Room {
    #[pin]
    list: Mutex<KVec<Hearer>>,
}

/// One of them.
pub(crate) struct Hearer {
    /// The address of its device.
    dev: usize,
    hear: KBox<dyn Hear>,
    rate: Rate,
}

/// How much one is told of.
struct Rate {
    since: Instant<Monotonic>,
    told: u32,
    untold: u32,
}

impl Rate {
    /// Whether to tell of one more at `now`: of how many others it was not.
    fn next(&mut self, now: Instant<Monotonic>) -> Option<u32> {
        if (now - self.since).as_millis() >= PERIOD {
            self.since = now;
            self.told = 0;
        }
        if self.told == MOST {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.told += 1;
        Some(core::mem::take(&mut self.untold))
    }
}

fn address(dev: &Device) -> usize {
    core::ptr::from_ref(dev).addr()
}

impl Hearers {
    pub(super) fn new() -> Self {
        Self(SetOnce::new())
    }

    /// Has `hear` called for what `dev` asks for and does not get. Only one task at a time may call
    /// this. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn add(&self, dev: &Device, hear: KBox<dyn Hear>) -> Result {
        if self.0.as_ref().is_none() {
            let room = pin_init!(Room {
                list <- new_mutex!(KVec::new(), "sva_hearers"),
            });

            self.0.populate(KBox::pin_init(room, GFP_KERNEL)?);
        }
        let hearer = Hearer {
            dev: address(dev),
            hear,
            rate: Rate {
                since: Instant::now(),
                told: 0,
                untold: 0,
            },
        };
        let room = self.0.as_ref().ok_or(ENOMEM)?;

        Ok(room.list.lock().push(hearer, GFP_KERNEL)?)
    }

    /// Has nothing called for `dev` any more: on return no call is under way. Gives what was, whose
    /// drop may be code of the driver's. May sleep.
    pub(crate) fn remove(&self, dev: &Device) -> Option<Hearer> {
        let mut list = self.0.as_ref()?.list.lock();
        let at = list.iter().position(|there| there.dev == address(dev))?;

        list.remove(at).ok()
    }

    /// Tells of a group that is about to be refused. May sleep.
    #[cold]
    pub(super) fn tell(&self, group: &Requests, refusal: &Refusal) {
        let Some(room) = self.0.as_ref() else {
            return;
        };
        let mut list = room.list.lock();
        let device = group.device();

        for hearer in list.iter_mut().filter(|there| there.dev == address(device)) {
            if let Some(untold) = hearer.rate.next(Instant::now()) {
                let refusal = Refusal { untold, ..*refusal };

                hearer.hear.refused(device, group.pasid(), &refusal);
            }
        }
    }
}

#[kunit_tests(sva_hearers)]
mod tests {
    use super::*;
    use kernel::time::Delta;

    #[test]
    fn rate_tells_later_how_many() {
        let begin = Instant::now();
        let mut rate = Rate {
            since: begin,
            told: 0,
            untold: 0,
        };

        for _ in 0..MOST {
            assert_eq!(rate.next(begin), Some(0));
        }
        assert_eq!(rate.next(begin), None);
        assert_eq!(rate.next(begin + Delta::from_millis(PERIOD - 1)), None);
        assert_eq!(rate.next(begin + Delta::from_millis(PERIOD)), Some(2));
        assert_eq!(rate.next(begin + Delta::from_millis(PERIOD)), Some(0));
    }
}
