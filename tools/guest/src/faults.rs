// SPDX-License-Identifier: GPL-2.0-only

//! Has allocations fail, one at a time, in all that a module does.
//!
//! # What fails
//!
//! Allocations of slabs and of pages, and copies from and to user space ("allocations" in
//! what follows), as far as code of a module is among their callers: the module's own
//! allocations and those of each function of the kernel that it calls. What the kernel
//! allocates for itself, to read the module's file or to open a file of the module's, never
//! fails: this is about modules. The kernel's stack trace filter sees to that
//! ([`inject::prepare`]). It leaves out most of what is different each time, too, so the
//! n-th allocation is the same one in each attempt, more or less.
//!
//! A task has one counter, `/proc/PID/fail-nth`. Each allocation takes one off, and the one
//! that makes it 0 fails. It goes on from one system call to the next, so to count through
//! those of a test is to count through each of them: the n-th allocation of the test is
//! the k-th of one of its system calls, and all of those come up. First a task is armed with
//! a number that it does not come to, and what is gone of that is how many there are.
//!
//! # How
//!
//! - The load and the unload are one system call each, which this program makes itself.
//! - A test is run in a [process] of its own, which a fork makes: it has what `setup` has
//!   prepared, what it leaves open is closed when it ends, and it can be ended when it
//!   waits for something that has failed. It is traced (ptrace), so that each thread and
//!   each program that it begins has a counter of its own, armed before its first
//!   instruction. Tests know nothing of that.
//!
//! What the module's threads, works and timers allocate does not fail: nobody waits for
//! their errors, and a counter is a task's own. Functions that register something have no
//! other switch. `fail_function` needs functions that are marked for it, and neither in 7.2
//! nor in 6.18 is one of them a registration: all that it could do here is done by
//! `failslab`. They fail when what they allocate does.
//!
//! # What must hold
//!
//! The call fails with an error, or does its work all the same, and a test may end as it
//! likes. Then the kernel has no [complaint](crate::trouble), no process is stuck, and the
//! modules can be unloaded. A module whose load has failed is gone. After all attempts the
//! module is loaded and unloaded once more, and nothing is left: no file
//! ([`checks::nothing_left`]), no memory ([`kmemleak`], which tells in which attempt it was
//! allocated). Any error number will do, and the results say how often which came. What Linux
//! itself does wrong is in [known].
//!
//! # How many
//!
//! A module has a share of attempts. Half of it is for the load, a quarter for the unload,
//! the rest for its tests; what one of them leaves goes to the next. Where there are more
//! allocations, some are [chosen](choose): one of each stretch, the same ones each time.
//!
//! The results say how many faults there were, and at how many points: pairs of the
//! innermost functions of all and of a module, with the places in them.

mod inject;
mod known;
mod process;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Instant,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use lkmpg_proto::{Event, Faults, Outcome, Request};
use rustix::io::Errno;

use crate::{
    Example, Module, Test, Vm, checks,
    faults::process::{Ended, Fault, Plan},
    harness::{describe, unload_all_but, watch_panics},
    kmemleak::{self, Begun},
    module,
    report::Report,
    snapshot::Snapshot,
    syscalls::errno,
    trouble::{self, Trouble},
};

/// Does that with each module that `request` names.
pub fn run(mut vm: Vm, report: &mut dyn Report, request: &Request) -> Result<()> {
    watch_panics();
    inject::prepare().context("nothing can be made to fail on this kernel")?;
    for name in &request.modules {
        Subject {
            name,
            example: Example::find(name),
            vm: &mut vm,
            report,
            left: request.faults,
            others: module::loaded()?,
            may_leak: false,
            begun: Vec::new(),
            tally: Tally::default(),
            well: true,
        }
        .all(request)?;
    }
    Ok(())
}

/// A module, and what has become of it so far.
struct Subject<'a> {
    name: &'a str,
    example: Example,
    vm: &'a mut Vm,
    report: &'a mut dyn Report,
    /// How many attempts are left of its share.
    left: u32,
    /// The modules that were loaded before, and are to stay.
    others: Vec<String>,
    /// What `setup` said of leaks.
    may_leak: bool,
    /// All attempts.
    begun: Vec<Begun>,
    /// What the part that runs has come to.
    tally: Tally,
    /// Whether nothing has failed that must not.
    well: bool,
}

/// What attempts have come to.
#[derive(Default)]
struct Tally {
    /// How many faults there were.
    injected: u32,
    /// Where.
    points: BTreeSet<String>,
    /// How many there might have been besides.
    left_out: u32,
    /// How often what had a fault ended how.
    ends: BTreeMap<&'static str, u32>,
    /// What else is to be told.
    notes: Vec<String>,
}

