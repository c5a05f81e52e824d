// SPDX-License-Identifier: GPL-2.0

//! Child processes that exchange lines with their parent.

use crate::{
    sys::{make_pipe, spawn, Child},
    Result,
};
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
};

/// One end of two pipes.
pub struct Link {
    from: BufReader<File>,
    to: File,
}

impl Link {
    pub fn send(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.to, "{line}")?)
    }

    /// Waits for a line; fails if the other end is gone.
    pub fn receive(&mut self) -> Result<String> {
        let mut line = String::new();

        if self.from.read_line(&mut line)? == 0 {
            return Err("the other process is gone".into());
        }
        Ok(line.trim_end().into())
    }
}

/// A child process; killed when dropped.
pub struct Worker {
    child: Child,
    link: Link,
}

/// What stands before the text of an error that a child sends.
const ERROR: &str = "error: ";

impl Worker {
    /// Runs `main` in a child process.
    pub fn spawn(main: impl FnOnce(&mut Link) -> Result<()>) -> Result<Self> {
        let (from_parent, to_child) = make_pipe()?;
        let (from_child, to_parent) = make_pipe()?;
        let child = spawn(|| {
            let mut link = Link {
                from: BufReader::new(from_parent),
                to: to_parent,
            };
            let result = main(&mut link);

            if let Err(e) = &result {
                let _ = link.send(&format!("{ERROR}{e}"));
            }
            result.is_ok()
        })?;

        Ok(Self {
            child,
            link: Link {
                from: BufReader::new(from_child),
                to: to_child,
            },
        })
    }

    pub fn send(&mut self, line: &str) -> Result<()> {
        self.link.send(line)
    }

    /// Waits for a line of the child, or its error.
    pub fn receive(&mut self) -> Result<String> {
        let line = self.link.receive()?;

        match line.strip_prefix(ERROR) {
            Some(error) => Err(error.into()),
            None => Ok(line),
        }
    }

    pub fn kill(&self) -> Result<()> {
        Ok(self.child.kill()?)
    }

    pub fn pid(&self) -> i32 {
        self.child.pid()
    }

    /// Waits for the end of the child: whether it left with success.
    pub fn wait(self) -> Result<bool> {
        Ok(self.child.wait()?)
    }
}
