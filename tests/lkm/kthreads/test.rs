// SPDX-License-Identifier: GPL-2.0-only

use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use crate::prelude::*;

pub const TESTS: &[Test] = tests![
    a_thread_has_a_name,
    a_thread_belongs_to_a_cpu,
    cpus_that_are_not_there,
    a_thread_returns_by_itself,
    a_thread_is_stopped,
    a_stop_that_wins,
    what_a_closure_owns_is_freed,
    joining_waits_for_the_end,
    a_stop_ends_waits,
    parked_threads_do_nothing,
    parking_what_is_about_to_end,
    signals_are_no_matter,
    unloading_while_it_sleeps,
    unloading_while_it_waits,
    unloading_while_it_is_parked,
    unloading_while_it_ends,
    threads_of_a_group_end,
    dropping_a_group_stops_its_threads,
    unloading_while_a_group_ends,
];

const fn command(number: u32) -> u32 {
    ((b't' as u32) << 8) | number
}

const SPAWN: u32 = command(0);
const SPAWN_ON: u32 = command(1);
const STOP: u32 = command(2);
const JOIN: u32 = command(3);
const PARK: u32 = command(4);
const UNPARK: u32 = command(5);
const IS_FINISHED: u32 = command(6);
const RUNS: u32 = command(7);
const OWNED: u32 = command(8);
const COMPLETE: u32 = command(9);
const STOP_AT_ONCE: u32 = command(10);
const CPUS: u32 = command(11);
const JOIN_GROUP: u32 = command(12);
const DROP_GROUP: u32 = command(13);

const RETURN: usize = 0;
const FAIL: usize = 1;
const SLEEP: usize = 2;
const GO_ROUND: usize = 3;
const WAIT: usize = 4;
const TAKE_TIME: usize = 5;
const SLEEP_LONG: usize = 6;

type Answer = std::result::Result<usize, Errno>;

struct Threads(File);

impl Threads {
    fn open() -> Result<Self> {
        let file = OpenOptions::new().read(true).open("/proc/kthreads")?;
        Ok(Self(file))
    }

    fn call(&self, command: u32, number: usize) -> Answer {
        ioctl(&self.0, command, Argument::Number(number))
    }

    fn spawn(&self, what: usize) -> Result {
        self.call(SPAWN, what)?;
        Ok(())
    }

    fn runs(&self) -> usize {
        self.call(RUNS, 0).unwrap_or(0)
    }

    fn has_finished(&self) -> bool {
        self.call(IS_FINISHED, 0) == Ok(1)
    }

    fn owned(&self) -> usize {
        self.call(OWNED, 0).unwrap_or(usize::MAX)
    }
}

/// The module's threads that belong to no CPU.
fn tasks() -> Vec<Task> {
    live_tasks(|name| name == "lkm_thread")
}

/// The state of the one thread.
fn state() -> String {
    match &tasks()[..] {
        [task] => task.field("State").to_owned(),
        several => format!("{} threads", several.len()),
    }
}

fn a_thread_has_a_name(vm: &mut Vm) -> Result {
    let _module = vm.load("kthreads")?;
    let threads = Threads::open()?;
    threads.spawn(SLEEP)?;
    assert_eq!(tasks().len(), 1);
    threads.call(STOP, 0)?;
    assert_eq!(tasks().len(), 0);
    Ok(())
}

fn a_thread_belongs_to_a_cpu(vm: &mut Vm) -> Result {
    let _module = vm.load("kthreads")?;
    let threads = Threads::open()?;
    let cpus = threads.call(CPUS, 0)?;
    assert!(cpus > 1, "{cpus}");
    for cpu in 0..cpus {
        threads.call(SPAWN_ON, SLEEP | (cpu << 32))?;
        let tasks = live_tasks(|name| name == format!("lkm_thread/{cpu}"));
        assert_eq!(tasks.len(), 1);
        let allowed = tasks[0].field("Cpus_allowed_list");
        assert_eq!(allowed, cpu.to_string());
        threads.call(STOP, 0)?;
    }
    Ok(())
}

fn cpus_that_are_not_there(vm: &mut Vm) -> Result {
    const ONLINE: &str = "/sys/devices/system/cpu/cpu1/online";
    let _module = vm.load("kthreads")?;
    let threads = Threads::open()?;
    // The module's own answer for what can be no number of a CPU.
    assert_eq!(threads.call(SPAWN_ON, 1000 << 32), Err(Errno::DOM));
    fs::write(ONLINE, "0")?;
    let answer = threads.call(SPAWN_ON, 1 << 32);
    let cpus = threads.call(CPUS, 0);
    fs::write(ONLINE, "1")?;
    assert_eq!(answer, Err(Errno::INVAL));
    assert_eq!(cpus.map(|cpus| cpus + 1), threads.call(CPUS, 0));
    assert_eq!(threads.owned(), 0);
    Ok(())
}

