// SPDX-License-Identifier: GPL-2.0-only

//! A test in a process of its own, which has an allocation of one of its tasks fail.
//!
//! Reference: ptrace(2). The tasks, which are the threads of the test and the programs that
//! it runs, are traced only to know of each before it does anything, and when it ends:
//! they are not stopped for their system calls.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::fd::OwnedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use libc::{c_int, c_long, c_ulong};
use rustix::{
    io::Errno,
    pipe::{PipeFlags, pipe_with},
};

use super::inject;
use crate::{Vm, eventually, harness::describe, syscalls::result};

/// How long a test may take: many times what it needs.
const LIMIT: Duration = Duration::from_secs(900);

/// How long it may take when something has failed, after which it may wait for ever.
const LIMIT_AFTER_FAULT: Duration = Duration::from_secs(60);

/// How long it then waits for something that comes sooner or later.
const PATIENCE_AFTER_FAULT: Duration = Duration::from_secs(10);

/// How long a process may take to end that is ended.
const TO_END: Duration = Duration::from_secs(60);

/// The pause after something has happened, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(20));

/// How much of an error is told, in characters.
const TOLD: usize = 500;

/// What is to fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plan {
    /// Nothing: allocations are counted.
    Count,
    /// One allocation.
    Fail(Fault),
}

/// An allocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Of which task: the first is 0, and others have numbers in the order in which they
    /// began.
    pub task: usize,
    /// Which of that task's: the first is 1.
    pub number: u32,
}

impl Plan {
    /// What a task is armed with.
    fn number(self, task: usize) -> u32 {
        match self {
            Self::Count => inject::COUNT,
            Self::Fail(fault) if fault.task == task => fault.number,
            Self::Fail(_) => 0,
        }
    }
}

/// What has become of a test.
#[derive(Debug)]
pub struct Ended {
    /// What the test said in the end; nothing when something ended it.
    pub said: Option<Said>,
    /// How many allocations each task made, when they were counted.
    pub counts: Vec<u32>,
    /// Whether the allocation failed that was to. There may be one more that nobody noticed,
    /// when files are closed as the process ends.
    pub injected: bool,
}

/// What a test says in the end.
#[derive(Debug, Eq, PartialEq)]
pub struct Said {
    /// How it ended.
    pub result: Result<(), String>,
    /// Whether what it has leaked is no fault.
    pub may_leak: bool,
    /// Texts of lines of the log that it expects.
    pub expected: Vec<String>,
    /// What is left of the number that each thread was armed with.
    rests: Vec<(i32, u32)>,
}

/// Runs `test`. Afterwards there is no process of it any more.
///
/// # Errors
///
/// When something of it does not end.
pub fn run(test: fn(&mut Vm) -> Result<()>, plan: Plan) -> Result<Ended> {
    let (begin, may_begin) = pipe_with(PipeFlags::CLOEXEC).context("a pipe")?;
    let both = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
    let (hear, tell) = pipe_with(both).context("a pipe")?;
    // SAFETY: the child has this thread only, and so has this program between tests: no
    // other one holds a lock. The child does not return from here.
    let id = unsafe { libc::fork() };
    if id == 0 {
        drop((may_begin, hear));
        be(test, plan, begin, tell);
    }
    ensure!(id > 0, "no process: {}", io::Error::last_os_error());
    drop((begin, tell));

    let mut tasks = Tasks {
        plan,
        all: vec![Task::new(id)],
    };
    let armed = tasks.seize().and_then(|()| {
        let mut may_begin = File::from(may_begin);
        may_begin.write_all(b"\n").context("the test's process")
    });
    let limit = match plan {
        Plan::Count => LIMIT,
        Plan::Fail(_) => LIMIT_AFTER_FAULT,
    };
    if armed.is_err() || !tasks.end_within(limit) {
        tasks.kill();
        let ended = tasks.end_within(TO_END);
        ensure!(ended, "what cannot be ended is in\n{}", tasks.stacks());
    }
    armed?;
    let said = Said::from_text(&read_all(hear));
    Ok(tasks.end(said))
}

