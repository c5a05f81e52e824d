// SPDX-License-Identifier: GPL-2.0

//! An access of a device, page by page: translate and copy under one hold of the engine's lock, or
//! ask for what is missing and wait without it.

use core::ops::Range;

use kernel::{
    prelude::*,
    sync::{
        lock::{
            spinlock::SpinLockIrqBackend,
            Guard, //
        },
        CondVarTimeoutResult, //
    },
    time::{
        delay::fsleep,
        msecs_to_jiffies,
        Delta,
        Jiffies, //
    }, //
};

use kernel_ext::phys::PhysWindow;

use crate::{
    bus::BUS,
    fmt::{
        cd,
        cmd::Resume,
        ppr::Response, //
    },
    inject::{
        be_slow,
        Fault, //
    },
};

use super::{
    dma::{
        DmaError,
        DmaErrorKind,
        DmaResult,
        Port,
        PortConfig, //
    },
    engine::Engine,
    pri::{
        PortState,
        ATC_NO_SSID,
        PAGE, //
    },
    stall::End,
    translate::{
        Denied,
        Transaction, //
    },
    walk::{
        Access,
        Translation, //
    }, //
};

type EngineGuard<'a> = Guard<'a, Engine, SpinLockIrqBackend>;

/// How often one access has been put off.
struct Patience {
    va: u64,
    retries: u16,
    /// A group that began with this page was refused: which page was it?
    alone: bool,
    /// Milliseconds spent because the page request queue had overflown.
    busy_ms: u32,
}

impl Patience {
    /// Counts an attempt at `va` that did not get through; fails when that happened too often.
    fn once_more(&mut self, va: u64, max_retries: u16) -> Result<(), DmaErrorKind> {
        if self.va != va {
            self.va = va;
            self.retries = 0;
            self.alone = false;
        } else if self.retries > max_retries {
            return Err(DmaErrorKind::RetriesExhausted);
        }
        self.retries = self.retries.saturating_add(1);
        Ok(())
    }
}

