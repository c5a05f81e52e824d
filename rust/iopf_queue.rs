// SPDX-License-Identifier: GPL-2.0

//! The producer's side of I/O page faults: the queue that an IOMMU driver reports them to.
//!
//! C sources: `include/linux/iommu.h`, `drivers/iommu/io-pgfault.c`

use crate::{
    bindings, device_raw,
    fault::{
        Access,
        Response, //
    },
};
use core::ptr::NonNull;
use kernel::{
    device::Device,
    error::to_result,
    new_mutex,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode, //
    },
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    },
};

/// One page request of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultReport {
    /// The address space that was asked for; `None` for a request without PASID.
    pub pasid: Option<u32>,
    /// Page request group index.
    pub group: u32,
    /// Whether this is the last request of its group: it wants a response.
    pub last: bool,
    /// What the device wants to do there.
    pub access: Access,
    /// Address of the page.
    pub addr: u64,
}

impl FaultReport {
    fn to_fault(self) -> bindings::iopf_fault {
        let mut fault: bindings::iopf_fault = pin_init::zeroed();
        fault.fault.type_ = bindings::iommu_fault_type_IOMMU_FAULT_PAGE_REQ;

        let prm = &mut fault.fault.prm;
        if let Some(pasid) = self.pasid {
            prm.flags |= bindings::IOMMU_FAULT_PAGE_REQUEST_PASID_VALID
                | bindings::IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID;
            prm.pasid = pasid;
        }
        if self.last {
            prm.flags |= bindings::IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE;
        }
        prm.perm = self.access.into();
        prm.grpid = self.group;
        prm.addr = self.addr;
        fault
    }
}

/// The answer to a page request group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageResponse {
    /// The PASID of the requests, if they had one.
    pub pasid: Option<u32>,
    /// Page request group index.
    pub group: u32,
    /// The outcome.
    pub code: Response,
}

impl PageResponse {
    /// # Safety
    ///
    /// Both pointers must be valid for reading: the arguments of a `page_response` op.
    pub(crate) unsafe fn from_raw(
        fault: *const bindings::iopf_fault,
        response: *const bindings::iommu_page_response,
    ) -> Self {
        // SAFETY: By the function's requirement.
        let (prm, response) = unsafe { (&(*fault).fault.prm, &*response) };

        let has_pasid = prm.flags & bindings::IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID != 0;
        Self {
            pasid: has_pasid.then_some(response.pasid),
            group: response.grpid,
            code: match response.code {
                bindings::iommu_page_response_code_IOMMU_PAGE_RESP_SUCCESS => Response::Success,
                bindings::iommu_page_response_code_IOMMU_PAGE_RESP_INVALID => Response::Invalid,
                _ => Response::Failure,
            },
        }
    }
}

/// A queue of I/O page faults, with the workqueue that serves them.
///
/// # Invariants
///
/// `queue` came from `iopf_queue_alloc()` and is freed by nobody else.
pub struct IopfQueue {
    queue: NonNull<bindings::iopf_queue>,
}

// SAFETY: The queue has its own locks, and any thread may free it.
unsafe impl Send for IopfQueue {}

// SAFETY: As above.
unsafe impl Sync for IopfQueue {}

impl IopfQueue {
    /// Makes a queue; `name` names its workqueue. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(name: &CStr) -> Result<Self> {
        // SAFETY: `name` is a C string, which is copied.
        let queue = unsafe { bindings::iopf_queue_alloc(name.as_char_ptr()) };
        Ok(Self {
            // INVARIANT: Freshly allocated.
            queue: NonNull::new(queue).ok_or(ENOMEM)?,
        })
    }

    /// Forgets the requests of all groups whose last request has not been reported.
    ///
    /// After an overflow, when those last requests may be lost. The caller must not report
    /// requests meanwhile. May sleep.
    pub fn discard_partial(&self) {
        // SAFETY: The queue is live by the type invariant. It cannot fail: only a null queue does.
        let _ = unsafe { bindings::iopf_queue_discard_partial(self.queue.as_ptr()) };
    }
}

impl Drop for IopfQueue {
    fn drop(&mut self) {
        // SAFETY: The queue is live by the type invariant. No device is on it any more, since each
        // `FaultSource` holds a reference on the queue until it is closed.
        unsafe { bindings::iopf_queue_free(self.queue.as_ptr()) };
    }
}

