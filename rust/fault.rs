// SPDX-License-Identifier: GPL-2.0

//! Page requests: groups of them as the IOMMU core hands them over.

use crate::{attachment::FaultHandler, bindings, endpoint::Held};
use core::{marker::PhantomData, mem::ManuallyDrop, ops::Deref, ptr::NonNull};
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

impl PageRequest {
    fn of(prm: &bindings::iommu_fault_page_request) -> Self {
        Self {
            addr: prm.addr,
            access: Access(prm.perm),
        }
    }
}

/// What a group of page requests says of itself.
///
/// # Invariants
///
/// `group` is an unanswered group, which nobody changes but through this; its device is behind its
/// IOMMU.
pub struct Requests {
    group: NonNull<bindings::iopf_group>,
}

// SAFETY: A group belongs to no thread.
unsafe impl Send for Requests {}
// SAFETY: Nobody writes to what a shared reference reads.
unsafe impl Sync for Requests {}

impl Requests {
    /// The last request, if the group has no other.
    #[inline]
    pub fn single(&self) -> Option<PageRequest> {
        // SAFETY: The group is valid by the type invariants.
        let alone = unsafe { (*self.group.as_ptr()).fault_count } == 1;

        alone.then(|| PageRequest::of(self.last()))
    }

    /// How many requests the group has: at least one.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Never: a group has at least its last request.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The requests, the last one last.
    ///
    /// The core goes by the group's index alone. What a device left behind under another PASID, whose
    /// last request never came, is not this group's.
    pub fn iter(&self) -> impl Iterator<Item = PageRequest> + '_ {
        // SAFETY: The group is valid, and so is its list: it does not change until it is freed.
        let head = unsafe { &raw mut (*self.group.as_ptr()).faults };
        // SAFETY: As above.
        let mut node = unsafe { (*head).next };
        // The PASID and the flags as one word, since they are compared for each request.
        let whose = |prm: &bindings::iommu_fault_page_request| {
            u64::from(prm.pasid) << 32 | u64::from(prm.flags)
        };
        let mask =
            u64::from(u32::MAX) << 32 | u64::from(bindings::IOMMU_FAULT_PAGE_REQUEST_PASID_VALID);
        let ours = whose(self.last());

        core::iter::from_fn(move || loop {
            if core::ptr::eq(node, head) {
                return None;
            }
            // SAFETY: Each node of the list other than its head is embedded in a fault.
            let fault = unsafe { kernel::container_of!(node, bindings::iopf_fault, list) };
            // SAFETY: As above, and nobody writes to the fault.
            let prm = unsafe { &(*fault).fault.prm };

            // SAFETY: The node is part of the list, see above.
            node = unsafe { (*node).next };
            if (whose(prm) ^ ours) & mask == 0 {
                return Some(PageRequest::of(prm));
            }
        })
    }

    /// The device that asks.
    pub fn device(&self) -> &Device {
        // SAFETY: The group is valid, and by the type invariants its device is there.
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

    /// Answers the group, and frees it.
    ///
    /// # Safety
    ///
    /// The group must be the caller's to free, and not be used afterwards.
    #[inline]
    unsafe fn answer(&self, response: Response) {
        // SAFETY: By the type invariants the group is unanswered and its device there; the rest by
        // this function's contract.
        unsafe {
            bindings::iopf_group_response(self.group.as_ptr(), response.code());
            bindings::iopf_free_group(self.group.as_ptr());
        }
    }
}

/// A group of page requests, which get one answer together, while it is being reported.
///
/// Exactly one: [`respond`](Self::respond) consumes the group, and one that is dropped unanswered
/// is answered [`Response::Invalid`], so that no device waits forever. It cannot outlive the report:
/// the IOMMU core lists it, and answers what it lists when a driver has no more use for page
/// requests. What takes longer [waits](Self::wait).
///
/// # Invariants
///
/// The group arrived at an attachment of `T`, and the duty to answer and free it is ours. The IOMMU's
/// driver is just reporting it, and so keeps the device, and keeps the core from answering it.
pub struct FaultGroup<'a, T: FaultHandler> {
    requests: Requests,
    _report: PhantomData<&'a ()>,
    _handler: PhantomData<fn() -> T>,
}

