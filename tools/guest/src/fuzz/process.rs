// SPDX-License-Identifier: GPL-2.0-only

//! A process that makes the calls of a round.

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

use anyhow::{Result, ensure};
use lkmpg_proto::fuzz::Round;

use super::raw::{self, World};

/// The first pause between two looks at it, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(5));

/// How long it may make no call. Then it waits for what does not come.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long it may take to end that is killed: many times what it needs.
const TO_END: Duration = Duration::from_secs(60);

/// Numbers that this process and the one with the calls share.
#[derive(Debug)]
#[repr(C)]
pub struct Counts {
    calls: AtomicU64,
    errors: AtomicU64,
}

impl Counts {
    /// New ones, which stay.
    pub fn map() -> Result<&'static Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: new memory, where the kernel likes.
        let page = unsafe { libc::mmap(ptr::null_mut(), 4096, protection, flags, -1, 0) };
        ensure!(
            page != libc::MAP_FAILED,
            "no memory: {}",
            io::Error::last_os_error()
        );
        // SAFETY: it is a page of zeroes, which nobody unmaps here, and which is used for
        // nothing else.
        Ok(unsafe { &*page.cast::<Self>() })
    }

    /// How many calls there were, and how many of them had an error.
    pub fn so_far(&self) -> (u64, u64) {
        (self.calls.load(Relaxed), self.errors.load(Relaxed))
    }

    /// One more.
    pub fn add(&self, is_error: bool) {
        self.calls.fetch_add(1, Relaxed);
        self.errors.fetch_add(is_error.into(), Relaxed);
    }
}

/// Makes the calls of `round` on `files`, and does `meanwhile` now and then. Afterwards there
/// is no such process any more, though those that it has begun may just be ending.
///
/// # Errors
///
/// When it cannot be ended, or that of `meanwhile`.
pub fn run(
    files: &[String],
    round: &Round,
    counts: &Counts,
    mut meanwhile: impl FnMut() -> Result<()>,
) -> Result<()> {
    // SAFETY: the child has this thread only, and so has this program between rounds: no
    // other one holds a lock. The child does not return from here.
    let id = unsafe { libc::fork() };
    if id == 0 {
        be(files, round, counts);
    }
    ensure!(id > 0, "no process: {}", io::Error::last_os_error());
    let (shortest, longest) = PAUSES;
    let (mut still, mut pause, mut seen) = (Duration::ZERO, shortest, counts.so_far());
    let mut result = Ok(());
    // Only the pauses count, as in `eventually`.
    let mut ended = has_ended(id);
    while !ended && result.is_ok() && still < PATIENCE {
        thread::sleep(pause);
        let now = counts.so_far();
        still = if now == seen { still + pause } else { Duration::ZERO };
        seen = now;
        pause = longest.min(2 * pause);
        result = meanwhile();
        ended = has_ended(id);
    }
    // SAFETY: the group has the number of a process that is our child, or was a moment ago.
    unsafe { libc::kill(-id, libc::SIGKILL) };
    if !ended {
        // It may not have made itself a group yet.
        // SAFETY: it is our child, and we have not seen its end.
        unsafe { libc::kill(id, libc::SIGKILL) };
        let mut waited = Duration::ZERO;
        while !has_ended(id) {
            ensure!(waited < TO_END, "what cannot be ended is in\n{}", stacks(id));
            thread::sleep(longest);
            waited += longest;
        }
    }
    result
}

/// Whether our child called `id` has ended. Not to be asked again then.
fn has_ended(id: i32) -> bool {
    let mut status = 0;
    // SAFETY: the status can be written to.
    unsafe { libc::waitpid(id, &mut status, libc::WNOHANG) != 0 }
}

/// Where in the kernel the threads of the process called `id` are.
fn stacks(id: i32) -> String {
    let threads = fs::read_dir(format!("/proc/{id}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let stacks = threads.map(|thread| {
        let told = |file: &str| {
            let text = fs::read_to_string(thread.path().join(file));
            text.unwrap_or_else(|error| error.to_string())
        };
        let (place, stack) = (told("wchan"), told("stack"));
        format!("{place}\n{stack}")
    });
    stacks.collect::<Vec<_>>().join("\n")
}

/// The child: makes the calls, and ends.
fn be(files: &[String], round: &Round, counts: &Counts) -> ! {
    let done = catch_unwind(AssertUnwindSafe(|| {
        raw::leave_all_behind();
        let world = World::new(files);
        let threads: Vec<u8> = (0..=u8::MAX)
            .filter(|thread| round.steps.iter().any(|step| step.thread == *thread))
            .collect();
        // Those of the first, up to the first of another one, are what all begin with.
        let others = round.steps.iter().position(|step| step.thread != 0);
        let (begin, rest) = round.steps.split_at(others.unwrap_or(round.steps.len()));
        for step in begin {
            counts.add(world.make(&step.call).is_err());
        }
        thread::scope(|scope| {
            for number in threads {
                let world = &world;
                scope.spawn(move || {
                    for step in rest.iter().filter(|step| step.thread == number) {
                        counts.add(world.make(&step.call).is_err());
                    }
                });
            }
        });
    }));
    // SAFETY: this ends the child, and drops nothing that its parent has, too.
    unsafe { libc::_exit(i32::from(done.is_err())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other tests have threads meanwhile, so no process is begun here.
    #[test]
    fn calls_are_counted() {
        let counts = Counts::map().unwrap();
        counts.add(true);
        counts.add(false);
        assert_eq!(counts.so_far(), (2, 1));
    }
}
