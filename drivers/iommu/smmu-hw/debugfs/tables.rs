// SPDX-License-Identifier: GPL-2.0

//! The stream table and the tables of context descriptors, as they stand in memory.

use super::{
    meaning,
    streams,
    words, //
};
use crate::{
    fmt::{
        cd,
        ste, //
    },
    hw::Smmu, //
};
use kernel::{
    fmt::{
        self,
        Formatter, //
    },
    sync::Arc, //
};

/// The entries of the devices that there are.
pub(super) fn stes(hw: &Arc<Smmu>, f: &mut Formatter<'_>) -> fmt::Result {
    streams(hw, |sid| {
        let Some(ste) = hw.ste(sid) else {
            return Ok(());
        };
        write!(f, "{sid:#x}:")?;
        words(f, &ste.words())?;
        meaning::fields(f, "", |visit| ste.each(visit))
    })
}

/// The valid descriptors.
pub(super) fn cds(hw: &Arc<Smmu>, f: &mut Formatter<'_>) -> fmt::Result {
    streams(hw, |sid| {
        let Some(ste) = hw.ste(sid).filter(|ste| ste.config() == ste::CONFIG_S1) else {
            return Ok(());
        };
        let (mut ssid, end) = (0, 1u32 << ste.s1_cd_max());

        while ssid < end {
            match hw.fetch_cd(sid, ssid) {
                Ok(cd) if cd.v() => {
                    write!(f, "{sid:#x} {ssid:#x}:")?;
                    words(f, &cd.words())?;
                    meaning::fields(f, "", |visit| cd.each(visit))?;
                }
                Ok(_) => {}
                // There is no table of the second level, for none of these.
                Err(_) => ssid |= (1 << cd::split(ste.s1_fmt())) - 1,
            }
            ssid += 1;
        }
        Ok(())
    })
}