impl<T: FaultHandler> FaultGroup<'_, T> {
    /// Takes over a group from the core.
    ///
    /// # Safety
    ///
    /// `group` must be valid and as the type invariants say for the whole lifetime of the result.
    pub(crate) unsafe fn from_raw(group: *mut bindings::iopf_group) -> Self {
        // INVARIANT: By this function's contract.
        // SAFETY: A valid pointer is not null.
        let group = unsafe { NonNull::new_unchecked(group) };

        Self {
            requests: Requests { group },
            _report: PhantomData,
            _handler: PhantomData,
        }
    }

    /// See [`Requests::note_arrival`].
    pub fn note_arrival(&mut self) {
        self.requests.note_arrival();
    }

    /// Keeps the group beyond the report, which `device` is the device of. May sleep.
    ///
    /// # Errors
    ///
    /// The group itself, if its device is another.
    pub fn wait(self, device: Held) -> Result<WaitingGroup, Self> {
        if !core::ptr::eq(self.device(), device.dev()) {
            return Err(self);
        }
        let Requests { group } = ManuallyDrop::new(self).requests;

        // SAFETY: The group is listed, since it is being reported; the core forgets it.
        unsafe { bindings::iopf_group_dequeue(group.as_ptr()) };
        // INVARIANT: The device is held, and nobody else answers the group now.
        Ok(WaitingGroup {
            requests: Requests { group },
            device: ManuallyDrop::new(device),
        })
    }

    /// Answers the group.
    ///
    /// Calls the IOMMU driver, and takes a mutex of the device's queue: may sleep.
    #[inline]
    pub fn respond(self, response: Response) {
        // SAFETY: By the type invariants it is ours to free, and nobody uses it afterwards.
        unsafe { ManuallyDrop::new(self).requests.answer(response) };
    }
}

impl<T: FaultHandler> Deref for FaultGroup<'_, T> {
    type Target = Requests;

    fn deref(&self) -> &Requests {
        &self.requests
    }
}

impl<T: FaultHandler> Drop for FaultGroup<'_, T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants; nobody uses `self` after this.
        unsafe { self.requests.answer(Response::Invalid) };
    }
}

/// A group of page requests that waits for its answer; else as [`FaultGroup`].
///
/// # Invariants
///
/// The core does not list the group; the duty to answer and free it is ours. Its device is `device`.
pub struct WaitingGroup {
    requests: Requests,
    device: ManuallyDrop<Held>,
}

impl WaitingGroup {
    /// Whether its device is about to leave. Any context.
    pub fn device_leaves(&self) -> bool {
        self.device.leaves()
    }

    /// Answers the group, and lets its device go.
    ///
    /// Calls the IOMMU driver, and takes a mutex of the device's queue: may sleep.
    pub fn respond(self, response: Response) {
        // SAFETY: By the type invariants it is ours to free; nothing is used after this.
        unsafe { ManuallyDrop::new(self).end(response) };
    }

    /// # Safety
    ///
    /// Only once, and `self` must not be used afterwards.
    unsafe fn end(&mut self, response: Response) {
        // SAFETY: By the type invariants the group is ours, and by this function's contract both
        // are done for the first time. The device stays until the group is answered.
        unsafe {
            self.requests.answer(response);
            ManuallyDrop::drop(&mut self.device);
        }
    }
}

impl Deref for WaitingGroup {
    type Target = Requests;

    fn deref(&self) -> &Requests {
        &self.requests
    }
}

impl Drop for WaitingGroup {
    fn drop(&mut self) {
        // SAFETY: Nobody uses `self` after this.
        unsafe { self.end(Response::Invalid) };
    }
}
