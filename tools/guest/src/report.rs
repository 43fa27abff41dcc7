// SPDX-License-Identifier: GPL-2.0-only

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
};

use anyhow::{Context, Result, ensure};
use lkmpg_proto::{Event, Orders, Outcome};
use rustix::{
    fs::OFlags,
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

/// Where results go.
pub trait Report {
    /// Passes one event on.
    fn send(&mut self, event: &Event) -> Result<()>;
}

/// The way to the host.
pub struct Port {
    port: File,
    path: String,
}

impl Port {
    /// Opens the terminal `tty` and makes it carry bytes as they are.
    pub fn open(tty: &str) -> Result<Self> {
        let path = format!("/dev/{tty}");
        let port = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits() as i32)
            .open(&path)
            .with_context(|| path.clone())?;
        let mut settings = tcgetattr(&port).with_context(|| path.clone())?;
        settings.make_raw();
        tcsetattr(&port, OptionalActions::Now, &settings).with_context(|| path.clone())?;
        Ok(Self { port, path })
    }

    /// Waits for the host's orders.
    pub fn orders(&mut self) -> Result<Orders> {
        let line = self.line()?;
        Orders::from_line(&line).with_context(|| format!("{}: {line:?}", self.path))
    }

    /// Waits for the host's answer, a line without content.
    pub fn wait_for_host(&mut self) -> Result<()> {
        self.line().map(drop)
    }

    /// Reads a line. The host says nothing more before it is asked again.
    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        let mut buffer = [0; 4096];
        while !line.ends_with(b"\n") {
            let read = self.port.read(&mut buffer);
            let read = read.with_context(|| self.path.clone())?;
            ensure!(read > 0, "{}: the host has hung up", self.path);
            line.extend_from_slice(&buffer[..read]);
        }
        String::from_utf8(line).with_context(|| self.path.clone())
    }
}

impl Report for Port {
    /// Sends one event and waits until it has left the port.
    fn send(&mut self, event: &Event) -> Result<()> {
        let written = self.port.write_all(event.to_line().as_bytes());
        written.with_context(|| self.path.clone())?;
        rustix::termios::tcdrain(&self.port).with_context(|| self.path.clone())
    }
}

/// Results as text for people, counted.
pub struct Lines<W> {
    out: W,
    passed: usize,
    failed: usize,
}

impl<W: Write> Lines<W> {
    /// Writes results to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            passed: 0,
            failed: 0,
        }
    }

    /// Writes how many tests passed and failed. Returns whether none failed.
    pub fn sum_up(mut self) -> Result<bool> {
        let (passed, failed) = (self.passed, self.failed);
        writeln!(self.out, "{passed} passed, {failed} failed").context("the results")?;
        Ok(failed == 0)
    }

    fn write(&mut self, event: &Event) -> io::Result<()> {
        let Event::Result {
            module,
            test,
            outcome,
            message,
            ..
        } = event
        else {
            return Ok(());
        };
        match outcome {
            Outcome::Passed => {
                self.passed += 1;
                write!(self.out, "test {module}::{test} ... ok")?;
                if !message.is_empty() {
                    write!(self.out, " ({message})")?;
                }
                writeln!(self.out)
            }
            Outcome::Failed => {
                self.failed += 1;
                writeln!(self.out, "test {module}::{test} ... FAILED")?;
                let mut lines = message.lines();
                lines.try_for_each(|line| writeln!(self.out, "    {line}"))
            }
        }
    }
}

impl<W: Write> Report for Lines<W> {
    fn send(&mut self, event: &Event) -> Result<()> {
        self.write(event).context("the results")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_lines() {
        let mut text = Vec::new();
        let mut lines = Lines::new(&mut text);
        for (outcome, message) in [(Outcome::Passed, "a note"), (Outcome::Failed, "one\ntwo")] {
            let event = Event::Result {
                module: "hello-1".into(),
                test: "greets".into(),
                outcome,
                message: message.into(),
                millis: 1,
            };
            lines.send(&event).unwrap();
        }
        assert!(!lines.sum_up().unwrap());
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "test hello-1::greets ... ok (a note)\n\
             test hello-1::greets ... FAILED\n    one\n    two\n\
             1 passed, 1 failed\n"
        );
    }
}
