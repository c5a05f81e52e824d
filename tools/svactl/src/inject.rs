// SPDX-License-Identifier: GPL-2.0

//! The fault injection of the mock's SMMUs.

use crate::{print, Error, Result};
use serde_json::{json, Value};
use std::fs;

const MOCK: &str = "/sys/kernel/debug/mock_smmu";

/// Names in a folder that begin with `prefix`.
fn names(folder: &str, prefix: &str) -> Result<Vec<String>> {
    let failed = |e| Error::new(format_args!("{folder}: {e}"));
    let mut names = Vec::new();

    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() && name.starts_with(prefix) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// One of `there`, or an error that lists them.
fn known<'a>(what: &str, name: &str, there: &'a [String]) -> Result<&'a str> {
    there
        .iter()
        .find(|entry| *entry == name)
        .map(String::as_str)
        .ok_or_else(|| {
            Error::new(format_args!(
                "{name} is no {what}; there are: {}",
                there.join(" ")
            ))
        })
}

pub fn run(json: bool, smmu: Option<String>, fault: Option<String>, times: u32) -> Result {
    let smmus = names(MOCK, "")?;
    let chosen = match &smmu {
        Some(name) => vec![known("SMMU", name, &smmus)?.to_string()],
        None => smmus,
    };

    let Some(fault) = fault else {
        let mut list = Vec::new();
        for smmu in &chosen {
            for fault in names(&format!("{MOCK}/{smmu}"), "fail_")? {
                list.push(json!({ "smmu": smmu, "fault": fault }));
            }
        }
        if json {
            return print(Value::from(list));
        }
        return list.iter().try_for_each(|entry| {
            print(format_args!(
                "{} {}",
                crate::table::text_of(&entry["smmu"]),
                crate::table::text_of(&entry["fault"])
            ))
        });
    };
    let folder = format!("{MOCK}/{}", chosen[0]);
    let faults = names(&folder, "fail_")?;
    let fault = known("fault", &fault, &faults)?;

    // The probability last: nothing fails before the number is known.
    for (file, value) in [
        ("probability", 0),
        ("times", times),
        ("probability", if times == 0 { 0 } else { 100 }),
    ] {
        let path = format!("{folder}/{fault}/{file}");
        fs::write(&path, value.to_string()).map_err(|e| Error::new(format_args!("{path}: {e}")))?;
    }
    if json {
        print(json!({ "smmu": chosen[0], "fault": fault, "times": times }))
    } else {
        print(format_args!("{}: {fault}, {times} times", chosen[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_told_with_the_known() {
        let there = ["fail_a".to_string(), "fail_b".to_string()];

        assert!(known("fault", "fail_a", &there).is_ok());
        let e = known("fault", "x", &there).err().unwrap();
        assert_eq!(e.0, "x is no fault; there are: fail_a fail_b");
    }
}
