// SPDX-License-Identifier: GPL-2.0

//! A process is killed in the middle of a job: nothing of it stays, and the others do not notice.

use crate::{
    accel::{Accel, Operation},
    debugfs,
    report::{Row, Table},
    sys::{Mapping, PAGE},
    verify,
    worker::{Link, Worker},
    Result,
};
use std::{
    collections::BTreeSet,
    path::Path,
    sync::atomic::Ordering::Relaxed,
    thread::sleep,
    time::{Duration, Instant},
};

const OTHERS: usize = 2;
const SIZE: usize = 1 << 20;
const ROUNDS: u64 = 4;

pub fn run(device: &Path, table: &mut Table) -> Result<String> {
    let before = bonds()?;
    let mut victim = Worker::spawn(|link| fill_forever(link, device))?;
    let mut others = Vec::new();

    for i in 0..OTHERS {
        others.push(Worker::spawn(move |link| work(link, device, i))?);
    }
    let lost: u32 = victim.receive()?.parse()?;
    let victims = (victim.pid(), lost);
    let used: BTreeSet<u32> = others
        .iter_mut()
        .map(|worker| Ok(worker.receive()?.parse()?))
        .collect::<Result<_>>()?;

    verify(bonds()?.is_none_or(|all| all.contains(&victims)), || {
        "there is no bond to lose".into()
    })?;
    for worker in &mut others {
        worker.send("go")?;
    }
    let killed = Instant::now();

    victim.kill()?;
    verify(!victim.wait()?, || "the victim was not killed".into())?;
    wait_until(|| Ok(bonds()?.is_none_or(|all| !all.contains(&victims))))?;
    let gone = match bonds()? {
        Some(_) => format!("gone in {} ms", killed.elapsed().as_millis()),
        None => "ended".into(),
    };

    for worker in &mut others {
        table.put(Row::parse(&worker.receive()?)?);
    }
    for mut worker in others {
        worker.send("end")?;
        verify(worker.wait()?, || "a process failed".into())?;
    }
    wait_until(|| Ok(bonds()? == before))?;

    // The lowest free PASID is given first: a lost one would not come again.
    let mut all = used;

    all.insert(lost);
    wait_until(|| Ok(reopen(device, OTHERS + 1)? == all))?;
    let (which, back) = match lost {
        0 => ("bond".to_string(), ""),
        lost => (format!("bond of PASID {lost}"), ", all PASIDs back"),
    };

    Ok(format!(
        "kill in mid-job: {which} {gone}, {OTHERS} others done{back}"
    ))
}

/// The processes and PASIDs of all bonds; `None` if they cannot be seen. What is checked by them shows
/// later, and without a time, in the PASIDs that new processes get.
fn bonds() -> Result<Option<BTreeSet<(i32, u32)>>> {
    let bonds = debugfs::bonds()?;

    Ok(bonds.map(|bonds| bonds.iter().map(|bond| (bond.pid, bond.pasid)).collect()))
}

/// Waits until something holds.
fn wait_until(holds: impl Fn() -> Result<bool>) -> Result<()> {
    let start = Instant::now();

    while !holds()? {
        verify(start.elapsed() < Duration::from_secs(10), || {
            format!("something is left behind; bonds: {:?}", debugfs::bonds())
        })?;
        sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The victim: has the device fill more than it can until the end comes.
fn fill_forever(link: &mut Link, device: &Path) -> Result<()> {
    let accel = Accel::open(device)?;
    let info = accel.info()?;
    let memory = Mapping::new(info.max_length as usize)?;
    let job = accel.submit(Operation::Fill {
        dst: memory.addr(),
        length: info.max_length as usize,
        pattern: 1,
    })?;

    while memory.words()[0].load(Relaxed) == 0 && !job.has_ended() {
        std::hint::spin_loop();
    }
    link.send(&info.pasid.to_string())?;
    Err(job.wait()?.to_string().into())
}

/// Another process: has the device count in each page of its memory.
fn work(link: &mut Link, device: &Path, i: usize) -> Result<()> {
    let accel = Accel::open(device)?;
    let memory = Mapping::new(SIZE)?;

    link.send(&accel.info()?.pasid.to_string())?;
    link.receive()?;
    for _ in 0..ROUNDS {
        for page in (0..SIZE).step_by(PAGE) {
            accel.result(Operation::AtomicAdd {
                dst: memory.addr() + page as u64,
                addend: 1,
            })?;
        }
    }
    let counted = memory.words().chunks(PAGE / 8);

    verify(
        counted
            .map(|page| page[0].load(Relaxed))
            .all(|n| n == ROUNDS),
        || "the device has miscounted".into(),
    )?;
    link.send(&Row::of(&format!("f: survivor {} of {OTHERS}", i + 1), &accel)?.to_line())?;
    link.receive()?;
    Ok(())
}

/// The PASIDs of `n` new processes.
fn reopen(device: &Path, n: usize) -> Result<BTreeSet<u32>> {
    let mut workers = Vec::new();

    for _ in 0..n {
        workers.push(Worker::spawn(|link| {
            let accel = Accel::open(device)?;

            link.send(&accel.info()?.pasid.to_string())?;
            link.receive()?;
            Ok(())
        })?);
    }
    let pasids = workers
        .iter_mut()
        .map(|worker| Ok(worker.receive()?.parse()?))
        .collect::<Result<_>>()?;

    for mut worker in workers {
        worker.send("end")?;
        worker.wait()?;
    }
    Ok(pasids)
}
