// SPDX-License-Identifier: GPL-2.0

//! An instance as its own directory and those of its devices know it.

use super::text;
use crate::{
    host,
    hw::{
        self,
        default_config,
        Config, //
    }, //
};
use core::ptr;
use kernel::{
    device::Device,
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    str::CString,
    sync::{
        aref::ARef,
        Arc,
        Mutex,
        MutexGuard, //
    }, //
};

/// Groups with names get numbers from here on.
pub(super) const FIRST_NAMED_GROUP: u32 = 1 << 31;

/// Where an instance comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is the host's first one, and comes and goes with that.
    Loaded,
    /// A user made its directory.
    Made,
}

/// What the directories of devices share with that of their instance.
#[pin_data]
pub(super) struct Shared {
    name: CString,
    origin: Origin,
    #[pin]
    state: Mutex<InstanceState>,
}

pub(super) struct InstanceState {
    pub(super) config: Config,
    /// What represents the instance, once it was online.
    smmu: Option<ARef<Device>>,
    /// Names of groups; the place is the number, see [`Shared::group`].
    groups: KVec<CString>,
}

impl InstanceState {
    /// The instance, if it is online. May sleep.
    pub(super) fn online(&self) -> Option<&ARef<Device>> {
        self.smmu.as_ref().filter(|smmu| self.hw(smmu).is_some())
    }

    /// The hardware of `smmu`, if that is online. May sleep.
    pub(super) fn hw(&self, smmu: &Device) -> Option<Arc<hw::Smmu>> {
        host::ask(|host| Ok(host.hw_of(smmu))).ok().flatten()
    }
}

impl Shared {
    /// An instance called `name`. May sleep.
    pub(super) fn new(name: &CStr, origin: Origin) -> Result<Arc<Self>> {
        let state = InstanceState {
            config: default_config(),
            smmu: None,
            groups: KVec::new(),
        };
        Arc::pin_init(
            try_pin_init!(Shared {
                name: name.try_into()?,
                origin,
                state <- new_mutex!(state, "smmu_hw_configfs_instance"),
            }),
            GFP_KERNEL,
        )
    }

    /// Its state, as things stand. May sleep.
    pub(super) fn lock(&self) -> MutexGuard<'_, InstanceState> {
        let mut state = self.state.lock();

        // Another host may have come, with an SMMU of its own.
        if self.origin == Origin::Loaded && state.online().is_none() {
            if let Some((smmu, config)) = host::first() {
                if !state
                    .smmu
                    .as_ref()
                    .is_some_and(|old| ptr::eq(&**old, &*smmu))
                {
                    state.config = config;
                    state.smmu = Some(smmu);
                }
            }
        }
        state
    }

    /// What the directory is called.
    pub(super) fn name(&self) -> &CStr {
        &self.name
    }

    /// The instance, if it is online. May sleep.
    pub(super) fn smmu(&self) -> Option<ARef<Device>> {
        self.lock().online().cloned()
    }

    /// The number that stands for the group called `name`. May sleep.
    pub(super) fn group(&self, name: &str) -> Result<u32> {
        let groups = &mut self.lock().groups;
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
        let state = self.lock();
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
    /// Those of the host.
    pub(super) fn set_online(&self, online: bool) -> Result {
        let mut state = self.lock();
        match (state.online(), online) {
            (Some(_), true) | (None, false) => Ok(()),
            (Some(smmu), false) => host::ask(|host| host.remove_smmu(smmu)),
            (None, true) => {
                let smmu = host::ask(|host| host.make_smmu(&self.name, state.config))?;
                state.smmu = Some(smmu);
                Ok(())
            }
        }
    }
}
