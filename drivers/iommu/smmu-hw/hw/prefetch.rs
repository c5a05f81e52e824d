// SPDX-License-Identifier: GPL-2.0

//! Prefetch commands (SMMUv3, 4.2): they fill the caches as reads would, and fail in silence.

use crate::fmt::cmd::{
    self,
    Command, //
};

use super::{
    engine::Engine,
    pri::PAGE,
    translate::{
        Route,
        Transaction, //
    },
    walk::Access, //
};

/// Most translations that one command fetches.
const MOST: u64 = 32;

impl Engine {
    /// PREFETCH_CFG and PREFETCH_ADDR. Like a speculative read, it sets access flags where hardware
    /// does that, and makes nothing dirty.
    pub(super) fn prefetch(&mut self, command: &Command) {
        self.stats.prefetch += 1;
        if !self.cr0().smmuen() {
            return;
        }
        let t = Transaction {
            sid: command.sid(),
            ssid: command.ssv().then_some(command.ssid()),
            va: command.address(),
            access: Access {
                read: true,
                write: false,
                exec: false,
                privileged: false,
            },
        };
        let pages = match command.op() {
            cmd::OP_PREFETCH_ADDR => MOST.min(1 << command.prefetch_size()),
            _ => 0,
        };
        // What is wrong is told when somebody really wants it.
        if let Ok(Route::Stage1(context)) = self.route(&t, false) {
            for page in 0..pages {
                let va = t.va.wrapping_add(page * PAGE);
                let _ = self.stage1(&context, &Transaction { va, ..t });
            }
        }
    }
}