impl Port {
    /// Does `op` on each page's part of `len` bytes at `addr`, in order; it gets the memory (none
    /// if the access has to have no effect) and which bytes of the whole it is.
    ///
    /// Each page is translated and accessed under one hold of the engine's lock.
    pub(super) fn access(
        &self,
        ssid: Option<u32>,
        addr: u64,
        len: usize,
        access: Access,
        mut op: impl FnMut(Option<&PhysWindow<'_>>, Range<usize>) -> Result,
    ) -> DmaResult {
        let mut patience = Patience {
            va: addr,
            retries: 0,
            alone: false,
            busy_ms: 0,
        };
        let mut done = 0;
        while done < len {
            let va = addr.wrapping_add(done as u64);
            let end = len.min(done + (PAGE - va % PAGE) as usize);
            let mut engine = self.smmu.engine().lock();
            let t = Transaction {
                sid: self.sid,
                ssid: engine.ssid_told(self.slot, ssid),
                va,
                access,
            };
            let result = self.access_page(engine, &t, len - done, &mut patience, |memory| {
                op(memory, done..end)
            });
            match result {
                Ok(true) => done = end,
                Ok(false) => {}
                Err(kind) => {
                    self.count(|stats| stats.errors += 1);
                    return Err(DmaError { kind, addr: va });
                }
            }
        }
        Ok(())
    }

    /// Does `op` on the page of `t`, or waits for a response to a request for it, and for more of
    /// the `len` bytes to come. Gives whether it was done.
    fn access_page<'a>(
        &'a self,
        mut engine: EngineGuard<'a>,
        t: &Transaction,
        len: usize,
        patience: &mut Patience,
        op: impl FnOnce(Option<&PhysWindow<'_>>) -> Result,
    ) -> Result<bool, DmaErrorKind> {
        self.check_stopped(&engine)?;
        match engine.locate(self.slot, t) {
            Ok(translation) => {
                let rest = (PAGE - t.va % PAGE).min(len as u64) as usize;
                BUS.window(translation.address(t.va), rest)
                    .and_then(|memory| op(Some(&memory)))
                    .map_err(|_| DmaErrorKind::BusError)?;
            }
            Err(Denied::Ignore) => op(None).map_err(|_| DmaErrorKind::BusError)?,
            Err(Denied::Missing) if engine.asks_for_pages(self.slot) => {
                self.page_in(engine, t, len, patience)?;
                return Ok(false);
            }
            Err(Denied::Stalled(stag)) => match self.stalled(engine, stag)? {
                End::Anew | End::Resumed(Resume::Retry) => return Ok(false),
                End::Resumed(Resume::Terminate) => {
                    op(None).map_err(|_| DmaErrorKind::BusError)?;
                }
                // Somebody has looked at this access and found that it may not be made: that is
                // the fault of who asked for it.
                End::Resumed(Resume::Abort) => return Err(DmaErrorKind::Refused),
                End::Terminated => return Err(DmaErrorKind::Aborted),
            },
            Err(Denied::Crowded) => {
                let mut left = msecs_to_jiffies(self.config_now(&engine).timeout_ms);
                self.wait(&mut engine, &mut left)?;
                return Ok(false);
            }
            Err(_) => return Err(DmaErrorKind::Aborted),
        }
        Ok(true)
    }

    /// Asks for pages and waits for the response. No lock is held while waiting.
    fn page_in(
        &self,
        mut engine: EngineGuard<'_>,
        t: &Transaction,
        len: usize,
        patience: &mut Patience,
    ) -> Result<(), DmaErrorKind> {
        let config = self.config_now(&engine);
        patience.once_more(t.va, config.max_retries)?;
        let mut left = msecs_to_jiffies(config.timeout_ms);
        let len = if patience.alone { 1 } else { len as u64 };
        let (group, pages) = loop {
            match engine.send_group(self.slot, t, len) {
                Some(sent) => break sent,
                None => self.wait(&mut engine, &mut left)?,
            }
        };
        let (response, auto) = loop {
            let state = engine.ports[self.slot].as_deref_mut();
            let response = state.and_then(|state| state.take_response(group));
            if let Some(response) = response {
                break response;
            }
            if let Err(kind) = self.wait(&mut engine, &mut left) {
                if let Some(state) = &mut engine.ports[self.slot] {
                    state.abandon(group);
                }
                return Err(kind);
            }
        };
        let late_ms = match engine.ports[self.slot].as_deref_mut() {
            Some(port) if port.lies.late_ms != 0 => {
                port.stats.lies += 1;
                port.lies.late_ms
            }
            _ => 0,
        };
        let late = engine.strikes(Fault::ResponseSlow);
        drop(engine);
        if late {
            be_slow();
        }
        if late_ms != 0 {
            fsleep(Delta::from_millis(i64::from(late_ms)));
        }
        match response {
            Response::Success if auto => {
                // The queue had overflown: a little later it may have room again.
                patience.retries -= 1;
                patience.busy_ms += 1;
                if patience.busy_ms > config.timeout_ms {
                    return Err(DmaErrorKind::Timeout);
                }
                fsleep(Delta::from_millis(1));
                Ok(())
            }
            Response::Success => Ok(()),
            // The response is for the group. Pages before the culprit may have become present; at
            // the first that is still missing, ask for that one alone.
            Response::Invalid if pages > 1 => {
                patience.alone = true;
                Ok(())
            }
            Response::Invalid => Err(DmaErrorKind::Refused),
            Response::Failure => Err(DmaErrorKind::ResponseFailure),
        }
    }

    /// Waits until software has decided about a stalled access. No lock is held while waiting.
    fn stalled<'a>(&'a self, mut engine: EngineGuard<'a>, stag: u16) -> Result<End, DmaErrorKind> {
        let mut left = msecs_to_jiffies(self.config_now(&engine).timeout_ms);
        loop {
            if let Some(end) = engine.take_end(stag) {
                let late = engine.strikes(Fault::ResponseSlow);
                drop(engine);
                if late {
                    be_slow();
                }
                return Ok(end);
            }
            if let Err(kind) = self.wait(&mut engine, &mut left) {
                if !self.config.gives_up && kind != DmaErrorKind::Timeout {
                    // Looks again and again: nothing that one waits for can be waited for now.
                    drop(engine);
                    fsleep(Delta::from_millis(1));
                    engine = self.smmu.engine().lock();
                    left = left.saturating_sub(msecs_to_jiffies(1));
                    if left != 0 {
                        continue;
                    }
                }
                engine.abandon_stall(stag);
                if let Some(state) = &mut engine.ports[self.slot] {
                    state.stats.abandoned += 1;
                }
                return Err(kind);
            }
        }
    }

