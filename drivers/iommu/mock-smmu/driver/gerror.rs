// SPDX-License-Identifier: GPL-2.0

//! Global errors.

use super::Smmu;
use crate::fmt::regs::{
    self,
    Gerror, //
};
use kernel::prelude::*;

/// Looks at the global errors that are active, says so and acknowledges them.
pub(super) fn process(smmu: &Smmu) {
    // Its lock orders this with the batch that met the error, which may have recovered already.
    smmu.cmdq().recover();

    let regs = smmu.regs();
    let (gerror, gerrorn) = (regs.read32(regs::GERROR), regs.read32(regs::GERRORN));
    let command_error = Gerror::default().with_cmdq_err(true).raw();
    let active = (gerror ^ gerrorn) & !command_error;
    if active == 0 {
        return;
    }

    let errors = Gerror::from_raw(active);
    if errors.evtq_abt_err() {
        pr_err!("the event queue cannot be written\n");
    }
    if errors.priq_abt_err() {
        pr_err!("the page request queue cannot be written\n");
    }
    if errors.sfm_err() {
        pr_err!("service failure mode\n");
    }
    smmu.cmdq().acknowledge(active);
}
