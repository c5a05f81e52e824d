// SPDX-License-Identifier: GPL-2.0

//! Ranges of a process's address space that it shall not use.
//!
//! A range is held by a mapping that nobody can access, change or unmap: it is sealed, and none of
//! its `VM_MAY*` flags is set. It is a mapping of a file, whose name people see in
//! `/proc/PID/maps`; a forked child does not inherit it.

use crate::{bindings, workqueue::OwnedQueue};
use core::ops::Range;
use kernel::{
    error::{from_err_ptr, to_result},
    mm::{Mm, MmWithUser},
    pr_warn_once,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Atomic, Relaxed},
        Arc, Completion,
    },
    workqueue::{impl_has_work, new_work, Work, WorkItem},
};

extern "C" {
    // Only its address is used.
    static __this_module: u8;
}

/// What `vm_ops` points at: nothing can be faulted in, or happen, in such a mapping.
static VM_OPS: Shared<bindings::vm_operations_struct> = Shared(pin_init::zeroed());

static FILE_OPS: Shared<bindings::file_operations> = Shared(bindings::file_operations {
    // A mapping keeps its file, and with it this module.
    owner: (&raw const __this_module).cast_mut().cast(),
    mmap_prepare: Some(mmap_prepare),
    ..pin_init::zeroed()
});

/// Operations that the kernel only reads.
struct Shared<T>(T);

// SAFETY: The kernel and we only read it.
unsafe impl<T> Sync for Shared<T> {}

/// # Safety
///
/// To be called by the kernel, to prepare a mapping of a file with [`FILE_OPS`].
unsafe extern "C" fn mmap_prepare(desc: *mut bindings::vm_area_desc) -> c_int {
    // SAFETY: By this function's contract the description is valid, and ours to complete.
    unsafe {
        bindings::sva_carve_flags(desc);
        (*desc).vm_ops = &raw const VM_OPS.0;
    }
    0
}

/// A range that has been carved out of an address space; dropping it gives it back.
///
/// The drop may sleep and takes `mmap_lock`. There is nothing to give back once the process has
/// gone.
///
/// # Invariants
///
/// As long as the address space has users, the range is one sealed mapping of ours. `give_back` is
/// a job for that range that has not been started.
pub struct Carved {
    mm: ARef<Mm>,
    range: Range<usize>,
    queue: Arc<OwnedQueue>,
    give_back: Arc<Job>,
}

impl Carved {
    /// Carves `range` out of the address space `mm`.
    ///
    /// May sleep; takes `mmap_lock`. The work is done by a worker of `queue`, whoever asks: a
    /// task can only map in its own address space, with its own rights and limits.
    ///
    /// # Errors
    ///
    /// - `EADDRINUSE`: something is mapped in the range.
    /// - `EINVAL`: not whole pages, or empty. `ENOMEM`: not in the user's part, or no memory.
    pub fn new(queue: &Arc<OwnedQueue>, mm: &MmWithUser, range: Range<usize>) -> Result<Self> {
        // Giving back must not fail, so it is prepared first.
        let give_back = Job::new(Action::Unmap, range.clone())?;

        Job::new(Action::Map, range.clone())?.run_in(queue, mm)?;
        // INVARIANT: Just mapped, and the job is new.
        Ok(Self {
            mm: ARef::from(&**mm),
            range,
            queue: queue.clone(),
            give_back,
        })
    }

    /// The range.
    pub fn range(&self) -> &Range<usize> {
        &self.range
    }
}

impl Drop for Carved {
    fn drop(&mut self) {
        let Some(mm) = self.mm.mmget_not_zero() else {
            return;
        };
        let mm = MmWithUser::into_mmput_async(mm);

        if self.give_back.run_in(&self.queue, &mm).is_err() {
            pr_warn_once!("no memory to give a reserved range back\n");
        }
    }
}

/// The end of the part of an address space that a process can use.
pub fn user_end(mm: &Mm) -> usize {
    // SAFETY: A reference to a valid mm; the field does not change after exec.
    unsafe { (*mm.as_raw()).__bindgen_anon_1.task_size }
}

