// SPDX-License-Identifier: GPL-2.0

//! The command queue (SMMUv3, 3.5.1 and chapter 4).

use kernel::prelude::*;

use kernel_ext::cpu;

use crate::{
    fmt::{
        cmd::{
            self,
            Command,
            CommandError,
            Resume, //
        },
        ppr::Response,
        regs::{
            self,
            CmdqCons,
            Gerror, //
        }, //
    },
    inject::Fault, //
};

use super::{
    engine::Engine,
    lies::Ack,
    tlb::ALL_SIZES,
    walk_cache::Scope, //
};

impl Engine {
    /// Consumes commands until the queue is empty, or one has an error. Each has its full effect
    /// before `CMDQ_CONS` passes it.
    pub(super) fn consume_commands(&mut self) {
        loop {
            if !self.cr0().cmdqen() || self.active_errors().cmdq_err() {
                return;
            }
            let layout = self.cmdq.layout(&self.regs);
            let prod = self.regs.read32(regs::CMDQ_PROD);
            let cons = CmdqCons::from_raw(self.regs.read32(regs::CMDQ_CONS)).rd();
            if layout.is_empty(prod, cons) {
                return;
            }
            let result = match self.fetch_command(cons) {
                // Somebody polls until the acknowledgement is here.
                Ok(command) if self.must_wait(&command) => return,
                Ok(command) => self.execute(&command).map(|()| command),
                Err(_) => Err(CommandError::Abt),
            };
            match result {
                Ok(command) => {
                    let next = CmdqCons::default().with_rd(layout.advance(cons, 1));
                    self.regs.write32(regs::CMDQ_CONS, next.raw());
                    // Who is told of something must find it in CONS already. (SMMUv3, 4.7.3.)
                    if layout.is_full(prod, cons) {
                        self.wake_cpus();
                    }
                    if command.op() == cmd::OP_SYNC {
                        self.signal_sync(&command);
                    }
                }
                Err(error) => {
                    // CONS stays on the command, for software to repair or replace it.
                    let stopped = CmdqCons::default()
                        .with_rd(layout.position(cons))
                        .with_err(error as u8);
                    self.regs.write32(regs::CMDQ_CONS, stopped.raw());
                    self.stats.command_errors += 1;
                    self.global_error(Gerror::default().with_cmdq_err(true));
                }
            }
        }
    }

    fn fetch_command(&self, cons: u32) -> Result<Command> {
        self.cmdq.read(&self.regs, cons).map(Command::from_words)
    }

    fn execute(&mut self, command: &Command) -> Result<(), CommandError> {
        if command.invalidates() && self.strikes(Fault::Invalidate) {
            self.stats.invalidations_lost += 1;
            return Ok(());
        }
        self.carry_out(command)?;
        if command.invalidates() {
            self.strict_sweep();
        }
        Ok(())
    }

    fn carry_out(&mut self, command: &Command) -> Result<(), CommandError> {
        // While translation is off, ATS and PRI are not there for commands either.
        let on = self.cr0().smmuen();
        let stats = &mut self.stats;
        match command.op() {
            // There is no secure world. (SMMUv3, 4.1.6.)
            _ if command.names_stream() && command.ssec() => return Err(CommandError::Ill),
            cmd::OP_PREFETCH_CFG | cmd::OP_PREFETCH_ADDR => self.prefetch(command),
            cmd::OP_CFGI_STE => {
                stats.cfgi_ste += 1;
                let sid = command.sid();
                self.cache.invalidate_streams(sid, sid, command.leaf());
            }
            cmd::OP_CFGI_STE_RANGE => {
                stats.cfgi_ste += 1;
                let span = (2 << command.range()) - 1;
                let first = (u64::from(command.sid()) & !span) as u32;
                self.cache
                    .invalidate_streams(first, first | span as u32, false);
            }
            cmd::OP_CFGI_CD => {
                stats.cfgi_cd += 1;
                let (sid, ssid) = (command.sid(), command.ssid());
                self.cache.invalidate_cd(sid, ssid, command.leaf());
            }
            cmd::OP_CFGI_CD_ALL => {
                stats.cfgi_cd += 1;
                self.cache.invalidate_cds(command.sid());
            }
            cmd::OP_TLBI_NH_ALL | cmd::OP_TLBI_NSNH_ALL => {
                stats.tlbi_all += 1;
                self.tlb.invalidate_all();
                self.walks.invalidate_all();
            }
            cmd::OP_TLBI_NH_ASID => {
                stats.tlbi_asid += 1;
                self.tlb.invalidate_tag(u32::from(command.asid()));
                self.walks.invalidate_asid(u32::from(command.asid()));
            }
            cmd::OP_TLBI_NH_VA => {
                return self.tlbi_va(command, Some(u32::from(command.asid())));
            }
            cmd::OP_TLBI_NH_VAA => return self.tlbi_va(command, None),
            cmd::OP_ATC_INV if self.config.ats => return self.atc_inv(command, on),
            cmd::OP_PRI_RESP if self.config.pri => {
                let response = Response::from_code(command.response()).ok_or(CommandError::Ill)?;
                stats.pri_resp += 1;
                let ssid = command.ssv().then_some(command.ssid());
                if on {
                    self.respond(command.sid(), ssid, command.group(), response);
                }
            }
            cmd::OP_RESUME if self.config.stalls() => {
                stats.resume += 1;
                let resume = match Resume::from_code(command.resume_code()) {
                    Resume::Terminate if self.config.term_model => Resume::Abort,
                    resume => resume,
                };
                self.resume(command.sid(), command.stag(), resume);
            }
            cmd::OP_STALL_TERM if self.config.stalls() => {
                stats.stall_term += 1;
                self.terminate_stalls(Some(command.sid()));
            }
            cmd::OP_SYNC if command.cs() <= cmd::SYNC_SEV => return self.sync(),
            // No stage 2, no EL2; what the ID registers do not promise.
            _ => return Err(CommandError::Ill),
        }
        Ok(())
    }

