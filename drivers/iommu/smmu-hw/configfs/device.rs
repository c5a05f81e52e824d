// SPDX-License-Identifier: GPL-2.0

//! The directory of a device: what it is like, and whether it is plugged in.

use super::{
    shared::{
        Shared,
        FIRST_NAMED_GROUP, //
    },
    text, //
};
use crate::{
    device::{
        DeviceSpec,
        Numbers,
        MAX_RESV, //
    },
    host, //
};
use kernel::{
    configfs::{
        configfs_attrs,
        AttributeOperations,
        Group, //
    },
    device::Device,
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    str::CString,
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    }, //
};
use kernel_ext::resv_region::{
    ResvKind,
    ResvRegion, //
};
/// The files, by the numbers that they have in the directory's type.
mod file {
    pub(super) const PASID_BITS: u64 = 0;
    pub(super) const SID: u64 = 1;
    pub(super) const GROUP: u64 = 2;
    pub(super) const ATS: u64 = 3;
    pub(super) const PRI: u64 = 4;
    pub(super) const STALL: u64 = 5;
    pub(super) const TRANSLATED: u64 = 6;
    pub(super) const RESERVED: u64 = 7;
    pub(super) const DIRECT: u64 = 8;
    pub(super) const MAX_OUTSTANDING: u64 = 9;
    pub(super) const MAX_RETRIES: u64 = 10;
    pub(super) const TIMEOUT_MS: u64 = 11;
    pub(super) const DRIVER: u64 = 12;
    pub(super) const ID: u64 = 13;
    pub(super) const DEVICE: u64 = 14;
    pub(super) const SLEEP_AFTER: u64 = 15;
    pub(super) const ONLINE: u64 = 16;
}

/// A directory.
#[pin_data(PinnedDrop)]
pub(super) struct DeviceDir {
    instance: Arc<Shared>,
    #[pin]
    state: Mutex<DirState>,
}

struct DirState {
    spec: DeviceSpec,
    numbers: Numbers,
    /// The name of the platform device, and so of the driver that binds it.
    driver: CString,
    /// What was plugged in last.
    device: Option<ARef<Device>>,
}

/// The regions of `kind`, as [`text::regions`] reads them.
struct Regions<'a>(&'a DeviceSpec, ResvKind);

impl kernel::fmt::Display for Regions<'_> {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        let regions = self.0.resv.iter().flatten();
        for (i, region) in regions.filter(|region| region.kind == self.1).enumerate() {
            let space = if i == 0 { "" } else { " " };
            write!(f, "{space}{:#x}+{:#x}", region.start, region.len)?;
        }
        Ok(())
    }
}

impl DirState {
    /// Replaces the regions of `kind`.
    fn set_regions(&mut self, written: &[u8], kind: ResvKind) -> Result {
        let kept = self.spec.resv.iter().flatten().filter(|r| r.kind != kind);
        let mut all: KVec<ResvRegion> = KVec::with_capacity(MAX_RESV, GFP_KERNEL)?;
        for region in kept {
            all.push(*region, GFP_KERNEL)?;
        }
        let new = text::regions(written, kind, MAX_RESV - all.len())?;
        all.extend_from_slice(&new, GFP_KERNEL)?;
        self.spec.resv = core::array::from_fn(|i| all.get(i).copied());
        Ok(())
    }
}

impl DeviceDir {
    /// Makes the directory `name` in that of `instance`.
    pub(super) fn group(
        name: &CStr,
        instance: Arc<Shared>,
    ) -> Result<impl PinInit<Group<Self>, Error>> {
        let dir_type = configfs_attrs! {
            container: Group<DeviceDir>,
            data: DeviceDir,
            attributes: [
                pasid_bits: 0,
                sid: 1,
                group: 2,
                ats: 3,
                pri: 4,
                stall: 5,
                translated: 6,
                reserved: 7,
                direct: 8,
                max_outstanding: 9,
                max_retries: 10,
                timeout_ms: 11,
                driver: 12,
                id: 13,
                device: 14,
                sleep_after: 15,
                online: 16,
            ],
        };
        let state = DirState {
            spec: DeviceSpec::DEFAULT,
            numbers: Numbers::default(),
            driver: c"mock_accel".try_into()?,
            device: None,
        };
        let dir = try_pin_init!(Self {
            instance,
            state <- new_mutex!(state, "mock_smmu_configfs_device"),
        });
        Ok(Group::new(name.try_into()?, dir_type, dir))
    }

