// SPDX-License-Identifier: GPL-2.0

//! Page requests: groups of them as the IOMMU core hands them over.

use crate::{attachment::FaultHandler, bindings};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{device::Device, impl_flags};

impl_flags!(
    /// What a device wants to do at an address.
    #[derive(Debug, Clone, Default, Copy, PartialEq, Eq)]
    pub struct Access(u32);

    /// One kind of access.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum AccessKind {
        /// Read data.
        Read = bindings::IOMMU_FAULT_PERM_READ,
        /// Write data.
        Write = bindings::IOMMU_FAULT_PERM_WRITE,
        /// Fetch instructions.
        Exec = bindings::IOMMU_FAULT_PERM_EXEC,
        /// With the privilege of the kernel rather than of the process.
        Privileged = bindings::IOMMU_FAULT_PERM_PRIV,
    }
);

/// The answer to a group of page requests (PCIe: Page Request Group Response).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    /// All pages are there: the device may try again.
    Success,
    /// At least one page cannot be had: the device must not ask for it again.
    Invalid,
    /// Something is broken: the device must not send page requests any more.
    Failure,
}

impl Response {
    /// The number that the IOMMU core has for it.
    pub fn code(self) -> bindings::iommu_page_response_code {
        match self {
            Response::Success => bindings::iommu_page_response_code_IOMMU_PAGE_RESP_SUCCESS,
            Response::Invalid => bindings::iommu_page_response_code_IOMMU_PAGE_RESP_INVALID,
            Response::Failure => bindings::iommu_page_response_code_IOMMU_PAGE_RESP_FAILURE,
        }
    }
}

/// One page request.
#[derive(Debug, Clone, Copy, Default)]
pub struct PageRequest {
    /// The address, at the start of a page.
    pub addr: u64,
    /// What the device wants to do there.
    pub access: Access,
}

/// A group of page requests, which get one answer together.
///
/// Exactly one: [`respond`](Self::respond) consumes the group, and one that is dropped unanswered
/// is answered [`Response::Invalid`], so that no device waits forever.
///
/// # Invariants
///
/// `group` is an unanswered group that arrived at an attachment of `T`, and the duty to answer and
/// free it is ours.
pub struct FaultGroup<T: FaultHandler> {
    group: NonNull<bindings::iopf_group>,
    _handler: PhantomData<fn() -> T>,
}

// SAFETY: A group may be answered on any thread.
unsafe impl<T: FaultHandler> Send for FaultGroup<T> {}

impl<T: FaultHandler> FaultGroup<T> {
    /// Takes over a group from the core.
    ///
    /// # Safety
    ///
    /// `group` must be valid and as the type invariants say.
    pub(crate) unsafe fn from_raw(group: *mut bindings::iopf_group) -> Self {
        // INVARIANT: By this function's contract.
        // SAFETY: A valid pointer is not null.
        let group = unsafe { NonNull::new_unchecked(group) };

        Self {
            group,
            _handler: PhantomData,
        }
    }

    /// How many requests the group has: at least one.
    pub fn len(&self) -> usize {
        // SAFETY: The group is valid by the type invariants.
        unsafe { (*self.group.as_ptr()).fault_count }
    }

    /// Never: a group has at least its last request.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The requests, the last one last.
    pub fn requests(&self) -> impl Iterator<Item = PageRequest> + '_ {
        // SAFETY: The group is valid, and so is its list: it does not change until we free it.
        let head = unsafe { &raw mut (*self.group.as_ptr()).faults };
        // SAFETY: As above.
        let mut node = unsafe { (*head).next };

        core::iter::from_fn(move || {
            if core::ptr::eq(node, head) {
                return None;
            }
            // SAFETY: Each node of the list other than its head is embedded in a fault.
            let fault = unsafe { kernel::container_of!(node, bindings::iopf_fault, list) };
            // SAFETY: As above, and nobody writes to the fault.
            let prm = unsafe { &(*fault).fault.prm };

            // SAFETY: The node is part of the list, see above.
            node = unsafe { (*node).next };
            Some(PageRequest {
                addr: prm.addr,
                access: Access(prm.perm),
            })
        })
    }

    /// The device that asks.
    pub fn device(&self) -> &Device {
        // SAFETY: The group is valid, and holds its device's fault data, which goes before the
        // device does.
        unsafe { Device::from_raw((*(*self.group.as_ptr()).fault_param).dev) }
    }

    /// The PASID that the requests are for; 0 if they have none.
    pub fn pasid(&self) -> u32 {
        let prm = self.last();

        if prm.flags & bindings::IOMMU_FAULT_PAGE_REQUEST_PASID_VALID != 0 {
            prm.pasid
        } else {
            0
        }
    }

    /// The number by which the device tells the group from others.
    pub fn index(&self) -> u32 {
        self.last().grpid
    }

    /// The last request.
    fn last(&self) -> &bindings::iommu_fault_page_request {
        // SAFETY: The group is valid, and nobody writes to its requests.
        unsafe { &(*self.group.as_ptr()).last_fault.fault.prm }
    }

    /// Notes the time, for [`since_arrival`](Self::since_arrival). Any context.
    pub fn note_arrival(&mut self) {
        // SAFETY: Reads the clock.
        let now = unsafe { bindings::ktime_get() };

        // SAFETY: The group is ours. The core leaves `node` to whoever handles it, for a list, and
        // we have no list: the group keeps the time there while it waits for a worker.
        unsafe {
            (*self.group.as_ptr()).node.next = core::ptr::without_provenance_mut(now as usize);
        }
    }

    /// How many nanoseconds ago the group arrived, if that was noted. Any context.
    pub fn since_arrival(&self) -> Option<u64> {
        // SAFETY: The group is valid. The core zeroes it, and `note_arrival` alone sets `node`.
        let arrival = unsafe { (*self.group.as_ptr()).node.next }.addr();
        // SAFETY: Reads the clock.
        let now = || unsafe { bindings::ktime_get() };

        // CAST: The clock does not go back, nor below 0.
        (arrival != 0).then(|| now() as u64 - arrival as u64)
    }

    /// Answers the group.
    ///
    /// Calls the IOMMU driver, and takes a mutex of the device's queue: may sleep.
    pub fn respond(self, response: Response) {
        let group = core::mem::ManuallyDrop::new(self).group;

        // SAFETY: By the type invariants the group is unanswered, and ours to free.
        unsafe { Self::answer(group, response) };
    }

    /// # Safety
    ///
    /// `group` must be unanswered, and the caller's to free.
    unsafe fn answer(group: NonNull<bindings::iopf_group>, response: Response) {
        // SAFETY: By this function's contract.
        unsafe {
            bindings::iopf_group_response(group.as_ptr(), response.code());
            bindings::iopf_free_group(group.as_ptr());
        }
    }
}

impl<T: FaultHandler> Drop for FaultGroup<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants; nobody uses `self` after this.
        unsafe { Self::answer(self.group, Response::Invalid) };
    }
}
