// SPDX-License-Identifier: GPL-2.0

//! Read-ahead: a device that goes through memory in order gets pages before it asks for them.
//!
//! Each attachment remembers a few streams: the page that each should ask for next. A request for
//! just that page makes the stream's window grow, and as many pages are faulted in after it. A
//! stream that never comes to the end of its window has wasted it; the more that happens, the longer
//! a new stream must go on before it gets one.
//!
//! All of it is guesswork: several threads may serve requests of one attachment, and where two
//! disagree on a stream, one of them wins.

use kernel::{
    prelude::*,
    sync::atomic::{ordering::Relaxed, Atomic},
};

/// How many streams are told apart: a copy has two.
const STREAMS: usize = 4;
/// The window of a stream that gets its first, in pages.
const FIRST_WINDOW: u64 = 4;
/// The largest window there is, in pages.
const MAX_WINDOW: u32 = 512;
/// At most, a new stream must ask 2^this times in order.
const MAX_CAUTION: i8 = 5;

/// The streams of one attachment.
pub(crate) struct Streams {
    streams: [Atomic<u64>; STREAMS],
    /// Where to look first for a place.
    hand: Atomic<i8>,
    /// Log2 of how often a stream must have asked in order before it gets a window.
    caution: Atomic<i8>,
}

/// One stream, in a word: the first page at which it goes on, how often it has asked in order, up to
/// [`Self::MAX_RUN`], and its window: how many pages before the one that it should ask for next it
/// did not ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stream(u64);

impl Stream {
    const WINDOW_BITS: u32 = 10;
    const RUN_BITS: u32 = 6;
    const MAX_RUN: u64 = (1 << Self::RUN_BITS) - 1;
    /// Goes on nowhere.
    const NONE: Self = Self(u64::MAX << (Self::WINDOW_BITS + Self::RUN_BITS));

    fn new(next: u64, run: u64, window: u64) -> Self {
        let first = next.saturating_sub(window);

        Self((first << Self::RUN_BITS | run) << Self::WINDOW_BITS | window)
    }

    /// The page number that it should ask for next.
    fn next(self) -> u64 {
        self.first() + self.window()
    }

    fn first(self) -> u64 {
        self.0 >> (Self::WINDOW_BITS + Self::RUN_BITS)
    }

    fn run(self) -> u64 {
        self.0 >> Self::WINDOW_BITS & Self::MAX_RUN
    }

    fn window(self) -> u64 {
        self.0 & ((1 << Self::WINDOW_BITS) - 1)
    }

    fn load(from: &Atomic<u64>) -> Self {
        Self(from.load(Relaxed))
    }

    fn store(self, to: &Atomic<u64>) {
        to.store(self.0, Relaxed);
    }

    /// Whether a request for `page` goes on with it: what it has got already may reach a window
    /// further than was read ahead, or less far.
    fn goes_on(self, page: u64) -> bool {
        page.wrapping_sub(self.first()) <= 2 * self.window()
    }
}

/// What to read ahead for a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    slot: usize,
    run: u64,
    /// How many pages; may be 0.
    pub(crate) window: u64,
}

/// What a request was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next of a stream: to be [settled](Streams::settle).
    Stream(Plan),
    /// The first of what may be one. So many pages that were read ahead for another are taken for
    /// wasted, since it is forgotten.
    New { wasted: u64 },
}

impl Default for Streams {
    /// No streams yet.
    fn default() -> Self {
        Self {
            streams: [const { Atomic::new(Stream::NONE.0) }; STREAMS],
            hand: Atomic::new(0),
            caution: Atomic::new(0),
        }
    }
}

impl Streams {
    /// Takes note of a request for the pages from number `first` to before `end`, of which at
    /// least one was not there. Up to `max` pages are to be read ahead; with 0 none.
    #[inline(always)]
    pub(crate) fn advance(&self, first: u64, end: u64, max: u32) -> Step {
        let max = u64::from(max.min(MAX_WINDOW));

        if max == 0 {
            return Step::New { wasted: 0 };
        }
        let streams = self.streams.each_ref().map(Stream::load);

        for (slot, stream) in streams.into_iter().enumerate() {
            if stream.goes_on(first) {
                return Step::Stream(self.plan(slot, stream, first, end, max));
            }
        }
        Step::New {
            wasted: self.begin(end, streams),
        }
    }

    fn plan(&self, slot: usize, stream: Stream, first: u64, end: u64, max: u64) -> Plan {
        let caution = self.caution.load(Relaxed);
        let run = (stream.run() + 1).min(Stream::MAX_RUN);
        let window = if first < stream.next() {
            // Less was read ahead than should have been, or it is gone again.
            stream.window() / 2
        } else if stream.window() > 0 {
            if caution > 0 {
                self.caution.store(caution - 1, Relaxed);
            }
            stream.window() * 2
        } else if run >= 1 << caution {
            FIRST_WINDOW.max(end - first)
        } else {
            0
        };

        Plan {
            slot,
            run,
            window: window.min(max),
        }
    }

    /// Takes note that everything before page number `next` is there, `window` pages of which were
    /// not asked for.
    pub(crate) fn settle(&self, plan: Plan, next: u64, window: u64) {
        Stream::new(next, plan.run, window).store(&self.streams[plan.slot]);
    }

