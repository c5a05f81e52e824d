// SPDX-License-Identifier: GPL-2.0

//! The events of `events/sva`, from an instance of tracefs of our own, so that nobody else's
//! tracing is disturbed.

use crate::{print, Error, Result};
use serde_json::{Map, Value};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{BufWriter, ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::{self, Command},
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
    thread,
    time::{Duration, Instant},
};

const INSTANCES: &str = "/sys/kernel/tracing/instances";
const O_NONBLOCK: i32 = 0o4000;
/// As the kernel calls what is written into `trace_marker`.
const MARK: &str = "tracing_mark_write";

/// The instance; it goes when this is dropped.
pub struct Tracer {
    folder: String,
    pipe: Option<File>,
    /// What was read of a line that is not complete.
    rest: Vec<u8>,
    interrupted: Arc<AtomicBool>,
}

impl Tracer {
    pub fn new() -> Result<Self> {
        let folder = format!("{INSTANCES}/svactl-{}", process::id());
        let failed = |e| Error::new(format_args!("{folder}: {e}"));
        let interrupted = Arc::new(AtomicBool::new(false));

        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, interrupted.clone())?;
        }
        fs::create_dir(&folder).map_err(failed)?;
        let mut tracer = Self {
            folder: folder.clone(),
            pipe: None,
            rest: Vec::new(),
            interrupted,
        };
        let pipe = OpenOptions::new()
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open(format!("{folder}/trace_pipe"));

        tracer.pipe = Some(pipe.map_err(failed)?);
        fs::write(format!("{folder}/events/sva/enable"), "1").map_err(failed)?;
        Ok(tracer)
    }

    pub fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Stops new events; those that are there can still be read.
    pub fn stop(&self) -> Result {
        Ok(fs::write(
            format!("{}/events/sva/enable", self.folder),
            "0",
        )?)
    }

    /// The lines that are there now.
    pub fn lines(&mut self) -> Result<Vec<String>> {
        let mut buffer = [0; 16384];

        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => self.rest.extend_from_slice(&buffer[..length]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => (),
                Err(e) => return Err(e.into()),
            }
            // So that who reads can stop where events come faster than they are read.
            if self.rest.len() > 1 << 20 {
                break;
            }
        }
        let end = self.rest.iter().rposition(|&c| c == b'\n');
        let whole: Vec<_> = self.rest.drain(..end.map_or(0, |end| end + 1)).collect();

        Ok(String::from_utf8_lossy(&whole)
            .lines()
            .map(str::to_string)
            .collect())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.pipe = None;
        let _ = fs::remove_dir(&self.folder);
    }
}

/// How many events a line says are lost.
pub fn lost(line: &str) -> u64 {
    line.split_once("[LOST ")
        .and_then(|(_, rest)| rest.strip_suffix(" EVENTS]")?.parse().ok())
        .unwrap_or(0)
}

/// An event: `task-pid [cpu] flags seconds: name: field=value ...`. `None` for what is none, such
/// as a note about lost events. A task's name may hold anything. What somebody wrote into
/// `trace_marker` is the text of a "mark".
pub fn parse(line: &str) -> Option<Map<String, Value>> {
    let names = [
        "device_init",
        "device_shutdown",
        "bond_state",
        "bind",
        "unbind",
        "page_request",
        "page_response",
        "refusal",
        "mm_exit",
        "carve",
        MARK,
    ];
    let (at, name) = names
        .iter()
        .filter_map(|name| Some((line.rfind(&format!(": {name}: "))?, *name)))
        .max()?;
    let (head, fields) = (&line[..at], &line[at + name.len() + 4..]);
    let mut event = Map::new();
    let time: f64 = head.rsplit(char::is_whitespace).next()?.parse().ok()?;
    let task = head.rsplit_once('[')?.0.trim().rsplit_once('-')?.0;

    event.insert("time".into(), time.into());
    if name == MARK {
        event.insert("event".into(), "mark".into());
        event.insert("text".into(), fields.into());
        return Some(event);
    }
    event.insert("event".into(), name.into());
    for field in fields.split_whitespace() {
        let Some((key, text)) = field.split_once('=') else {
            event.insert("state".into(), field.into());
            continue;
        };
        let number = text.parse::<i64>().map(Value::from);

        event.insert(key.into(), number.unwrap_or_else(|_| text.into()));
    }
    event.insert("task".into(), task.into());
    Some(event)
}

