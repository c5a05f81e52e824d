// SPDX-License-Identifier: GPL-2.0

//! Whether events are such as the table allows.

use crate::{
    table::{self, Row, ENDED},
    trace::{field, Line},
};
use std::collections::{BTreeMap, HashMap, HashSet};

type Device = String;
type Pasid = u32;

/// A bond that has not ended.
#[derive(Debug)]
struct Bond {
    state: &'static str,
    process: i64,
    refs: i64,
    exits: u32,
}

/// What is known from the events so far.
pub struct Judge {
    rows: Vec<Row>,
    bonds: BTreeMap<(Device, Pasid), Bond>,
    /// How many page requests of a group are unanswered.
    asked: HashMap<(Device, Pasid, u32), i64>,
    /// Devices that have been shut down.
    gone: HashSet<Device>,
    /// Devices whose bonds without PASID may be several: no event tells which of them it is of.
    sharing: HashSet<Device>,
    /// Events have been lost: what is not known may be.
    blind: bool,
    pub events: u64,
    pub losses: u64,
}

type Verdict = Result<(), String>;

fn text<'a>(fields: &'a str, name: &str) -> Result<&'a str, String> {
    field(fields, name).ok_or(format!("no {name}="))
}

fn number(fields: &str, name: &str) -> Result<i64, String> {
    let text = text(fields, name)?;

    text.parse().map_err(|_| format!("{name}={text}"))
}

impl Judge {
    pub fn new() -> Self {
        Self {
            rows: table::rows(),
            bonds: BTreeMap::new(),
            asked: HashMap::new(),
            gone: HashSet::new(),
            sharing: HashSet::new(),
            blind: false,
            events: 0,
            losses: 0,
        }
    }

    /// Takes note of one line; an error says what of it is forbidden.
    pub fn line(&mut self, line: &Line<'_>) -> Verdict {
        match *line {
            Line::Marker(_) => Ok(()),
            Line::Lost => {
                let (events, losses) = (self.events, self.losses + 1);
                let sharing = std::mem::take(&mut self.sharing);

                *self = Self {
                    blind: true,
                    sharing,
                    events,
                    losses,
                    ..Self::new()
                };
                Ok(())
            }
            Line::Event { name, fields } => {
                self.events += 1;
                self.event(name, fields)
            }
        }
    }

    /// At a time when no device is being initialised: nobody that has gone may have a bond.
    pub fn check(&self) -> Verdict {
        let left = self
            .bonds
            .keys()
            .find(|(device, _)| self.gone.contains(device));

        left.map_or(Ok(()), |(device, pasid)| {
            Err(format!("{device} has gone, and has a bond, PASID {pasid}"))
        })
    }

    /// When no device is left: there is nothing.
    pub fn check_end(&self) -> Verdict {
        if let Some(((device, pasid), bond)) = self.bonds.iter().next() {
            return Err(format!(
                "left at the end: bond of {device}, PASID {pasid}: {bond:?}"
            ));
        }
        match self.asked.iter().next() {
            Some(asked) => Err(format!("never answered: {asked:?}")),
            None => Ok(()),
        }
    }

    fn event(&mut self, name: &str, fields: &str) -> Verdict {
        let device = text(fields, "dev")?.to_string();

        match name {
            "device_init" => {
                self.gone.remove(&device);
                if text(fields, "features")?.contains("shared_addresses") {
                    self.sharing.insert(device);
                } else {
                    self.sharing.remove(&device);
                }
                Ok(())
            }
            "device_shutdown" => {
                let left = self.bonds.keys().find(|(there, _)| *there == device);
                let verdict = match left {
                    Some((_, pasid)) => Err(format!("it has a bond still, PASID {pasid}")),
                    None => Ok(()),
                };

                self.gone.insert(device);
                verdict
            }
            _ => {
                let pasid = number(fields, "pasid")? as Pasid;

                match name {
                    "page_request" => self.request(device, pasid, fields),
                    "page_response" => self.response(device, pasid, fields),
                    _ if pasid == 0 && self.sharing.contains(&device) => Ok(()),
                    _ => self.bond(name, (device, pasid), fields),
                }
            }
        }
    }