/// What is in a pipe to which nobody writes any more.
fn read_all(pipe: OwnedFd) -> String {
    let mut text = Vec::new();
    // Somebody else may still have the other end, and then there is an error after all
    // that was written.
    let _ = File::from(pipe).read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The child: is the test, and ends.
fn be(test: fn(&mut Vm) -> Result<()>, plan: Plan, begin: OwnedFd, tell: OwnedFd) -> ! {
    let done = catch_unwind(AssertUnwindSafe(|| -> Result<()> {
        File::from(begin).read_exact(&mut [0])?;
        if plan != Plan::Count {
            eventually::limit(PATIENCE_AFTER_FAULT);
        }
        // What it mounts is to go with it, and does even when there is no such call.
        // SAFETY: this is the only thread.
        unsafe { libc::unshare(libc::CLONE_NEWNS) };
        let said = Said::by(test)?;
        File::from(tell).write_all(said.to_text().as_bytes())?;
        Ok(())
    }));
    let good = matches!(done, Ok(Ok(())));
    // SAFETY: this ends the child, and drops nothing that its parent has, too.
    unsafe { libc::_exit(i32::from(!good)) }
}

impl Said {
    /// What `test` says, which is run now.
    fn by(test: fn(&mut Vm) -> Result<()>) -> Result<Self> {
        let mut vm = Vm::of_one_test()?;
        let result = catch_unwind(AssertUnwindSafe(|| test(&mut vm)));
        let result = result.unwrap_or_else(|payload| Err(describe(&*payload)));
        Ok(Self {
            result: result.map_err(|error| {
                let text = format!("{error:#}").replace('\n', " ");
                text.chars().take(TOLD).collect()
            }),
            may_leak: vm.take_may_leak(),
            expected: vm.log().expected_texts().to_vec(),
            rests: rests(),
        })
    }

    /// It as lines, the last of which is the result.
    fn to_text(&self) -> String {
        let mut text = String::new();
        for (id, rest) in &self.rests {
            text += &format!("rest {id} {rest}\n");
        }
        for expected in &self.expected {
            text += &format!("expected {expected}\n");
        }
        if self.may_leak {
            text += "leaks\n";
        }
        match &self.result {
            Ok(()) => text + "passed\n",
            Err(error) => text + &format!("failed {error}\n"),
        }
    }

    /// Reads what [`to_text`](Self::to_text) wrote; nothing when it was interrupted.
    fn from_text(text: &str) -> Option<Self> {
        let mut said = Self {
            result: Ok(()),
            may_leak: false,
            expected: Vec::new(),
            rests: Vec::new(),
        };
        for line in text.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("rest", numbers) => {
                    let (id, rest) = numbers.split_once(' ')?;
                    said.rests.push((id.parse().ok()?, rest.parse().ok()?));
                }
                ("expected", text) => said.expected.push(text.to_owned()),
                ("leaks", _) => said.may_leak = true,
                ("passed", _) => return Some(said),
                ("failed", error) => {
                    said.result = Err(error.to_owned());
                    return Some(said);
                }
                _ => return None,
            }
        }
        None
    }
}

/// What is left of the number that each thread of this process was armed with.
fn rests() -> Vec<(i32, u32)> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten();
    let rest = |name: &str| Some((name.parse::<i32>().ok()?, inject::rest(name).ok()?));
    threads
        .flatten()
        .filter_map(|thread| rest(thread.file_name().to_str()?))
        .collect()
}

/// A thread that is traced.
struct Task {
    id: i32,
    begun: bool,
    ended: bool,
    /// What is left of the number that it was armed with, once that is known.
    rest: Option<u32>,
}

impl Task {
    fn new(id: i32) -> Self {
        Self {
            id,
            begun: false,
            ended: false,
            rest: None,
        }
    }
}

