// SPDX-License-Identifier: GPL-2.0

//! Random commands: which are taken, and which are errors (SMMUv3, chapter 4).

use kernel::prelude::*;
use smmuv3::fmt::{
    cmd::{
        self,
        Command,
        CommandError, //
    },
    regs::{
        self,
        CmdqCons,
        Gerror, //
    }, //
};

use super::Comparison;
use crate::{
    random::Random,
    side::{
        Side,
        CMDQ, //
    }, //
};

/// What QEMU takes and should not. Its name is what reports call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Invalidations for EL2 and EL3, which it has not.
    El2OrEl3,
    /// Answers to page requests, which it has not.
    PriResp,
    /// Ends of stalls, which it has not.
    ResumeOrStallTerm,
    /// Invalidations of devices' caches, which it has not.
    AtcInv,
    /// Streams of the secure world in other commands than CFGI.
    Ssec,
    /// A range with a granule that serves nothing.
    ReservedRange,
    /// A SYNC with a signal that is reserved.
    ReservedSync,
}

impl Taken {
    pub(crate) const ALL: [Self; 7] = [
        Self::El2OrEl3,
        Self::PriResp,
        Self::ResumeOrStallTerm,
        Self::AtcInv,
        Self::Ssec,
        Self::ReservedRange,
        Self::ReservedSync,
    ];
}

/// A random command that names one of the streams `sids`.
pub(crate) fn command(random: &mut Random, sids: &[u32]) -> Command {
    const KNOWN: [u8; 28] = [
        0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x10, 0x11, 0x12, 0x13, 0x18, 0x1a, 0x20, 0x21, 0x22,
        0x23, 0x28, 0x2a, 0x30, 0x40, 0x41, 0x44, 0x45, 0x46, 0x12, 0x13, 0x46, 0x03,
    ];
    let op = match random.below(8) {
        0 => random.next() as u8,
        _ => random.pick(&KNOWN),
    };
    let mut command = Command::from_words([random.next(), random.next()]).with_op(op);
    if command.names_stream() || op == 0 {
        command = command
            .with_sid(random.pick(sids))
            .with_ssec(random.one_in(8));
    }
    if matches!(op, cmd::OP_TLBI_NH_VA | cmd::OP_TLBI_NH_VAA) && random.one_in(2) {
        command = command.with_num(0).with_scale(0);
    }
    if matches!(op, 0x10..=0x30) {
        // A range must end somewhere.
        let address = command.address() & ((1 << 48) - 1);
        command = command
            .with_scale(command.scale() % 16)
            .with_address(address);
    }
    command
}

/// Whether an SMMU with stage 1 only, without EL2, ATS, PRI and stalls takes a command.
pub(crate) fn is_good(command: &Command) -> bool {
    taken(command).is_none()
        && matches!(
            command.op(),
            0x01..=0x06 | 0x10..=0x13 | cmd::OP_TLBI_NSNH_ALL | cmd::OP_SYNC
        )
        && !(command.names_stream() && command.ssec())
}

/// The class of a command that QEMU takes and the architecture does not.
pub(crate) fn taken(command: &Command) -> Option<Taken> {
    let by_address = matches!(command.op(), cmd::OP_TLBI_NH_VA | cmd::OP_TLBI_NH_VAA);
    let level_serves = command.ttl() != 0 && !(command.tg() == 2 && command.ttl() == 1);
    match command.op() {
        0x18 | 0x1a | 0x20..=0x23 => Some(Taken::El2OrEl3),
        cmd::OP_PRI_RESP => Some(Taken::PriResp),
        cmd::OP_RESUME | cmd::OP_STALL_TERM => Some(Taken::ResumeOrStallTerm),
        cmd::OP_ATC_INV => Some(Taken::AtcInv),
        cmd::OP_PREFETCH_CFG | cmd::OP_PREFETCH_ADDR if command.ssec() => Some(Taken::Ssec),
        cmd::OP_SYNC if command.cs() == 3 => Some(Taken::ReservedSync),
        _ if by_address
            && command.tg() != 0
            && command.num() == 0
            && command.scale() == 0
            && !level_serves =>
        {
            Some(Taken::ReservedRange)
        }
        _ => None,
    }
}

/// What one side made of the last command: whether it was taken; else the error.
fn result(side: &impl Side, prod: u32) -> Result<(), u8> {
    let errors = side.read32(regs::GERROR) ^ side.read32(regs::GERRORN);
    let cons = CmdqCons::from_raw(side.read32(regs::CMDQ_CONS));
    if Gerror::from_raw(errors).cmdq_err() {
        return Err(cons.err());
    }
    if CMDQ.is_empty(prod, cons.rd()) {
        Ok(())
    } else {
        // Not taken, and no error.
        Err(0)
    }
}

/// Acknowledges an error; the command was replaced.
fn go_on(side: &impl Side, prod: u32) -> bool {
    side.write32(regs::GERRORN, side.read32(regs::GERROR));
    result(side, prod).is_ok()
}

impl Comparison {
    /// So many random commands.
    pub(super) fn commands(&mut self, count: u64) {
        for n in 0..count {
            let mut random = Random::new(self.seed ^ 0xc0, n);
            let command = command(&mut random, &self.sids);
            let at = self.prod;
            self.command(&command);
            self.ring();
            let results = [result(&self.qemu, self.prod), result(&self.ours, self.prod)];
            let expected = if is_good(&command) {
                Ok(())
            } else {
                Err(CommandError::Ill as u8)
            };
            let mut explained = results[1] == expected;
            if results[0] != results[1] {
                self.tally.differences += 1;
                match taken(&command).filter(|_| results[0].is_ok()) {
                    Some(class) => self.tally.taken[class as usize] += 1,
                    None => explained = false,
                }
            }
            if results != [Ok(()); 2] {
                self.command_at(at, &Command::sync());
                let gone_on = [go_on(&self.qemu, self.prod), go_on(&self.ours, self.prod)];
                explained &= gone_on == [true; 2];
            }
            if !explained && self.tally.unexplained() {
                pr_info!("agree: command {n}: {:x?}\n", command.words());
                pr_info!("agree:   qemu, ours: {results:x?}; by the architecture {expected:?}\n");
            }
        }
    }
}
