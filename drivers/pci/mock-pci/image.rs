// SPDX-License-Identifier: GPL-2.0

//! What the registers of a kind of function are at first: PCI, and capabilities of PCI Express.
//!
//! Each capability has its place, whether it is there or not.

use crate::config_space::Image;
use core::ops::RangeInclusive;
use kernel::{
    bindings,
    prelude::*, //
};

/// What a function is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    /// A port, behind which others can be; else an endpoint.
    pub(crate) bridge: bool,
    pub(crate) vendor: u16,
    pub(crate) device: u16,
    /// Says that it has more functions, though it does not yet.
    pub(crate) multifunction: bool,
    /// Access control services, and which of them work; `None` if it has no such capability.
    pub(crate) acs: Option<u16>,
    /// Bits of a PASID; 0 for none.
    pub(crate) pasid_bits: u8,
    pub(crate) ats: bool,
    pub(crate) pri: bool,
    /// Log2 of the size of its memory; 0 for none.
    pub(crate) bar_bits: u8,
}

/// Services that keep requests from going anywhere but to the root complex.
pub(crate) const ACS_ISOLATED: u16 = ACS_SOURCE | ACS_REQUEST | ACS_COMPLETION | ACS_UPSTREAM;
/// Source validation.
pub(crate) const ACS_SOURCE: u16 = 1 << 0;
/// Requests to other devices are redirected.
pub(crate) const ACS_REQUEST: u16 = 1 << 2;
/// Completions to other devices are redirected.
pub(crate) const ACS_COMPLETION: u16 = 1 << 3;
/// What is redirected goes on upstream.
pub(crate) const ACS_UPSTREAM: u16 = 1 << 4;

/// Lends IDs to experiments.
pub(crate) const VENDOR: u16 = 0x1af4;
/// An accelerator.
const DEVICE_ACCEL: u16 = 0x10f0;
/// A port.
const DEVICE_PORT: u16 = 0x10f1;

impl Spec {
    /// An endpoint with all that sharing of address spaces takes.
    pub(crate) const ENDPOINT: Self = Self {
        bridge: false,
        vendor: VENDOR,
        device: DEVICE_ACCEL,
        multifunction: false,
        acs: None,
        pasid_bits: 16,
        ats: true,
        pri: true,
        bar_bits: 16,
    };

    /// A port that isolates what is behind it.
    pub(crate) const PORT: Self = Self {
        bridge: true,
        vendor: VENDOR,
        device: DEVICE_PORT,
        multifunction: false,
        acs: Some(ACS_ISOLATED),
        pasid_bits: 0,
        ats: false,
        pri: false,
        bar_bits: 0,
    };
}

/// A function's part in its hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Endpoint,
    /// An endpoint that is a part of the root complex.
    Integrated,
    RootPort,
    UpstreamPort,
    DownstreamPort,
}

impl Role {
    /// What a function is behind `parent`, or on the root bus.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it can be nothing there.
    pub(crate) fn new(parent: Option<Role>, bridge: bool) -> Result<Self> {
        match (parent, bridge) {
            (None, true) => Ok(Self::RootPort),
            (None, false) => Ok(Self::Integrated),
            (Some(Self::RootPort | Self::DownstreamPort), true) => Ok(Self::UpstreamPort),
            (Some(Self::RootPort | Self::DownstreamPort), false) => Ok(Self::Endpoint),
            (Some(Self::UpstreamPort), true) => Ok(Self::DownstreamPort),
            _ => Err(EINVAL),
        }
    }

    /// Whether a link begins here, at whose other end is one device.
    pub(crate) fn is_downstream(self) -> bool {
        matches!(self, Self::RootPort | Self::DownstreamPort)
    }

