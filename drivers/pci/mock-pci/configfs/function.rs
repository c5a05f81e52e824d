// SPDX-License-Identifier: GPL-2.0

//! The directory of a function: what it is like, and whether it is plugged in.

use crate::{
    hierarchy::{
        Function,
        Hierarchy,
        Place, //
    },
    image::{
        Role,
        Spec,
        ACS_ISOLATED, //
    }, //
};
use kernel::{
    configfs::{
        configfs_attrs,
        AttributeOperations,
        Group,
        GroupOperations, //
    },
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use smmuv3::configfs::text;

/// The files, by the numbers that they have in the directory's type.
mod file {
    pub(super) const ROLE: u64 = 0;
    pub(super) const DEVICE: u64 = 1;
    pub(super) const FUNCTION: u64 = 2;
    pub(super) const MULTIFUNCTION: u64 = 3;
    pub(super) const ACS: u64 = 4;
    pub(super) const PASID_BITS: u64 = 5;
    pub(super) const ATS: u64 = 6;
    pub(super) const PRI: u64 = 7;
    pub(super) const BAR_BITS: u64 = 8;
    pub(super) const VENDOR_ID: u64 = 9;
    pub(super) const DEVICE_ID: u64 = 10;
    pub(super) const ADDRESS: u64 = 11;
    pub(super) const ONLINE: u64 = 12;
}

/// The sizes of memory that a function can have, as log2.
const BAR_BITS: core::ops::RangeInclusive<u8> = 12..=24;

/// A directory.
#[pin_data]
pub(super) struct FunctionDir {
    hierarchy: Arc<Hierarchy>,
    function: Arc<Function>,
    #[pin]
    state: Mutex<DirState>,
}

struct DirState {
    spec: Spec,
    place: Place,
}

impl FunctionDir {
    /// Makes the directory `name` of a function behind `parent`, or on the root bus: of a port if the
    /// name begins so.
    pub(super) fn group(
        name: &CStr,
        hierarchy: Arc<Hierarchy>,
        parent: Option<Arc<Function>>,
    ) -> Result<impl PinInit<Group<Self>, Error>> {
        let dir_type = configfs_attrs! {
            container: Group<FunctionDir>,
            data: FunctionDir,
            child: FunctionDir,
            attributes: [
                role: 0,
                device: 1,
                function: 2,
                multifunction: 3,
                acs: 4,
                pasid_bits: 5,
                ats: 6,
                pri: 7,
                bar_bits: 8,
                vendor_id: 9,
                device_id: 10,
                address: 11,
                online: 12,
            ],
        };
        let is_port = name.to_bytes().starts_with(b"port");
        let function = Function::new(hierarchy.clone(), parent, is_port)?;
        let state = DirState {
            spec: if is_port { Spec::PORT } else { Spec::ENDPOINT },
            place: Place::default(),
        };
        let dir = try_pin_init!(Self {
            hierarchy,
            function,
            state <- new_mutex!(state, "mock_pci_configfs_function"),
        });

        Ok(Group::new(name.try_into()?, dir_type, dir))
    }

    fn set_online(&self, online: bool) -> Result {
        let state = self.state.lock();

        match (self.function.is_plugged(), online) {
            (true, true) | (false, false) => Ok(()),
            (false, true) => self.function.plug(&state.spec, state.place),
            (true, false) => {
                self.function.unplug(false);
                Ok(())
            }
        }
    }

    fn show(&self, page: &mut [u8; PAGE_SIZE], which: u64) -> Result<usize> {
        let state = self.state.lock();
        let (spec, place) = (&state.spec, &state.place);
        let number = |page, value: u32| text::show(page, fmt!("{value}"));
        let chosen = |page, value: Option<u8>| match value {
            Some(value) => text::show(page, fmt!("{value}")),
            None => text::show(page, fmt!("auto")),
        };

        match which {
            file::ROLE => {
                let role = match self.function.role() {
                    Role::Endpoint => "endpoint",
                    Role::Integrated => "integrated endpoint",
                    Role::RootPort => "root port",
                    Role::UpstreamPort => "upstream port",
                    Role::DownstreamPort => "downstream port",
                };

                text::show(page, fmt!("{role}"))
            }
            file::DEVICE => chosen(page, place.device),
            file::FUNCTION => chosen(page, place.function),
            file::MULTIFUNCTION => number(page, spec.multifunction.into()),
            file::ACS => match spec.acs {
                Some(acs) => text::show(page, fmt!("{acs:#x}")),
                None => text::show(page, fmt!("none")),
            },
            file::PASID_BITS => number(page, spec.pasid_bits.into()),
            file::ATS => number(page, spec.ats.into()),
            file::PRI => number(page, spec.pri.into()),
            file::BAR_BITS => number(page, spec.bar_bits.into()),
            file::VENDOR_ID => text::show(page, fmt!("{:#06x}", spec.vendor)),
            file::DEVICE_ID => text::show(page, fmt!("{:#06x}", spec.device)),
            file::ADDRESS => {
                let (domain, at) = self.function.address().ok_or(ENODEV)?;
                let (device, function) = (at.devfn >> 3, at.devfn & 7);

                text::show(
                    page,
                    fmt!("{domain:04x}:{:02x}:{device:02x}.{function}", at.bus),
                )
            }
            _ => number(page, self.function.is_plugged().into()),
        }
    }

    fn store(&self, written: &[u8], which: u64) -> Result {
        if which == file::ONLINE {
            return self.set_online(text::flag(written)?);
        }
        let mut state = self.state.lock();

        if self.function.is_plugged() {
            return Err(EBUSY);
        }
        let number = |max| text::number(written, max);
        let chosen = |max| text::number_or_auto(written, max).map(|n| n.map(|n| n as u8));

        match which {
            // CAST: In each case to a type that holds the largest value.
            file::DEVICE => state.place.device = chosen(31)?,
            file::FUNCTION => state.place.function = chosen(7)?,
            file::MULTIFUNCTION => state.spec.multifunction = text::flag(written)?,
            file::ACS => {
                state.spec.acs = match text::word(written)? {
                    "none" => None,
                    _ => {
                        let acs = number(u16::MAX.into())? as u16;

                        if acs & !ACS_ISOLATED != 0 {
                            return Err(ERANGE);
                        }
                        Some(acs)
                    }
                };
            }
            file::PASID_BITS => state.spec.pasid_bits = number(20)? as u8,
            file::ATS => state.spec.ats = text::flag(written)?,
            file::PRI => state.spec.pri = text::flag(written)?,
            file::BAR_BITS => {
                let bits = number(64)? as u8;

                if bits != 0 && !BAR_BITS.contains(&bits) {
                    return Err(ERANGE);
                }
                state.spec.bar_bits = bits;
            }
            file::VENDOR_ID => state.spec.vendor = number(0xfffe)? as u16,
            file::DEVICE_ID => state.spec.device = number(u16::MAX.into())? as u16,
            // The others only tell.
            _ => return Err(EACCES),
        }
        Ok(())
    }
}

#[vtable]
impl GroupOperations for FunctionDir {
    type Child = FunctionDir;

    fn make_group(&self, name: &CStr) -> Result<impl PinInit<Group<FunctionDir>, Error>> {
        Self::group(name, self.hierarchy.clone(), Some(self.function.clone()))
    }
}

#[vtable]
impl<const FILE: u64> AttributeOperations<FILE> for FunctionDir {
    type Data = Self;

    fn show(dir: &Self, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        dir.show(page, FILE)
    }

    fn store(dir: &Self, written: &[u8]) -> Result {
        dir.store(written, FILE)
    }
}