/// An event as people read it.
fn text(event: &Map<String, Value>) -> String {
    let get = |name: &str| event.get(name).map_or("-".into(), crate::table::text_of);
    let head = format!(
        "{:>14.6} {:<14} pasid {:<5}",
        event["time"].as_f64().unwrap_or(0.0),
        get("dev"),
        get("pasid")
    );

    match event["event"].as_str().unwrap_or("") {
        "page_request" => format!("{head} asks for {} {}", get("addr"), get("access")),
        "page_response" => format!(
            "{head} is answered {}: {} requests, {} us",
            get("code"),
            get("requests"),
            event["latency"].as_i64().unwrap_or(0) / 1000
        ),
        "refusal" => format!(
            "{head} is refused {} {}: {}",
            get("addr"),
            get("access"),
            get("reason").replace('_', " ")
        ),
        "bond_state" => format!("{head} is {}", get("state")),
        "mm_exit" => format!("{head} process {} exits", get("tgid")),
        name @ ("bind" | "unbind") => {
            format!(
                "{head} {name}, process {}, refs {}",
                get("tgid"),
                get("refs")
            )
        }
        "mark" => format!("{head} -- {}", get("text")),
        name => format!("{head} {name}"),
    }
}

const PAUSE: Duration = Duration::from_millis(20);

/// Shows events until it is interrupted, or `limit` is over.
pub fn follow(json: bool, limit: Option<Duration>) -> Result {
    let mut tracer = Tracer::new()?;
    let start = Instant::now();

    while !tracer.interrupted() && limit.is_none_or(|limit| start.elapsed() < limit) {
        for line in tracer.lines()? {
            match parse(&line) {
                Some(event) if json => print(Value::Object(event))?,
                Some(event) => print(text(&event))?,
                None if json => (),
                None => print(line)?,
            }
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Writes the events while `command` runs into `file`; how many there were. Fails if it fails.
/// What the command writes into the file that `$TRACE_MARKER` names is among them.
pub fn record(file: &Path, command: &[OsString]) -> Result<usize> {
    let said = |e| Error::new(format_args!("{}: {e}", file.display()));
    let mut output = BufWriter::new(File::create(file).map_err(said)?);
    let mut tracer = Tracer::new()?;
    let name = command[0].to_string_lossy();
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .env("TRACE_MARKER", format!("{}/trace_marker", tracer.folder))
        .spawn()
        .map_err(|e| Error::new(format_args!("{name}: {e}")))?;
    let mut events = 0;

    loop {
        let ended = child.try_wait()?;
        if ended.is_some() {
            tracer.stop()?;
        }
        let lines = tracer.lines()?;
        for line in &lines {
            events += usize::from(parse(line).is_some());
            writeln!(output, "{line}").map_err(said)?;
        }
        match ended {
            Some(status) if lines.is_empty() => {
                output.flush().map_err(said)?;
                return if status.success() {
                    Ok(events)
                } else {
                    Err(Error::new(format_args!("{name}: {status}")))
                };
            }
            Some(_) => (),
            None => thread::sleep(PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response() {
        let line = "  kworker/u4:1-33 [001] ..... 12.500000: page_response: dev=mock_accel0 \
            pasid=3 grpid=1 code=success requests=64 latency=42000";
        let event = parse(line).unwrap();

        assert_eq!(event["time"], 12.5);
        assert_eq!(event["requests"], 64);
        assert_eq!(event["code"], "success");
        assert!(text(&event).ends_with("is answered success: 64 requests, 42 us"));
    }

    #[test]
    fn refusal() {
        let line = "a-1 [000] ..... 1.500000: refusal: dev=d pasid=3 grpid=1 addr=0x1000 \
            access=w reason=page_never_came";

        assert!(text(&parse(line).unwrap()).ends_with("is refused 0x1000 w: page never came"));
    }

    #[test]
    fn task_may_be_named_like_an_event() {
        let line = "a: bind: b-7 [000] ..... 1.000000: mm_exit: dev=d pasid=1 tgid=9";

        let event = parse(line).unwrap();
        assert_eq!(event["event"], "mm_exit");
        assert_eq!(event["task"], "a: bind: b");
    }

    #[test]
    fn lost_events_are_no_event() {
        assert!(parse("CPU:0 [LOST 12 EVENTS]").is_none());
        assert_eq!(lost("CPU:0 [LOST 12 EVENTS]"), 12);
    }
}