    /// As the PCI Express capability has it.
    fn code(self) -> u32 {
        match self {
            Self::Endpoint => bindings::PCI_EXP_TYPE_ENDPOINT,
            Self::Integrated => bindings::PCI_EXP_TYPE_RC_END,
            Self::RootPort => bindings::PCI_EXP_TYPE_ROOT_PORT,
            Self::UpstreamPort => bindings::PCI_EXP_TYPE_UPSTREAM,
            Self::DownstreamPort => bindings::PCI_EXP_TYPE_DOWNSTREAM,
        }
    }
}

/// Places of registers.
pub(crate) mod at {
    pub(crate) const ID: usize = 0x00;
    pub(crate) const COMMAND: usize = 0x04;
    pub(crate) const CLASS: usize = 0x08;
    pub(crate) const HEADER: usize = 0x0c;
    pub(crate) const HEADER_TYPE: usize = 0x0e;
    pub(crate) const BAR0: usize = 0x10;
    pub(crate) const BUSES: usize = 0x18;
    pub(crate) const SECONDARY_BUS: usize = 0x19;
    pub(crate) const MEMORY: usize = 0x20;
    pub(crate) const SUBSYSTEM: usize = 0x2c;
    pub(crate) const CAPABILITIES: usize = 0x34;
    pub(crate) const INTERRUPT: usize = 0x3c;
    pub(crate) const EXPRESS: usize = 0x40;
    pub(crate) const ALLOCATION: usize = 0x80;
    /// The buses behind a port.
    pub(crate) const FIXED_BUSES: usize = ALLOCATION + 4;
    pub(crate) const SERIAL: usize = 0x100;
    pub(crate) const ACS: usize = 0x110;
    pub(crate) const ATS: usize = 0x120;
    pub(crate) const PRI: usize = 0x130;
    pub(crate) const PASID: usize = 0x140;
    /// Capability and control of each of them are one word.
    pub(crate) const ACS_CONTROL: usize = ACS + 6;
    pub(crate) const ATS_CONTROL: usize = ATS + 6;
    pub(crate) const PRI_CONTROL: usize = PRI + 4;
    pub(crate) const PASID_CONTROL: usize = PASID + 6;
}

/// In the command register: it may access memory.
pub(crate) const COMMAND_MASTER: u32 = 1 << 2;
/// In the header's type: there are more functions.
pub(crate) const MULTIFUNCTION: u32 = 1 << 7;
/// ATS is on.
pub(crate) const ATS_ENABLE: u32 = 1 << 15;
/// PASIDs are on.
pub(crate) const PASID_ENABLE: u32 = 1 << 0;
/// Page requests are on.
pub(crate) const PRI_ENABLE: u32 = 1 << 0;
/// In the word of PRI's control and status: no request is under way.
pub(crate) const PRI_STOPPED: u32 = 1 << 24;

/// Most page requests at once.
const PRI_REQUESTS: u32 = 256;

/// The registers of a function in `role`; `serial` tells it from others. Behind a port are `buses`.
pub(crate) fn image(
    spec: &Spec,
    role: Role,
    buses: Option<RangeInclusive<u8>>,
    serial: u32,
) -> Image {
    let mut image = Image::new();
    let id = u32::from(spec.vendor) | u32::from(spec.device) << 16;
    let flag = u32::from(spec.multifunction) * MULTIFUNCTION;

    image.set(at::ID, id, 0);
    // It has a list of capabilities.
    image.set(at::COMMAND, 0x10 << 16, 0x0546);
    image.set(at::CAPABILITIES, at::EXPRESS as u32, 0);
    if spec.bridge {
        image.set(at::CLASS, 0x0604 << 16, 0);
        image.set(at::HEADER, (flag | 1) << 16, 0xff);
        image.set(at::BUSES, 0, 0x00ff_ffff);
        // Closed: the first address is beyond the last.
        image.set(at::MEMORY, 0x0000_fff0, 0xfff0_fff0);
        image.set(at::INTERRUPT, 0, 0x0fff_00ff);
    } else {
        image.set(at::CLASS, 0x1200 << 16, 0);
        image.set(at::HEADER, flag << 16, 0xff);
        if spec.bar_bits != 0 {
            image.set(at::BAR0, 0, u32::MAX << spec.bar_bits);
        }
        image.set(at::SUBSYSTEM, id, 0);
        image.set(at::INTERRUPT, 0, 0xff);
    }
    express(&mut image, role, buses.is_some());
    if let Some(buses) = buses {
        let fixed = u32::from(*buses.start()) | u32::from(*buses.end()) << 8;

        image.set(at::ALLOCATION, bindings::PCI_CAP_ID_EA, 0);
        image.set(at::FIXED_BUSES, fixed, 0);
    }
    extended(&mut image, spec, serial);
    image
}

