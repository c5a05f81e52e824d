// SPDX-License-Identifier: GPL-2.0

//! Accelerators whose queues user space opens (`uacce`), each bound to its process by the kernel.
//!
//! The functions that call into uacce are generic, so that only modules with such a device need
//! it.
//!
//! C header: [`include/linux/uacce.h`](srctree/include/linux/uacce.h)

use crate::{
    bindings,
    device_raw,
    devres::{
        self,
        DeviceData, //
    }, //
};
use core::ptr::NonNull;
use kernel::{
    device::{
        Bound,
        Device, //
    },
    error::{
        from_err_ptr,
        to_result, //
    },
    mm::virt::VmaNew,
    new_spinlock_irq,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        SpinLockIrq, //
    }, //
};

mod ops;
use ops::Ops;

/// What a mapping of a queue's file shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// Registers of the device (`UACCE_QFRT_MMIO`).
    Mmio,
    /// Memory that device and process share (`UACCE_QFRT_DUS`).
    Shared,
}

/// What uacce tells of a device, and how it is shown.
pub struct Description {
    /// The stem of its name; the name is this, a dash and a number.
    pub name: &'static CStr,
    /// What it computes, for sysfs.
    pub algorithms: &'static CStr,
    /// The version of its interface, for sysfs.
    pub api: &'static CStr,
    /// Pages that [`Region::Mmio`] has.
    pub mmio_pages: usize,
    /// Pages that [`Region::Shared`] has.
    pub shared_pages: usize,
}

/// An accelerator with queues.
///
/// All calls may sleep. Those for one queue are never made at the same time, save for
/// [`map`](Self::map) and [`is_updated`](Self::is_updated); none is made after the queue was
/// dropped, or after the [`Registration`].
pub trait Accelerator: Send + Sync + Sized + 'static {
    /// One open file: a queue for one process. Dropped when the file is closed, or earlier with
    /// the registration; the process's address space is bound until after that.
    type Queue: Send + Sync + 'static;

    /// A process opens a file; its address space is bound to the device under `pasid`. The
    /// device's mutex is held.
    ///
    /// # Errors
    ///
    /// Whatever open(2) is to say.
    fn get_queue(&self, pasid: u32, waiters: Arc<Waiters>) -> Result<Self::Queue>;

    /// Starts the queue: `UACCE_CMD_START_Q`.
    ///
    /// # Errors
    ///
    /// Whatever ioctl(2) is to say.
    fn start_queue(queue: &Self::Queue) -> Result;

    /// Stops a started queue: `UACCE_CMD_PUT_Q`, or before it is dropped. When this returns the
    /// device does nothing for the queue any more.
    ///
    /// While the [`Registration`] is dropped it must not wait for a page request: that may need the
    /// lock of the process's memory map, whose holder may be waiting for this, in mmap(2).
    fn stop_queue(queue: &Self::Queue);

    /// Maps a region into the process, which holds the lock of its memory map.
    ///
    /// # Errors
    ///
    /// Whatever mmap(2) is to say.
    fn map(queue: &Self::Queue, region: Region, vma: &VmaNew) -> Result;

    /// Whether poll(2) is to say that there is something to read.
    fn is_updated(queue: &Self::Queue) -> bool;

    /// Serves an ioctl that is not uacce's own. The device's mutex is held.
    ///
    /// # Errors
    ///
    /// Whatever ioctl(2) is to say.
    fn ioctl(queue: &Self::Queue, cmd: u32, arg: usize) -> Result<isize>;

    /// How many more queues can be opened, for sysfs.
    fn available(&self) -> u32;

    /// Whether the device is isolated, as it has had too many errors of its own, for sysfs.
    fn isolated(&self) -> bool;

    /// How many errors of its own the device may have before it is isolated, for sysfs.
    fn error_threshold(&self) -> u32;

    /// Sets that, at the user's wish; at most `UACCE_MAX_ERR_THRESHOLD`.
    ///
    /// # Errors
    ///
    /// Whatever write(2) is to say.
    fn set_error_threshold(&self, threshold: u32) -> Result;
}

/// Who waits in poll(2) for a queue.
///
/// # Invariants
///
/// A queue in `queue` is initialised and not freed while the lock is held.
#[pin_data]
pub struct Waiters {
    #[pin]
    queue: SpinLockIrq<Option<QueuePtr>>,
}

#[derive(Clone, Copy)]
struct QueuePtr(NonNull<bindings::uacce_queue>);

// SAFETY: A queue may be woken by any thread.
unsafe impl Send for QueuePtr {}

impl Waiters {
    fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                // INVARIANT: None yet.
                queue <- new_spinlock_irq!(None, "sva_uacce_waiters"),
            }),
            GFP_KERNEL,
        )
    }

    /// Has them look at the queue again. Any context.
    pub fn wake(&self) {
        let queue = self.queue.lock();

        if let Some(QueuePtr(queue)) = *queue {
            // SAFETY: By the type invariants the queue is there, and its list of waiters with it.
            unsafe {
                bindings::__wake_up(
                    &raw mut (*queue.as_ptr()).wait,
                    bindings::TASK_NORMAL,
                    1,
                    core::ptr::null_mut(),
                );
            }
        }
    }
}

