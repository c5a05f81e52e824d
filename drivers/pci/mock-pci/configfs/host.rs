// SPDX-License-Identifier: GPL-2.0

//! The directory of a host bridge: which SMMU it is behind, and whether it is there.

use super::function::FunctionDir;
use crate::hierarchy::Hierarchy;
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
    str::CString,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use smmuv3::configfs::text;

/// The files, by the numbers that they have in the directory's type.
mod file {
    pub(super) const SMMU: u64 = 0;
    pub(super) const SID_BASE: u64 = 1;
    pub(super) const DOMAIN: u64 = 2;
    pub(super) const RESCAN: u64 = 3;
    pub(super) const ONLINE: u64 = 4;
}

/// A directory.
#[pin_data(PinnedDrop)]
pub(super) struct HostDir {
    name: CString,
    #[pin]
    state: Mutex<DirState>,
}

struct DirState {
    smmu: CString,
    sid_base: u32,
    hierarchy: Option<Arc<Hierarchy>>,
}

impl HostDir {
    /// Makes the directory `name`.
    pub(super) fn group(name: &CStr) -> Result<impl PinInit<Group<Self>, Error>> {
        let dir_type = configfs_attrs! {
            container: Group<HostDir>,
            data: HostDir,
            child: FunctionDir,
            attributes: [
                smmu: 0,
                sid_base: 1,
                domain: 2,
                rescan: 3,
                online: 4,
            ],
        };
        let state = DirState {
            smmu: c"smmu0".try_into()?,
            // Above the StreamIDs of platform devices.
            sid_base: 0x8000,
            hierarchy: None,
        };
        // That of the device that represents it.
        let device = CString::try_from_fmt(fmt!("mock_pci-{}", text::name(name.to_bytes())?))?;
        let dir = try_pin_init!(Self {
            name: device,
            state <- new_mutex!(state, "mock_pci_configfs_host"),
        });

        Ok(Group::new(name.try_into()?, dir_type, dir))
    }

    fn set_online(&self, online: bool) -> Result {
        let mut state = self.state.lock();

        match (&state.hierarchy, online) {
            (Some(_), true) | (None, false) => Ok(()),
            (Some(hierarchy), false) => {
                if !hierarchy.is_empty() {
                    return Err(EBUSY);
                }
                hierarchy.remove();
                state.hierarchy = None;
                Ok(())
            }
            (None, true) => {
                let hierarchy = Hierarchy::new(&self.name, &state.smmu, state.sid_base)?;

                state.hierarchy = Some(hierarchy);
                Ok(())
            }
        }
    }

    fn show(&self, page: &mut [u8; PAGE_SIZE], which: u64) -> Result<usize> {
        let state = self.state.lock();

        match which {
            file::SMMU => text::show(page, fmt!("{}", state.smmu.to_str()?)),
            file::SID_BASE => text::show(page, fmt!("{:#x}", state.sid_base)),
            file::DOMAIN => {
                let hierarchy = state.hierarchy.as_ref().ok_or(ENODEV)?;

                text::show(page, fmt!("{:04x}", hierarchy.domain().ok_or(ENODEV)?))
            }
            file::ONLINE => {
                let online = u32::from(state.hierarchy.is_some());

                text::show(page, fmt!("{online}"))
            }
            // `rescan` only acts.
            _ => Err(EACCES),
        }
    }

    fn store(&self, written: &[u8], which: u64) -> Result {
        match which {
            file::ONLINE => return self.set_online(text::flag(written)?),
            file::RESCAN => {
                let hierarchy = self.state.lock().hierarchy.clone().ok_or(ENODEV)?;

                return if text::flag(written)? {
                    hierarchy.rescan()
                } else {
                    Ok(())
                };
            }
            _ => (),
        }
        let mut state = self.state.lock();

        if state.hierarchy.is_some() {
            return Err(EBUSY);
        }
        match which {
            file::SMMU => {
                let name = text::name(written)?;

                state.smmu = CString::try_from_fmt(fmt!("{name}"))?;
            }
            // CAST: To a type that holds the largest value.
            file::SID_BASE => state.sid_base = text::number(written, u32::MAX.into())? as u32,
            // `domain` only tells.
            _ => return Err(EACCES),
        }
        Ok(())
    }
}

#[pinned_drop]
impl PinnedDrop for HostDir {
    fn drop(self: Pin<&mut Self>) {
        let _ = self.set_online(false);
    }
}

#[vtable]
impl GroupOperations for HostDir {
    type Child = FunctionDir;

    fn make_group(&self, name: &CStr) -> Result<impl PinInit<Group<FunctionDir>, Error>> {
        let hierarchy = self.state.lock().hierarchy.clone().ok_or(ENODEV)?;

        FunctionDir::group(name, hierarchy, None)
    }
}

#[vtable]
impl<const FILE: u64> AttributeOperations<FILE> for HostDir {
    type Data = Self;

    fn show(dir: &Self, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        dir.show(page, FILE)
    }

    fn store(dir: &Self, written: &[u8]) -> Result {
        dir.store(written, FILE)
    }
}
