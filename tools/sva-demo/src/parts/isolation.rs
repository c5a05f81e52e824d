// SPDX-License-Identifier: GPL-2.0

//! Four processes at once: the same addresses, other memory.

use crate::{
    accel::{Accel, Operation, PAGE_FAULT},
    debugfs,
    report::{Row, Table},
    sys::Mapping,
    verify,
    worker::{Link, Worker},
    Result,
};
use std::{collections::BTreeSet, path::Path, sync::atomic::Ordering::Relaxed};

const PROCESSES: usize = 4;
const SIZE: usize = 4 << 20;
const ROUNDS: u64 = 8;

pub fn run(device: &Path, table: &mut Table) -> Result<String> {
    // Forked, so all have this memory at the same address; each has its own copy of it.
    let shared = Mapping::new(SIZE)?;
    let mut workers = Vec::new();

    for i in 0..PROCESSES {
        workers.push(Worker::spawn(|link| work(link, device, i, &shared))?);
    }
    // All are bound before any begins, and stay bound until all have ended.
    let mut pasids = BTreeSet::new();

    for worker in &mut workers {
        let pasid: u32 = worker.receive()?.parse()?;

        debugfs::bond(pasid, worker.pid())?;
        pasids.insert(pasid);
    }
    let none = pasids == BTreeSet::from([0]);

    verify(none || pasids.len() == PROCESSES, || {
        format!("not {PROCESSES} different PASIDs: {pasids:?}")
    })?;
    for worker in &mut workers {
        worker.send("go")?;
    }
    for worker in &mut workers {
        table.put(Row::parse(&worker.receive()?)?);
    }
    for mut worker in workers {
        worker.send("end")?;
        verify(worker.wait()?, || "a process failed".into())?;
    }
    verify(shared.resident()? == 0, || {
        "the parent's memory was touched".into()
    })?;
    let how = match none {
        true => "share the device's addresses".to_string(),
        false => format!("with PASIDs {pasids:?}"),
    };

    Ok(format!(
        "{PROCESSES} processes at once {how}: none saw another's data"
    ))
}

/// Has the device fill, copy and count in memory whose address all processes use.
fn work(link: &mut Link, device: &Path, i: usize, shared: &Mapping) -> Result<()> {
    let accel = Accel::open(device)?;
    let half = SIZE / 2;
    let (lower, upper) = shared.words().split_at(half / 8);
    // Each process has memory of its own where the others have none.
    let spaces: Vec<_> = (0..PROCESSES)
        .map(|_| Mapping::new(SIZE))
        .collect::<std::io::Result<_>>()?;
    let addresses: Vec<_> = spaces.iter().map(Mapping::addr).collect();
    let mine: Vec<_> = spaces
        .into_iter()
        .enumerate()
        .filter(|&(n, _)| n == i)
        .collect();

    link.send(&accel.info()?.pasid.to_string())?;
    link.receive()?;
    for round in 0..ROUNDS {
        let pattern = ((i as u64 + 1) << 32) | round;

        accel.result(Operation::Fill {
            dst: shared.addr(),
            length: half,
            pattern,
        })?;
        accel.result(Operation::Copy {
            src: shared.addr(),
            dst: shared.addr() + half as u64,
            length: half,
        })?;
        accel.result(Operation::AtomicAdd {
            dst: shared.addr(),
            addend: 1 << 48,
        })?;
        verify(lower[0].load(Relaxed) == pattern + (1 << 48), || {
            "the atomic add went elsewhere".into()
        })?;
        let alien = lower[1..]
            .iter()
            .chain(upper)
            .find(|word| word.load(Relaxed) != pattern);

        if let Some(alien) = alien {
            return Err(format!("process {i} saw {:#x}", alien.load(Relaxed)).into());
        }
    }
    for (n, &address) in addresses.iter().enumerate() {
        let completion = accel.run(Operation::Fill {
            dst: address,
            length: 8,
            pattern: i as u64,
        })?;
        let own = mine.iter().any(|&(m, _)| m == n);

        verify(own || completion.status == PAGE_FAULT, || {
            format!("the memory of process {n} was written by process {i}")
        })?;
        verify(!own || completion.bytes == 8, || completion.to_string())?;
    }
    link.send(&Row::of(&format!("d: process {} of {PROCESSES}", i + 1), &accel)?.to_line())?;
    link.receive()?;
    Ok(())
}