/// Maps a range in the current address space.
fn map(range: &Range<usize>) -> Result {
    // SAFETY: The name and the operations are static.
    let file = from_err_ptr(unsafe {
        bindings::anon_inode_getfile(
            c"[sva-reserved]".as_char_ptr(),
            &raw const FILE_OPS.0,
            core::ptr::null_mut(),
            bindings::O_RDONLY as c_int,
        )
    })?;
    // SAFETY: The file is valid, and ours until `fput`; the mapping takes a reference of its own.
    let addr = unsafe {
        let addr = bindings::vm_mmap(
            file,
            range.start,
            range.len(),
            bindings::PROT_NONE as usize,
            (bindings::MAP_PRIVATE | bindings::MAP_FIXED_NOREPLACE | bindings::MAP_NORESERVE)
                as usize,
            0,
        );

        bindings::fput(file);
        addr
    };

    match to_result(i32::try_from(addr as isize).map_or(0, |addr| addr.min(0))) {
        Err(e) if e == EEXIST => Err(EADDRINUSE),
        other => other,
    }
}

/// Unmaps a range of ours in the current address space, `mm`.
///
/// Tries again when there is no memory, since nobody can try later.
fn unmap(mm: *mut bindings::mm_struct, range: &Range<usize>) -> Result {
    let mut result = Ok(());

    for _ in 0..TRIES {
        result = try_unmap(mm, range);
        if result != Err(ENOMEM) {
            break;
        }
    }
    result
}

fn try_unmap(mm: *mut bindings::mm_struct, range: &Range<usize>) -> Result {
    // SAFETY: The caller keeps `mm` alive and uses it. The mapping is ours alone by the type
    // invariants of `Carved`, and cannot have been split or merged since it is sealed. When the
    // seal is broken the process itself might unmap it before we do, and harm only itself.
    unsafe {
        bindings::sva_unseal(mm, range.start);
        to_result(bindings::vm_munmap(range.start, range.len()))
    }
}

/// How often to try what should not fail.
const TRIES: usize = 8;

/// The failure of an allocation that a test asks for. It follows a job from the task that waits for
/// it to the worker that does it, and back: else no test could reach the worker's allocations.
struct Injection;

impl Injection {
    /// Which allocation of the current task is to fail; none from now on.
    fn take() -> u32 {
        // SAFETY: Only touches a field of the current task that is the task's own.
        unsafe { bindings::sva_take_fail_nth() }
    }

    /// The `nth` allocation of the current task is to fail; 0 is none.
    fn set(nth: u32) {
        // SAFETY: As above.
        unsafe { bindings::sva_set_fail_nth(nth) };
    }
}

#[derive(Clone, Copy)]
enum Action {
    Map,
    Unmap,
}

/// Something to be done once in the address space of another task.
#[pin_data]
struct Job {
    action: Action,
    range: Range<usize>,
    /// The address of the `mm_struct`; 0 before the start.
    address_space: Atomic<usize>,
    errno: Atomic<i32>,
    /// Which allocation is to fail, where tests ask for that: see [`Injection`].
    fail_nth: Atomic<u32>,
    #[pin]
    work: Work<Self>,
    #[pin]
    done: Completion,
}

impl_has_work! {
    impl HasWork<Self> for Job { self.work }
}

impl Job {
    fn new(action: Action, range: Range<usize>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                action,
                range,
                address_space: Atomic::new(0),
                errno: Atomic::new(0),
                fail_nth: Atomic::new(0),
                work <- new_work!("sva_carve"),
                done <- Completion::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// Has a worker do it in `mm`, and waits for that. Only once.
    fn run_in(self: &Arc<Self>, queue: &OwnedQueue, mm: &MmWithUser) -> Result {
        self.address_space
            .store(mm.as_raw().expose_provenance(), Relaxed);
        self.fail_nth.store(Injection::take(), Relaxed);
        let queued = queue.enqueue(self.clone()).is_ok();

        if queued {
            self.done.wait_for_completion();
        }
        Injection::set(self.fail_nth.load(Relaxed));
        if !queued {
            return Err(EBUSY);
        }
        to_result(self.errno.load(Relaxed))
    }
}

impl WorkItem for Job {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        // Queueing the work and completing it order these accesses.
        let mm = core::ptr::with_exposed_provenance_mut(this.address_space.load(Relaxed));

        Injection::set(this.fail_nth.load(Relaxed));
        // SAFETY: A worker is a kernel thread without an address space. Who started the job waits
        // for it, and has a user of `mm`.
        unsafe { bindings::kthread_use_mm(mm) };
        let result = match this.action {
            Action::Map => map(&this.range),
            Action::Unmap => unmap(mm, &this.range),
        };
        // SAFETY: As just taken.
        unsafe { bindings::kthread_unuse_mm(mm) };

        this.fail_nth.store(Injection::take(), Relaxed);
        if let Err(error) = result {
            this.errno.store(error.to_errno(), Relaxed);
        }
        this.done.complete_all();
    }
}