fn a_thread_returns_by_itself(vm: &mut Vm) -> Result {
    let module = vm.load("kthreads")?;
    let threads = Threads::open()?;
    for (what, answer) in [(RETURN, Ok(0)), (FAIL, Err(Errno::NOSPC))] {
        threads.spawn(what)?;
        vm.wait_for("the thread", || threads.has_finished())?;
        vm.wait_for("its end", || tasks().is_empty())?;
        assert_eq!(threads.owned(), 0);
        assert_eq!(threads.call(STOP, 0), answer);
    }
    // Nobody asks this one.
    threads.spawn(FAIL)?;
    vm.wait_for("the thread", || threads.has_finished())?;
    module.unload()
}

fn a_thread_is_stopped(vm: &mut Vm) -> Result {
    let _module = vm.load("kthreads")?;
    let threads = Threads::open()?;
    for what in [SLEEP, SLEEP_LONG, GO_ROUND] {
        let before = threads.runs();
        threads.spawn(what)?;
        vm.wait_for("the thread", || threads.runs() > before)?;
        assert!(!threads.has_finished());
        assert_eq!(threads.call(STOP, 0), Ok(0), "{what}");
        assert_eq!(tasks().len(), 0);
        assert_eq!(threads.call(STOP, 0), Err(Errno::NOENT));
    }
    Ok(())
}

/// Then the thread does not run at all, and what its closure owns is freed all
/// the same.
fn a_stop_that_wins(vm: &mut Vm) -> Result {
    let _module = vm.load("kthreads")?;
    let threads = Threads::open()?;
    // Its CPU is to be busy, with this.
    let all = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    one.set(0);
    sched_setaffinity(None, &one)?;
    let mut won = 0;
    for _ in 0..200 {
        let before = threads.runs();
        let answer = threads.call(STOP_AT_ONCE, SLEEP);
        let ran = threads.runs() - before;
        match answer {
            Err(Errno::INTR) => {
                won += 1;
                assert_eq!(ran, 0);
            }
            answer => assert_eq!((answer, ran), (Ok(0), 1)),
        }
        assert_eq!(threads.owned(), 0);
    }
    sched_setaffinity(None, &all)?;
    assert!(won > 0, "no stop has won");
    Ok(())
}

fn what_a_closure_owns_is_freed(vm: &mut Vm) -> Result {
    let _module = vm.load("kthreads")?;
    let threads = Threads::open()?;
    vm.rounds(|vm| {
        threads.spawn(RETURN)?;
        threads.call(JOIN, 0)?;
        assert_eq!(threads.owned(), 0);
        let before = threads.runs();
        threads.spawn(SLEEP)?;
        vm.wait_for("the thread", || threads.runs() > before)?;
        assert_eq!(threads.owned(), 1);
        threads.call(STOP, 0)?;
        assert_eq!(threads.owned(), 0);
        Ok(())
    })
}

fn joining_waits_for_the_end(vm: &mut Vm) -> Result {
    let _module = vm.load("kthreads")?;
    let threads = Threads::open()?;
    for _ in 0..5 {
        let before = threads.runs();
        threads.spawn(TAKE_TIME)?;
        assert_eq!(threads.call(JOIN, 0), Ok(0));
        assert_eq!(threads.runs(), before + 2);
        assert_eq!(tasks().len(), 0);
    }
    threads.spawn(FAIL)?;
    assert_eq!(threads.call(JOIN, 0), Err(Errno::NOSPC));
    Ok(())
}

fn a_stop_ends_waits(vm: &mut Vm) -> Result {
    let _module = vm.load("kthreads")?;
    let threads = Threads::open()?;
    for completed in [0, 1] {
        let before = threads.runs();
        threads.spawn(WAIT)?;
        for _ in 0..completed {
            threads.call(COMPLETE, 0)?;
        }
        vm.wait_for("the thread", || threads.runs() == before + 1 + completed)?;
        vm.wait_for("its wait", || state() == "S (sleeping)")?;
        assert_eq!(threads.call(STOP, 0), Err(Errno::PIPE));
        assert_eq!(threads.runs(), before + 1 + completed);
    }
    // What it waits for comes before.
    threads.spawn(WAIT)?;
    threads.call(COMPLETE, 0)?;
    threads.call(COMPLETE, 0)?;
    assert_eq!(threads.call(JOIN, 0), Ok(0));
    Ok(())
}

fn parked_threads_do_nothing(vm: &mut Vm) -> Result {
    let _module = vm.load("kthreads")?;
    let threads = Threads::open()?;
    for what in [GO_ROUND, SLEEP] {
        threads.spawn(what)?;
        for _ in 0..3 {
            assert_eq!(threads.call(UNPARK, 0), Err(Errno::INVAL));
            threads.call(PARK, 0)?;
            assert_eq!(state(), "P (parked)");
            assert_eq!(threads.call(PARK, 0), Err(Errno::BUSY));
            assert!(!threads.has_finished());
            let before = threads.runs();
            thread::sleep(Duration::from_millis(50));
            assert_eq!(threads.runs(), before);
            threads.call(UNPARK, 0)?;
            let goes_on = || threads.runs() > before || what == SLEEP;
            vm.wait_for("the thread", goes_on)?;
            vm.wait_for("its sleep", || state() == "S (sleeping)")?;
        }
        threads.call(PARK, 0)?;
        assert_eq!(threads.call(STOP, 0), Ok(0), "while it is parked");
    }
    threads.spawn(RETURN)?;
    vm.wait_for("the thread", || threads.has_finished())?;
    assert_eq!(threads.call(PARK, 0), Err(Errno::SRCH));
    assert_eq!(threads.call(UNPARK, 0), Err(Errno::INVAL));
    Ok(())
}

