// SPDX-License-Identifier: GPL-2.0

//! A fork in the middle of a job: the child keeps what was there, the job goes on in the parent.

use crate::{
    accel::{Accel, Operation},
    sys::Mapping,
    verify,
    worker::{Link, Worker},
    Result,
};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const SIZE: usize = 32 << 20;
const OLD: u64 = 0x0101_0101_0101_0101;
const NEW: u64 = 0x0202_0202_0202_0202;

/// A fork may come too late to be in the middle.
const TRIES: usize = 8;

pub fn run(accel: &Accel) -> Result<String> {
    for _ in 0..TRIES {
        if let Some(done) = fork_during_fill(accel)? {
            return Ok(format!(
                "fork after {} of {} KB of a job: the child keeps that state, the parent gets all",
                (done * 8) >> 10,
                SIZE >> 10
            ));
        }
    }
    Err(format!("none of {TRIES} forks was in the middle of a job").into())
}

/// Whether the device goes on writing to pages that a fork is just copying, as those are pinned. The child
/// has then what was there when each was copied.
fn may_be_torn(accel: &Accel) -> Result<bool> {
    Ok(!accel.info()?.is_shared())
}

/// How many words were new in the child, or `None` if the job had ended before the fork.
fn fork_during_fill(accel: &Accel) -> Result<Option<usize>> {
    let memory = Mapping::new(SIZE)?;
    let words = memory.words();

    for word in words {
        word.store(OLD, Relaxed);
    }
    let job = accel.submit(Operation::Fill {
        dst: memory.addr(),
        length: SIZE,
        pattern: NEW,
    })?;

    while words[0].load(Relaxed) == OLD && !job.has_ended() {
        std::hint::spin_loop();
    }
    let mut child = Worker::spawn(|link| watch(link, accel, &memory))?;
    let done: usize = child.receive()?.parse()?;
    let completion = job.wait()?;

    verify(completion.bytes == SIZE as u64, || completion.to_string())?;
    verify(words.iter().all(|word| word.load(Relaxed) == NEW), || {
        "the parent's memory is not filled".into()
    })?;
    child.send("the job has ended")?;
    verify(child.receive()? == done.to_string(), || {
        "the child's memory has changed".into()
    })?;
    verify(child.wait()?, || "the child failed".into())?;
    Ok((done < words.len()).then_some(done))
}

/// The child: counts what is new, before and after the job's end.
fn watch(link: &mut Link, accel: &Accel, memory: &Mapping) -> Result<()> {
    let torn = may_be_torn(accel)?;
    let count = || {
        let is = |what| move |word: &&AtomicU64| word.load(Relaxed) == what;
        let words = memory.words();
        let new = words.iter().filter(is(NEW)).count();
        let first = words.iter().take_while(is(NEW)).count();

        // The device goes upwards, so all the rest is old.
        verify(
            words.iter().filter(is(OLD)).count() == words.len() - new && (torn || first == new),
            || "the child's memory is a mixture".into(),
        )?;
        Ok::<_, Box<dyn std::error::Error>>(new.to_string())
    };

    link.send(&count()?)?;
    link.receive()?;
    verify(accel.is_foreign(), || {
        "the device works for the child on the parent's memory".into()
    })?;
    link.send(&count()?)
}
