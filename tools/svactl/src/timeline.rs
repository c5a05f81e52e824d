// SPDX-License-Identifier: GPL-2.0

//! Recorded events as a picture: a page that needs nothing else, and the format of Chrome's
//! tracing, which Perfetto reads.

use crate::{
    table::text_of,
    trace::{lost, parse},
    Error, Result,
};
use serde_json::{json, Map, Value};
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

/// In place of a task's name.
const UNKNOWN: &str = "<...>";
const PAGE: &str = include_str!("timeline.html");

/// Times are in microseconds since the first event.
#[derive(Default)]
struct Answer {
    begin: f64,
    end: f64,
    /// Answers of a bond that overlap have different ones.
    row: usize,
    requests: u64,
    code: String,
    /// What the group's first request was for, if that was recorded.
    first: String,
}

#[derive(Default)]
struct Bond {
    device: String,
    pasid: String,
    task: String,
    tgid: String,
    /// Those that were there before, or still are, have none.
    begin: Option<f64>,
    end: Option<f64>,
    exit: Option<f64>,
    answers: Vec<Answer>,
    refusals: Vec<(f64, String)>,
}

#[derive(Default)]
struct Timeline {
    end: f64,
    lost: u64,
    marks: Vec<(f64, String)>,
    bonds: Vec<Bond>,
    /// The last bond of each device and PASID.
    last: HashMap<(String, String), usize>,
}

impl Timeline {
    fn new(text: &str) -> Self {
        let mut timeline = Self::default();
        let mut start = None;
        let mut asked = HashMap::new();

        for line in text.lines() {
            timeline.lost += lost(line);
            let Some(event) = parse(line) else { continue };
            let seconds = event["time"].as_f64().unwrap_or(0.0);
            let now = ((seconds - *start.get_or_insert(seconds)) * 1e6).round();

            timeline.end = timeline.end.max(now);
            timeline.add(now, &event, &mut asked);
        }
        timeline.name();
        for bond in &mut timeline.bonds {
            bond.place();
        }
        timeline
    }

    /// The kernel does not know each event's task: a name that it has for another event of the same
    /// process will do.
    fn name(&mut self) {
        let mut names = HashMap::new();

        for bond in self.bonds.iter().filter(|bond| bond.task != UNKNOWN) {
            names.insert(bond.tgid.clone(), bond.task.clone());
        }
        for bond in self.bonds.iter_mut().filter(|bond| bond.task == UNKNOWN) {
            bond.task = names.get(&bond.tgid).cloned().unwrap_or_default();
        }
    }

    /// The bond that an event is about; one that began before is met by its first event.
    fn bond(&mut self, event: &Map<String, Value>) -> &mut Bond {
        let get = |name: &str| event.get(name).map_or(String::new(), text_of);
        let key = (get("dev"), get("pasid"));
        let known = self.last.get(&key).copied();
        let begins =
            event["event"] == "bind" && known.is_none_or(|index| self.bonds[index].end.is_some());
        let index = known.filter(|_| !begins).unwrap_or(self.bonds.len());

        if index == self.bonds.len() {
            self.bonds.push(Bond {
                device: key.0.clone(),
                pasid: key.1.clone(),
                ..Bond::default()
            });
            self.last.insert(key, index);
        }
        &mut self.bonds[index]
    }

    fn add(
        &mut self,
        now: f64,
        event: &Map<String, Value>,
        asked: &mut HashMap<[String; 3], String>,
    ) {
        let get = |name: &str| event.get(name).map_or(String::new(), text_of);
        let group = || [get("dev"), get("pasid"), get("grpid")];
        let what = || format!("{} {}", get("addr"), get("access"));

        match &*get("event") {
            "bind" => {
                let refs = event.get("refs").and_then(Value::as_u64);
                let bond = self.bond(event);

                if refs == Some(1) {
                    bond.begin = Some(now);
                    (bond.task, bond.tgid) = (get("task"), get("tgid"));
                }
            }
            "unbind" if get("refs") == "0" => self.bond(event).end = Some(now),
            "mm_exit" => self.bond(event).exit = Some(now),
            "page_request" => drop(asked.entry(group()).or_insert_with(what)),
            "page_response" => {
                let first = asked.remove(&group()).unwrap_or_default();
                let latency = event.get("latency").and_then(Value::as_f64).unwrap_or(0.0);
                let requests = event.get("requests").and_then(Value::as_u64).unwrap_or(0);

                self.bond(event).answers.push(Answer {
                    begin: (now - latency / 1000.0).max(0.0),
                    end: now,
                    row: 0,
                    requests,
                    code: get("code"),
                    first,
                });
            }
            "refusal" => {
                let text = format!("{}: {}", what(), get("reason").replace('_', " "));
                self.bond(event).refusals.push((now, text));
            }
            "mark" => self.marks.push((now, get("text"))),
            _ => (),
        }
    }