    /// The port's configuration with the limits of this moment.
    fn config_now(&self, engine: &Engine) -> PortConfig {
        let state = engine.ports[self.slot].as_ref();
        state.map_or(self.config, |state| state.config)
    }

    pub(super) fn check_stopped(&self, engine: &Engine) -> Result<(), DmaErrorKind> {
        match &engine.ports[self.slot] {
            Some(state) if !state.stopped => Ok(()),
            _ => Err(DmaErrorKind::Stopped),
        }
    }

    /// Waits until something has happened to the port, for at most `left`.
    fn wait(&self, engine: &mut EngineGuard<'_>, left: &mut Jiffies) -> Result<(), DmaErrorKind> {
        match self.wake.condvar.wait_interruptible_timeout(engine, *left) {
            CondVarTimeoutResult::Woken { jiffies } => *left = jiffies,
            CondVarTimeoutResult::Timeout => return Err(DmaErrorKind::Timeout),
            CondVarTimeoutResult::Signal { .. } => return Err(DmaErrorKind::Interrupted),
        }
        self.check_stopped(engine)
    }
}

impl Engine {
    /// The SubstreamID that the port in `slot` uses when it is told to use `ssid`.
    fn ssid_told(&mut self, slot: usize, ssid: Option<u32>) -> Option<u32> {
        match self.ports[slot].as_deref_mut() {
            Some(port) if port.lies.foreign_ssid.is_some() => {
                port.stats.lies += 1;
                port.lies.foreign_ssid
            }
            _ => ssid,
        }
    }

    /// Whether the port in `slot` asks for missing pages.
    fn asks_for_pages(&self, slot: usize) -> bool {
        self.ports[slot]
            .as_deref()
            .is_some_and(PortState::asks_for_pages)
    }

    /// The translation that the port in `slot` uses for `t`: from its ATC, by ATS, or by an
    /// untranslated request.
    pub(super) fn locate(&mut self, slot: usize, t: &Transaction) -> Result<Translation, Denied> {
        self.evict(slot);
        let Some(port) = self.ports[slot].as_deref_mut() else {
            return Err(Denied::Abort);
        };
        if port.lies.unsupported {
            port.stats.lies += 1;
            return Err(self.unsupported(t));
        }
        port.enter(t)?;
        if !port.translates(t.ssid) {
            return self.untranslated(slot, t);
        }
        let tag = t.ssid.unwrap_or(ATC_NO_SSID);
        let mut found = port.atc.lookup(tag, t.va);
        if found.is_some_and(|hit| !hit.perms.allows(t.access)) {
            port.atc.invalidate_va(Some(tag), t.va);
            found = None;
        }
        let translation = match found {
            Some(hit) => {
                self.stats.atc_hits += 1;
                self.strict_atc(t, &hit);
                hit
            }
            None => {
                let answer = self.ats_request(t)?;
                let translation = Translation {
                    perms: answer.perms.of_privilege(t.access.privileged),
                    global: false,
                    ..answer
                };
                // Invalidations name addresses without a tag: what has one is asked for each time.
                let cached = cd::untagged(t.va) == t.va;
                if let Some(port) = self.ports[slot].as_deref_mut().filter(|_| cached) {
                    port.atc.insert(tag, t.va, translation);
                }
                translation
            }
        };
        self.translated(t)?;
        Ok(translation)
    }
}
