// SPDX-License-Identifier: GPL-2.0

//! What is between a requester and the SMMU: a bus that lets it do some things, and others not, as
//! software has told it.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::{
    pri::PortState,
    translate::{
        Denied,
        Transaction, //
    },
    Port, //
};

/// What a requester may do at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permits {
    /// Access memory at all.
    pub master: bool,
    /// Tag accesses with a PASID.
    pub pasid: bool,
    /// Translate by ATS: when that began. It then has no translations of a time before.
    pub ats: Option<u32>,
    /// Ask for pages.
    pub pri: bool,
}

impl Permits {
    const ALL: Self = Self {
        master: true,
        pasid: true,
        ats: Some(0),
        pri: true,
    };
}

/// A bus. All calls may come in any context; they take no lock.
pub trait Fabric: Send + Sync {
    /// What the requester may do now.
    fn permits(&self) -> Permits;

    /// Whether a request for `addr` goes to another device, and never reaches the SMMU.
    fn goes_astray(&self, addr: u64) -> bool;
}

impl Port {
    /// Puts `fabric` between the requester and the SMMU. Before the first access; does not sleep.
    pub fn set_fabric(&self, fabric: Arc<dyn Fabric>) {
        let before = self.with_state(|state| state.fabric.replace(fabric));

        drop(before);
    }

    /// Whether it translates accesses with this SubstreamID by ATS.
    pub(super) fn translates(&self, ssid: Option<u32>) -> bool {
        self.with_state(|state| state.translates(ssid))
            .unwrap_or(false)
    }
}

impl PortState {
    fn permits(&self) -> Permits {
        let fabric = self.fabric.as_ref();

        fabric.map_or(Permits::ALL, |fabric| fabric.permits())
    }

    /// Whether it translates accesses with this SubstreamID by ATS now.
    pub(super) fn translates(&self, ssid: Option<u32>) -> bool {
        self.config.translates(ssid) && self.permits().ats.is_some()
    }

    /// Whether it asks for missing pages now.
    pub(super) fn asks_for_pages(&self) -> bool {
        self.config.pri && self.permits().pri
    }

    /// Lets `t` out of the device, if the bus does, and towards the SMMU.
    pub(super) fn enter(&mut self, t: &Transaction) -> Result<(), Denied> {
        let permits = self.permits();

        if permits.ats != self.ats_since {
            self.atc.invalidate_all();
            self.ats_since = permits.ats;
        }
        if !permits.master || t.ssid.is_some() && !permits.pasid {
            return Err(Denied::Abort);
        }
        if self.fabric.as_ref().is_some_and(|f| f.goes_astray(t.va)) {
            self.stats.astray += 1;
            return Err(Denied::Abort);
        }
        Ok(())
    }
}

#[kunit_tests(smmu_hw_fabric)]
mod tests {
    use super::*;
    use crate::hw::{
        bench::{
            kind,
            OneSpace,
            PAGE,
            SSID,
            USER,
            USER_RW,
            VA, //
        },
        DmaErrorKind,
        PortConfig, //
    };
    use kernel::sync::atomic::{
        Atomic,
        Relaxed, //
    };

    /// Bits: master, PASID, ATS, PRI; the rest tells when ATS began.
    struct Switches(Atomic<u32>);

    impl Switches {
        fn new(bits: u32) -> Result<Arc<Self>> {
            Ok(Arc::new(Self(Atomic::new(bits)), GFP_KERNEL)?)
        }
    }

    impl Fabric for Switches {
        fn permits(&self) -> Permits {
            let bits = self.0.load(Relaxed);
            Permits {
                master: bits & 1 != 0,
                pasid: bits & 2 != 0,
                ats: (bits & 4 != 0).then_some(bits >> 4),
                pri: bits & 8 != 0,
            }
        }

        fn goes_astray(&self, addr: u64) -> bool {
            addr == VA + PAGE
        }
    }

    /// A port with page 0 and 1 of its address space mapped.
    fn bench(bits: u32) -> Result<(OneSpace, Arc<Port>, Arc<Switches>)> {
        let mut one = OneSpace::new()?;
        let base = one.data.phys();
        one.space.set(VA, 3, base | USER_RW)?;
        one.space.set(VA + PAGE, 3, (base + PAGE) | USER_RW)?;
        let port = one.port(PortConfig::default())?;
        let switches = Switches::new(bits)?;
        port.set_fabric(switches.clone());
        Ok((one, port, switches))
    }

    fn read(port: &Port, ssid: Option<u32>, va: u64) -> Result<(), DmaErrorKind> {
        port.read(ssid, va, &mut [0; 8], USER).map_err(|e| e.kind)
    }

    #[test]
    fn a_requester_that_may_not() -> Result {
        let (_one, port, switches) = bench(0b1111)?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        // Neither without PASIDs nor without anything, though the device has the translation.
        for bits in [0b1101, 0b1110] {
            switches.0.store(bits, Relaxed);
            assert_eq!(read(&port, Some(SSID), VA), Err(DmaErrorKind::Aborted));
        }
        switches.0.store(0b1111, Relaxed);
        assert!(read(&port, Some(SSID), VA).is_ok());
        Ok(())
    }

    #[test]
    fn a_request_that_goes_astray() -> Result {
        let (_one, port, _) = bench(0b1111)?;
        assert_eq!(
            read(&port, Some(SSID), VA + PAGE),
            Err(DmaErrorKind::Aborted)
        );
        assert_eq!(port.stats().astray, 1);
        Ok(())
    }

    #[test]
    fn no_translation_outlives_ats() -> Result {
        let (one, port, switches) = bench(0b1111)?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        let hits = one.bench.smmu.stats().atc_hits;
        switches.0.store(0b1_1111, Relaxed);
        assert!(read(&port, Some(SSID), VA).is_ok());
        assert_eq!(one.bench.smmu.stats().atc_hits, hits);
        assert!(read(&port, Some(SSID), VA).is_ok());
        assert_eq!(one.bench.smmu.stats().atc_hits, hits + 1);
        Ok(())
    }

    #[test]
    fn without_pri_nobody_is_asked() -> Result {
        let (one, port, _) = bench(0b0111)?;
        let found = port.read(Some(SSID), VA + 8 * PAGE, &mut [0; 8], USER);
        assert_eq!(kind(found), Some(DmaErrorKind::Aborted));
        assert_eq!(one.bench.smmu.stats().page_requests, 0);
        Ok(())
    }
}