/// What has become of a call.
struct Called {
    /// Its error.
    error: Option<anyhow::Error>,
    /// What is left of the number that this thread was armed with.
    rest: u32,
}

/// Loads the module called `name` with parameters and unloads it. In one of these the
/// allocation with that number fails.
type Call = fn(name: &str, params: &str, number: u32) -> Result<Called>;

impl Subject<'_> {
    /// All parts, each of which is reported as a test. An error is the harness's own.
    fn all(&mut self, request: &Request) -> Result<()> {
        let others = self.others.clone();
        if let Some(setup) = self.example.setup {
            self.part("setup", |it| setup(it.vm))?;
            self.may_leak = self.vm.take_may_leak();
            self.others = module::loaded()?;
        }
        let before = Snapshot::settled();
        // Somebody has named some tests.
        if !request.only.contains_key(self.name) {
            let most = self.left.div_ceil(2);
            self.part("load", |it| it.calls("load", load, most))?;
            let most = self.left.div_ceil(2);
            self.part("unload", |it| it.calls("unload", unload, most))?;
        }
        let tests = self.example.tests.iter();
        let tests: Vec<_> = tests
            .filter(|test| request.wants(self.name, test.name))
            .collect();
        let mut to_come = u32::try_from(tests.len()).unwrap_or(u32::MAX);
        for test in tests {
            let most = self.left.div_ceil(to_come);
            to_come -= 1;
            self.part(test.name, |it| it.test(test, most))?;
        }
        self.part("nothing_left", |it| it.nothing_left(&before))?;
        if module::loaded()?.iter().any(|name| !others.contains(name)) {
            self.others.clone_from(&others);
            // After a failure, too.
            self.well = true;
            self.part("teardown", |it| unload_all_but(&it.others).map(drop))?;
        }
        Ok(())
    }

    /// Does one part and reports it, unless an earlier one has failed: what comes then is
    /// about a kernel that is no longer whole. An error is the harness's own.
    fn part(&mut self, test: &str, run: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if !self.well {
            return Ok(());
        }
        self.start(test)?;
        self.tally = Tally::default();
        let begin = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| run(&mut *self)));
        let result = result.unwrap_or_else(|payload| Err(describe(&*payload)));
        let millis = begin.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        if result.is_err() {
            self.well = false;
            let _ = unload_all_but(&self.others);
        }
        let tally = mem::take(&mut self.tally);
        let (outcome, message) = match result {
            Ok(()) => (Outcome::Passed, tally.note()),
            Err(error) => (Outcome::Failed, format!("{error:#}")),
        };
        self.report.send(&Event::Faults(Faults {
            module: self.name.to_owned(),
            injected: tally.injected,
            points: tally.points.into_iter().collect(),
            left_out: tally.left_out,
        }))?;
        self.report.send(&Event::Result {
            module: self.name.to_owned(),
            test: test.to_owned(),
            outcome,
            message,
            millis,
        })
    }

    /// Says what begins: the host knows what it was when the VM does not survive it.
    fn start(&mut self, test: &str) -> Result<()> {
        self.report.send(&Event::Start {
            module: self.name.to_owned(),
            test: test.to_owned(),
        })
    }

    /// Does `run`, called `what` in the results, and finds what the kernel says of it: an
    /// error when that is a complaint, but for texts that `run` has expected by then. Returns
    /// whether the kernel told of a fault, too.
    fn attempt<T>(
        &mut self,
        what: &str,
        expected: &mut Vec<String>,
        run: impl FnOnce(&mut Vec<String>) -> Result<T>,
    ) -> Result<(T, bool)> {
        self.start(what)?;
        let mut begun = Begun::now(what)?;
        begun.may_leak = self.may_leak;
        let result = run(&mut *expected);
        let mut lines = self.vm.log().take()?;
        let points = inject::points(&lines);
        if let Some(point) = points.first() {
            begun.test = format!("{what}, at {point}");
        }
        let name = begun.test.clone();
        self.begun.push(begun);
        let told = !points.is_empty();
        self.tally.points.extend(points);
        lines.retain(|line| !known::is_no_trouble(&line.text, expected));
        let result = match (result, trouble::find(&lines)) {
            (Ok(value), None | Some(Trouble::Slowness(_))) => Ok((value, told)),
            (Ok(_), Some(Trouble::Fault(text))) => Err(anyhow!("the kernel complained:\n{text}")),
            (Err(error), None) => Err(error),
            (Err(error), Some(Trouble::Fault(text) | Trouble::Slowness(text))) => {
                Err(anyhow!("{error:#}\nand the kernel complained:\n{text}"))
            }
        };
        result.context(name)
    }

    /// Those of `count` numbers for which there is to be an attempt, `most` of them at most.
    fn choose(&mut self, what: &str, count: u32, most: u32) -> Vec<u32> {
        let most = most.min(self.left);
        let chosen = count.min(most);
        self.left -= chosen;
        self.tally.left_out += count - chosen;
        choose(count, most, &(self.name, what))
    }

    /// Makes `call` without a fault, then with each one.
    fn calls(&mut self, what: &str, call: Call, most: u32) -> Result<()> {
        let (name, params) = (self.name, self.example.params);
        let mut expected = Vec::new();
        let without = format!("{what}, without a fault");
        let (counted, _) = self.attempt(&without, &mut expected, |_| {
            call(name, params, inject::COUNT)
        })?;
        if let Some(error) = counted.error {
            return Err(error.context(without));
        }
        let count = inject::COUNT - counted.rest;
        for number in self.choose(what, count, most) {
            let fault = format!("{what}, fault {number} of {count}");
            let (called, told) =
                self.attempt(&fault, &mut expected, |_| call(name, params, number))?;
            if called.rest == 0 || told {
                self.tally.add(end_of(called.error.as_ref()));
            }
        }
        Ok(())
    }

    /// Runs `test` without a fault, then with each one.
    fn test(&mut self, test: &Test, most: u32) -> Result<()> {
        let no_share = (most == 0).then_some("there is no share for it");
        let why = known::why_left_out(self.name, test.name).or(no_share);
        if let Some(why) = why {
            self.tally.notes.push(why.to_owned());
            return Ok(());
        }
        let others = self.others.clone();
        let mut expected = Vec::new();
        let without = format!("{}, without a fault", test.name);
        let (counted, _) = self.attempt(&without, &mut expected, |expected| {
            apart(test, Plan::Count, &others, expected)
        })?;
        let may_leak = counted.said.as_ref().is_some_and(|said| said.may_leak);
        self.forgive(may_leak);
        match counted.said.map(|said| said.result) {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                let note = format!("it fails in a process of its own without a fault: {error}");
                self.tally.notes.push(note);
            }
            None => bail!("{without}: it does not come to its end"),
        }
        let counts = counted.counts;
        let count = counts
            .iter()
            .fold(0, |sum: u32, it| sum.saturating_add(*it));
        for number in self.choose(test.name, count, most) {
            let Some(fault) = find(&counts, number) else {
                continue;
            };
            let what = format!("{}, fault {number} of {count}", test.name);
            let (ended, told) = self.attempt(&what, &mut expected, |expected| {
                apart(test, Plan::Fail(fault), &others, expected)
            })?;
            let leaks_now = ended.said.as_ref().is_some_and(|said| said.may_leak);
            self.forgive(may_leak || leaks_now);
            if ended.injected || told {
                self.tally.add(match ended.said.map(|said| said.result) {
                    Some(Ok(())) => "passed",
                    Some(Err(_)) => "failed",
                    None => "did not end",
                });
            }
        }
        Ok(())
    }

    /// What the last attempt has leaked is no fault, if it `may_leak`.
    fn forgive(&mut self, may_leak: bool) {
        if let Some(begun) = self.begun.last_mut() {
            begun.may_leak |= may_leak;
        }
    }

    /// The module works as before, and leaves nothing, nor have all attempts.
    fn nothing_left(&mut self, before: &Snapshot) -> Result<()> {
        let (name, params) = (self.name, self.example.params);
        self.attempt("nothing_left", &mut Vec::new(), |_| {
            Module::load(name, params)?.unload_soon()?;
            checks::nothing_left(before)
        })?;
        if kmemleak::available() {
            kmemleak::check(&self.begun, &known::leaks())?;
        }
        Ok(())
    }
}

