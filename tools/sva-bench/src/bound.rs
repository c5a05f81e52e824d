// SPDX-License-Identifier: GPL-2.0

//! What a bond costs its process, by page; and what devices cost it that go through memory in order.

use crate::{
    median, report_as,
    sys::{self, now, Bond, Mapping, PAGE},
};
use std::{
    fs::File,
    io::Write,
    sync::atomic::Ordering::Relaxed, //
};

/// How often each operation is measured.
const SAMPLES: usize = 301;

/// Pages of a stream.
const STREAM: usize = 2048;

/// Who is bound to what.
#[derive(Clone, Copy)]
struct Bound {
    side: &'static str,
    hardware: &'static str,
    devices: usize,
}

const UNBOUND: Bound = Bound {
    side: "cpu",
    hardware: "mock",
    devices: 0,
};

impl Bound {
    fn by(side: &'static str, devices: usize) -> Self {
        Self {
            side,
            devices,
            ..UNBOUND
        }
    }

    /// Binds this process.
    fn bond(self) -> Option<Bond> {
        match self.devices {
            0 => Some(Bond::none()),
            devices => Bond::new(self.side, self.hardware, devices),
        }
    }
}

/// An operation on one page of many, each of which has a neighbour that nothing is done to.
struct Operation {
    name: &'static str,
    /// The pages are shared with a child.
    forks: bool,
    act: fn(&Mapping, usize) -> bool,
}

const OPERATIONS: [Operation; 4] = [
    Operation {
        name: "copy-on-write break",
        forks: true,
        act: |memory, page| {
            memory.words()[page * PAGE / 8].store(2, Relaxed);
            true
        },
    },
    Operation {
        name: "mprotect",
        forks: false,
        act: Mapping::protect,
    },
    Operation {
        name: "madvise dontneed",
        forks: false,
        act: Mapping::forget,
    },
    Operation {
        name: "munmap of a page",
        forks: false,
        act: Mapping::unmap,
    },
];

/// The median of what `operation` costs on each of many pages; if `busy` the devices have just used
/// the page.
fn measure(operation: &Operation, bound: Bound, busy: bool) -> Option<u64> {
    let memory = Mapping::new(2 * SAMPLES)?;
    let nothing = sys::nothing();

    memory.touch();
    let bond = bound.bond()?;
    let _child = match operation.forks {
        true => Some(sys::Child::new()?),
        false => None,
    };
    let mut values = Vec::with_capacity(SAMPLES);
    for page in (0..2 * SAMPLES).step_by(2) {
        if busy && !bond.touch(memory.address(page)) {
            return None;
        }
        let begin = now();
        let done = (operation.act)(&memory, page);
        values.push((now() - begin).saturating_sub(nothing));
        if !done {
            return None;
        }
    }
    Some(median(values))
}

fn operations() -> Option<()> {
    for operation in &OPERATIONS {
        for (how, devices, busy) in [
            ("idle", 1, false),
            ("busy", 1, true),
            ("four idle", 4, false),
        ] {
            let row = format!("{}, {how}", operation.name);

            for side in ["cpu", "in_tree", "ours"] {
                let bound = Bound::by(side, if side == "cpu" { 0 } else { devices });
                // A process that was bound once is never as it was before.
                sys::apart(|| {
                    let value = measure(operation, bound, busy)?;
                    report_as(&row, side, value);
                    Some(())
                })?;
            }
        }
    }
    Some(())
}

/// What `rounds` cost of `flushes` and a job each.
fn mix(hardware: &'static str, flushes: usize, rounds: usize) -> Option<u64> {
    let memory = Mapping::new(2)?;
    let bound = Bound {
        hardware,
        ..Bound::by("ours", 1)
    };
    let bond = bound.bond()?;

    memory.touch();
    let begin = now();
    for _ in 0..rounds {
        for _ in 0..flushes {
            memory.forget(0).then_some(())?;
            memory.words()[0].store(1, Relaxed);
        }
        bond.touch(memory.address(1)).then_some(())?;
    }
    Some(now() - begin)
}

/// Of all mixes of flushes and jobs the one that sleeping makes dearest.
fn worst_mix() -> Option<()> {
    const FLUSHES: usize = 2048;
    let mut worst: Option<(u64, u64)> = None;

    for flushes in [1, 2, 4, 8, 9, 12, 16, 17, 20, 24, 32, 48, 64, 128] {
        let cost = |hardware| {
            let rounds = FLUSHES / flushes;

            sys::apart_with(|| mix(hardware, flushes, rounds).map(|cost| cost / rounds as u64))
        };
        let (sleeps, awake) = (cost("mock")?, cost("awake")?);

        if worst.is_none_or(|(s, a)| sleeps * a > s * awake) {
            worst = Some((sleeps, awake));
        }
    }
    let (sleeps, awake) = worst?;
    report_as("flushes and jobs, worst mix", "ours", sleeps);
    report_as("flushes and jobs, worst mix, never asleep", "ours", awake);
    Some(())
}

/// What a page costs of `memory` that is gone through in order, by the device or the CPU.
fn sweep(memory: &Mapping, bond: &Bond, write: bool) -> Option<u64> {
    let begin = now();

    if bond.is_none() {
        memory.sweep(write);
    } else {
        bond.sweep(memory.address(0), STREAM, write).then_some(())?;
    }
    Some((now() - begin) / STREAM as u64)
}

fn streams() -> Option<()> {
    for side in ["cpu", "in_tree", "ours"] {
        let bound = Bound::by(side, usize::from(side != "cpu"));

        sys::apart(|| {
            let memory = Mapping::new(STREAM)?;
            memory.touch();
            let bond = bound.bond()?;
            let _child = sys::Child::new()?;
            report_as(
                "page written after fork, stream",
                side,
                sweep(&memory, &bond, true)?,
            );
            Some(())
        })?;
        sys::apart(|| {
            let mut file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open("/sva-bench.data")
                .ok()?;
            (0..STREAM).try_for_each(|_| file.write_all(&[1; PAGE]).ok())?;
            let memory = Mapping::of(&file, STREAM)?;
            let bond = bound.bond()?;
            report_as("file stream", side, sweep(&memory, &bond, false)?);
            Some(())
        })?;
    }
    Some(())
}

/// All of it.
pub fn run() -> Option<()> {
    operations()?;
    worst_mix()?;
    streams()
}