/// The PCI Express capability: what it takes to be believed, and prefixes, which PASIDs are.
fn express(image: &mut Image, role: Role, has_next: bool) {
    const PREFIXES: u32 = 1 << 21 | 1 << 22;
    // One lane of the first generation.
    const LINK: u32 = 0x11;

    let flags = 2 | role.code() << 4 | u32::from(role.is_downstream()) << 8;

    // CAST: Below 256.
    let next = if has_next { at::ALLOCATION as u32 } else { 0 };

    image.set(
        at::EXPRESS,
        bindings::PCI_CAP_ID_EXP | next << 8 | flags << 16,
        0,
    );
    // Role-based error reporting.
    image.set(at::EXPRESS + 0x04, 1 << 15, 0);
    image.set(at::EXPRESS + 0x08, 0, 0x7fff);
    if role != Role::Integrated {
        image.set(at::EXPRESS + 0x0c, LINK, 0);
        image.set(at::EXPRESS + 0x10, LINK << 16, 0x01c0);
    }
    image.set(at::EXPRESS + 0x24, PREFIXES, 0);
    image.set(at::EXPRESS + 0x28, 0, 0xffff);
}

/// A capability beyond the first 256 bytes.
struct Extended {
    there: bool,
    at: usize,
    id: u32,
    /// The words behind its header: what they are, and what can change.
    words: [(u32, u32); 3],
}

fn extended(image: &mut Image, spec: &Spec, serial: u32) {
    let acs = u32::from(spec.acs.unwrap_or(0)) << 16;
    let pasid = u32::from(spec.pasid_bits) << 8;
    let all = [
        Extended {
            there: true,
            at: at::SERIAL,
            id: bindings::PCI_EXT_CAP_ID_DSN,
            words: [(serial, 0), (u32::from(VENDOR), 0), (0, 0)],
        },
        Extended {
            there: spec.acs.is_some(),
            at: at::ACS,
            id: bindings::PCI_EXT_CAP_ID_ACS,
            // What does not work cannot be switched on either.
            words: [(u32::from(ACS_ISOLATED) | acs, acs), (0, 0), (0, 0)],
        },
        Extended {
            there: spec.ats,
            at: at::ATS,
            id: bindings::PCI_EXT_CAP_ID_ATS,
            // It asks for whole pages.
            words: [(1 << 5, 0x801f << 16), (0, 0), (0, 0)],
        },
        Extended {
            there: spec.pri,
            at: at::PRI,
            id: bindings::PCI_EXT_CAP_ID_PRI,
            words: [(PRI_STOPPED, PRI_ENABLE), (PRI_REQUESTS, 0), (0, u32::MAX)],
        },
        Extended {
            there: spec.pasid_bits != 0,
            at: at::PASID,
            id: bindings::PCI_EXT_CAP_ID_PASID,
            // It can fetch instructions, and be privileged.
            words: [(0b110 | pasid, 0b111 << 16), (0, 0), (0, 0)],
        },
    ];
    let mut next = 0;

    for capability in all.iter().rev().filter(|capability| capability.there) {
        let at = capability.at;

        image.set(at, capability.id | 1 << 16 | next << 20, 0);
        for (i, (value, writable)) in capability.words.iter().enumerate() {
            image.set(at + 4 + 4 * i, *value, *writable);
        }
        // CAST: Below `SIZE`.
        next = at as u32;
    }
}

