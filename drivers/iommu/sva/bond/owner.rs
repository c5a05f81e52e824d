// SPDX-License-Identifier: GPL-2.0

//! The driver's side of a bond.

use super::device::SvaDevice;
use crate::fault::{hearers::Hear, refusal::Refusal};
use core::any::{Any, TypeId};
use kernel::{device::Device, prelude::*, sync::Arc};

/// Why a bond ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The last bind was taken back.
    Unbind,
    /// The process has exited (S8).
    Exit,
    /// The device is shut down, or its driver leaves it (S11).
    Shutdown,
}

/// Tells the driver's data of one bond from that of another: binds with the same count as one bond.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) kind: TypeId,
    pub(crate) data: usize,
    pub(crate) code: usize,
}

/// The driver's side of a bond of a driver with an object for it: called whatever ends the bond,
/// which then ends when the call returns, and not before.
///
/// It goes before the bond's end is known to others, since it may be code of a driver that then
/// leaves.
pub(crate) trait Owner: Send + Sync {
    fn identity(&self) -> Identity;

    /// For the interface that has made it.
    fn as_any(&self) -> &dyn Any;

    /// The same for `device`, which came into the group; `None` if its driver is another.
    fn for_device(&self, device: &SvaDevice) -> Option<Result<Arc<dyn Owner>>>;

    /// What hears of refused page requests, if the driver wants to.
    fn hear(&self) -> Option<Result<KBox<dyn Hear>>>;

    /// Stops the device for the bond. Without locks; may sleep.
    fn stop(&self, pasid: u32, why: End);
}

/// The driver's side of any bond.
#[derive(Clone)]
pub(crate) enum AnyOwner {
    Object(Arc<dyn Owner>),
    /// Of a driver that has no more than a word for it, and hears of exits at most. While it is
    /// called it may end the bond itself.
    Plain(Plain),
}

/// See [`AnyOwner::Plain`].
#[derive(Clone, Copy)]
pub(crate) struct Plain {
    /// Passed back to the driver, never followed.
    pub(crate) data: usize,
    pub(crate) hears: Hears,
}

/// Who is told of a process's exit.
#[derive(Clone, Copy)]
pub(crate) enum Hears {
    Nothing,
    /// The function at this address, by [`Calls::exit`].
    Bond(usize),
    /// Those functions of a table at this address that are there.
    Table {
        table: usize,
        exit: bool,
        refused: bool,
    },
    /// What is registered for its device at that time, if anything is.
    Device,
}

/// A function of the driver's.
#[derive(Clone, Copy)]
pub(crate) struct Callback {
    pub(crate) call: CallAt,
    /// Its address.
    pub(crate) code: usize,
}

/// Calls the driver's function at `code` for a device and PASID, with the data of the bond.
pub(crate) type CallAt = fn(dev: &Device, pasid: u32, code: usize, data: usize);

/// Calls the `refused` of a driver's table, with the data of the bond.
pub(crate) type RefusedAt =
    fn(dev: &Device, pasid: u32, table: usize, data: usize, refusal: &Refusal);

/// How functions of drivers in C are called.
#[derive(Clone, Copy)]
pub(crate) struct Calls {
    /// That which was passed for one bond.
    pub(crate) exit: CallAt,
    /// The `exit` of a table.
    pub(crate) table_exit: CallAt,
    /// The `refused` of a table.
    pub(crate) table_refused: RefusedAt,
}

/// The `refused` of a table.
struct PlainHear {
    call: RefusedAt,
    table: usize,
    data: usize,
}

impl Hear for PlainHear {
    fn refused(&self, dev: &Device, pasid: u32, refusal: &Refusal) {
        (self.call)(dev, pasid, self.table, self.data, refusal);
    }
}

/// What to do before a bond ends.
pub(crate) enum Call {
    Object(Arc<dyn Owner>),
    Plain(Callback, usize),
}

impl Call {
    pub(super) fn run(self, device: &SvaDevice, pasid: u32, why: End) {
        match self {
            Self::Object(owner) => owner.stop(pasid, why),
            Self::Plain(callback, data) => {
                (callback.call)(device.endpoint.dev(), pasid, callback.code, data);
            }
        }
    }
}

impl Plain {
    fn callback(&self, device: &SvaDevice) -> Option<Callback> {
        match self.hears {
            Hears::Nothing => None,
            Hears::Bond(code) => Some(Callback {
                call: device.core.calls.exit,
                code,
            }),
            Hears::Table { table, exit, .. } => exit.then_some(Callback {
                call: device.core.calls.table_exit,
                code: table,
            }),
            Hears::Device => device.watcher(),
        }
    }

    /// Whether its driver names bonds by device and PASID, rather than by handle.
    pub(super) fn names_by_pasid(&self) -> bool {
        matches!(self.hears, Hears::Device)
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity {
            kind: TypeId::of::<Self>(),
            data: self.data,
            code: match self.hears {
                Hears::Nothing => 0,
                Hears::Bond(code) | Hears::Table { table: code, .. } => code,
                Hears::Device => usize::MAX,
            },
        }
    }
}

impl AnyOwner {
    pub(super) fn identity(&self) -> Identity {
        match self {
            Self::Object(owner) => owner.identity(),
            Self::Plain(plain) => plain.identity(),
        }
    }

    /// See [`Owner::for_device`].
    pub(super) fn for_device(&self, device: &SvaDevice) -> Option<Result<Self>> {
        match self {
            Self::Object(owner) => Some(owner.for_device(device)?.map(Self::Object)),
            // A driver in Rust has promised to stop only what it has bound.
            Self::Plain(_) if device.has_handler() => None,
            Self::Plain(plain) => Some(Ok(Self::Plain(*plain))),
        }
    }

    /// Whether the driver is to be called when the process of a bond of `device` exits.
    pub(super) fn hears_of_exits(&self, device: &SvaDevice) -> bool {
        match self {
            Self::Object(_) => true,
            Self::Plain(plain) => plain.callback(device).is_some(),
        }
    }

    /// What hears of refused page requests of a bond of `device`, if its driver wants to.
    pub(super) fn hear(&self, device: &SvaDevice) -> Option<Result<KBox<dyn Hear>>> {
        match *self {
            Self::Object(ref owner) => owner.hear(),
            Self::Plain(Plain {
                data,
                hears:
                    Hears::Table {
                        table,
                        refused: true,
                        ..
                    },
            }) => {
                let hear = PlainHear {
                    call: device.core.calls.table_refused,
                    table,
                    data,
                };
                let boxed = KBox::new(hear, GFP_KERNEL);

                Some(
                    boxed
                        .map(|hear| -> KBox<dyn Hear> { hear })
                        .map_err(Error::from),
                )
            }
            Self::Plain(_) => None,
        }
    }

    /// What to call before a bond of `device` ends, as it is registered now.
    pub(super) fn call(&self, device: &SvaDevice, why: End) -> Option<Call> {
        match (self, why) {
            (Self::Object(owner), _) => Some(Call::Object(owner.clone())),
            (Self::Plain(plain), End::Exit) => {
                Some(Call::Plain(plain.callback(device)?, plain.data))
            }
            (Self::Plain(_), _) => None,
        }
    }
}