impl Tally {
    /// One fault more, after which what had it ended so.
    fn add(&mut self, end: &'static str) {
        self.injected += 1;
        *self.ends.entry(end).or_default() += 1;
    }

    /// It in words.
    fn note(&self) -> String {
        let mut notes = Vec::new();
        if self.injected > 0 || self.left_out > 0 {
            notes.push(format!("faults: {}", self.injected));
            notes.push(format!("points: {}", self.points.len()));
            let ends = self.ends.iter();
            notes.extend(ends.map(|(end, count)| format!("{end}: {count}")));
        }
        if self.left_out > 0 {
            notes.push(format!("left out: {}", self.left_out));
        }
        notes.extend(self.notes.iter().cloned());
        notes.join(", ")
    }
}

/// How a call ended that had `error`.
fn end_of(error: Option<&anyhow::Error>) -> &'static str {
    let Some(error) = error else {
        return "succeeded";
    };
    match errno(error) {
        Some(Errno::NOMEM) => "ENOMEM",
        Some(Errno::FAULT) => "EFAULT",
        Some(Errno::INVAL) => "EINVAL",
        Some(Errno::NODEV) => "ENODEV",
        Some(Errno::BUSY) => "EBUSY",
        Some(Errno::EXIST) => "EEXIST",
        Some(Errno::AGAIN) => "EAGAIN",
        _ => "another error",
    }
}

