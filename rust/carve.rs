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
    new_condvar, new_mutex, pr_warn_once,
    prelude::*,
    sync::{aref::ARef, Arc, CondVar, Mutex},
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
/// As long as the address space has users, the range is one sealed mapping of ours.
pub struct Carved {
    mm: ARef<Mm>,
    range: Range<usize>,
    queue: Arc<OwnedQueue>,
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
        let wanted = range.clone();

        in_mm(queue, mm, move || map(&wanted))?;
        // INVARIANT: Just mapped.
        Ok(Self {
            mm: ARef::from(&**mm),
            range,
            queue: queue.clone(),
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
        let range = self.range.clone();
        let address_space = mm.as_raw().addr();

        let unmapped = in_mm(&self.queue, &mm, move || {
            unmap(
                core::ptr::with_exposed_provenance_mut(address_space),
                &range,
            )
        });

        if unmapped.is_err() {
            pr_warn_once!("sva: no memory to give a reserved range back\n");
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
fn unmap(mm: *mut bindings::mm_struct, range: &Range<usize>) -> Result {
    // SAFETY: The caller keeps `mm` alive and uses it. The mapping is ours alone by the type
    // invariants of `Carved`, and cannot have been split or merged since it is sealed. When the
    // seal is broken the process itself might unmap it before we do, and harm only itself.
    unsafe {
        bindings::sva_unseal(mm, range.start);
        to_result(bindings::vm_munmap(range.start, range.len()))
    }
}

/// A function's result, on its way back from a worker.
#[pin_data]
struct Reply {
    #[pin]
    result: Mutex<Option<Result>>,
    #[pin]
    there: CondVar,
}

/// Has a worker call `f` in the address space `mm`, and waits for it.
fn in_mm<F>(queue: &OwnedQueue, mm: &MmWithUser, f: F) -> Result
where
    F: FnOnce() -> Result + Send + 'static,
{
    let reply = Arc::pin_init(
        pin_init!(Reply {
            result <- new_mutex!(None, "sva_reply"),
            there <- new_condvar!("sva_reply"),
        }),
        GFP_KERNEL,
    )?;
    let to = reply.clone();
    let address = mm.as_raw().expose_provenance();

    queue.try_spawn(GFP_KERNEL, move || {
        let mm = core::ptr::with_exposed_provenance_mut(address);

        // SAFETY: A worker is a kernel thread without an address space. The caller, which waits
        // for the reply, has a user of `mm`.
        unsafe { bindings::kthread_use_mm(mm) };
        let result = f();
        // SAFETY: As just taken.
        unsafe { bindings::kthread_unuse_mm(mm) };

        *to.result.lock() = Some(result);
        to.there.notify_all();
    })?;

    let mut result = reply.result.lock();

    loop {
        if let Some(result) = result.take() {
            return result;
        }
        reply.there.wait(&mut result);
    }
}