/// An accelerator that uacce knows.
///
/// # Invariants
///
/// `uacce` was made by `uacce_alloc()` with [`Ops::OPS`]; its `priv` points at `data`. Until
/// [`remove`](Self::remove) it is not removed.
struct Registered<T: Accelerator> {
    uacce: NonNull<bindings::uacce_device>,
    data: Arc<T>,
}

// SAFETY: A device may be removed by any thread, and the data is shared between threads anyway.
unsafe impl<T: Accelerator> Send for Registered<T> {}
// SAFETY: Only the data is reachable.
unsafe impl<T: Accelerator> Sync for Registered<T> {}

impl<T: Accelerator> Registered<T> {
    /// Ends it, as [`Registration`] says.
    ///
    /// # Safety
    ///
    /// To be called once at most.
    unsafe fn remove(&self) {
        // SAFETY: By the type invariants, and since this is the only call. The function waits for
        // operations under way, so that after it nobody follows `priv` to the data.
        unsafe { bindings::uacce_remove(self.uacce.as_ptr()) };
    }
}

impl<T: Accelerator> DeviceData for Registered<T> {
    fn driver_gone(self: Arc<Self>) {
        // SAFETY: The parent had this until now, so that no `Registration` got it back, nor will.
        unsafe { self.remove() };
    }
}

/// A device that user space can open queues of, below `/dev`.
///
/// Dropping it ends that: queues are stopped and dropped, their processes unbound, and what they
/// have mapped is unmapped. Files that are open stay so, and fail. Sleeps. If it is still there when
/// the parent loses its driver, it is ended then.
pub struct Registration<T: Accelerator> {
    parent: ARef<Device>,
    registered: Arc<Registered<T>>,
}

impl<T: Accelerator> Registration<T> {
    /// Registers `data` as an accelerator that is `parent`, whose IOMMU shares address spaces
    /// (`UACCE_DEV_SVA`). Files may be opened before this returns. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the name is too long; `EBUSY` if `parent` has such an accelerator already;
    /// `ENOMEM`; those of `device_add()`.
    pub fn new(parent: &Device<Bound>, description: &Description, data: Arc<T>) -> Result<Self> {
        let mut interface: bindings::uacce_interface = pin_init::zeroed();
        let name = description.name.to_bytes_with_nul();

        if name.len() > interface.name.len() {
            return Err(EINVAL);
        }
        for (to, from) in interface.name.iter_mut().zip(name) {
            *to = *from;
        }
        interface.flags = bindings::UACCE_DEV_SVA;
        interface.ops = Ops::<T>::OPS;

        // SAFETY: The parent is live, and bound to its driver during this call; before that leaves,
        // the device is removed, as it is the parent's data from below on. The interface is copied,
        // save for the static operations.
        let uacce = unsafe { bindings::uacce_alloc(device_raw(parent), &mut interface) };
        let uacce = NonNull::new(from_err_ptr(uacce)?).ok_or(ENOMEM)?;

        // SAFETY: The device is not registered yet, so nobody else looks at it. The strings are
        // static, and `data` outlives the device's operations.
        unsafe {
            let uacce = uacce.as_ptr();

            (*uacce).priv_ = Arc::as_ptr(&data).cast_mut().cast();
            (*uacce).algs = description.algorithms.as_char_ptr();
            (*uacce).api_ver = description.api.as_char_ptr();
            (*uacce).qf_pg_num[bindings::uacce_qfrt_UACCE_QFRT_MMIO as usize] =
                description.mmio_pages;
            (*uacce).qf_pg_num[bindings::uacce_qfrt_UACCE_QFRT_DUS as usize] =
                description.shared_pages;
        }
        // INVARIANT: Made above.
        let registered = match Arc::new(Registered { uacce, data }, GFP_KERNEL) {
            Ok(registered) => registered,
            Err(error) => {
                // SAFETY: As below; nobody has the device.
                unsafe { bindings::uacce_remove(uacce.as_ptr()) };
                return Err(error.into());
            }
        };
        if let Err(error) = devres::add(parent, None, registered.clone()) {
            // SAFETY: The parent did not take it, and this is all that has it. The function is
            // right also for a device that is not registered.
            unsafe { registered.remove() };
            return Err(error);
        }
        // From here on the drop removes it, as is right also for one that could not be registered.
        let this = Self {
            parent: ARef::from(&**parent),
            registered,
        };

        // SAFETY: The device is made, and not registered. The parent keeps it at least as long as
        // it is bound, which is during this call.
        to_result(unsafe { bindings::uacce_register(uacce.as_ptr()) })?;
        Ok(this)
    }

    /// What was registered.
    pub fn data(&self) -> &Arc<T> {
        &self.registered.data
    }
}

impl<T: Accelerator> Drop for Registration<T> {
    fn drop(&mut self) {
        // `None`: the parent's driver has left, which removed it.
        let _ = devres::end(&self.parent, &self.registered, |registered| {
            // SAFETY: Who took it from the parent is the only one to end it.
            unsafe { registered.remove() };
        });
    }
}
