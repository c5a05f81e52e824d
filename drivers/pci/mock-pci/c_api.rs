// SPDX-License-Identifier: GPL-2.0

//! The C interface, `include/linux/mock_pci.h`, which documents it.
//!
//! A `struct mock_pci_host` is an [`Arc`] of a [`Hierarchy`], a `struct mock_pci_function` one of a
//! [`Function`], both turned raw.

use crate::{
    hierarchy::{
        Function,
        Hierarchy,
        Place, //
    },
    image::{
        Spec,
        VENDOR, //
    },
    slots::MEMORY, //
};
use kernel::{
    prelude::*,
    str::CString,
    sync::{
        aref::ARef,
        Arc,
        ArcBorrow, //
    },
    types::ForeignOwnable, //
};
use kernel_ext::bindings;

type Host = bindings::mock_pci_host;
type RawFunction = bindings::mock_pci_function;

const _: () = {
    assert!(bindings::MOCK_PCI_VENDOR_ID == VENDOR as u32);
    assert!(bindings::MOCK_PCI_DEVICE_ACCEL == Spec::ENDPOINT.device as u32);
    assert!(bindings::MOCK_PCI_DEVICE_PORT == Spec::PORT.device as u32);
    assert!(bindings::MOCK_PCI_MEMORY_START as u64 == MEMORY.start);
    assert!(bindings::MOCK_PCI_MEMORY_END as u64 == MEMORY.end);
};

/// Checks at compile time that a function here has the type that the C header gives it.
macro_rules! matches_prototype {
    ($($name:ident),* $(,)?) => {$(
        const _: () = {
            if true {
                bindings::$name
            } else {
                $name
            };
        };
    )*};
}

matches_prototype!(
    mock_pci_host_create,
    mock_pci_host_destroy,
    mock_pci_host_rescan,
    mock_pci_plug,
    mock_pci_unplug,
    mock_pci_get_device,
);

/// # Safety
///
/// `host` must come from [`mock_pci_host_create`] and not be destroyed during the call.
unsafe fn hierarchy<'a>(host: *mut Host) -> ArcBorrow<'a, Hierarchy> {
    // SAFETY: By the function's requirement.
    unsafe { <Arc<Hierarchy> as ForeignOwnable>::borrow(host.cast()) }
}

/// # Safety
///
/// `function` must come from [`mock_pci_plug`] and not be unplugged during the call.
unsafe fn function<'a>(function: *mut RawFunction) -> ArcBorrow<'a, Function> {
    // SAFETY: By the function's requirement.
    unsafe { <Arc<Function> as ForeignOwnable>::borrow(function.cast()) }
}

/// # Safety
///
/// `name` and `smmu` must be C strings.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_pci_host_create(
    name: *const c_char,
    smmu: *const c_char,
    sid_base: u32,
) -> *mut Host {
    // SAFETY: By the function's requirement.
    let (name, smmu) = unsafe { (CStr::from_char_ptr(name), CStr::from_char_ptr(smmu)) };
    let create = || {
        let name = CString::try_from_fmt(fmt!("mock_pci-{}", name.to_str()?))?;

        Hierarchy::new(&name, smmu, sid_base)
    };

    match create() {
        Ok(hierarchy) => hierarchy.into_foreign().cast(),
        Err(error) => error.to_ptr(),
    }
}

/// # Safety
///
/// `host` must come from [`mock_pci_host_create`]; the call takes it back.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_pci_host_destroy(host: *mut Host) {
    // SAFETY: By the function's requirement.
    let hierarchy = unsafe { <Arc<Hierarchy> as ForeignOwnable>::from_foreign(host.cast()) };

    hierarchy.remove();
}

/// # Safety
///
/// As for [`hierarchy`].
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_pci_host_rescan(host: *mut Host) -> c_int {
    // SAFETY: By the function's requirement.
    let hierarchy = unsafe { hierarchy(host) };

    hierarchy.rescan().map_or_else(Error::to_errno, |()| 0)
}

/// What the C interface says of a function.
fn spec(config: &bindings::mock_pci_config) -> Result<Spec> {
    let base = if config.port {
        Spec::PORT
    } else {
        Spec::ENDPOINT
    };
    let small = |value: c_uint, most: u8| {
        let value = u8::try_from(value).ok().filter(|value| *value <= most);

        value.ok_or(EINVAL)
    };

    Ok(Spec {
        device: match config.device {
            0 => base.device,
            device => device,
        },
        multifunction: config.more_functions,
        acs: (!config.no_acs).then_some(config.acs),
        pasid_bits: small(config.pasid_bits, 20)?,
        ats: !config.port && !config.no_ats,
        pri: !config.port && !config.no_ats && !config.no_pri,
        bar_bits: small(config.bar_bits, 24)?,
        ..base
    })
}

/// # Safety
///
/// As for [`hierarchy`]; `parent` as for [`function`], or null; `config` must be valid.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_pci_plug(
    host: *mut Host,
    parent: *mut RawFunction,
    config: *const bindings::mock_pci_config,
) -> *mut RawFunction {
    // SAFETY: By the function's requirement.
    let (hierarchy, config) = unsafe { (hierarchy(host), &*config) };
    // SAFETY: By the function's requirement.
    let parent = (!parent.is_null()).then(|| unsafe { function(parent) }.into());
    let plug = || {
        let spec = spec(config)?;
        let function = Function::new(hierarchy.into(), parent, spec.bridge)?;

        function.plug(&spec, Place::default())?;
        Ok::<_, Error>(function)
    };

    match plug() {
        Ok(function) => function.into_foreign().cast(),
        Err(error) => error.to_ptr(),
    }
}

/// # Safety
///
/// `function` must come from [`mock_pci_plug`]; the call takes it back.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_pci_unplug(function: *mut RawFunction, surprise: bool) {
    // SAFETY: By the function's requirement.
    let function = unsafe { <Arc<Function> as ForeignOwnable>::from_foreign(function.cast()) };

    function.unplug(surprise);
}

/// # Safety
///
/// `this` must be as for [`function`].
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_pci_get_device(
    this: *mut RawFunction,
) -> *mut bindings::device {
    // SAFETY: By the function's requirement.
    let device = unsafe { function(this) }.device();

    device.map_or(core::ptr::null_mut(), |device| {
        ARef::into_raw(device).as_ptr().cast()
    })
}