/// A thread that ends while somebody parks it would not be heard of again.
fn parking_what_is_about_to_end(vm: &mut Vm) -> Result {
    let _module = vm.load("kthreads")?;
    let threads = Threads::open()?;
    vm.rounds(|_| {
        threads.spawn(RETURN)?;
        match threads.call(PARK, 0) {
            Ok(_) => {
                assert!(!threads.has_finished());
                threads.call(UNPARK, 0)?;
            }
            Err(error) => assert_eq!(error, Errno::SRCH),
        }
        assert_eq!(threads.call(JOIN, 0), Ok(0));
        Ok(())
    })?;
    // Such a thread is in no closure, and stops all the same.
    vm.rounds(|_| {
        threads.spawn(RETURN)?;
        let _ = threads.call(PARK, 0);
        assert_eq!(threads.call(STOP, 0), Ok(0));
        Ok(())
    })
}

fn signals_are_no_matter(vm: &mut Vm) -> Result {
    let _module = vm.load("kthreads")?;
    let threads = Threads::open()?;
    threads.spawn(WAIT)?;
    vm.wait_for("its wait", || state() == "S (sleeping)")?;
    let pid = tasks()[0].field("Pid").parse()?;
    let pid = Pid::from_raw(pid).context("a process")?;
    for signal in [Signal::KILL, Signal::TERM, Signal::USR1] {
        kill_process(pid, signal)?;
    }
    thread::sleep(Duration::from_millis(50));
    assert_eq!(state(), "S (sleeping)");
    assert!(!threads.has_finished());
    threads.call(COMPLETE, 0)?;
    threads.call(COMPLETE, 0)?;
    assert_eq!(threads.call(JOIN, 0), Ok(0));
    Ok(())
}

fn unloading_while_it_sleeps(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = vm.load("kthreads")?;
        Threads::open()?.spawn(SLEEP)?;
        module.unload()
    })
}

fn unloading_while_it_waits(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = vm.load("kthreads")?;
        let threads = Threads::open()?;
        threads.spawn(WAIT)?;
        vm.wait_for("the thread", || threads.runs() == 1)?;
        module.unload()
    })
}

fn unloading_while_it_is_parked(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = vm.load("kthreads")?;
        let threads = Threads::open()?;
        threads.spawn(GO_ROUND)?;
        threads.call(PARK, 0)?;
        module.unload()
    })
}

fn unloading_while_it_ends(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = vm.load("kthreads")?;
        Threads::open()?.spawn(RETURN)?;
        module.unload()
    })
}

/// By themselves, and nothing is left of them but for the last one.
fn threads_of_a_group_end(vm: &mut Vm) -> Result {
    let _module = vm.load("kthreads")?;
    let threads = Threads::open()?;
    vm.rounds(|vm| {
        for what in [RETURN, FAIL, TAKE_TIME, RETURN] {
            threads.call(JOIN_GROUP, what)?;
        }
        vm.wait_for("the threads", || tasks().is_empty())?;
        assert_eq!(threads.owned(), 0);
        Ok(())
    })?;
    assert_eq!(threads.call(DROP_GROUP, 0), Ok(0));
    Ok(())
}

fn dropping_a_group_stops_its_threads(vm: &mut Vm) -> Result {
    let _module = vm.load("kthreads")?;
    let threads = Threads::open()?;
    vm.rounds(|vm| {
        let before = threads.runs();
        for what in [SLEEP, WAIT, SLEEP_LONG] {
            threads.call(JOIN_GROUP, what)?;
        }
        vm.wait_for("the threads", || threads.runs() == before + 3)?;
        assert_eq!(threads.owned(), 3);
        // While these end or begin.
        for what in [TAKE_TIME, RETURN, RETURN, SLEEP] {
            threads.call(JOIN_GROUP, what)?;
        }
        assert_eq!(threads.call(DROP_GROUP, 0), Ok(0));
        assert_eq!(tasks().len(), 0);
        assert_eq!(threads.owned(), 0);
        Ok(())
    })
}

fn unloading_while_a_group_ends(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = vm.load("kthreads")?;
        let threads = Threads::open()?;
        for what in [RETURN, SLEEP, RETURN, RETURN, WAIT, RETURN] {
            threads.call(JOIN_GROUP, what)?;
        }
        drop(threads);
        module.unload()
    })
}
