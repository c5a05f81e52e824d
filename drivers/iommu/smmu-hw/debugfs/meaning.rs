// SPDX-License-Identifier: GPL-2.0

//! What the words of an entry mean: a line of its fields.

use crate::fmt::{
    cmd::{
        self,
        Command, //
    },
    event::{
        self,
        Event, //
    }, //
};
use kernel::fmt::{
    self,
    Formatter, //
};

/// A line with `name` and those fields that `show` says and that are not 0; `each` gives them all.
fn some(
    f: &mut Formatter<'_>,
    name: &str,
    each: impl FnOnce(&mut dyn FnMut(&'static str, u64)),
    show: impl Fn(&str) -> bool,
) -> fmt::Result {
    let mut written = write!(f, "#{}{name}", if name.is_empty() { "" } else { " " });
    each(&mut |field, value| {
        if value != 0 && show(field) && written.is_ok() {
            written = match value {
                0..=9 => write!(f, " {field}={value}"),
                _ => write!(f, " {field}={value:#x}"),
            };
        }
    });
    written?;
    writeln!(f)
}

/// A line with `name` and the fields that are not 0; `each` gives all fields.
pub(super) fn fields(
    f: &mut Formatter<'_>,
    name: &str,
    each: impl FnOnce(&mut dyn FnMut(&'static str, u64)),
) -> fmt::Result {
    some(f, name, each, |_| true)
}

/// A line about a command: the fields that its opcode has.
pub(super) fn command(f: &mut Formatter<'_>, command: &Command) -> fmt::Result {
    let name = match command.op() {
        0 => "unused",
        op => cmd::name(op).unwrap_or("unknown"),
    };
    let known = cmd::fields(command.op());
    let each = |visit: &mut dyn FnMut(&'static str, u64)| command.each(visit);
    some(f, name, each, |field| known.contains(&field))
}

/// A line about an event record.
pub(super) fn event(f: &mut Formatter<'_>, record: &Event) -> fmt::Result {
    let name = match record.id() {
        0 => "unused",
        id => event::name(id).unwrap_or("unknown"),
    };
    let each = |visit: &mut dyn FnMut(&'static str, u64)| record.each(visit);
    some(f, name, each, |field| event::has_field(record.id(), field))
}