    fn json(&self) -> Value {
        let answer = |a: &Answer| json!([a.begin, a.end, a.row, a.requests, a.code, a.first]);
        let bonds: Vec<_> = self
            .bonds
            .iter()
            .map(|bond| {
                json!({
                    "device": bond.device, "pasid": bond.pasid, "process": bond.process(),
                    "begin": bond.begin, "end": bond.end, "exit": bond.exit,
                    "answers": bond.answers.iter().map(answer).collect::<Vec<_>>(),
                    "refusals": bond.refusals,
                })
            })
            .collect();

        json!({ "end": self.end, "lost": self.lost, "marks": self.marks, "bonds": bonds })
    }

    /// See "Trace Event Format". A process there is a bond here, and a thread a row of it: slices
    /// of one thread may not overlap.
    fn chrome(&self) -> Value {
        let mut events = Vec::new();

        for (pid, bond) in (1..).zip(&self.bonds) {
            let mut put = |tid: usize, mut event: Value| {
                event["pid"] = json!(pid);
                event["tid"] = json!(tid);
                events.push(event);
            };
            let name = format!("{} PASID {} {}", bond.device, bond.pasid, bond.process());
            let (begin, end) = (bond.begin.unwrap_or(0.0), bond.end.unwrap_or(self.end));

            put(
                0,
                json!({ "ph": "M", "name": "process_name", "args": { "name": name } }),
            );
            put(
                0,
                json!({ "ph": "X", "name": "bond", "ts": begin, "dur": end - begin }),
            );
            if let Some(exit) = bond.exit {
                put(
                    0,
                    json!({ "ph": "i", "name": "exit", "s": "p", "ts": exit }),
                );
            }
            for (at, text) in &bond.refusals {
                put(
                    0,
                    json!({ "ph": "i", "name": "refused", "s": "p", "ts": at, "args": { "why": text } }),
                );
            }
            for answer in &bond.answers {
                put(
                    answer.row + 1,
                    json!({ "ph": "X", "name": answer.code, "ts": answer.begin,
                        "dur": answer.end - answer.begin,
                        "args": { "requests": answer.requests, "first": answer.first } }),
                );
            }
        }
        for (at, text) in &self.marks {
            events.push(json!({ "ph": "i", "name": text, "s": "g", "ts": at, "pid": 0, "tid": 0 }));
        }
        json!({ "displayTimeUnit": "ns", "otherData": { "lost events": self.lost }, "traceEvents": events })
    }
}

impl Bond {
    fn process(&self) -> String {
        format!("{} {}", self.task, self.tgid).trim().into()
    }

    /// Gives each answer the first row that is free at its time.
    fn place(&mut self) {
        let mut free: Vec<f64> = Vec::new();

        self.answers.sort_by(|a, b| a.begin.total_cmp(&b.begin));
        for answer in &mut self.answers {
            answer.row = free
                .iter()
                .position(|&end| end <= answer.begin)
                .unwrap_or_else(|| {
                    free.push(0.0);
                    free.len() - 1
                });
            free[answer.row] = answer.end;
        }
    }
}