/// A device as a source of page faults: on a queue as long as one of its PASIDs, or what it accesses
/// without, has a domain that handles faults. As a driver of hardware would have it, which turns page
/// requests off with the last of them.
///
/// # Invariants
///
/// While `users` has any, the device is on `queue`, and its `dev->iommu` and `dev->iommu_group` are set.
#[pin_data]
pub struct FaultSource {
    dev: ARef<Device>,
    #[pin]
    on: Mutex<OnQueue>,
}

struct OnQueue {
    queue: Option<Arc<IopfQueue>>,
    /// The PASIDs, or [`FaultSource::NO_PASID`], whose domains handle faults.
    users: RBTree<u32, ()>,
}

impl FaultSource {
    /// Stands for accesses without PASID.
    pub const NO_PASID: u32 = bindings::IOMMU_NO_PASID;

    pub(crate) fn new(dev: ARef<Device>) -> impl PinInit<Self> {
        pin_init!(Self {
            dev,
            // INVARIANT: Not on a queue.
            on <- new_mutex!(OnQueue { queue: None, users: RBTree::new() }),
        })
    }

    fn as_raw(&self) -> *mut bindings::device {
        device_raw(&self.dev)
    }

    /// A domain of `pasid` handles faults from now on: puts the device on `queue`, if it is on none.
    /// Whether none did before. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, or what the core says.
    ///
    /// # Safety
    ///
    /// The device must have been probed by its IOMMU driver and must stay so until
    /// [`FaultSource::close`].
    pub(crate) unsafe fn begin(&self, queue: &Arc<IopfQueue>, pasid: u32) -> Result<bool> {
        let node = RBTreeNode::new(pasid, (), GFP_KERNEL)?;
        let mut on = self.on.lock();

        if on.users.get(&pasid).is_some() {
            return Ok(false);
        }
        if on.queue.is_none() {
            // SAFETY: The queue is live, and so is `dev->iommu` by the function's requirement.
            to_result(unsafe {
                bindings::iopf_queue_add_device(queue.queue.as_ptr(), self.as_raw())
            })?;
            on.queue = Some(queue.clone());
        }
        // INVARIANT: On the queue, and probed until `close()` by the function's requirement.
        on.users.insert(node);
        Ok(true)
    }

    /// The domain of `pasid` handles no faults any more, and the driver reports none. With the last
    /// such domain the device is taken off its queue. May sleep.
    pub(crate) fn end(&self, pasid: u32) {
        let mut on = self.on.lock();
        let node = on.users.remove_node(&pasid);

        if node.is_some() && on.users.is_empty() {
            self.leave(&mut on);
        }
        drop(on);
        drop(node);
    }

    /// Takes the device off its queue: pending groups are answered "invalid", later reports fail.
    pub(crate) fn close(&self) {
        let mut on = self.on.lock();
        let users = core::mem::take(&mut on.users);

        self.leave(&mut on);
        drop(on);
        drop(users);
    }

    fn leave(&self, on: &mut OnQueue) {
        if let Some(queue) = on.queue.take() {
            // SAFETY: By the type invariant the device is on this queue and still probed.
            unsafe {
                bindings::iopf_queue_remove_device(queue.queue.as_ptr(), self.as_raw());
            }
        }
    }

    /// Waits until the workers have answered all groups that were reported before. May sleep; not
    /// to be called from one of them, nor with a lock that one takes.
    ///
    /// The device, and others, may report meanwhile: a worker may take its time.
    ///
    /// # Safety
    ///
    /// The device must be probed and neither [`Self::end`] nor [`Self::close`] run meanwhile: they
    /// are called under the group's mutex.
    pub(crate) unsafe fn flush(&self) {
        let queue = self.on.lock().queue.clone();

        if queue.is_some() {
            // SAFETY: By the type invariant the device is on a queue, and stays so by the
            // function's requirement. It cannot fail: only for a device without a queue does it.
            let _ = unsafe { bindings::iopf_queue_flush_dev(self.as_raw()) };
        }
    }

    /// Reports a page request to whoever handles faults of that PASID.
    ///
    /// If the request is its group's last one, the driver's page response op is called exactly
    /// once for the group, now or later, also when this returns an error other than `ENODEV`.
    /// May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` when the device is on no queue: nothing was called, and nothing will be;
    /// `EINVAL` when nobody handles faults there; `ENOMEM`.
    pub fn report(&self, request: FaultReport) -> Result {
        let on = self.on.lock();

        if on.queue.is_none() {
            return Err(ENODEV);
        }
        let mut fault = request.to_fault();
        // SAFETY: By the type invariant the device is probed and on a queue, and stays so while
        // the lock is held, which all take that change it. The fault is copied.
        to_result(unsafe { bindings::iommu_report_device_fault(self.as_raw(), &mut fault) })
    }
}
