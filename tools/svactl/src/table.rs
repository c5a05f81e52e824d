// SPDX-License-Identifier: GPL-2.0

//! The files of `/sys/kernel/debug/sva`.

use crate::{Error, Result};
use serde_json::{Map, Value};
use std::{fmt::Write, fs};

pub const BONDS: &str = "/sys/kernel/debug/sva/bonds";
pub const DEVICES: &str = "/sys/kernel/debug/sva/devices";
pub const REFUSED: &str = "/sys/kernel/debug/sva/refused";

/// A number, where the text is one.
fn value(text: &str) -> Value {
    text.parse::<u64>()
        .map_or_else(|_| text.into(), Value::from)
}

/// Cuts the first word off.
pub fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));

    (word, rest.trim_start())
}

/// The rows of a table under a header. The last column may hold spaces; it and the first one are
/// names, even if they look like numbers.
pub fn rows(text: &str) -> Vec<Value> {
    let mut lines = text.lines();
    let header: Vec<_> = lines
        .next()
        .map(|line| line.split_whitespace().collect())
        .unwrap_or_default();
    let Some((last, columns)) = header.split_last() else {
        return Vec::new();
    };
    let row = |line| {
        let mut row = Map::new();
        let mut rest = line;

        for (i, &name) in columns.iter().enumerate() {
            let (text, after) = word(rest);
            row.insert(name.into(), if i == 0 { text.into() } else { value(text) });
            rest = after;
        }
        row.insert((*last).into(), rest.trim_end().into());
        Value::Object(row)
    };

    lines.filter(|line| !line.is_empty()).map(row).collect()
}

/// A device's file: lines `name value`, and after an empty line its bonds, whose number is told
/// before too.
pub fn device(name: &str, text: &str) -> Value {
    let (head, bonds) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut device = Map::new();
    let (mut members, mut refused) = (Vec::new(), Vec::new());

    device.insert("device".into(), name.into());
    for line in head.lines() {
        let (key, rest) = word(line);
        let (first, second) = word(rest);

        match key {
            "member" => members.push(serde_json::json!({ "device": first, "features": second })),
            "refused" => refused.push(serde_json::json!({ "times": value(first), "why": second })),
            "bonds" => (),
            _ => drop(device.insert(key.into(), value(rest))),
        }
    }
    device.insert("members".into(), members.into());
    device.insert("refused".into(), refused.into());
    device.insert("bonds".into(), rows(bonds).into());
    Value::Object(device)
}

pub fn devices() -> Result<Vec<Value>> {
    let mut names = Vec::new();
    let folder = fs::read_dir(DEVICES).map_err(|e| Error::new(format_args!("{DEVICES}: {e}")))?;

    for entry in folder {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    // One that goes meanwhile is not there.
    Ok(names
        .iter()
        .filter_map(|name| {
            let text = fs::read_to_string(format!("{DEVICES}/{name}")).ok()?;
            Some(device(name, &text))
        })
        .collect())
}

pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.len().to_string(),
        Value::Null => "-".into(),
        other => other.to_string(),
    }
}

pub fn devices_text(devices: &[Value]) -> String {
    let columns = [
        "features",
        "max_pasid",
        "group",
        "bonds",
        "page_requests",
        "pages_served",
        "faults_refused",
    ];
    let mut text = format!("{:<16}", "device");

    for name in columns {
        let _ = write!(text, " {name:>14}");
    }
    for device in devices {
        let _ = write!(text, "\n{:<16}", text_of(&device["device"]));
        for name in columns {
            let _ = write!(text, " {:>14}", text_of(&device[name]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "device group pasid flags process\nmock_accel0 3 7 pasid+iopf my name\n";

    #[test]
    fn last_column_keeps_spaces() {
        let rows = rows(TABLE);

        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["pasid"], 7);
        assert_eq!(rows[0]["process"], "my name");
    }

    #[test]
    fn process_named_by_a_number_is_text() {
        assert_eq!(rows("device pasid process\nd 1 42\n")[0]["process"], "42");
    }

    #[test]
    fn empty_file_has_no_rows() {
        assert!(rows("").is_empty());
    }

    #[test]
    fn device_has_lists() {
        let text = format!("group 3\nmember a pasid\nrefused 2 no PASIDs\nbonds 1\n\n{TABLE}");
        let device = device("a", &text);

        assert_eq!(device["group"], 3);
        assert_eq!(device["members"][0]["features"], "pasid");
        assert_eq!(device["refused"][0]["times"], 2);
        assert_eq!(device["refused"][0]["why"], "no PASIDs");
        assert_eq!(device["bonds"][0]["pasid"], 7);
    }
}
