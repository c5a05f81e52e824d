// SPDX-License-Identifier: GPL-2.0

//! The table of a bond's states, from which the model is made too.

const TABLE: &str = include_str!("../../model/bond.table");

/// The state of a bond that there is not.
pub const ENDED: &str = "ended";

/// What the table says of one event.
#[derive(Debug)]
pub struct Row {
    pub event: &'static str,
    /// The trace event that tells of it, and of `bond_state` the state that it tells.
    pub trace: (&'static str, &'static str),
    pub from: Vec<&'static str>,
    /// `None`: as it was.
    pub to: Option<&'static str>,
}

/// All rows.
pub fn rows() -> Vec<Row> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let row = |line: &'static str| {
        let mut words = line.split_whitespace();
        let (event, trace) = (words.next()?, words.next()?);
        let (from, to) = (words.next()?, words.next()?);

        Some(Row {
            event,
            trace: trace.split_once('=').unwrap_or((trace, "")),
            from: from.split(',').collect(),
            to: (to != "-").then_some(to),
        })
    };

    lines.filter_map(row).collect()
}
