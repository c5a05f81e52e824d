// SPDX-License-Identifier: GPL-2.0

//! The owner of bonds of drivers in Rust.

use super::Handler;
use crate::bond::{
    device::{AnyHandler, SvaDevice},
    owner::{AnyOwner, End, Identity, Owner},
};
use crate::fault::{hearers::Hear, refusal::Refusal};
use core::{
    any::{Any, TypeId},
    marker::PhantomData,
};
use kernel::{device::Device, prelude::*, sync::Arc};

/// The owner of a bond of a driver in Rust.
pub(super) struct RustOwner<T: Handler> {
    /// That of the device, a `T`.
    handler: AnyHandler,
    data: Arc<T::BondData>,
    _handler: PhantomData<fn() -> T>,
}

impl<T: Handler> RustOwner<T> {
    /// Of a bond of `device` with `data`.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the driver has left, or is another. `ENOMEM`.
    pub(super) fn new(device: &SvaDevice, data: &Arc<T::BondData>) -> Result<Arc<Self>> {
        let handler = device.handler_of::<T>().ok_or(ENODEV)?;

        Ok(Arc::new(
            Self {
                handler,
                data: data.clone(),
                _handler: PhantomData,
            },
            GFP_KERNEL,
        )?)
    }

    /// As the driver's side of a bond.
    pub(super) fn any(device: &SvaDevice, data: &Arc<T::BondData>) -> Result<AnyOwner> {
        Ok(AnyOwner::Object(Self::new(device, data)?))
    }

    /// The data of a bond, if its driver's side is one of these.
    pub(super) fn data_of(owner: &AnyOwner) -> Option<Arc<T::BondData>> {
        match owner {
            AnyOwner::Object(owner) => {
                let owner = owner.as_any().downcast_ref::<Self>()?;

                Some(owner.data.clone())
            }
            AnyOwner::Plain(_) => None,
        }
    }

    /// Tells data apart. All objects without contents are the same.
    pub(super) fn identity_of(data: &Arc<T::BondData>) -> Identity {
        Identity {
            kind: TypeId::of::<T>(),
            data: if size_of::<T::BondData>() == 0 {
                0
            } else {
                Arc::as_ptr(data).addr()
            },
            code: 0,
        }
    }
}

impl<T: Handler> Owner for RustOwner<T> {
    fn identity(&self) -> Identity {
        Self::identity_of(&self.data)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn for_device(&self, device: &SvaDevice) -> Option<Result<Arc<dyn Owner>>> {
        let owner = device
            .has_handler_of::<T>()
            .then(|| Self::new(device, &self.data))?;

        Some(owner.map(|owner| -> Arc<dyn Owner> { owner }))
    }

    fn hear(&self) -> Option<Result<KBox<dyn Hear>>> {
        let hear = || -> Result<KBox<dyn Hear>> {
            let hear = RustHear::<T> {
                handler: self.handler.clone(),
                data: self.data.clone(),
                _handler: PhantomData,
            };

            Ok(KBox::new(hear, GFP_KERNEL)?)
        };

        T::HEARS_REFUSALS.then(hear)
    }

    fn stop(&self, pasid: u32, why: End) {
        if let Some(handler) = (&*self.handler as &dyn Any).downcast_ref::<T>() {
            handler.stop(pasid, &self.data, why);
        }
    }
}

/// What hears of refused page requests of a bond of a driver in Rust.
struct RustHear<T: Handler> {
    handler: AnyHandler,
    data: Arc<T::BondData>,
    _handler: PhantomData<fn() -> T>,
}

impl<T: Handler> Hear for RustHear<T> {
    fn refused(&self, _dev: &Device, pasid: u32, refusal: &Refusal) {
        if let Some(handler) = (&*self.handler as &dyn Any).downcast_ref::<T>() {
            handler.refused(pasid, &self.data, refusal);
        }
    }
}
