// SPDX-License-Identifier: GPL-2.0

//! Lines of a trace, and an instance of tracefs from which they come in order.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Result},
    os::unix::fs::OpenOptionsExt,
};

pub const INSTANCE: &str = "/sys/kernel/tracing/instances/monitor";
const O_NONBLOCK: i32 = 0o4000;
/// For each processor.
const KILOBYTES: &str = "8192";

/// What a line tells.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    Event {
        name: &'a str,
        fields: &'a str,
    },
    /// What somebody wrote to `trace_marker`.
    Marker(&'a str),
    /// So many events were lost before this.
    Lost,
}

const NAMES: [&str; 8] = [
    "bond_state",
    "bind",
    "unbind",
    "mm_exit",
    "page_request",
    "page_response",
    "device_shutdown",
    "device_init",
];
const MARKER: &str = "tracing_mark_write";

/// The number of a line, which is the clock's, and what it tells. A task's name may hold anything.
pub fn parse(line: &str) -> Option<(u64, Line<'_>)> {
    if line.starts_with("CPU:") && line.contains(" [LOST ") {
        return Some((0, Line::Lost));
    }
    let named = |name: &'static str| {
        let at = line.rfind(&format!(": {name}: "))?;

        Some((at, name))
    };
    let (at, name) = NAMES.into_iter().chain([MARKER]).filter_map(named).max()?;
    let number = line[..at]
        .rsplit(char::is_whitespace)
        .next()?
        .parse()
        .ok()?;
    let fields = &line[at + name.len() + 4..];

    Some(match name {
        MARKER => (number, Line::Marker(fields)),
        _ => (number, Line::Event { name, fields }),
    })
}

/// The value of `name=` among an event's fields.
pub fn field<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    let mut all = fields.split_whitespace();

    all.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
}

/// The trace. A reader may come by one processor's events just before they are there and then find
/// later ones of another's. So lines are kept until all have been read once more.
pub struct Pipe {
    file: File,
    rest: Vec<u8>,
    kept: Vec<(u64, String)>,
    horizon: u64,
}

impl Pipe {
    /// Begins to trace, also what modules tell that are loaded later. The clock is a counter, so
    /// that no two events have the same time.
    pub fn new() -> Result<Self> {
        let write = |name: &str, text: &str| fs::write(format!("{INSTANCE}/{name}"), text);

        if let Err(e) = fs::create_dir(INSTANCE) {
            if e.kind() != ErrorKind::AlreadyExists {
                return Err(e);
            }
        }
        write("trace_clock", "counter")?;
        write("buffer_size_kb", KILOBYTES)?;
        // At once: who opens the file anew disables all.
        let events = NAMES.map(|name| format!("sva:{name}:mod:sva_core"));

        write("set_event", &events.join(" "))?;
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open(format!("{INSTANCE}/trace_pipe"))?;

        Ok(Self {
            file,
            rest: Vec::new(),
            kept: Vec::new(),
            horizon: 0,
        })
    }

    /// The next lines, in order; none for now if there are none.
    pub fn lines(&mut self) -> Result<Vec<String>> {
        let mut buffer = [0; 16384];

        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => self.rest.extend_from_slice(&buffer[..length]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => (),
                Err(e) => return Err(e),
            }
        }
        let end = self.rest.iter().rposition(|&c| c == b'\n');
        let whole: Vec<_> = self.rest.drain(..end.map_or(0, |end| end + 1)).collect();

        Ok(self.settle(&String::from_utf8_lossy(&whole)))
    }

    fn settle(&mut self, read: &str) -> Vec<String> {
        settle(&mut self.kept, &mut self.horizon, read)
    }
}

/// Adds the lines that were `read`; gives those that nothing can come before any more.
pub fn settle(kept: &mut Vec<(u64, String)>, horizon: &mut u64, read: &str) -> Vec<String> {
    let before = *horizon;

    for line in read.lines() {
        if let Some((number, what)) = parse(line) {
            // Where it was lost is known by the lines around it.
            let number = match what {
                Line::Lost => *horizon,
                _ => number,
            };

            *horizon = number.max(*horizon);
            kept.push((number, line.to_string()));
        }
    }
    kept.sort_by_key(|&(number, _)| number);
    let ripe = kept.partition_point(|&(number, _)| number <= before);

    kept.drain(..ripe).map(|(_, line)| line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let line = " a: bind: b-12      [001] .....     4711: bind: dev=a pasid=1 refs=2";

        assert_eq!(parse("# tracer: nop"), None);
        assert_eq!(parse("CPU:1 [LOST 17 EVENTS]"), Some((0, Line::Lost)));
        assert_eq!(
            parse(&line[9..]),
            Some((
                4711,
                Line::Event {
                    name: "bind",
                    fields: "dev=a pasid=1 refs=2"
                }
            ))
        );
        let (_, marker) = parse("sh-1 [000] ..... 9: tracing_mark_write: check x").unwrap();

        assert_eq!(marker, Line::Marker("check x"));
        assert_eq!(field("pasid=1 tgid=2", "tgid"), Some("2"));
        assert_eq!(field("pasid=1 tgid=2", "gid"), None);
    }

    #[test]
    fn order() {
        let line = |number: &u64| format!("x-1 [000] ..... {number}: bind: dev=a\n");
        let (mut kept, mut horizon) = (Vec::new(), 0);
        let mut settle = |read: &[u64]| -> Vec<u64> {
            let read: String = read.iter().map(line).collect();
            let ripe = settle(&mut kept, &mut horizon, &read);

            ripe.iter().map(|line| parse(line).unwrap().0).collect()
        };

        assert_eq!(settle(&[1, 3, 6]), []);
        // Two of these were there before the 6, and were not seen.
        assert_eq!(settle(&[2, 5, 7]), [1, 2, 3, 5, 6]);
        assert_eq!(settle(&[]), [7]);
    }
}
