// SPDX-License-Identifier: GPL-2.0

//! The owner of bonds of drivers in Rust.

use super::Handler;
use crate::{
    device::SvaDevice,
    owner::{End, Hook, Owner},
};
use core::{any::Any, marker::PhantomData};
use kernel::sync::Arc;

/// The owner of a bond of a driver in Rust. The handler is the device's.
pub(super) struct RustOwner<T: Handler> {
    data: Arc<T::BondData>,
    _handler: PhantomData<fn() -> T>,
}

impl<T: Handler> RustOwner<T> {
    pub(super) fn new(data: Arc<T::BondData>) -> Self {
        Self {
            data,
            _handler: PhantomData,
        }
    }

    /// Tells data apart. All objects without contents are the same.
    pub(super) fn identity_of(data: &Arc<T::BondData>) -> usize {
        if size_of::<T::BondData>() == 0 {
            0
        } else {
            Arc::as_ptr(data).addr()
        }
    }

    /// Whether the driver of `device` has this handler.
    pub(super) fn drives(device: &SvaDevice) -> bool {
        device
            .handler()
            .is_some_and(|handler| (&*handler as &dyn Any).is::<T>())
    }
}

impl<T: Handler> Owner for RustOwner<T> {
    fn identity(&self) -> usize {
        Self::identity_of(&self.data)
    }

    fn suits(&self, device: &SvaDevice) -> bool {
        Self::drives(device)
    }

    fn hook(&self, _device: &SvaDevice) -> Hook {
        Hook::Always
    }

    fn stop(&self, device: &SvaDevice, pasid: u32, why: End) {
        let handler = device.handler();

        if let Some(handler) = handler
            .as_ref()
            .and_then(|handler| (&**handler as &dyn Any).downcast_ref::<T>())
        {
            handler.stop(pasid, &self.data, why);
        }
    }
}