/// The threads of a test, and of the programs that it runs, in the order in which they
/// began.
struct Tasks {
    plan: Plan,
    all: Vec<Task>,
}

impl Tasks {
    /// Traces the first, which waits, and all that it begins, and arms it. They end with
    /// this process.
    fn seize(&mut self) -> Result<()> {
        let options = libc::PTRACE_O_EXITKILL
            | libc::PTRACE_O_TRACECLONE
            | libc::PTRACE_O_TRACEEXIT
            | libc::PTRACE_O_TRACEFORK
            | libc::PTRACE_O_TRACEVFORK;
        let first = &mut self.all[0];
        let seized = ptrace(libc::PTRACE_SEIZE.into(), first.id, options);
        seized.context("ptrace")?;
        first.begun = true;
        inject::arm(first.id, self.plan.number(0))
    }

    /// Sees to them until all have ended, but for no longer than `patience`. Only the pauses
    /// count, as in [`eventually`]. Returns whether they have.
    fn end_within(&mut self, patience: Duration) -> bool {
        let (shortest, longest) = PAUSES;
        let (mut waited, mut pause) = (Duration::ZERO, shortest);
        loop {
            if self.look() {
                pause = shortest;
            }
            if self.all.iter().all(|task| task.ended) {
                return true;
            }
            if waited >= patience {
                return false;
            }
            thread::sleep(pause);
            waited += pause;
            pause = longest.min(2 * pause);
        }
    }

    /// Sees to all that has happened since the last time. Returns whether that was anything.
    fn look(&mut self) -> bool {
        let mut anything = false;
        let mut index = 0;
        while index < self.all.len() {
            while !self.all[index].ended && self.see_to(index) {
                anything = true;
            }
            index += 1;
        }
        if self.all[0].ended {
            // What the test has left behind.
            self.kill();
        }
        anything
    }

    /// Sees to what has happened to a task. Returns whether that was something.
    fn see_to(&mut self, index: usize) -> bool {
        let task = &mut self.all[index];
        let id = task.id;
        let mut status = 0;
        // SAFETY: the status can be written to.
        let found = unsafe { libc::waitpid(id, &mut status, libc::__WALL | libc::WNOHANG) };
        if found == 0 {
            return false;
        }
        if found < 0 || !libc::WIFSTOPPED(status) {
            // The number goes, too, when a thread but the first one calls execve(2).
            task.ended = true;
            return true;
        }
        let mut signal = 0;
        match status >> 16 {
            libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK => {
                if let Ok(new) = new_task(id) {
                    self.all.push(Task::new(new));
                }
            }
            libc::PTRACE_EVENT_EXIT => task.rest = inject::rest(id).ok(),
            libc::PTRACE_EVENT_STOP if !task.begun => {
                task.begun = true;
                let number = self.plan.number(index);
                if number != 0 {
                    // It may be about to be ended.
                    let _ = inject::arm(id, number);
                }
            }
            libc::PTRACE_EVENT_STOP => {
                if is_to_stop(libc::WSTOPSIG(status)) {
                    let _ = ptrace(libc::PTRACE_LISTEN.into(), id, 0);
                    return true;
                }
            }
            // A signal, which it is to get.
            _ => signal = libc::WSTOPSIG(status),
        }
        // There is an error when it is about to be ended.
        let _ = ptrace(libc::PTRACE_CONT.into(), id, signal);
        true
    }

    /// Ends them.
    fn kill(&self) {
        for task in self.all.iter().filter(|task| !task.ended) {
            // SAFETY: it is traced by us until we have seen its end, so the number is not
            // another one's.
            unsafe { libc::kill(task.id, libc::SIGKILL) };
        }
    }

    /// Where in the kernel those are that have not ended.
    fn stacks(&self) -> String {
        let left = self.all.iter().filter(|task| !task.ended);
        let stacks = left.map(|task| {
            let stack = fs::read_to_string(format!("/proc/{}/stack", task.id));
            stack.unwrap_or_else(|error| error.to_string())
        });
        stacks.collect::<Vec<_>>().join("\n")
    }