#[kunit_tests(mock_pci_image)]
mod tests {
    use super::*;
    use crate::config_space::ConfigSpace;

    fn load(spec: &Spec, role: Role) -> Result<KBox<ConfigSpace>> {
        let space = KBox::new(ConfigSpace::new(), GFP_KERNEL)?;
        let buses = spec.bridge.then_some(3..=9);
        space.load(&image(spec, role, buses, 7));
        Ok(space)
    }

    /// The capabilities in the list beyond the first 256 bytes.
    fn extended_ids(space: &ConfigSpace) -> Result<KVec<u32>> {
        let (mut ids, mut at) = (KVec::new(), 0x100);
        while at != 0 {
            let header = space.read(at, 4);
            ids.push(header & 0xffff, GFP_KERNEL)?;
            at = (header >> 20) as usize;
        }
        Ok(ids)
    }

    #[test]
    fn only_capabilities_that_are_there() -> Result {
        let all = load(&Spec::ENDPOINT, Role::Endpoint)?;
        assert_eq!(&extended_ids(&all)?[..], &[0x03, 0x0f, 0x13, 0x1b]);
        let plain = Spec {
            acs: Some(ACS_ISOLATED),
            pasid_bits: 0,
            ats: false,
            pri: false,
            ..Spec::ENDPOINT
        };
        let plain = load(&plain, Role::Endpoint)?;
        assert_eq!(&extended_ids(&plain)?[..], &[0x03, 0x0d]);
        Ok(())
    }

    #[test]
    fn services_that_do_not_work_stay_off() -> Result {
        let spec = Spec {
            acs: Some(ACS_REQUEST),
            ..Spec::PORT
        };
        let port = load(&spec, Role::RootPort)?;
        assert_eq!(port.read(at::ACS_CONTROL, 2), u32::from(ACS_REQUEST));
        port.write(at::ACS_CONTROL, 2, ACS_ISOLATED.into());
        assert_eq!(port.read(at::ACS_CONTROL, 2), u32::from(ACS_REQUEST));
        port.write(at::ACS_CONTROL, 2, 0);
        assert_eq!(port.read(at::ACS_CONTROL, 2), 0);
        Ok(())
    }

    #[test]
    fn memory_tells_its_size() -> Result {
        let end = load(&Spec::ENDPOINT, Role::Endpoint)?;
        end.write(at::BAR0, 4, u32::MAX);
        assert_eq!(end.read(at::BAR0, 4), 0xffff_0000);
        Ok(())
    }

    #[test]
    fn ports_tell_their_buses() -> Result {
        let port = load(&Spec::PORT, Role::RootPort)?;
        let next = port.read(at::EXPRESS + 1, 1) as usize;
        assert_eq!(port.read(next, 1), bindings::PCI_CAP_ID_EA);
        assert_eq!(port.read(at::FIXED_BUSES, 2), 0x0903);
        Ok(())
    }

    #[test]
    fn roles() {
        assert_eq!(Role::new(None, true), Ok(Role::RootPort));
        assert_eq!(Role::new(None, false), Ok(Role::Integrated));
        assert_eq!(
            Role::new(Some(Role::RootPort), true),
            Ok(Role::UpstreamPort)
        );
        assert_eq!(
            Role::new(Some(Role::UpstreamPort), true),
            Ok(Role::DownstreamPort)
        );
        assert_eq!(
            Role::new(Some(Role::DownstreamPort), false),
            Ok(Role::Endpoint)
        );
        for (parent, bridge) in [
            (Role::UpstreamPort, false),
            (Role::Endpoint, true),
            (Role::Integrated, false),
        ] {
            assert_eq!(Role::new(Some(parent), bridge), Err(EINVAL));
        }
    }
}
