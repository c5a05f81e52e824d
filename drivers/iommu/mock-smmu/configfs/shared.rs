// SPDX-License-Identifier: GPL-2.0

//! An instance as its own directory and those of its devices know it.

use super::text;
use crate::{
    hw::Config,
    instance::Instance,
    instances::Instances, //
};
use kernel::{
    debugfs,
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

/// Groups with names get numbers from here on.
pub(super) const FIRST_NAMED_GROUP: u32 = 1 << 31;

/// What the directories of devices share with that of their instance.
#[pin_data]
pub(super) struct Shared {
    name: CString,
    pub(super) instances: Arc<Instances>,
    debugfs: debugfs::Dir,
    #[pin]
    pub(super) state: Mutex<InstanceState>,
}

pub(super) struct InstanceState {
    pub(super) config: Config,
    /// What represents the instance, once it was online.
    smmu: Option<ARef<Device>>,
    /// Names of groups; the place is the number, see [`Shared::group`].
    groups: KVec<CString>,
}

impl Shared {
    /// An instance called `name`: `smmu`, if that is there already. May sleep.
    pub(super) fn new(
        name: &CStr,
        instances: Arc<Instances>,
        debugfs: debugfs::Dir,
        smmu: Option<ARef<Device>>,
        config: Config,
    ) -> Result<Arc<Self>> {
        let state = InstanceState {
            config,
            smmu,
            groups: KVec::new(),
        };
        Arc::pin_init(
            try_pin_init!(Shared {
                name: name.try_into()?,
                instances,
                debugfs,
                state <- new_mutex!(state, "mock_smmu_configfs_instance"),
            }),
            GFP_KERNEL,
        )
    }

    /// What the directory is called.
    pub(super) fn name(&self) -> &CStr {
        &self.name
    }

    /// The instance, if it is online. May sleep.
    pub(super) fn smmu(&self) -> Option<ARef<Device>> {
        let state = self.state.lock();
        self.online(&state).cloned()
    }

    /// The instance, if it is online, with its state at hand. May sleep.
    pub(super) fn online<'a>(&self, state: &'a InstanceState) -> Option<&'a ARef<Device>> {
        let smmu = state.smmu.as_ref();
        smmu.filter(|smmu| self.instances.contains(smmu))
    }

    /// The number that stands for the group called `name`. May sleep.
    pub(super) fn group(&self, name: &str) -> Result<u32> {
        let groups = &mut self.state.lock().groups;
        let found = groups
            .iter()
            .position(|other| other.to_bytes() == name.as_bytes());
        let at = match found {
            Some(at) => at,
            None => {
                groups.push(CString::try_from_fmt(fmt!("{name}"))?, GFP_KERNEL)?;
                groups.len() - 1
            }
        };
        u32::try_from(at)?
            .checked_add(FIRST_NAMED_GROUP)
            .ok_or(ENOSPC)
    }

    /// Shows the group that `number` stands for. May sleep.
    pub(super) fn show_group(&self, page: &mut [u8; PAGE_SIZE], number: u32) -> Result<usize> {
        let state = self.state.lock();
        let named = number.checked_sub(FIRST_NAMED_GROUP);
        match named.and_then(|at| state.groups.get(at as usize)) {
            Some(name) => text::show(page, fmt!("{}", name.to_str()?)),
            None => text::show(page, fmt!("{number}")),
        }
    }

    /// Makes the instance, or removes it. Sleeps.
    ///
    /// # Errors
    ///
    /// Those of [`Instance::new`], and of [`Instances::remove`].
    pub(super) fn set_online(&self, online: bool) -> Result {
        let mut state = self.state.lock();
        match (self.online(&state), online) {
            (Some(_), true) | (None, false) => Ok(()),
            (Some(smmu), false) => self.instances.remove(smmu),
            (None, true) => {
                let mut instance = Instance::new(&self.name, state.config)?;
                instance.show(&self.name, &self.debugfs)?;
                state.smmu = Some(self.instances.add(instance)?);
                Ok(())
            }
        }
    }
}
