// SPDX-License-Identifier: GPL-2.0

//! The stream table and the tables of context descriptors, as they stand in memory.

use super::{
    meaning,
    words,
    View, //
};
use kernel::fmt::{
    self,
    Formatter, //
};

/// The entries of the devices that there are.
pub(super) fn stes(view: &View, f: &mut Formatter<'_>) -> fmt::Result {
    view.smmu.for_each_client(|sid, _| {
        let Some(ste) = view.hw.ste(sid) else {
            return Ok(());
        };
        write!(f, "{sid:#x}:")?;
        words(f, &ste.words())?;
        meaning::fields(f, "", |visit| ste.each(visit))
    })
}

/// The descriptors of PASIDs that are in use.
pub(super) fn cds(view: &View, f: &mut Formatter<'_>) -> fmt::Result {
    view.smmu.for_each_client(|sid, client| {
        let bonds = client.data().bonds().lock();
        for &ssid in bonds.keys() {
            if let Some(cd) = view.hw.cd(sid, ssid) {
                write!(f, "{sid:#x} {ssid:#x}:")?;
                words(f, &cd.words())?;
                meaning::fields(f, "", |visit| cd.each(visit))?;
            }
        }
        Ok(())
    })
}
