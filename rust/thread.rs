// SPDX-License-Identifier: GPL-2.0

//! Kernel threads (`kthread`).
//!
//! C header: `include/linux/kthread.h`

use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    error::from_err_ptr,
    prelude::*,
    types::NotThreadSafe, //
};

/// Proof of running in a [`KThread`]: tells whether the thread was asked to end.
pub struct Stop(NotThreadSafe);

impl Stop {
    /// Lets others run, if any want to, who may be many and take long. May sleep.
    pub fn yield_now(&self) {
        // SAFETY: A kernel thread outside of any critical section may sleep.
        unsafe { bindings::sva_cond_resched() };
    }

    /// Whether the thread was asked to end. It should then return soon.
    pub fn requested(&self) -> bool {
        // SAFETY: A `Stop` exists only inside the function of a kthread and cannot leave its
        // thread, so the current task is a kthread.
        unsafe { bindings::kthread_should_stop() }
    }
}

/// A running kernel thread, ended when this is dropped.
///
/// The drop asks the thread to stop, wakes it and waits for its end, so it sleeps. A thread that
/// waits for something needs to be woken by that something too: ask it before the drop.
///
/// # Invariants
///
/// `task` is a kthread made by `kthread_create_on_node()` on which this object holds a reference.
/// `function` is the pointer given to it, from `KBox::into_raw()`, and `discard` frees such a one.
pub struct KThread {
    task: NonNull<bindings::task_struct>,
    function: *mut c_void,
    discard: unsafe fn(*mut c_void),
}

// SAFETY: Any thread may stop a kthread and put its task, and the function is `Send`.
unsafe impl Send for KThread {}

// SAFETY: There are no operations on `&KThread`.
unsafe impl Sync for KThread {}

/// # Safety
///
/// `function` must come from `KBox::<F>::into_raw()`, and ownership of it passes to this call.
unsafe extern "C" fn run<F: FnOnce(&Stop)>(function: *mut c_void) -> c_int {
    // SAFETY: By the function's requirement.
    let function = unsafe { KBox::<F>::from_raw(function.cast()) };
    KBox::into_inner(function)(&Stop(NotThreadSafe));
    0
}

/// # Safety
///
/// As for [`run`].
unsafe fn discard<F>(function: *mut c_void) {
    // SAFETY: By the function's requirement.
    drop(unsafe { KBox::<F>::from_raw(function.cast()) });
}

impl KThread {
    /// Starts a thread named `name` that runs `function`.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINTR` when the caller is being killed.
    pub fn spawn<F>(name: &CStr, function: F) -> Result<Self>
    where
        F: FnOnce(&Stop) + Send + 'static,
    {
        Self::spawn_on(None, name, function)
    }

    /// As [`Self::spawn`]; the thread runs on processor `cpu` alone, if one is given.
    ///
    /// # Errors
    ///
    /// As [`Self::spawn`]; `EINVAL` if there is no such processor.
    pub fn spawn_on<F>(cpu: Option<u32>, name: &CStr, function: F) -> Result<Self>
    where
        F: FnOnce(&Stop) + Send + 'static,
    {
        // SAFETY: The helper takes any number.
        if cpu.is_some_and(|cpu| !unsafe { bindings::sva_cpu_online(cpu) }) {
            return Err(EINVAL);
        }
        let function: *mut c_void = KBox::into_raw(KBox::new(function, GFP_KERNEL)?).cast();

        // SAFETY: `run::<F>` matches the type of what `function` points at, and the format takes
        // one string, which is copied.
        let task = from_err_ptr(unsafe {
            bindings::kthread_create_on_node(
                Some(run::<F>),
                function,
                bindings::NUMA_NO_NODE,
                c"%s".as_char_ptr(),
                name.as_char_ptr(),
            )
        });
        let task = match task {
            Ok(task) => task,
            Err(error) => {
                // SAFETY: No thread was made, so the function is still ours.
                unsafe { discard::<F>(function) };
                return Err(error);
            }
        };

        // SAFETY: The new thread has not run yet, so its task is live. The reference keeps it so
        // even if the function returns early.
        unsafe { bindings::get_task_struct(task) };
        if let Some(cpu) = cpu {
            // SAFETY: As above; the processor exists.
            unsafe { bindings::kthread_bind(task, cpu) };
        }
        // SAFETY: As above.
        unsafe { bindings::wake_up_process(task) };

        Ok(Self {
            // SAFETY: `from_err_ptr()` gave a valid pointer; kthread_create never returns null.
            // INVARIANT: The reference was taken above.
            task: unsafe { NonNull::new_unchecked(task) },
            function,
            discard: discard::<F>,
        })
    }
}

impl Drop for KThread {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is a kthread on which we hold a reference, which this
        // call puts.
        let ret = unsafe { bindings::kthread_stop_put(self.task.as_ptr()) };

        // `run()` returns 0; -EINTR says that the thread was stopped before it got there.
        if ret == EINTR.to_errno() {
            // SAFETY: `run()` was never called and now never will be, so the function is still
            // ours; `discard` matches its type by the type invariant.
            unsafe { (self.discard)(self.function) };
        }
    }
}
