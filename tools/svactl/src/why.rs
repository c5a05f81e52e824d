// SPDX-License-Identifier: GPL-2.0

//! Why a device cannot be bound: what the core refused, and what the device lacks.

use crate::{
    read,
    table::{text_of, word, DEVICES, REFUSED},
    Error, Result,
};
use serde_json::{json, Value};
use std::{fmt::Write, fs, path::PathBuf};

/// A device by its name, on whichever bus.
fn find(name: &str) -> Option<PathBuf> {
    fs::read_dir("/sys/bus")
        .ok()?
        .flatten()
        .map(|bus| bus.path().join("devices").join(name))
        .find(|path| path.exists())
}

/// The reasons in `refused` that are about this device, the last ones.
fn reasons(text: &str, device: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| {
            let (name, rest) = word(line);
            let (times, why) = word(rest);

            (name == device)
                .then(|| json!({ "times": times.parse::<u64>().unwrap_or(0), "why": why }))
        })
        .collect()
}

pub fn ask(device: &str) -> Result<Value> {
    if device.is_empty() || device.contains('/') || device.starts_with('.') {
        return Err(Error::new(format_args!("'{device}' is no device's name")));
    }
    let refused = reasons(&read(REFUSED)?, device);
    let ready = fs::exists(format!("{DEVICES}/{device}"))?;
    let path = find(device);

    if path.is_none() && !ready && refused.is_empty() {
        return Err(Error::new(format_args!("there is no device {device}")));
    }
    let has = |link| path.as_ref().is_some_and(|path| path.join(link).exists());

    Ok(json!({
        "device": device,
        "initialised": ready,
        "driver": has("driver"),
        "iommu_group": has("iommu_group"),
        "refused": refused,
    }))
}

pub fn text(answer: &Value) -> String {
    let mut text = text_of(&answer["device"]);

    text += if answer["initialised"] == true {
        ": is initialised, processes can be bound to it"
    } else if answer["driver"] != true {
        ": no driver has it"
    } else if answer["iommu_group"] != true {
        ": no IOMMU translates for it"
    } else {
        ": its driver has not initialised it for shared addressing"
    };
    for reason in answer["refused"].as_array().into_iter().flatten() {
        let _ = write!(
            text,
            "\n  refused {} times: {}",
            reason["times"],
            text_of(&reason["why"])
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_device() {
        let found = reasons("a 3 no PASIDs here\nab 1 other\n", "a");

        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["times"], 3);
        assert_eq!(found[0]["why"], "no PASIDs here");
    }

    #[test]
    fn says_what_is_missing() {
        let answer = json!({ "device": "a", "initialised": false, "driver": true,
            "iommu_group": false, "refused": [] });

        assert_eq!(text(&answer), "a: no IOMMU translates for it");
    }
}