    /// The event of one bond.
    fn bond(&mut self, name: &str, key: (Device, Pasid), fields: &str) -> Verdict {
        let told = match name {
            "bond_state" => text(fields, "state")?,
            _ => "",
        };
        let known = self.bonds.contains_key(&key) || !self.blind;
        let state = self.bonds.get(&key).map_or(ENDED, |bond| bond.state);
        let mut rows = self.rows.iter().filter(|row| row.trace == (name, told));
        let allowed = |row: &&Row| row.from.contains(&state);
        let row = match known {
            true => rows.find(allowed),
            false => rows.next(),
        };
        let Some(row) = row else {
            // What comes next is judged by what this should have led to.
            let to = self.rows.iter().find(|row| row.trace == (name, told));
            let to = to.and_then(|row| row.to);
            let what = format!("{name} {told} of a bond that is {state}");

            self.go(key, to, fields)?;
            return Err(what);
        };
        let (event, to) = (row.event, row.to);

        if event == "make" {
            self.check_pasid(&key, fields)?;
        }
        self.go(key.clone(), to, fields)?;
        if event == "finish" || event == "discard" {
            return self.check_answered(&key);
        }
        match self.bonds.get_mut(&key) {
            Some(bond) if known => bond.count(event, fields),
            _ => Ok(()),
        }
    }

    fn go(&mut self, key: (Device, Pasid), to: Option<&'static str>, fields: &str) -> Verdict {
        match to {
            None => (),
            Some(ENDED) => drop(self.bonds.remove(&key)),
            Some(state) => {
                let process = number(fields, "tgid")?;
                let bond = self.bonds.entry(key).or_insert(Bond {
                    state,
                    process,
                    refs: 0,
                    exits: 0,
                });

                bond.state = state;
            }
        }
        Ok(())
    }

    /// A PASID is nobody else's.
    fn check_pasid(&self, key: &(Device, Pasid), fields: &str) -> Verdict {
        let process = number(fields, "tgid")?;
        let other = self
            .bonds
            .iter()
            .find(|((_, pasid), bond)| *pasid != 0 && *pasid == key.1 && bond.process != process);

        match other {
            Some(((device, _), bond)) => Err(format!(
                "that PASID is the one of process {} at {device}",
                bond.process
            )),
            None => Ok(()),
        }
    }

    /// Whether a bond, which may be another member's, lets `event` happen under the PASID.
    fn lets(&self, pasid: Pasid, event: &str) -> bool {
        let row = self.rows.iter().find(|row| row.event == event);
        let mut bonds = self.bonds.iter().filter(|((_, there), _)| *there == pasid);

        self.blind || row.is_some_and(|row| bonds.any(|(_, bond)| row.from.contains(&bond.state)))
    }

    fn request(&mut self, device: Device, pasid: Pasid, fields: &str) -> Verdict {
        let group = number(fields, "grpid")? as u32;

        *self.asked.entry((device, pasid, group)).or_default() += 1;
        match self.lets(pasid, "request") {
            true => Ok(()),
            false => Err("there is no bond with that PASID".into()),
        }
    }

    fn response(&mut self, device: Device, pasid: Pasid, fields: &str) -> Verdict {
        let key = (device, pasid, number(fields, "grpid")? as u32);
        let left = self.asked.remove(&key).unwrap_or(0) - number(fields, "requests")?;

        if left > 0 {
            self.asked.insert(key, left);
        }
        match self.lets(pasid, "answer") {
            true if left < 0 && !self.blind => Err("nobody had asked for so much".into()),
            true => Ok(()),
            false => Err("there is no bond with that PASID".into()),
        }
    }

    /// No bond with the PASID is left, so nothing waits for an answer.
    fn check_answered(&mut self, ended: &(Device, Pasid)) -> Verdict {
        if self.bonds.keys().any(|(_, pasid)| *pasid == ended.1) {
            return Ok(());
        }
        let asked: Vec<_> = self
            .asked
            .keys()
            .filter(|there| there.1 == ended.1)
            .cloned()
            .collect();

        for there in &asked {
            self.asked.remove(there);
        }
        match asked.first() {
            Some(first) => Err(format!("it has ended, and this is not answered: {first:?}")),
            None => Ok(()),
        }
    }
}

impl Bond {
    fn count(&mut self, event: &str, fields: &str) -> Verdict {
        let before = self.refs;

        match event {
            "bind" | "unbind" => self.refs = number(fields, "refs")?,
            "call_exit" => self.exits += 1,
            _ => (),
        }
        match event {
            "bind" if self.refs <= before => Err(format!("it was bound {before} times before")),
            // The last ends it; so does what is no unbind.
            "unbind" if self.refs != 0 && self.refs != before - 1 => {
                Err(format!("it was bound {before} times before"))
            }
            "call_exit" if self.exits > 1 => Err("its driver has been told".into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
