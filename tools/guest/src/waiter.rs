// SPDX-License-Identifier: GPL-2.0-only

use std::{
    fs,
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::{process::Pid, thread::gettid};

use crate::eventually::{PATIENCE, eventually, within};

/// A thread that waits in a system call, or is to.
pub struct Waiter<T> {
    id: Pid,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Waiter<T> {
    /// Begins a thread that does `what`.
    #[must_use]
    pub fn begin(what: impl FnOnce() -> T + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || {
            // Nobody minds when nobody listens.
            let _ = sender.send(gettid());
            what()
        });
        let id = receiver.recv().expect("the thread said who it is");
        Self { id, thread }
    }

    /// Begins a thread that does `what`, and waits up to two minutes until it waits
    /// in one of `syscalls`: libraries differ in which they make.
    ///
    /// # Errors
    ///
    /// When it does not come to wait.
    pub fn begin_in(
        syscalls: &[libc::c_long],
        what: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Self> {
        let waiter = Self::begin(what);
        waiter.is_in(syscalls)?;
        Ok(waiter)
    }

    /// Waits up to two minutes until the thread waits in one of `syscalls`.
    ///
    /// # Errors
    ///
    /// When it does not come to wait.
    pub fn is_in(&self, syscalls: &[libc::c_long]) -> Result<()> {
        waits_in(&self.proc("syscall"), syscalls)
    }

    /// Waits up to two minutes until the thread sleeps, whether signals wake it (`S`)
    /// or not (`D`), and makes sure that for half a second nothing wakes it.
    ///
    /// # Errors
    ///
    /// When it does not come to sleep, or ran afterwards.
    pub fn sleeps(&self) -> Result<()> {
        let look = || -> Result<_> {
            let status = fs::read_to_string(self.proc("status"))?;
            let of = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                let value = line.and_then(|line| line.split_whitespace().next());
                value.map(str::to_owned).context("a line of status")
            };
            Ok((
                of("State:")?,
                of("voluntary_ctxt_switches:")?,
                of("nonvoluntary_ctxt_switches:")?,
            ))
        };
        // On its way it may sleep for something else. Who is woken ten times in a
        // second never sleeps that long.
        for _ in 0..10 {
            let mut before = look()?;
            let sleeps = within(PATIENCE, || {
                before = look()?;
                anyhow::Ok(["S", "D"].contains(&before.0.as_str()))
            })?;
            ensure!(sleeps, "the thread does not sleep");
            thread::sleep(Duration::from_millis(500));
            if look()? == before {
                return Ok(());
            }
        }
        bail!("something wakes the thread again and again")
    }

    /// Whether the thread has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// What the thread returned, for which this waits up to two minutes.
    ///
    /// # Errors
    ///
    /// When it did not end, or panicked.
    pub fn end(self) -> Result<T> {
        eventually("the end of the thread", || self.has_ended())?;
        self.thread
            .join()
            .map_err(|_| anyhow!("the thread panicked"))
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/self/task/{}/{file}", self.id)
    }
}

/// Waits up to two minutes until the process `id` waits in one of `syscalls`.
///
/// # Errors
///
/// When it does not come to wait.
pub fn process_is_in(id: u32, syscalls: &[libc::c_long]) -> Result<()> {
    waits_in(&format!("/proc/{id}/syscall"), syscalls)
}

/// Waits until the file at `path`, `syscall` of a process, names one of
/// `syscalls`.
fn waits_in(path: &str, syscalls: &[libc::c_long]) -> Result<()> {
    let mut now = String::new();
    let waits = within(PATIENCE, || {
        now = fs::read_to_string(path).with_context(|| path.to_owned())?;
        let number = now.split(' ').next().and_then(|word| word.parse().ok());
        anyhow::Ok(number.is_some_and(|number| syscalls.contains(&number)))
    })?;
    ensure!(
        waits,
        "waited in vain for one of the system calls {syscalls:?}; now it is {now}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Read, os::unix::net::UnixStream};

    #[test]
    fn a_waiter_is_seen_to_wait() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let read = move || ours.read(&mut [0; 4]).unwrap();
        let waiter = Waiter::begin(read);
        waiter.sleeps().unwrap();
        drop(theirs);
        assert_eq!(waiter.end().unwrap(), 0);
    }
}
