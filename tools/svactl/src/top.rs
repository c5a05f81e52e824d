// SPDX-License-Identifier: GPL-2.0

//! What happens between two looks.

use crate::{
    print, read,
    table::{rows, text_of, BONDS},
    trace::{parse, Tracer},
    Result,
};
use serde_json::{json, Value};
use std::{
    fmt::Write,
    thread,
    time::{Duration, Instant},
};

const STATS: &str = "/sys/kernel/debug/sva/stats";

/// The latency below which `percent` of the sorted answers are; 0 without any.
fn percentile(sorted: &[i64], percent: usize) -> i64 {
    let index = (sorted.len() * percent).div_ceil(100);

    sorted
        .get(index.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// How many a second more than in the row of the same bond before.
fn rate(before: &[Value], now: &Value, column: &str, seconds: f64) -> f64 {
    let same = |row: &&Value| {
        ["device", "pasid", "pid"]
            .iter()
            .all(|&key| row[key] == now[key])
    };
    let count = |row: &Value| row[column].as_u64().unwrap_or(0);
    let old = before.iter().find(same).map_or(0, count);

    count(now).saturating_sub(old) as f64 / seconds
}

/// A total of `stats`.
fn total(text: &str, name: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

/// One interval: rates by bond, latencies of the answers, in nanoseconds.
fn look(tracer: &mut Tracer, interval: Duration) -> Result<Value> {
    let before = rows(&read(BONDS)?);
    let (start, mut events) = (Instant::now(), Vec::new());

    while start.elapsed() < interval && !tracer.interrupted() {
        thread::sleep(Duration::from_millis(20).min(interval.saturating_sub(start.elapsed())));
        events.extend(tracer.lines()?.iter().filter_map(|line| parse(line)));
    }
    let seconds = start.elapsed().as_secs_f64();
    let answered = events
        .iter()
        .filter(|event| event["event"] == "page_response");
    // 0 is not known.
    let mut latencies: Vec<_> = answered
        .filter_map(|event| event.get("latency")?.as_i64())
        .filter(|&latency| latency != 0)
        .collect();
    latencies.sort_unstable();
    let bonds: Vec<_> = rows(&read(BONDS)?)
        .into_iter()
        .map(|mut row| {
            for (column, name) in [("requests", "requests_per_s"), ("pages", "pages_per_s")] {
                let value = rate(&before, &row, column, seconds);
                row[name] = value.into();
            }
            row
        })
        .collect();

    Ok(json!({
        "seconds": seconds,
        "groups_waiting": total(&read(STATS)?, "page_request_groups_waiting"),
        "answers": latencies.len(),
        "latency_p50": percentile(&latencies, 50),
        "latency_p90": percentile(&latencies, 90),
        "latency_p99": percentile(&latencies, 99),
        "bonds": bonds,
    }))
}

fn text(look: &Value) -> String {
    let us = |name: &str| look[name].as_i64().unwrap_or(0) / 1000;
    let mut text = format!(
        "{} answers, latency p50 {} us, p90 {} us, p99 {} us; {} groups of page requests wait\n\n\
         {:<16} {:>7} {:>7} {:>11} {:>10} {:>8}  process",
        look["answers"],
        us("latency_p50"),
        us("latency_p90"),
        us("latency_p99"),
        look["groups_waiting"],
        "device",
        "pasid",
        "pid",
        "requests/s",
        "pages/s",
        "refused"
    );

    for bond in look["bonds"].as_array().into_iter().flatten() {
        let _ = write!(
            text,
            "\n{:<16} {:>7} {:>7} {:>11.0} {:>10.0} {:>8}  {}",
            text_of(&bond["device"]),
            text_of(&bond["pasid"]),
            text_of(&bond["pid"]),
            bond["requests_per_s"].as_f64().unwrap_or(0.0),
            bond["pages_per_s"].as_f64().unwrap_or(0.0),
            text_of(&bond["refused"]),
            text_of(&bond["process"])
        );
    }
    text
}

pub fn run(json: bool, once: bool, interval: Duration) -> Result {
    let mut tracer = Tracer::new()?;

    loop {
        let look = look(&mut tracer, interval)?;

        if json {
            print(&look)?;
        } else if once {
            print(text(&look))?;
        } else {
            // Home, the text, and nothing of before after it.
            print(format_args!("\x1b[H\x1b[2J{}", text(&look)))?;
        }
        if once || tracer.interrupted() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let sorted: Vec<_> = (1..=200).collect();

        assert_eq!(percentile(&sorted, 50), 100);
        assert_eq!(percentile(&sorted, 99), 198);
        assert_eq!(percentile(&[7], 50), 7);
        assert_eq!(percentile(&[], 50), 0);
    }

    #[test]
    fn rate_is_that_of_the_same_bond() {
        let row = |pid: u32, requests: u32| json!({ "device": "d", "pasid": 1, "pid": pid, "requests": requests });
        let before = [row(1, 100)];

        assert_eq!(rate(&before, &row(1, 300), "requests", 2.0), 100.0);
        assert_eq!(rate(&before, &row(2, 300), "requests", 2.0), 150.0);
    }

    #[test]
    fn total_by_its_whole_name() {
        assert_eq!(total("a_b 1\na 2\n", "a"), 2);
    }
}
