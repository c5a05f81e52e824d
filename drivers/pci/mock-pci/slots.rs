// SPDX-License-Identifier: GPL-2.0

//! The functions behind a host bridge: where they are, and their registers.
//!
//! There is room for [`SLOTS`] of them, which lives as long as the bridge. So the kernel's accesses
//! need no lock: at worst they meet the registers of who was there before.

use crate::{
    config_space::ConfigSpace,
    image::{
        at,
        image,
        Role,
        Spec,
        ATS_ENABLE,
        MULTIFUNCTION,
        PRI_ENABLE,
        PRI_STOPPED, //
    },
    path::Path, //
};
use core::ops::RangeInclusive;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc,
        Mutex, //
    }, //
};
use kernel_ext::pci_host::{
    Address,
    Host,
    NewFunction, //
};
use smmuv3::{
    ports::Connection,
    requester::Upstream, //
};

/// How many functions there can be.
pub(crate) const SLOTS: usize = 64;

/// The bus that the bridge itself makes.
pub(crate) const ROOT_BUS: u8 = 0;

/// The largest number of a bus.
pub(crate) const LAST_BUS: u8 = 0x7f;

/// What the buses see of the bridge's memory.
pub(crate) const MEMORY: core::ops::Range<u64> = 0xe000_0000..0xf000_0000;

/// In place of a parent: on the root bus.
const NO_PARENT: u32 = u32::MAX;

/// A function, or room for one.
pub(crate) struct Slot {
    /// Whether it is plugged in.
    present: Atomic<u32>,
    /// Which slot has the port that it is behind.
    parent: Atomic<u32>,
    devfn: Atomic<u32>,
    /// How often ATS was switched on.
    ats_count: Atomic<u32>,
    pub(crate) config: ConfigSpace,
}

impl Slot {
    fn new() -> Self {
        Self {
            present: Atomic::new(0),
            parent: Atomic::new(NO_PARENT),
            devfn: Atomic::new(0),
            ats_count: Atomic::new(0),
            config: ConfigSpace::new(),
        }
    }

    /// Whether it is plugged in.
    pub(crate) fn is_present(&self) -> bool {
        self.present.load(Acquire) != 0
    }

    /// The slot of the port that it is behind.
    pub(crate) fn parent(&self) -> Option<usize> {
        match self.parent.load(Relaxed) {
            NO_PARENT => None,
            parent => Some(parent as usize),
        }
    }

    /// Its device and function number on its bus.
    pub(crate) fn devfn(&self) -> u8 {
        // CAST: It was one.
        self.devfn.load(Relaxed) as u8
    }

    /// When ATS was switched on, if it is on.
    pub(crate) fn ats(&self) -> Option<u32> {
        let on = self.config.read(at::ATS_CONTROL, 2) & ATS_ENABLE != 0;

        on.then(|| self.ats_count.load(Relaxed))
    }

    /// The buses that are to be behind a port.
    pub(crate) fn buses(&self) -> Option<RangeInclusive<u8>> {
        // CAST: One byte each.
        let first = self.config.read(at::FIXED_BUSES, 1) as u8;
        let last = self.config.read(at::FIXED_BUSES + 1, 1) as u8;

        (first != 0).then_some(first..=last)
    }

    fn write(&self, offset: usize, size: usize, value: u32) {
        let had_ats = self.ats().is_some();

        self.config.write(offset, size, value);
        if !had_ats && self.ats().is_some() {
            self.ats_count.fetch_add(1, Relaxed);
        }
        // Nothing is under way when requests are off: who waits for one sees its end.
        let pri = self.config.read(at::PRI_CONTROL, 2) & PRI_ENABLE != 0;

        if self.config.read(at::PRI, 4) != 0 {
            self.config.set_bits(at::PRI_CONTROL, PRI_STOPPED, !pri);
        }
    }
}

/// All functions behind a bridge.
pub(crate) struct Slots {
    slots: KVVec<Slot>,
}

impl Slots {
    /// Room for functions. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let mut slots = KVVec::with_capacity(SLOTS, GFP_KERNEL)?;

