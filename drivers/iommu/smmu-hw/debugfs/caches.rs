// SPDX-License-Identifier: GPL-2.0

//! The caches of translations: the slots that are in use.

use super::streams;
use crate::hw::{
    Perms,
    Smmu,
    TlbEntry, //
};
use core::fmt::Display;
use kernel::{
    fmt::{
        self,
        Formatter, //
    },
    sync::Arc, //
};

/// Permissions as in "rw-r--": of unprivileged accesses, then of privileged ones.
struct Permissions(Perms);

impl Display for Permissions {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (bit, letter) in "rwxrwx".chars().enumerate() {
            let has = self.0.bits() >> bit & 1 != 0;
            write!(f, "{}", if has { letter } else { '-' })?;
        }
        Ok(())
    }
}

/// The rest of a line, after where the entry is.
fn entry(f: &mut Formatter<'_>, entry: &TlbEntry) -> fmt::Result {
    writeln!(
        f,
        " {:#x} {:#x} {:#x} {}{}",
        entry.va,
        entry.pa,
        1u64 << entry.shift,
        Permissions(entry.perms),
        if entry.global { " global" } else { "" },
    )
}

/// The SMMU's, by slot.
pub(super) fn tlb(hw: &Arc<Smmu>, f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(f, "slot asid va pa size permissions")?;
    let mut slot = 0;
    while let Some(held) = hw.tlb_entry(slot) {
        if let Some(held) = held {
            write!(f, "{slot} {:#x}", held.tag)?;
            entry(f, &held)?;
        }
        slot += 1;
    }
    Ok(())
}

/// The devices', by StreamID and slot.
pub(super) fn atc(hw: &Arc<Smmu>, f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(f, "sid slot ssid va pa size permissions")?;
    streams(hw, |sid| {
        let mut slot = 0;
        while let Some(held) = hw.atc_entry(sid, slot) {
            if let Some(held) = held {
                match held.tag {
                    u32::MAX => write!(f, "{sid:#x} {slot} none")?,
                    ssid => write!(f, "{sid:#x} {slot} {ssid:#x}")?,
                }
                entry(f, &held)?;
            }
            slot += 1;
        }
        Ok(())
    })
}