/// A [`Call`] whose load is what has the fault.
fn load(name: &str, params: &str, number: u32) -> Result<Called> {
    let mut module = Module::to_insert(name)?;
    let (result, rest) = inject::during(number, || module.insert(name, params))?;
    if result.is_err() {
        let name = module::kernel_name(name);
        let path = Path::new("/sys/module").join(&name);
        ensure!(
            !module::loaded()?.contains(&name) && !path.exists(),
            "its load has failed, and it is there"
        );
    }
    module.unload_soon()?;
    Ok(Called {
        error: result.err(),
        rest,
    })
}

/// A [`Call`] whose unload is what has the fault.
fn unload(name: &str, params: &str, number: u32) -> Result<Called> {
    let mut module = Module::load(name, params)?;
    let (result, rest) = inject::during(number, || module.try_unload_soon())?;
    module.unload_soon().context("once more")?;
    Ok(Called {
        error: result.err().map(anyhow::Error::from),
        rest,
    })
}

/// Runs `test` in a process of its own, and unloads what it leaves loaded. Adds the texts
/// that it has `expected`.
fn apart(test: &Test, plan: Plan, others: &[String], expected: &mut Vec<String>) -> Result<Ended> {
    let ended = process::run(test.run, plan)?;
    let said = ended.said.iter().flat_map(|said| &said.expected);
    expected.extend(said.cloned());
    unload_all_but(others)?;
    Ok(ended)
}

/// At most `most` of the numbers from 1 to `count`: all, or one of each of as many stretches
/// of about the same length. The same for the same `what`.
fn choose(count: u32, most: u32, what: &impl Hash) -> Vec<u32> {
    if count <= most {
        return (1..=count).collect();
    }
    let (count, most) = (u64::from(count), u64::from(most));
    let number = |stretch: u64| {
        let (begin, end) = (stretch * count / most, (stretch + 1) * count / most);
        let mut hasher = DefaultHasher::new();
        (what, stretch).hash(&mut hasher);
        let number = 1 + begin + hasher.finish() % (end - begin);
        u32::try_from(number).expect("it is at most `count`")
    };
    (0..most).map(number).collect()
}

/// The allocation that is the `number`-th when those of each task follow those of the one
/// before it.
fn find(counts: &[u32], number: u32) -> Option<Fault> {
    let mut number = number;
    for (task, count) in counts.iter().enumerate() {
        if number <= *count {
            return Some(Fault { task, number });
        }
        number -= count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_chosen_or_one_of_each_stretch() {
        assert!(choose(0, 5, &"x").is_empty());
        assert_eq!(choose(3, 5, &"x"), [1, 2, 3]);
        assert!(choose(3, 0, &"x").is_empty());
        let some = choose(100, 10, &"x");
        assert_eq!(some, choose(100, 10, &"x"));
        assert_ne!(some, choose(100, 10, &"y"));
        let stretches: Vec<_> = some.iter().map(|number| (number - 1) / 10).collect();
        assert_eq!(stretches, (0..10).collect::<Vec<u32>>());
        assert!(choose(u32::MAX, 2, &"x").iter().all(|number| *number > 0));
    }

    #[test]
    fn allocations_are_counted_task_by_task() {
        let counts = [2, 0, 3];
        let found = [1, 2, 3, 5].map(|number| find(&counts, number).unwrap());
        let expected = [(0, 1), (0, 2), (2, 1), (2, 3)];
        assert_eq!(found, expected.map(|(task, number)| Fault { task, number }));
        assert_eq!(find(&counts, 6), None);
    }

    #[test]
    fn a_tally_is_told() {
        let mut tally = Tally::default();
        assert_eq!(tally.note(), "");
        tally.add("ENOMEM");
        tally.add("succeeded");
        tally.add("ENOMEM");
        tally.points.insert("f+0x1".to_owned());
        tally.left_out = 4;
        tally.notes.push("a note".to_owned());
        let note = "faults: 3, points: 1, ENOMEM: 2, succeeded: 1, left out: 4, a note";
        assert_eq!(tally.note(), note);
        let error = anyhow!(Errno::FAULT).context("insmod");
        assert_eq!(end_of(Some(&error)), "EFAULT");
        assert_eq!(end_of(None), "succeeded");
    }
}