    /// Remembers that a stream may have begun, which should ask for `next`. Gives how many pages
    /// another has wasted.
    #[inline(always)]
    fn begin(&self, next: u64, streams: [Stream; STREAMS]) -> u64 {
        let mut hand = self.hand.load(Relaxed) as usize % STREAMS;

        // One that went on often is given more time than one that did not.
        for _ in 1..STREAMS {
            let stream = streams[hand];

            if stream.run() == 0 {
                break;
            }
            Stream::new(stream.next(), stream.run() / 2, stream.window())
                .store(&self.streams[hand]);
            hand = (hand + 1) % STREAMS;
        }
        let wasted = streams[hand].window();

        if wasted > 0 {
            let caution = self.caution.load(Relaxed);

            self.caution.store((caution + 1).min(MAX_CAUTION), Relaxed);
        }
        Stream::new(next, 0, 0).store(&self.streams[hand]);
        // CAST: Less than `STREAMS`.
        self.hand.store(((hand + 1) % STREAMS) as i8, Relaxed);
        wasted
    }
}

#[kunit_tests(sva_read_ahead)]
mod tests {
    use super::*;

    /// A device that asks for `page` and gets all that is read ahead. How many pages that were.
    fn ask(streams: &Streams, page: u64) -> u64 {
        match streams.advance(page, page + 1, 64) {
            Step::Stream(plan) => {
                streams.settle(plan, page + 1 + plan.window, plan.window);
                plan.window
            }
            Step::New { .. } => 0,
        }
    }

    /// How many requests a stream of `pages` takes.
    fn stream(streams: &Streams, first: u64, pages: u64) -> u64 {
        let (mut page, mut requests) = (first, 0);

        while page < first + pages {
            page += 1 + ask(streams, page);
            requests += 1;
        }
        requests
    }

    #[test]
    fn words_hold_streams() {
        let word = Atomic::new(0);

        for (next, run, window) in [
            (0, 0, 0),
            (512, Stream::MAX_RUN, u64::from(MAX_WINDOW)),
            ((1 << 48) - 1, 1, 3),
        ] {
            let stream = Stream::new(next, run, window);

            stream.store(&word);
            assert_eq!(Stream::load(&word), stream);
            assert_eq!(stream.next(), next);
            assert_eq!(stream.run(), run);
            assert_eq!(stream.window(), window);
        }
    }

    #[test]
    fn window_grows_in_order() {
        let streams = Streams::default();

        assert_eq!(ask(&streams, 100), 0);
        assert_eq!(ask(&streams, 101), 4);
        assert_eq!(ask(&streams, 106), 8);
        assert_eq!(ask(&streams, 115), 16);
        assert_eq!(ask(&streams, 132), 32);
        assert_eq!(ask(&streams, 165), 64);
        assert_eq!(ask(&streams, 230), 64);
    }

    #[test]
    fn stream_takes_few_requests() {
        assert!(stream(&Streams::default(), 1 << 30, 4096) <= 4096 / 32);
    }

    #[test]
    fn two_streams_at_once() {
        let streams = Streams::default();
        let (mut src, mut dst, mut requests) = (1000, 900_000, 0);

        while src < 1000 + 4096 {
            src += 1 + ask(&streams, src);
            dst += 1 + ask(&streams, dst);
            requests += 2;
        }
        assert!(requests <= 2 * 4096 / 32);
    }

    #[test]
    fn groups_are_one_step() {
        let streams = Streams::default();

        assert_eq!(streams.advance(64, 128, 64), Step::New { wasted: 0 });
        assert!(matches!(
            streams.advance(128, 192, 64),
            Step::Stream(Plan { window: 64, .. })
        ));
    }

    #[test]
    fn random_requests_read_nothing() {
        let streams = Streams::default();
        let (mut page, mut read) = (12345_u64, 0);

        for _ in 0..1000 {
            page = page
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            read += ask(&streams, 1 + (page >> 40));
        }
        assert_eq!(read, 0);
    }

    #[test]
    fn waste_makes_cautious() {
        let streams = Streams::default();
        let mut read = 0;

        // Pairs: each looks like a stream at first.
        for pair in 0..1000 {
            let page = 1 + pair * 10_000;

            read += ask(&streams, page) + ask(&streams, page + 1);
        }
        assert!(read <= 8 * FIRST_WINDOW);
        // One that goes on is believed in the end.
        assert!(stream(&streams, 1 << 30, 4096) <= 4096 / 16);
        // And the next one at once.
        assert!(stream(&streams, 1 << 31, 4096) <= 4096 / 32);
    }

    #[test]
    fn wasted_windows_are_counted() {
        let streams = Streams::default();
        let mut wasted = 0;

        ask(&streams, 10);
        assert_eq!(ask(&streams, 11), 4);
        for i in 0..16 {
            if let Step::New { wasted: more } =
                streams.advance(1 << (20 + i), (1 << (20 + i)) + 1, 64)
            {
                wasted += more;
            }
        }
        assert_eq!(wasted, 4);
    }

    #[test]
    fn read_ahead_that_fell_short_shrinks() {
        let streams = Streams::default();

        ask(&streams, 10);
        assert_eq!(ask(&streams, 11), 4);
        assert_eq!(ask(&streams, 16), 8);
        // 17 to 24 were to be there, but 20 is not.
        assert_eq!(ask(&streams, 20), 4);
    }

    #[test]
    fn off_reads_nothing() {
        let streams = Streams::default();

        assert_eq!(ask(&streams, 10), 0);
        assert_eq!(ask(&streams, 11), 4);
        assert_eq!(streams.advance(16, 17, 0), Step::New { wasted: 0 });
    }
}
