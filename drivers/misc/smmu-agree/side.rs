// SPDX-License-Identifier: GPL-2.0

//! Two SMMUs, programmed alike: QEMU's, and ours.

use kernel::{
    prelude::*,
    sync::Arc, //
};
use smmuv3::{
    fmt::{
        event,
        queue::Layout,
        regs::{
            self,
            Cr0,
            Cr1,
            Cr2,
            Gbpa,
            QueueBase,
            StrtabBaseCfg, //
        }, //
    },
    hw::{
        Attrs,
        Config,
        Lines,
        Port,
        PortConfig,
        Smmu, //
    },
    line::Line,
    mmio::RegisterFile, //
};

use crate::{
    arena::{
        Arena,
        COMMANDS,
        DUMP,
        EVENTS,
        PATTERN, //
    },
    bus::BUS,
    case::{
        Access,
        Event,
        Setup,
        MAX_LEN, //
    },
    devices::{
        Endpoint,
        Kind,
        Registers, //
    },
    edu,
    tester, //
};

/// The command queue, which both read.
pub(crate) const CMDQ: Layout = Layout {
    log2size: 8,
    entry_size: 16,
};
/// Each one's event queue.
pub(crate) const EVTQ: Layout = Layout {
    log2size: 8,
    entry_size: event::Event::SIZE,
};

/// What one side did with an access.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    /// `None`: the device does not tell.
    pub(crate) done: Option<bool>,
    /// What a read got.
    pub(crate) read: [u8; MAX_LEN],
}

/// The same, with what the SMMU told of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) made: Made,
    pub(crate) event: Option<Event>,
    /// More events than one.
    pub(crate) more: bool,
}

/// An SMMU, and devices behind it.
pub(crate) trait Side {
    /// Where in the arena its events go.
    const EVENTS: usize;

    fn read32(&self, offset: usize) -> u32;
    fn write32(&self, offset: usize, value: u32);
    fn write64(&self, offset: usize, value: u64);
    /// Makes an access.
    fn make(&self, arena: &Arena, access: &Access) -> Result<Made>;
    /// It was programmed so.
    fn remember(&mut self, _setup: &Setup) {}
    /// Where its next event will be.
    fn position(&mut self) -> &mut u32;

    /// Turns it on, but for translation.
    fn start(&mut self, arena: &Arena) {
        let queue = |offset, layout: Layout| {
            let base = QueueBase::default().with_base(arena.phys(offset));
            base.with_log2size(layout.log2size).raw()
        };
        self.write32(regs::CR0, 0);
        self.write32(regs::CR1, Cr1::like_the_cpus().raw());
        self.write64(regs::CMDQ_BASE, queue(COMMANDS, CMDQ));
        self.write32(regs::CMDQ_PROD, 0);
        self.write32(regs::CMDQ_CONS, 0);
        self.write64(regs::EVTQ_BASE, queue(Self::EVENTS, EVTQ));
        self.write32(regs::EVTQ_PROD, 0);
        self.write32(regs::EVTQ_CONS, 0);
        self.write32(regs::CR0, cr0(false).raw());
    }

    /// Sets the registers that tell how transactions are translated.
    fn configure(&mut self, setup: &Setup) {
        self.remember(setup);
        self.program(setup);
    }

    /// Writes those registers.
    fn program(&self, setup: &Setup) {
        self.write32(regs::CR0, cr0(false).raw());
        let gbpa = Gbpa::default()
            .with_abort(setup.gbpa_abort)
            .with_update(true);
        self.write32(regs::GBPA, gbpa.raw());
        let cr2 = Cr2::default().with_recinvsid(setup.record_bad_sid);
        self.write32(regs::CR2, cr2.raw());
        let cfg = StrtabBaseCfg::default()
            .with_fmt(setup.two_level.into())
            .with_log2size(setup.log2size)
            .with_split(setup.split);
        self.write64(regs::STRTAB_BASE, setup.strtab_base);
        self.write32(regs::STRTAB_BASE_CFG, cfg.raw());
        if setup.enabled {
            self.write32(regs::CR0, cr0(true).raw());
        }
    }

    /// The next event, if there is one.
    fn event(&mut self, arena: &Arena) -> Option<Event> {
        let at = Self::EVENTS + EVTQ.offset(*self.position());
        let event: Event = core::array::from_fn(|i| arena.get(at + 8 * i));
        if event[0] == 0 {
            return None;
        }
        arena.set(at, 0);
        let next = EVTQ.advance(*self.position(), 1);
        *self.position() = next;
        self.write32(regs::EVTQ_CONS, next);
        Some(event)
    }

    /// Takes all events for read, and all errors for acknowledged.
    fn empty(&mut self, arena: &Arena) {
        for at in (0..EVTQ.bytes()).step_by(8) {
            arena.set(Self::EVENTS + at, 0);
        }
        let prod = self.read32(regs::EVTQ_PROD);
        *self.position() = EVTQ.position(prod);
        self.write32(regs::EVTQ_CONS, prod);
        self.write32(regs::GERRORN, self.read32(regs::GERROR));
    }

    /// Makes an access, and looks at what comes of it.
    fn access(&mut self, arena: &Arena, access: &Access) -> Result<Seen> {
        let made = self.make(arena, access)?;
        let event = self.event(arena);
        let mut more = false;
        while self.event(arena).is_some() {
            more = true;
        }
        Ok(Seen { made, event, more })
    }
}

/// CR0 with queues on.
fn cr0(enabled: bool) -> Cr0 {
    Cr0::default()
        .with_cmdqen(true)
        .with_evtqen(true)
        .with_smmuen(enabled)
}