    /// What is known in the end.
    fn end(mut self, said: Option<Said>) -> Ended {
        for (id, rest) in said.iter().flat_map(|said| &said.rests) {
            let mut tasks = self.all.iter_mut();
            if let Some(task) = tasks.find(|task| task.id == *id && task.rest.is_none()) {
                task.rest = Some(*rest);
            }
        }
        let counts = match self.plan {
            Plan::Count => {
                let rests = self.all.iter().map(|task| task.rest);
                rests
                    .map(|rest| rest.map_or(0, |rest| inject::COUNT.saturating_sub(rest)))
                    .collect()
            }
            Plan::Fail(_) => Vec::new(),
        };
        let injected = match self.plan {
            Plan::Count => false,
            Plan::Fail(fault) => {
                let task = self.all.get(fault.task);
                task.is_some_and(|task| task.rest == Some(0))
            }
        };
        Ended {
            said,
            counts,
            injected,
        }
    }
}

/// Whether a task that gets `signal` stops until it is told to go on.
fn is_to_stop(signal: c_int) -> bool {
    [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].contains(&signal)
}

/// ptrace(2) with a request that needs no memory.
fn ptrace(request: c_long, id: i32, data: c_int) -> Result<(), Errno> {
    let (id, nothing, data) = (c_long::from(id), c_long::from(0), c_long::from(data));
    // SAFETY: the kernel reads and writes no memory of this process.
    let returned = unsafe { libc::syscall(libc::SYS_ptrace, request, id, nothing, data) };
    result(returned as isize).map(drop)
}

/// The task that the one called `id` has begun, and for which it is stopped.
fn new_task(id: i32) -> Result<i32, Errno> {
    let request = c_long::from(libc::PTRACE_GETEVENTMSG);
    let (id, nothing) = (c_long::from(id), c_long::from(0));
    let mut new: c_ulong = 0;
    // SAFETY: the kernel writes the number there.
    let returned = unsafe { libc::syscall(libc::SYS_ptrace, request, id, nothing, &raw mut new) };
    result(returned as isize)?;
    i32::try_from(new).map_err(|_| Errno::RANGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let said = Said {
            result: Err("read: Cannot allocate memory".to_owned()),
            may_leak: true,
            expected: vec!["WARNING: x".to_owned()],
            rests: vec![(51, 0), (52, 1000)],
        };
        assert_eq!(Said::from_text(&said.to_text()), Some(said));
        assert!(Said::from_text("leaks\n").is_none());
        assert!(Said::from_text("").is_none());
        let passed = Said::from_text("passed\n").unwrap();
        assert_eq!((passed.result, passed.may_leak), (Ok(()), false));
    }

    #[test]
    fn one_task_is_armed_with_a_fault() {
        let plan = Plan::Fail(Fault { task: 1, number: 7 });
        assert_eq!([0, 1, 2].map(|task| plan.number(task)), [0, 7, 0]);
        assert_eq!(Plan::Count.number(3), inject::COUNT);
    }

    #[test]
    fn counts_are_what_was_used_up() {
        let tasks = |plan| Tasks {
            plan,
            all: vec![
                Task {
                    rest: Some(inject::COUNT - 3),
                    ..Task::new(51)
                },
                Task::new(52),
                Task::new(53),
            ],
        };
        let said = |rest| {
            let text = format!("rest 51 0\nrest 53 {rest}\npassed\n");
            Said::from_text(&text)
        };
        let ended = tasks(Plan::Count).end(said(inject::COUNT - 1));
        assert_eq!(ended.counts, [3, 0, 1]);
        let fault = Fault { task: 2, number: 1 };
        for (rest, injected) in [(0, true), (1, false)] {
            assert_eq!(tasks(Plan::Fail(fault)).end(said(rest)).injected, injected);
        }
    }
}