    /// SYNC. All effects of commands are immediate, and no access is under way while we have the
    /// lock: there is nothing to wait for but devices that acknowledge late.
    fn sync(&mut self) -> Result<(), CommandError> {
        let missing = self.acknowledgement.take().map(|ack| ack.state()) == Some(Ack::Missing);
        if missing {
            return Err(CommandError::AtcInv);
        }
        self.stats.sync += 1;
        Ok(())
    }

    /// Tells that a SYNC is complete. Its interrupt comes by the line in any case; by a message
    /// too, if software wants one. (SMMUv3, 4.7.3.)
    fn signal_sync(&mut self, command: &Command) {
        match command.cs() {
            cmd::SYNC_IRQ => {
                self.lines.sync.raise();
                let (address, data) = (command.msi_address(), command.msi_data());
                if self.config.msi && address != 0 && self.message(address, data).is_err() {
                    self.global_error(Gerror::default().with_msi_cmdq_abt_err(true));
                }
            }
            cmd::SYNC_SEV => self.wake_cpus(),
            _ => {}
        }
    }

    /// Sends an event to CPUs that wait for one, if the SMMU can do that.
    fn wake_cpus(&mut self) {
        if self.config.sev {
            self.stats.cpu_events += 1;
            cpu::send_event();
        }
    }

    /// Whether `command` must not be consumed yet.
    fn must_wait(&self, command: &Command) -> bool {
        let ack = self.acknowledgement.as_ref();
        command.op() == cmd::OP_SYNC && ack.is_some_and(|ack| ack.state() == Ack::Awaited)
    }

    fn tlbi_va(&mut self, command: &Command, tag: Option<u32>) -> Result<(), CommandError> {
        if self.config.ril && cmd::tlbi_reserved(command) {
            return Err(CommandError::Ill);
        }
        self.stats.tlbi_va += 1;
        let range = cmd::tlbi_range(command).filter(|_| self.config.ril);
        let (start, size) = range.unwrap_or((command.address(), 1));
        let sizes = if self.walks.on() {
            let scope = Scope::of(command, self.config.ril);
            self.walks.invalidate(tag, start, size, scope);
            scope.sizes()
        } else {
            // More than must be.
            ALL_SIZES
        };
        match range {
            Some(_) => self.tlb.invalidate_range_of(sizes, tag, start, size),
            None => self.tlb.invalidate_va_of(sizes, tag, start),
        }
        Ok(())
    }

    fn atc_inv(&mut self, command: &Command, on: bool) -> Result<(), CommandError> {
        let size = command.atc_size();
        if size > cmd::ATC_INV_ALL {
            return Err(CommandError::Ill);
        }
        self.stats.atc_inv += 1;
        if !on {
            return Ok(());
        }
        self.delay_sync(command.sid());
        // Without a SubstreamID, or with the global flag, it reaches all of them.
        let tag = (command.ssv() && !command.global()).then_some(command.ssid());
        if let Some(port) = self.port_of(command.sid()) {
            match (tag, size) {
                (None, cmd::ATC_INV_ALL) => port.atc.invalidate_all(),
                (Some(tag), cmd::ATC_INV_ALL) => port.atc.invalidate_tag(tag),
                (tag, 0) => port.atc.invalidate_va(tag, command.address()),
                (tag, size) => {
                    let bytes = 1 << (12 + size);
                    let start = command.address() & !(bytes - 1);
                    port.atc.invalidate_range(tag, start, bytes);
                }
            }
        }
        Ok(())
    }
}