/// Makes OUTPUT.html and OUTPUT.json of the events that `record` has written; how many bonds
/// there were.
pub fn make(events: &Path, output: &Path) -> Result<usize> {
    let text =
        fs::read(events).map_err(|e| Error::new(format_args!("{}: {e}", events.display())))?;
    let timeline = Timeline::new(&String::from_utf8_lossy(&text));
    // Nothing in the data may end the script that it is in.
    let data = timeline.json().to_string().replace('<', "\\u003c");
    let page = PAGE.replace("\"THE DATA\"", &data);

    if timeline.bonds.is_empty() {
        return Err(Error::new(format_args!(
            "{}: it has no event of a bond",
            events.display()
        )));
    }
    for (kind, text) in [("html", page), ("json", timeline.chrome().to_string())] {
        let mut name = output.as_os_str().to_os_string();

        name.push(format!(".{kind}"));
        let path = PathBuf::from(name);
        fs::write(&path, text).map_err(|e| Error::new(format_args!("{}: {e}", path.display())))?;
    }
    Ok(timeline.bonds.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: &str = "\
        CPU:0 [LOST 3 EVENTS]
        demo-7 [000] ..... 1.000000: tracing_mark_write: a list
        demo-7 [000] ..... 1.000100: bind: dev=d pasid=1 tgid=7 flags=pasid+iopf refs=1
        k-1 [000] ..... 1.000110: page_request: dev=d pasid=1 grpid=4 addr=0x1000 access=w
        k-1 [000] ..... 1.000120: page_request: dev=d pasid=1 grpid=4 addr=0x2000 access=w
        k-1 [000] ..... 1.000150: page_response: dev=d pasid=1 grpid=4 code=success requests=2 latency=40000
        k-1 [000] ..... 1.000160: page_response: dev=d pasid=1 grpid=5 code=success requests=1 latency=30000
        k-1 [000] ..... 1.000170: refusal: dev=d pasid=1 grpid=6 addr=0x3000 access=w reason=not_mapped
        k-1 [000] ..... 1.000170: page_response: dev=d pasid=1 grpid=6 code=invalid requests=1 latency=5000
        demo-7 [000] ..... 1.000200: mm_exit: dev=d pasid=1 tgid=7
        demo-7 [000] ..... 1.000210: unbind: dev=d pasid=1 tgid=7 flags=pasid+iopf refs=0
        <...>-8 [000] ..... 1.000300: bind: dev=d pasid=1 tgid=8 flags=pasid+iopf refs=1
        demo-8 [000] ..... 1.000400: bind: dev=e pasid=1 tgid=8 flags=pasid+iopf refs=1";

    #[test]
    fn bonds_answers_refusals_exits() {
        let timeline = Timeline::new(EVENTS);
        let bond = &timeline.bonds[0];

        assert_eq!((timeline.bonds.len(), timeline.lost), (3, 3));
        assert_eq!(timeline.marks, [(0.0, "a list".to_string())]);
        assert_eq!(bond.process(), "demo 7");
        assert_eq!(
            (bond.begin, bond.exit, bond.end),
            (Some(100.0), Some(200.0), Some(210.0))
        );
        assert_eq!(bond.refusals[0].1, "0x3000 w: not mapped");
        let answers: Vec<_> = bond
            .answers
            .iter()
            .map(|a| (a.begin, a.end, a.row, &*a.first))
            .collect();
        assert_eq!(
            answers,
            [
                (110.0, 150.0, 0, "0x1000 w"),
                (130.0, 160.0, 1, ""),
                (165.0, 170.0, 0, "")
            ]
        );
        // The next one of that PASID is another bond.
        assert_eq!(timeline.bonds[1].begin, Some(300.0));
        // Its task is known by the one after it.
        assert_eq!(timeline.bonds[1].process(), "demo 8");
    }

    #[test]
    fn slices_of_a_thread_do_not_overlap() {
        let chrome = Timeline::new(EVENTS).chrome();
        let mut ends = HashMap::new();

        for event in chrome["traceEvents"].as_array().unwrap() {
            if event["ph"] != "X" {
                continue;
            }
            let key = (event["pid"].as_i64(), event["tid"].as_i64());
            let (ts, dur) = (
                event["ts"].as_f64().unwrap(),
                event["dur"].as_f64().unwrap(),
            );
            let before = ends.insert(key, ts + dur).unwrap_or(0.0);

            assert!(before <= ts, "{event}");
        }
    }

    #[test]
    fn bond_from_before() {
        let timeline =
            Timeline::new("a-1 [000] ..... 1.0: unbind: dev=d pasid=1 tgid=7 flags=pasid refs=0");

        assert_eq!(timeline.bonds[0].begin, None);
        assert_eq!(timeline.bonds[0].end, Some(0.0));
    }
}