        for _ in 0..SLOTS {
            slots.push(Slot::new(), GFP_KERNEL)?;
        }
        Ok(Arc::new(Self { slots }, GFP_KERNEL)?)
    }

    /// The function in slot `index`.
    pub(crate) fn slot(&self, index: usize) -> &Slot {
        &self.slots[index]
    }

    /// Plugs a function into slot `index`.
    pub(crate) fn plug(
        &self,
        index: usize,
        parent: Option<usize>,
        devfn: u8,
        spec: &Spec,
        role: Role,
        buses: Option<RangeInclusive<u8>>,
    ) {
        let slot = &self.slots[index];
        // CAST: Both are small.
        let (serial, parent) = (
            index as u32,
            parent.map_or(NO_PARENT, |parent| parent as u32),
        );

        slot.config.load(&image(spec, role, buses, serial));
        slot.parent.store(parent, Relaxed);
        slot.devfn.store(devfn.into(), Relaxed);
        slot.present.store(1, Release);
    }

    /// Takes the function out of slot `index`.
    pub(crate) fn unplug(&self, index: usize) {
        self.slots[index].present.store(0, Release);
    }

    /// The number of the bus behind a port, or of the root bus, if the kernel has given it one.
    pub(crate) fn bus_behind(&self, port: Option<usize>) -> Option<u8> {
        let Some(port) = port else {
            return Some(ROOT_BUS);
        };
        let slot = &self.slots[port];

        if !slot.is_present() {
            return None;
        }
        // So is each port above.
        self.bus_behind(slot.parent())?;
        // CAST: One byte.
        match slot.config.read(at::SECONDARY_BUS, 1) as u8 {
            0 => None,
            bus => Some(bus),
        }
    }

    /// Where the function in slot `index` is, if the kernel can reach it.
    pub(crate) fn address(&self, index: usize) -> Option<Address> {
        let slot = &self.slots[index];

        slot.is_present().then_some(())?;
        Some(Address {
            bus: self.bus_behind(slot.parent())?,
            devfn: slot.devfn(),
        })
    }

    /// The functions that are plugged in.
    pub(crate) fn present(&self) -> impl Iterator<Item = (usize, &Slot)> {
        let slots = self.slots.iter().enumerate();

        slots.filter(|(_, slot)| slot.is_present())
    }

    /// Whether the device of the function in slot `index` has more of them.
    pub(crate) fn has_siblings(&self, index: usize) -> bool {
        let own = &self.slots[index];
        let same =
            |slot: &Slot| slot.parent() == own.parent() && slot.devfn() & !7 == own.devfn() & !7;

        self.present()
            .any(|(other, slot)| other != index && same(slot))
    }

    fn at(&self, at: Address) -> Option<usize> {
        let mut there = self.present();
        let found = there
            .find(|(index, slot)| slot.devfn() == at.devfn && self.address(*index) == Some(at));

        found.map(|(index, _)| index)
    }
}

/// What the kernel sees, and what it takes to put functions behind an SMMU.
///
/// A port that somebody holds for longer keeps [`Slots`] only, and so neither this nor the SMMU.
#[pin_data]
pub(crate) struct Seen {
    slots: Arc<Slots>,
    upstream: Upstream,
    /// What the SMMU adds to a Requester ID.
    sid_base: u32,
    /// Of the functions that the kernel has found.
    #[pin]
    connections: Mutex<KVec<(Address, Connection)>>,
}

impl Seen {
    /// Functions behind `upstream`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(slots: Arc<Slots>, upstream: Upstream, sid_base: u32) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                slots,
                upstream,
                sid_base,
                connections <- new_mutex!(KVec::new(), "mock_pci_connections"),
            }),
            GFP_KERNEL,
        )
    }

    /// Called while a bus's notifiers are, which are not to wait for who makes devices.
    fn connect(&self, function: &NewFunction<'_>) -> Result {
        let at = function.address();
        let index = self.slots.at(at).ok_or(ENODEV)?;
        let sid = self.sid_base.checked_add(at.rid().into()).ok_or(EINVAL)?;
        let path = Path::new(&self.slots, index)?;
        let name = function.device().name();
        let connection = self.upstream.connect(name, sid, path)?;

        self.connections.lock().reserve(1, GFP_KERNEL)?;
        function.put_behind(self.upstream.node(), sid)?;
        self.connections.lock().push((at, connection), GFP_KERNEL)?;
        Ok(())
    }
}

impl Host for Seen {
    fn read(&self, at: Address, offset: usize, size: usize) -> Option<u32> {
        let index = self.slots.at(at)?;
        let value = self.slots.slot(index).config.read(offset, size);
        let header = (at::HEADER..at::HEADER + 4).contains(&offset)
            && (offset..offset + size).contains(&at::HEADER_TYPE);

        if header && self.slots.has_siblings(index) {
            return Some(value | MULTIFUNCTION << (8 * (at::HEADER_TYPE - offset)));
        }
        Some(value)
    }

    fn write(&self, at: Address, offset: usize, size: usize, value: u32) {
        if let Some(index) = self.slots.at(at) {
            self.slots.slot(index).write(offset, size, value);
        }
    }

    fn added(&self, function: &NewFunction<'_>) {
        if let Err(error) = self.connect(function) {
            dev_err!(function.device(), "not behind its SMMU: {error:?}\n");
        }
    }

    fn removed(&self, at: Address) {
        let mut connections = self.connections.lock();
        let index = connections.iter().position(|(there, _)| *there == at);
        let gone = index.and_then(|index| connections.remove(index).ok());

        drop(connections);
        drop(gone);
    }
}
