// SPDX-License-Identifier: GPL-2.0

//! The jobs of a context, between their submission and the wait for them.

use accel_engine::engine::Outcome;
use kernel::prelude::*;

/// How many jobs a context may have.
pub(crate) const DEPTH: usize = 64;

enum JobState {
    Queued,
    Running,
    Ended(Outcome),
}

struct Job {
    id: u64,
    /// The address of the descriptor.
    desc: u64,
    state: JobState,
}

/// The jobs of a context.
///
/// # Invariants
///
/// There are at most [`DEPTH`], in the order of their numbers; at most one is running, and no
/// queued one is before it.
pub(crate) struct JobQueue {
    jobs: KVec<Job>,
    last_id: u64,
}

impl JobQueue {
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            jobs: KVec::with_capacity(DEPTH, GFP_KERNEL)?,
            last_id: 0,
        })
    }

    /// Adds a job, and returns its number.
    ///
    /// # Errors
    ///
    /// `EBUSY` if there are [`DEPTH`].
    pub(crate) fn add(&mut self, desc: u64) -> Result<u64> {
        if self.jobs.len() == DEPTH {
            return Err(EBUSY);
        }
        let id = self.last_id + 1;

        self.jobs
            .push_within_capacity(Job {
                id,
                desc,
                state: JobState::Queued,
            })
            .map_err(|_| EBUSY)?;
        self.last_id = id;
        Ok(id)
    }

    /// The next job to run: its number and the address of its descriptor.
    pub(crate) fn start(&mut self) -> Option<(u64, u64)> {
        let queued = |job: &&mut Job| matches!(job.state, JobState::Queued);
        let job = self.jobs.iter_mut().find(queued)?;

        job.state = JobState::Running;
        Some((job.id, job.desc))
    }

    /// Notes the end of a job.
    pub(crate) fn end(&mut self, id: u64, outcome: Outcome) {
        if let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) {
            job.state = JobState::Ended(outcome);
        }
    }

    /// Forgets a job that has ended, and tells how; `None` if it has not ended.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is no such job.
    pub(crate) fn reap(&mut self, id: u64) -> Result<Option<Outcome>> {
        let index = self
            .jobs
            .iter()
            .position(|job| job.id == id)
            .ok_or(ENOENT)?;

        match self.jobs[index].state {
            JobState::Ended(outcome) => {
                self.jobs.remove(index).map_err(|_| ENOENT)?;
                Ok(Some(outcome))
            }
            _ => Ok(None),
        }
    }

    /// Forgets all jobs that have not begun.
    pub(crate) fn cancel(&mut self) {
        self.jobs
            .retain(|job| !matches!(job.state, JobState::Queued));
    }
}

#[kunit_tests(mock_accel_queue)]
mod tests {
    use super::*;
    use crate::uapi::Completion;

    fn outcome(result: u64) -> Outcome {
        Outcome {
            completion: Completion {
                result,
                ..Completion::default()
            },
            recorded: true,
        }
    }

    #[test]
    fn first_in_first_out() -> Result {
        let mut queue = JobQueue::new()?;

        assert!(queue.start().is_none());
        assert_eq!(queue.add(0x100)?, 1);
        assert_eq!(queue.add(0x200)?, 2);
        assert_eq!(queue.start(), Some((1, 0x100)));
        assert_eq!(queue.start(), Some((2, 0x200)));
        assert!(queue.start().is_none());
        Ok(())
    }

    #[test]
    fn a_job_is_reaped_once() -> Result {
        let mut queue = JobQueue::new()?;
        let id = queue.add(0x100)?;

        assert!(queue.reap(id)?.is_none());
        queue.start();
        assert!(queue.reap(id)?.is_none());
        queue.end(id, outcome(7));
        assert!(queue.reap(id)? == Some(outcome(7)));
        assert!(queue.reap(id).is_err());
        assert!(queue.reap(0).is_err());
        assert!(queue.reap(id + 1).is_err());
        Ok(())
    }

    #[test]
    fn depth_counts_what_was_not_waited_for() -> Result {
        let mut queue = JobQueue::new()?;

        for i in 0..DEPTH as u64 {
            assert_eq!(queue.add(i)?, i + 1);
        }
        assert!(queue.add(0).is_err());
        queue.start();
        queue.end(1, outcome(0));
        assert!(queue.add(0).is_err());
        queue.reap(1)?;
        assert_eq!(queue.add(0)?, DEPTH as u64 + 1);
        Ok(())
    }

    #[test]
    fn cancel_leaves_what_runs() -> Result {
        let mut queue = JobQueue::new()?;

        for desc in 0..3 {
            queue.add(desc)?;
        }
        queue.start();
        queue.cancel();
        assert!(queue.start().is_none());
        assert!(queue.reap(1)?.is_none());
        assert!(queue.reap(2).is_err());
        Ok(())
    }
}
