// SPDX-License-Identifier: GPL-2.0

//! What uacce calls, and which [`Accelerator`]'s or queue's affair it is.

use super::{
    Accelerator,
    QueuePtr,
    Region,
    Waiters, //
};
use crate::bindings;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    mm::virt::VmaNew,
    prelude::*,
    sync::Arc, //
};

/// What a queue's `priv` points at.
struct Node<Q> {
    // Dropped first: nobody wakes afterwards.
    queue: Q,
    waiters: Arc<Waiters>,
}

pub(super) struct Ops<T>(PhantomData<T>);

impl<T: Accelerator> Ops<T> {
    pub(super) const OPS: &'static bindings::uacce_ops = &bindings::uacce_ops {
        get_available_instances: Some(Self::get_available_instances),
        get_queue: Some(Self::get_queue),
        put_queue: Some(Self::put_queue),
        start_queue: Some(Self::start_queue),
        stop_queue: Some(Self::stop_queue),
        is_q_updated: Some(Self::is_q_updated),
        mmap: Some(Self::mmap),
        ioctl: Some(Self::ioctl),
        get_isolate_state: Some(Self::get_isolate_state),
        isolate_err_threshold_write: Some(Self::isolate_err_threshold_write),
        isolate_err_threshold_read: Some(Self::isolate_err_threshold_read),
    };

    /// # Safety
    ///
    /// `uacce` must be a device that was made with `Self::OPS` and is not removed yet.
    unsafe fn device<'a>(uacce: *mut bindings::uacce_device) -> &'a T {
        // SAFETY: `Registration::new` points `priv` at a `T` before it registers the device, and
        // `Registered`, which owns that, is not dropped before the device is removed.
        unsafe { &*(*uacce).priv_.cast::<T>() }
    }

    /// # Safety
    ///
    /// `q` must be a queue between the calls of `get_queue` and `put_queue`.
    unsafe fn node<'a>(q: *mut bindings::uacce_queue) -> &'a Node<T::Queue> {
        // SAFETY: `get_queue` points `priv` at a node, which `put_queue` frees.
        unsafe { &*(*q).priv_.cast::<Node<T::Queue>>() }
    }

    /// # Safety
    ///
    /// This and the others are called by uacce, for a device that was made with `Self::OPS`, and
    /// for its queues between `get_queue` and `put_queue`.
    unsafe extern "C" fn get_available_instances(uacce: *mut bindings::uacce_device) -> c_int {
        // SAFETY: The attribute that asks is gone before the device is removed.
        let device = unsafe { Self::device(uacce) };

        c_int::try_from(device.available()).unwrap_or(c_int::MAX)
    }

    /// # Safety
    ///
    /// See `get_available_instances`.
    unsafe extern "C" fn get_queue(
        uacce: *mut bindings::uacce_device,
        pasid: usize,
        q: *mut bindings::uacce_queue,
    ) -> c_int {
        // SAFETY: By the requirement; a device being removed opens no more queues.
        let device = unsafe { Self::device(uacce) };
        let node = || -> Result<KBox<Node<T::Queue>>> {
            let waiters = Waiters::new()?;
            // CAST: uacce passes a `u32`.
            let queue = device.get_queue(pasid as u32, waiters.clone())?;

            Ok(KBox::new(Node { queue, waiters }, GFP_KERNEL)?)
        };

        match node() {
            Ok(node) => {
                // SAFETY: The queue is being made, for us.
                unsafe { (*q).priv_ = KBox::into_raw(node).cast() };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// See `get_available_instances`.
    unsafe extern "C" fn put_queue(q: *mut bindings::uacce_queue) {
        // SAFETY: `get_queue` made it. This is the last call for the queue: uacce lets no other go
        // on at the same time, and remembers that the queue is dead.
        let node = unsafe { KBox::from_raw((*q).priv_.cast::<Node<T::Queue>>()) };

        // INVARIANT: The queue may be freed when this call has returned.
        *node.waiters.queue.lock() = None;
    }

    /// # Safety
    ///
    /// See `get_available_instances`.
    unsafe extern "C" fn start_queue(q: *mut bindings::uacce_queue) -> c_int {
        // SAFETY: By the requirement.
        let node = unsafe { Self::node(q) };

        // INVARIANT: The queue was opened, so its list of waiters is initialised; it is not freed
        // before `put_queue` has returned.
        *node.waiters.queue.lock() = NonNull::new(q).map(QueuePtr);
        T::start_queue(&node.queue).map_or_else(Error::to_errno, |()| 0)
    }

    /// # Safety
    ///
    /// See `get_available_instances`.
    unsafe extern "C" fn stop_queue(q: *mut bindings::uacce_queue) {
        // SAFETY: By the requirement.
        T::stop_queue(&unsafe { Self::node(q) }.queue);
    }

    /// # Safety
    ///
    /// See `get_available_instances`.
    unsafe extern "C" fn is_q_updated(q: *mut bindings::uacce_queue) -> c_int {
        // SAFETY: By the requirement.
        c_int::from(T::is_updated(&unsafe { Self::node(q) }.queue))
    }

    /// # Safety
    ///
    /// See `get_available_instances`; `vma` is being set up, and `region` is valid.
    unsafe extern "C" fn mmap(
        q: *mut bindings::uacce_queue,
        vma: *mut bindings::vm_area_struct,
        region: *mut bindings::uacce_qfile_region,
    ) -> c_int {
        // SAFETY: By the requirement.
        let (node, vma, region) =
            unsafe { (Self::node(q), VmaNew::from_raw(vma), (*region).type_) };
        let region = match region {
            bindings::uacce_qfrt_UACCE_QFRT_MMIO => Region::Mmio,
            _ => Region::Shared,
        };

        T::map(&node.queue, region, vma).map_or_else(Error::to_errno, |()| 0)
    }

    /// # Safety
    ///
    /// See `get_available_instances`.
    unsafe extern "C" fn ioctl(q: *mut bindings::uacce_queue, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: By the requirement.
        let node = unsafe { Self::node(q) };

        T::ioctl(&node.queue, cmd, arg).unwrap_or_else(|error| error.to_errno() as isize)
    }

    /// # Safety
    ///
    /// See `get_available_instances`.
    unsafe extern "C" fn get_isolate_state(
        uacce: *mut bindings::uacce_device,
    ) -> bindings::uacce_dev_state {
        // SAFETY: As in `get_available_instances`.
        if unsafe { Self::device(uacce) }.isolated() {
            bindings::uacce_dev_state_UACCE_DEV_ISOLATE
        } else {
            bindings::uacce_dev_state_UACCE_DEV_NORMAL
        }
    }

    /// # Safety
    ///
    /// See `get_available_instances`.
    unsafe extern "C" fn isolate_err_threshold_write(
        uacce: *mut bindings::uacce_device,
        threshold: u32,
    ) -> c_int {
        // SAFETY: As in `get_available_instances`.
        let device = unsafe { Self::device(uacce) };

        device
            .set_error_threshold(threshold)
            .map_or_else(Error::to_errno, |()| 0)
    }

    /// # Safety
    ///
    /// See `get_available_instances`.
    unsafe extern "C" fn isolate_err_threshold_read(uacce: *mut bindings::uacce_device) -> u32 {
        // SAFETY: As in `get_available_instances`.
        unsafe { Self::device(uacce) }.error_threshold()
    }
}
