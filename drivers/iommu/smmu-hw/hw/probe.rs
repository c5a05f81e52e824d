// SPDX-License-Identifier: GPL-2.0

//! Looking without accessing: where a device's access would go now.

use super::{
    dma::{
        DmaErrorKind,
        Port, //
    },
    pri::ATC_NO_SSID,
    translate::{
        Denied,
        Transaction, //
    },
    walk::{
        Access,
        Perms, //
    }, //
};

/// What a device would do at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Read data.
    Read,
    /// Write data.
    Write,
    /// Fetch an instruction.
    Exec,
}

impl From<Intent> for Access {
    fn from(intent: Intent) -> Self {
        Access {
            read: intent != Intent::Write,
            write: intent == Intent::Write,
            exec: intent == Intent::Exec,
            privileged: false,
        }
    }
}

/// Where an access goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The physical address.
    pub phys: u64,
    /// log2 of the bytes that the translation covers.
    pub shift: u8,
    perms: Perms,
}

impl Place {
    /// Whether the translation that led here does for `intent` too, so that a device that has it
    /// would not ask again.
    pub fn allows(&self, intent: Intent) -> bool {
        self.perms.allows(intent.into())
    }
}

impl Port {
    /// Where an unprivileged access at `va` would go now: by the device's ATC, else by a
    /// translation request, or untranslated, by TLB or tables. `None` where the device would have
    /// to ask for a page, or wait for one; it does neither.
    ///
    /// As by any translation request, access flags and dirty states are updated, and both caches
    /// keep what was found. Any context.
    ///
    /// # Errors
    ///
    /// [`DmaErrorKind::Aborted`] if the SMMU is off, or aborts.
    pub fn locate(
        &self,
        ssid: Option<u32>,
        va: u64,
        intent: Intent,
    ) -> Result<Option<Place>, DmaErrorKind> {
        let t = Transaction {
            sid: self.sid,
            ssid,
            va,
            access: intent.into(),
        };
        let mut engine = self.smmu.engine().lock();
        let found = if self.config.translates(ssid) {
            engine.locate(self.slot, &t)
        } else if engine.cr0().smmuen() {
            engine.find(&t, false)
        } else {
            Err(Denied::Abort)
        };
        match found {
            Ok(translation) => Ok(Some(Place {
                phys: translation.address(va),
                shift: translation.shift,
                perms: translation.perms,
            })),
            Err(Denied::Missing) => Ok(None),
            Err(_) => Err(DmaErrorKind::Aborted),
        }
    }

    /// Has the device's ATC and the TLB forget `va`, as hardware may at any time. The next access
    /// there walks the tables, from the deepest that is known. Any context.
    pub fn evict(&self, ssid: Option<u32>, va: u64) {
        let mut engine = self.smmu.engine().lock();
        if let Some(port) = engine.ports[self.slot].as_deref_mut() {
            port.atc
                .invalidate_va(Some(ssid.unwrap_or(ATC_NO_SSID)), va);
        }
        engine.tlb.invalidate_va(None, va);
    }
}
