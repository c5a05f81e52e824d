// SPDX-License-Identifier: GPL-2.0

//! A range of addresses, page by page: what the device finds, and what the kernel finds.

use kernel::{
    mm::MmWithUser,
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc, //
};
use kernel_test_ext::{
    bindings::{
        mock_smmu_compare as Request,
        mock_smmu_compare_page as Page,
        MOCK_SMMU_COMPARE_NONE,
        MOCK_SMMU_COMPARE_WALK, //
    },
    gup,
    interval::Interval, //
};
use smmuv3::{
    hw::{
        Attrs,
        Intent,
        Port, //
    },
    ports::port_named, //
};

/// Where an access goes that would fault: all ones.
// CAST: bindgen takes it for a negative number, whose sign extends.
const NONE: u64 = MOCK_SMMU_COMPARE_NONE as u64;

/// How often a page may change while it is looked at.
const PATIENCE: u32 = 1000;

/// How often a bond may have been put to sleep since it was woken.
const WAKES: u32 = 100;

/// Translations and folios of this size count as large: 16 pages, the contiguous hint's unit.
const LARGE_ORDER: u32 = 4;

/// What the device finds at an address.
struct Found {
    page: Page,
    /// Part of a large translation.
    large: bool,
}

/// The device's side.
struct Device {
    port: Arc<Port>,
    pasid: u32,
    /// Forget what the caches have before each look.
    walk: bool,
}

impl Device {
    fn new(request: &Request) -> Result<Self> {
        let name = CStr::from_bytes_until_nul(&request.device).map_err(|_| EINVAL)?;

        if request.flags & !MOCK_SMMU_COMPARE_WALK != 0 {
            return Err(EINVAL);
        }
        Ok(Self {
            port: port_named(name).ok_or(ENODEV)?,
            pasid: request.pasid,
            walk: request.flags & MOCK_SMMU_COMPARE_WALK != 0,
        })
    }

    /// Has the device ask for a page, which is there, as long as it finds less than `there`: its bond
    /// may sleep, and then there is nothing to be found.
    fn wake(&self, addr: usize, found: &Page, there: &Page) -> bool {
        let lacks = |found, there| found == NONE && there != NONE;
        let less = lacks(found.read, there.read)
            || lacks(found.write, there.write)
            || lacks(found.exec, there.exec);
        let read = || {
            let (ssid, va) = (Some(self.pasid), addr as u64);
            self.port.read(ssid, va, &mut [0], Attrs::default())
        };
        less && there.read != NONE && read().is_ok()
    }

    fn find(&self, addr: usize) -> Result<Found> {
        let (ssid, va) = (Some(self.pasid), addr as u64);
        let locate = |intent| {
            if self.walk {
                self.port.evict(ssid, va);
            }
            self.port.locate(ssid, va, intent).map_err(|_| EIO)
        };
        let read = locate(Intent::Read)?;
        // What a cached translation permits counts; asking for what it does not would drop it.
        let else_locate = |intent| match read {
            Some(place) if !self.walk && place.allows(intent) => Ok(read),
            _ => locate(intent),
        };
        let write = else_locate(Intent::Write)?;
        let exec = else_locate(Intent::Exec)?;
        let places = [read, write, exec];
        let large = places
            .iter()
            .flatten()
            .any(|place| 1 << place.shift >= PAGE_SIZE << LARGE_ORDER);
        let [read, write, exec] = places.map(|place| place.map_or(NONE, |place| place.phys));

        // The caches shall remember the page when it changes.
        locate(Intent::Read)?;
        Ok(Found {
            page: Page { read, write, exec },
            large,
        })
    }
}

/// What both find at one address at the same time.
fn look(device: &Device, interval: &Interval, addr: usize) -> Result<(Found, gup::Mapped, u32)> {
    let mut wakes = 0;

    for retries in 0..PATIENCE {
        let moment = interval.moment();
        // The interval tells of what goes; what has come is seen by looking twice.
        let before = gup::mapped(addr);
        let found = device.find(addr)?;

        if before == gup::mapped(addr) && !interval.changed_since(&moment) {
            if wakes < WAKES && device.wake(addr, &found.page, &kernel_page(&before)) {
                wakes += 1;
                continue;
            }
            return Ok((found, before, retries));
        }
    }
    Err(EAGAIN)
}

fn kernel_page(mapped: &gup::Mapped) -> Page {
    let phys = |place: Option<u64>| place.unwrap_or(NONE);

    Page {
        read: phys(mapped.read),
        write: phys(mapped.write),
        exec: phys(mapped.exec),
    }
}

fn count(counter: &mut u64, condition: bool) {
    *counter += u64::from(condition);
}

/// Carries out a comparison for the calling process, and fills in how it went. May sleep.
///
/// # Errors
///
/// As the C header has it.
pub(crate) fn run(request: &mut Request) -> Result {
    let task = current!();
    let mm: &MmWithUser = task.mm().ok_or(EINVAL)?;
    let device = Device::new(request)?;
    let (start, length) = (request.addr as usize, request.length as usize);
    let end = start.checked_add(length).ok_or(EINVAL)?;

    if start % PAGE_SIZE != 0 || length % PAGE_SIZE != 0 || length == 0 {
        return Err(EINVAL);
    }
    let interval = Interval::new(mm, start..end)?;

    *request = Request {
        device: request.device,
        pasid: request.pasid,
        flags: request.flags,
        addr: request.addr,
        length: request.length,
        ..Request::default()
    };
    for addr in (start..end).step_by(PAGE_SIZE) {
        let (found, mapped, retries) = look(&device, &interval, addr)?;
        let (device_says, kernel_says) = (found.page, kernel_page(&mapped));

        request.retries += u64::from(retries);
        request.pages += 1;
        count(&mut request.readable, device_says.read != NONE);
        count(&mut request.writable, device_says.write != NONE);
        count(&mut request.executable, device_says.exec != NONE);
        count(&mut request.folios, mapped.order >= LARGE_ORDER);
        count(&mut request.large, found.large);
        if device_says != kernel_says {
            if request.differ == 0 {
                request.where_ = addr as u64;
                request.device_says = device_says;
                request.kernel_says = kernel_says;
            }
            request.differ += 1;
        }
    }
    Ok(())
}