/// QEMU's.
pub(crate) struct Qemu {
    registers: Registers,
    endpoints: KVec<Endpoint>,
    position: u32,
    setup: Setup,
}

impl Qemu {
    /// Gets ready to use an arena. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` if a device has gone.
    pub(crate) fn new(
        registers: Registers,
        endpoints: KVec<Endpoint>,
        arena: &Arena,
    ) -> Result<Self> {
        for endpoint in &endpoints {
            if endpoint.kind == Kind::Tester {
                tester::read_back_at(endpoint, arena.phys(0))?;
            }
        }
        arena.write(PATTERN, &pattern());
        Ok(Self {
            registers,
            endpoints,
            position: 0,
            setup: Setup::default(),
        })
    }

    /// The streams that it has devices for.
    pub(crate) fn sids(&self) -> impl Iterator<Item = u32> + '_ {
        self.endpoints.iter().map(|endpoint| endpoint.sid)
    }

    /// Whether the devices read too, and do not tell how it went.
    pub(crate) fn reads(&self) -> bool {
        let mut endpoints = self.endpoints.iter();
        endpoints.any(|endpoint| endpoint.kind == Kind::Edu)
    }

    /// Has a device copy as if there were no SMMU.
    fn copy_past(&self, endpoint: &Endpoint, phys: u64, len: usize, to_memory: bool) -> Result {
        self.program(&Setup::default());
        edu::copy(endpoint, phys, len, to_memory)?;
        self.program(&self.setup);
        Ok(())
    }
}

impl Side for Qemu {
    const EVENTS: usize = EVENTS[0];

    fn read32(&self, offset: usize) -> u32 {
        self.registers.read32(offset)
    }

    fn write32(&self, offset: usize, value: u32) {
        self.registers.write32(offset, value);
    }

    fn write64(&self, offset: usize, value: u64) {
        self.registers.write64(offset, value);
    }

    fn make(&self, arena: &Arena, access: &Access) -> Result<Made> {
        let (va, len) = (access.va, access.len);
        let mut endpoints = self.endpoints.iter();
        let endpoint = endpoints
            .find(|endpoint| endpoint.sid == access.sid)
            .ok_or(ENODEV)?;
        let mut read = [0; MAX_LEN];
        let done = match (endpoint.kind, access.write) {
            (Kind::Tester, _) => Some(tester::write(endpoint, va, len)?),
            (Kind::Edu, true) => {
                self.copy_past(endpoint, arena.phys(PATTERN), len, false)?;
                edu::copy(endpoint, va, len, true)?;
                None
            }
            (Kind::Edu, false) => {
                edu::copy(endpoint, va, len, false)?;
                self.copy_past(endpoint, arena.phys(DUMP), len, true)?;
                arena.read(DUMP, &mut read[..len]);
                Some(!read[..len].contains(&0))
            }
        };
        Ok(Made { done, read })
    }

    fn remember(&mut self, setup: &Setup) {
        self.setup = *setup;
    }

    fn position(&mut self) -> &mut u32 {
        &mut self.position
    }
}

/// Ours.
pub(crate) struct Ours {
    registers: Arc<RegisterFile>,
    ports: KVec<Arc<Port>>,
    position: u32,
}

impl Ours {
    /// An SMMU that is able to do `able`, and ports for `sids`.
    pub(crate) fn new(able: Config, sids: &[u32], port: PortConfig) -> Result<Self> {
        let registers = RegisterFile::new()?;
        let lines = Lines {
            evtq: Line::new()?,
            priq: Line::new()?,
            gerror: Line::new()?,
            sync: Line::new()?,
        };
        let smmu = Smmu::new(able, registers.clone(), lines, BUS)?;
        let mut ports = KVec::new();
        for sid in sids {
            ports.push(Port::new(smmu.clone(), *sid, port)?, GFP_KERNEL)?;
        }
        registers.set_doorbell(smmu);
        Ok(Self {
            registers,
            ports,
            position: 0,
        })
    }

    pub(crate) fn port(&self, sid: u32) -> Result<&Port> {
        let mut ports = self.ports.iter();
        Ok(ports.find(|port| port.sid() == sid).ok_or(ENODEV)?)
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        // The doorbell holds what holds the registers.
        self.registers.clear_doorbell();
    }
}

impl Side for Ours {
    const EVENTS: usize = EVENTS[1];

    fn read32(&self, offset: usize) -> u32 {
        self.registers.read32(offset)
    }

    fn write32(&self, offset: usize, value: u32) {
        self.registers.write32(offset, value);
    }

    fn write64(&self, offset: usize, value: u64) {
        self.registers.write64(offset, value);
    }

    fn make(&self, _arena: &Arena, access: &Access) -> Result<Made> {
        let port = self.port(access.sid)?;
        let attrs = Attrs {
            privileged: access.privileged,
            exec: access.exec,
        };
        let mut read = [0; MAX_LEN];
        let result = if access.write {
            port.write(access.ssid, access.va, &pattern()[..access.len], attrs)
        } else {
            port.read(access.ssid, access.va, &mut read[..access.len], attrs)
        };
        let done = Some(result.is_ok());
        Ok(Made { done, read })
    }

    fn position(&mut self) -> &mut u32 {
        &mut self.position
    }
}

/// What is written.
pub(crate) fn pattern() -> [u8; MAX_LEN] {
    core::array::from_fn(|i| tester::PATTERN[i % tester::PATTERN.len()])
}
