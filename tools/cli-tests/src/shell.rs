// SPDX-License-Identifier: GPL-2.0-only

use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use wait_timeout::ChildExt;

use crate::{
    checkout::Checkout,
    outcome::{Failure, Outcome},
};

/// How often to look for more output.
const TICK: Duration = Duration::from_millis(200);

/// How long a shell may take to say what is waited for: a kernel may have to be
/// built first.
const PATIENCE: Duration = Duration::from_secs(45 * 60);

/// How long it may take to end when it is told to.
const GRACE: Duration = Duration::from_secs(20);

/// An `./lkmpg shell` that runs beside other commands, and waits for its input.
/// It is ended when this is dropped.
pub struct Shell {
    child: Child,
    temp: TempDir,
}

impl Shell {
    /// Starts it with `arguments`.
    pub fn start(checkout: &Checkout, arguments: &[&str]) -> Result<Self> {
        let temp = tempfile::tempdir()?;
        let log = File::create(temp.path().join("log"))?;
        let mut command = Command::new(checkout.path("lkmpg"));
        command.current_dir(checkout.root());
        command.arg("shell").args(arguments);
        command.stdin(Stdio::piped());
        command.stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        Ok(Self { child, temp })
    }

    /// All that it has printed.
    fn said(&self) -> Result<Vec<u8>> {
        Ok(fs::read(self.temp.path().join("log"))?)
    }

    /// Waits for a line that begins with `text`. Returns all that was printed
    /// by then.
    pub fn wait_for(&mut self, text: &str) -> Result<String> {
        let start = Instant::now();
        loop {
            let ended = self.child.try_wait()?.is_some();
            let said = String::from_utf8_lossy(&self.said()?).into_owned();
            if said.lines().any(|line| line.starts_with(text)) {
                return Ok(said);
            }
            if ended || start.elapsed() > PATIENCE {
                return Err(Failure::error(format!("does not say: {text}"), said));
            }
            thread::sleep(TICK);
        }
    }

    /// Ends its input, and waits until it has ended.
    pub fn end(mut self) -> Result<Outcome> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        Ok(Outcome::new(status, &self.said()?))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        for signal in [Signal::TERM, Signal::KILL] {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            let _ = kill_process(Pid::from_child(&self.child), signal);
            let _ = self.child.wait_timeout(GRACE);
        }
    }
}
