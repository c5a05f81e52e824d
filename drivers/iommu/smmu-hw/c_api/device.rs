// SPDX-License-Identifier: GPL-2.0

//! Devices come and go.

use super::matches_prototype;
use crate::{
    device::{
        DeviceSpec,
        Numbers,
        MAX_RESV, //
    },
    host, //
};
use kernel::{
    device::Device,
    prelude::*, //
};
use kernel_ext::{
    bindings,
    resv_region::{
        ResvKind,
        ResvRegion, //
    }, //
};

const _: () = assert!(bindings::MOCK_SMMU_MAX_REGIONS as usize == MAX_RESV);

matches_prototype!(mock_smmu_device_create, mock_smmu_device_destroy);

/// What the C interface says of a region; one without a length is none.
fn resv_region(region: &bindings::mock_smmu_region) -> Option<ResvRegion> {
    let &bindings::mock_smmu_region { start, len, direct } = region;

    (len != 0).then_some(ResvRegion {
        start,
        len,
        kind: if direct {
            ResvKind::Direct
        } else {
            ResvKind::Reserved
        },
    })
}

/// # Safety
///
/// `config` must be valid, and its name a C string.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_device_create(
    config: *const bindings::mock_smmu_device,
) -> *mut bindings::device {
    // SAFETY: By the function's requirement.
    let config = unsafe { &*config };
    // SAFETY: By the function's requirement.
    let name = unsafe { CStr::from_char_ptr(config.name) };
    let add = || {
        let ats = config.ats || (config.pasid_bits != 0 && !config.stall);
        let mut spec = DeviceSpec {
            pasid_bits: u8::try_from(config.pasid_bits).map_err(|_| EINVAL)?,
            ats,
            pri: ats && !config.no_pri,
            group: (config.group != 0).then_some(config.group),
            stall: config.stall,
            translated: config.translated,
            sleep_after: config.awake.then_some(0),
            ..DeviceSpec::DEFAULT
        };
        let numbers = Numbers {
            id: Some(config.id),
            sid: None,
        };

        for (to, region) in spec.resv.iter_mut().zip(&config.regions) {
            *to = resv_region(region);
        }
        host::ask(|host| host.add_device(None, name, numbers, &spec))
    };

    match add() {
        // Who added the device keeps it; the caller's pointer is good until it is destroyed.
        Ok(dev) => core::ptr::from_ref(&*dev).cast_mut().cast(),
        Err(error) => error.to_ptr(),
    }
}

/// # Safety
///
/// `dev` must come from [`mock_smmu_device_create`], and not have been destroyed.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_device_destroy(dev: *mut bindings::device) {
    // SAFETY: By the function's requirement the device is live.
    let dev: &Device = unsafe { Device::from_raw(dev) };

    // It may have gone with its SMMU.
    let _ = host::ask(|host| host.remove_device(dev));
}
