// SPDX-License-Identifier: GPL-2.0

//! `sva-monitor FIFO`: follows the trace of a run of the tests, and tells whether the table of a
//! bond's states allows it.
//!
//! Says "ready" to the FIFO, and then, for each line "check NAME" in `trace_marker` of its instance
//! of tracefs, "ok" or "forbidden"; after "check end" it ends. What is forbidden it prints.

mod judge;
mod table;
mod trace;

use self::{
    judge::Judge,
    trace::{parse, Line, Pipe},
};
use std::{env, fs, io::Result, thread, time::Duration};

const PAUSE: Duration = Duration::from_millis(20);
/// Most lines that one check prints.
const MOST: u32 = 20;

fn main() -> Result<()> {
    let fifo = env::args().nth(1).expect("usage: sva-monitor FIFO");
    let mut pipe = Pipe::new()?;
    let mut judge = Judge::new();
    let mut found = 0;
    let tell = |found: &mut u32, what: &str| {
        *found += 1;
        if *found <= MOST {
            println!("forbidden: {what}");
        }
    };

    fs::write(&fifo, "ready\n")?;
    loop {
        let lines = pipe.lines()?;

        if lines.is_empty() {
            thread::sleep(PAUSE);
        }
        for line in lines {
            let Some((_, what)) = parse(&line) else {
                continue;
            };

            if let Err(why) = judge.line(&what) {
                tell(&mut found, &format!("{why}: {}", line.trim()));
            }
            let Line::Marker(marker) = what else {
                continue;
            };
            let Some(name) = marker.trim().strip_prefix("check ") else {
                continue;
            };
            let verdict = match name {
                "end" => judge.check().and_then(|()| judge.check_end()),
                _ => judge.check(),
            };

            if let Err(why) = verdict {
                tell(&mut found, &why);
            }
            println!(
                "{name}: {} events, lost {} times",
                judge.events, judge.losses
            );
            fs::write(&fifo, if found > 0 { "forbidden\n" } else { "ok\n" })?;
            if name == "end" {
                return Ok(());
            }
            found = 0;
        }
    }
}