    /// What is plugged in, with its StreamID.
    fn online<'a>(&self, state: &'a DirState) -> Option<(&'a Device, u32)> {
        let device = state.device.as_deref()?;
        let sid = host::ask(|host| host.sid_of(device)).ok()?;
        Some((device, sid))
    }

    fn set_online(&self, online: bool) -> Result {
        let mut state = self.state.lock();
        match (self.online(&state), online) {
            (Some(_), true) | (None, false) => Ok(()),
            (Some((device, _)), false) => host::ask(|host| host.remove_device(device)),
            (None, true) => {
                let smmu = self.instance.smmu().ok_or(ENODEV)?;
                let device = host::ask(|host| {
                    host.add_device(Some(&smmu), &state.driver, state.numbers, &state.spec)
                })?;
                state.device = Some(device);
                Ok(())
            }
        }
    }

    fn show(&self, page: &mut [u8; PAGE_SIZE], which: u64) -> Result<usize> {
        let state = self.state.lock();
        let (spec, numbers) = (&state.spec, &state.numbers);
        let number = |page, value: u64| text::show(page, fmt!("{value}"));
        match which {
            file::PASID_BITS => number(page, spec.pasid_bits.into()),
            file::SID => match (numbers.sid, self.online(&state)) {
                (Some(sid), _) | (None, Some((_, sid))) => text::show(page, fmt!("{sid:#x}")),
                (None, None) => text::show(page, fmt!("auto")),
            },
            file::GROUP => match spec.group {
                Some(group) => self.instance.show_group(page, group),
                None => text::show(page, fmt!("none")),
            },
            file::ATS => number(page, spec.ats.into()),
            file::PRI => number(page, spec.pri.into()),
            file::STALL => number(page, spec.stall.into()),
            file::TRANSLATED => number(page, spec.translated.into()),
            file::RESERVED => text::show(page, fmt!("{}", Regions(spec, ResvKind::Reserved))),
            file::DIRECT => text::show(page, fmt!("{}", Regions(spec, ResvKind::Direct))),
            file::MAX_OUTSTANDING => number(page, spec.limits.max_outstanding.into()),
            file::MAX_RETRIES => number(page, spec.limits.max_retries.into()),
            file::TIMEOUT_MS => number(page, spec.limits.timeout_ms.into()),
            file::DRIVER => text::show(page, fmt!("{}", state.driver.to_str()?)),
            file::ID => match numbers.id {
                Some(id) => text::show(page, fmt!("{id}")),
                None => text::show(page, fmt!("auto")),
            },
            file::SLEEP_AFTER => match spec.sleep_after {
                Some(flushes) => number(page, flushes.into()),
                None => text::show(page, fmt!("auto")),
            },
            file::DEVICE => {
                let (device, _) = self.online(&state).ok_or(ENODEV)?;
                text::show(page, fmt!("{}", device.name().to_str()?))
            }
            _ => number(page, self.online(&state).is_some().into()),
        }
    }

    fn store(&self, written: &[u8], which: u64) -> Result {
        if which == file::ONLINE {
            return self.set_online(text::flag(written)?);
        }
        let mut state = self.state.lock();
        if self.online(&state).is_some() {
            return Err(EBUSY);
        }
        let number = |max| text::number(written, max);
        match which {
            // CAST: In each case to a type that holds the largest value.
            file::PASID_BITS => state.spec.pasid_bits = number(20)? as u8,
            file::SID => {
                let sid = text::number_or_auto(written, u32::MAX.into())?;
                state.numbers.sid = sid.map(|sid| sid as u32);
            }
            file::GROUP => {
                state.spec.group = match text::word(written)? {
                    "none" => None,
                    word if word.starts_with(|c: char| c.is_ascii_digit()) => {
                        Some(number(u64::from(FIRST_NAMED_GROUP) - 1)? as u32)
                    }
                    _ => Some(self.instance.group(text::name(written)?)?),
                };
            }
            file::ATS => state.spec.ats = text::flag(written)?,
            file::PRI => state.spec.pri = text::flag(written)?,
            file::STALL => state.spec.stall = text::flag(written)?,
            file::TRANSLATED => state.spec.translated = text::flag(written)?,
            file::RESERVED => state.set_regions(written, ResvKind::Reserved)?,
            file::DIRECT => state.set_regions(written, ResvKind::Direct)?,
            file::MAX_OUTSTANDING => {
                let most = number(u16::MAX.into())?;
                if most == 0 {
                    return Err(ERANGE);
                }
                state.spec.limits.max_outstanding = most as u16;
            }
            file::MAX_RETRIES => state.spec.limits.max_retries = number(u16::MAX.into())? as u16,
            file::TIMEOUT_MS => state.spec.limits.timeout_ms = number(u32::MAX.into())? as u32,
            file::DRIVER => {
                let name = text::name(written)?;
                state.driver = CString::try_from_fmt(fmt!("{name}"))?;
            }
            file::ID => {
                // CAST: As above.
                let id = text::number_or_auto(written, i32::MAX as u64)?;
                state.numbers.id = id.map(|id| id as i32);
            }
            file::SLEEP_AFTER => {
                // CAST: As above.
                let flushes = text::number_or_auto(written, u32::MAX.into())?;
                state.spec.sleep_after = flushes.map(|flushes| flushes as u32);
            }
            // `device` only tells.
            _ => return Err(EACCES),
        }
        Ok(())
    }
}

#[pinned_drop]
impl PinnedDrop for DeviceDir {
    fn drop(self: Pin<&mut Self>) {
        // ENOENT if all devices were removed by other means.
        let _ = self.set_online(false);
    }
}

#[vtable]
impl<const FILE: u64> AttributeOperations<FILE> for DeviceDir {
    type Data = Self;

    fn show(dir: &Self, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        dir.show(page, FILE)
    }

    fn store(dir: &Self, written: &[u8]) -> Result {
        dir.store(written, FILE)
    }
}
