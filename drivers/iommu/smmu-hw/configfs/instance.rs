// SPDX-License-Identifier: GPL-2.0

//! The directory of an instance: what its ID registers say, and whether it is there.

use super::{
    device::DeviceDir,
    shared::{
        Origin,
        Shared, //
    },
    text, //
};
use crate::hw::{
    self,
    Config, //
};
use kernel::{
    configfs::{
        configfs_attrs,
        AttributeOperations,
        Group,
        GroupOperations, //
    },
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc, //
};

/// A file with a number that an ID register tells, or that sets a mode.
struct Field {
    max: u64,
    get: fn(&Config) -> u64,
    set: fn(&mut Config, u64),
    /// Makes hardware that is online follow. Without this, it cannot.
    follow: Option<fn(&hw::Smmu, &Config)>,
}

macro_rules! bits {
    ($name:ident: $type:ty, $max:literal) => {
        Field {
            max: $max,
            get: |config| u64::from(config.$name),
            // CAST: At most `max`, which fits.
            set: |config, value| config.$name = value as $type,
            follow: None,
        }
    };
}

macro_rules! flag {
    ($name:ident) => {
        Field {
            max: 1,
            get: |config| u64::from(config.$name),
            set: |config, value| config.$name = value != 0,
            follow: None,
        }
    };
}

/// In the order of the directory's attributes.
const FIELDS: [Field; 21] = [
    bits!(sid_bits: u8, 32),
    bits!(ssid_bits: u8, 20),
    bits!(cmdq_bits: u8, 19),
    bits!(evtq_bits: u8, 19),
    bits!(priq_bits: u8, 19),
    bits!(httu: u8, 3),
    flag!(gran16k),
    flag!(gran64k),
    flag!(ats),
    flag!(pri),
    flag!(ril),
    flag!(cache_invalid),
    bits!(stall_model: u8, 2),
    bits!(stall_max: u16, 0xffff),
    flag!(merge_events),
    Field {
        follow: Some(|hw, config| hw.set_strict(config.strict)),
        ..flag!(strict)
    },
    Field {
        follow: Some(|hw, config| hw.set_eviction(config.evict_one_in, config.evict_seed)),
        ..bits!(evict_one_in: u32, 0xffff_ffff)
    },
    flag!(asid16),
    flag!(term_model),
    flag!(page_hints),
    flag!(walk_cache),
];
const OAS_BITS: usize = FIELDS.len();
const ONLINE: usize = OAS_BITS + 1;

/// The sizes of output addresses, by their code in IDR5.
const ADDRESS_SIZES: [u64; 7] = [32, 36, 40, 42, 44, 48, 52];

/// A directory.
#[pin_data(PinnedDrop)]
pub(super) struct InstanceDir {
    shared: Arc<Shared>,
}

impl InstanceDir {
    fn show(&self, page: &mut [u8; PAGE_SIZE], file: usize) -> Result<usize> {
        let state = self.shared.lock();
        let value = match file {
            ONLINE => u64::from(state.online().is_some()),
            OAS_BITS => ADDRESS_SIZES[usize::from(state.config.oas)],
            _ => (FIELDS[file].get)(&state.config),
        };
        text::show(page, fmt!("{value}"))
    }

    fn store(&self, written: &[u8], file: usize) -> Result {
        if file == ONLINE {
            return self.shared.set_online(text::flag(written)?);
        }
        let mut state = self.shared.lock();
        let hw = state.online().and_then(|smmu| state.hw(smmu));
        let field = FIELDS.get(file);
        let follow = field.and_then(|field| field.follow);
        if hw.is_some() && follow.is_none() {
            return Err(EBUSY);
        }
        match field {
            Some(field) => (field.set)(&mut state.config, text::number(written, field.max)?),
            // OAS_BITS.
            None => {
                let bits = text::number(written, u64::MAX)?;
                let code = ADDRESS_SIZES.iter().position(|&size| size == bits);
                state.config.oas = u8::try_from(code.ok_or(EINVAL)?)?;
            }
        }
        if let (Some(hw), Some(follow)) = (hw, follow) {
            follow(&hw, &state.config);
        }
        Ok(())
    }

    /// Makes the directory `name`, of an instance that comes from `origin`.
    pub(super) fn group(name: &CStr, origin: Origin) -> Result<impl PinInit<Group<Self>, Error>> {
        let dir_type = configfs_attrs! {
            container: Group<InstanceDir>,
            data: InstanceDir,
            child: DeviceDir,
            attributes: [
                sid_bits: 0,
                ssid_bits: 1,
                cmdq_bits: 2,
                evtq_bits: 3,
                priq_bits: 4,
                httu: 5,
                gran16k: 6,
                gran64k: 7,
                ats: 8,
                pri: 9,
                ril: 10,
                cache_invalid: 11,
                stall_model: 12,
                stall_max: 13,
                merge_events: 14,
                strict: 15,
                evict_one_in: 16,
                asid16: 17,
                term_model: 18,
                page_hints: 19,
                walk_cache: 20,
                oas_bits: 21,
                online: 22,
            ],
        };
        let shared = Shared::new(name, origin)?;
        let dir = try_pin_init!(Self { shared });
        Ok(Group::new(name.try_into()?, dir_type, dir))
    }
}

#[pinned_drop]
impl PinnedDrop for InstanceDir {
    fn drop(self: Pin<&mut Self>) {
        // No device of configfs is left: each has a directory in this one.
        if let Err(error) = self.shared.set_online(false) {
            pr_warn!("{:?} stays: {error:?}\n", self.shared.name());
        }
    }
}

#[vtable]
impl GroupOperations for InstanceDir {
    type Child = DeviceDir;

    fn make_group(&self, name: &CStr) -> Result<impl PinInit<Group<DeviceDir>, Error>> {
        DeviceDir::group(name, self.shared.clone())
    }
}

#[vtable]
impl<const FILE: u64> AttributeOperations<FILE> for InstanceDir {
    type Data = Self;

    fn show(dir: &Self, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        dir.show(page, FILE as usize)
    }

    fn store(dir: &Self, written: &[u8]) -> Result {
        dir.store(written, FILE as usize)
    }
}
