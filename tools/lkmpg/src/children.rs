// SPDX-License-Identifier: GPL-2.0-only

//! Child processes that never outlive us.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{self, Child, Command, ExitStatus},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group, set_parent_process_death_signal};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

/// The exit status after Ctrl-C, as shells have it.
pub const INTERRUPTED_STATUS: u8 = 130;

/// How long a process group has for ending by itself when it is told to.
const GRACE: Duration = Duration::from_secs(3);

/// How long after a signal another one means impatience.
const PATIENCE: Duration = Duration::from_secs(2);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static RUNNING: Mutex<Vec<(Pid, Signal)>> = Mutex::new(Vec::new());

/// From now on SIGINT, SIGTERM and SIGHUP end the children, so that whoever
/// waits for one returns, and [`interrupted`] holds. A signal 2 s later ends
/// this process at once; some programs, timeout(1) for one, send two together.
pub fn watch_signals() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        let mut first = None;
        for _ in signals.forever() {
            if first.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                process::exit(INTERRUPTED_STATUS.into());
            }
            interrupt();
        }
    });
    Ok(())
}

/// Ends the children, as a signal does: what we print cannot be written.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::SeqCst);
    for (pid, signal) in &*RUNNING.lock().unwrap() {
        let _ = kill_process_group(*pid, *signal);
    }
}

/// Whether a signal asked us to end, or [`interrupt`] was called.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// A child that leads a process group. The group is ended when this is
/// dropped, when a signal ends us, and when we die.
pub struct Group {
    child: Child,
    pid: Pid,
    signal: Signal,
}

impl Group {
    /// Starts `command`; `signal` is what ends it.
    pub fn spawn(command: &mut Command, signal: Signal) -> io::Result<Self> {
        command.process_group(0);
        // SAFETY: the closure makes one system call, which is allowed between
        // fork and exec.
        unsafe {
            command.pre_exec(move || Ok(set_parent_process_death_signal(Some(signal))?));
        }
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        RUNNING.lock().unwrap().push((pid, signal));
        if interrupted() {
            let _ = kill_process_group(pid, signal);
        }
        Ok(Self { child, pid, signal })
    }

    /// The child, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for the child to end; `None` when it has not within `limit`.
    pub fn wait(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            {
                // Under the lock, so that no signal goes to a process that
                // has been waited for and to whoever has its number next.
                let mut running = RUNNING.lock().unwrap();
                if let Some(status) = self.child.try_wait()? {
                    running.retain(|(pid, _)| *pid != self.pid);
                    return Ok(Some(status));
                }
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for signal in [self.signal, Signal::KILL] {
            if let Ok(Some(_)) = self.wait(Duration::ZERO) {
                return;
            }
            let _ = kill_process_group(self.pid, signal);
            let _ = self.wait(GRACE);
        }
    }
}
