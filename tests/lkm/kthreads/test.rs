// SPDX-License-Identifier: GPL-2.0-only

use rustix::{
    process::{Pid, Signal, getpid, kill_process},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use crate::prelude::*;
use commands::*;
use signals::{Reaction, react};

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        a_thread_has_a_name,
        a_thread_belongs_to_a_cpu,
        cpus_that_are_not_there,
        a_thread_returns_by_itself,
        a_thread_is_stopped,
        a_thread_returns_a_value,
        a_value_that_nobody_takes_is_dropped,
        a_stop_that_wins,
        what_a_closure_owns_is_freed,
        joining_waits_for_the_end,
        a_stop_ends_waits,
        parked_threads_do_nothing,
        parking_what_is_about_to_end,
        parking_ends_no_wait,
        who_parks_may_give_up,
        signals_are_no_matter,
        unloading_while_it_sleeps,
        unloading_while_it_waits,
        unloading_while_it_is_parked,
        unloading_while_it_ends,
        threads_of_a_group_end,
        dropping_a_group_stops_its_threads,
        threads_of_a_group_are_asked_together,
        unloading_while_a_group_ends,
    ],
    ..Example::EMPTY
};

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load("kthreads")?;
    Ok((module, Control::open("/proc/kthreads")?))
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
    let (_module, threads) = load(vm)?;
    threads.call(SPAWN, SLEEP)?;
    assert_eq!(tasks().len(), 1);
    // It runs before it is stopped.
    eventually("the thread", || threads.get(RUNS) > 0)?;
    threads.call(STOP, 0)?;
    assert_eq!(tasks().len(), 0);
    Ok(())
}

fn a_thread_belongs_to_a_cpu(vm: &mut Vm) -> Result {
    let (_module, threads) = load(vm)?;
    let cpus = threads.get(CPUS);
    assert!(cpus > 1, "{cpus}");
    for cpu in 0..cpus {
        let before = threads.get(RUNS);
        threads.call(SPAWN_ON, SLEEP | (cpu << 32))?;
        let tasks = live_tasks(|name| name == format!("lkm_thread/{cpu}"));
        assert_eq!(tasks.len(), 1);
        let allowed = tasks[0].field("Cpus_allowed_list");
        assert_eq!(allowed, cpu.to_string());
        eventually("the thread", || threads.get(RUNS) > before)?;
        threads.call(STOP, 0)?;
    }
    Ok(())
}

fn cpus_that_are_not_there(vm: &mut Vm) -> Result {
    const ONLINE: &str = "/sys/devices/system/cpu/cpu1/online";
    let (_module, threads) = load(vm)?;
    // The module's own answer for what can be no number of a CPU.
    assert_eq!(threads.call(SPAWN_ON, 1000 << 32), Err(Errno::DOM));
    fs::write(ONLINE, "0")?;
    let answer = threads.call(SPAWN_ON, 1 << 32);
    let cpus = threads.call(CPUS, 0);
    // The kernel waits for it, but only ten seconds.
    eventually("the CPU", || fs::write(ONLINE, "1").is_ok())?;
    assert_eq!(answer, Err(Errno::INVAL));
    assert_eq!(cpus.map(|cpus| cpus + 1), threads.call(CPUS, 0));
    assert_eq!(threads.get(OWNED), 0);
    Ok(())
}

fn a_thread_returns_by_itself(vm: &mut Vm) -> Result {
    let (module, threads) = load(vm)?;
    for (what, answer) in [(RETURN, Ok(0)), (FAIL, Err(Errno::NOSPC))] {
        threads.call(SPAWN, what)?;
        eventually("the thread", || threads.get(IS_FINISHED) == 1)?;
        eventually("its end", || tasks().is_empty())?;
        assert_eq!(threads.get(OWNED), 0);
        assert_eq!(threads.call(STOP, 0), answer);
    }
    // Nobody asks this one.
    threads.call(SPAWN, FAIL)?;
    eventually("the thread", || threads.get(IS_FINISHED) == 1)?;
    module.unload()
}

fn a_thread_is_stopped(vm: &mut Vm) -> Result {
    let (_module, threads) = load(vm)?;
    for what in [SLEEP, SLEEP_LONG, GO_ROUND] {
        let before = threads.get(RUNS);
        threads.call(SPAWN, what)?;
        eventually("the thread", || threads.get(RUNS) > before)?;
        assert_eq!(threads.get(IS_FINISHED), 0);
        assert_eq!(threads.call(STOP, 0), Ok(0), "{what}");
        assert_eq!(tasks().len(), 0);
        assert_eq!(threads.call(STOP, 0), Err(Errno::NOENT));
    }
    Ok(())
}

fn a_thread_returns_a_value(vm: &mut Vm) -> Result {
    let (_module, threads) = load(vm)?;
    for end in [STOP, JOIN] {
        threads.call(SPAWN, RETURN | KEEP)?;
        eventually("the thread", || threads.get(IS_FINISHED) == 1)?;
        assert_eq!(threads.get(OWNED), 1);
        assert_eq!(threads.call(end, 0), Ok(SIZE));
        assert_eq!(threads.get(OWNED), 0);

        threads.call(SPAWN, FAIL | KEEP)?;
        eventually("the thread", || threads.get(IS_FINISHED) == 1)?;
        assert_eq!(threads.get(OWNED), 0);
        assert_eq!(threads.call(end, 0), Err(Errno::NOSPC));
    }
    // Values that are not there yet.
    threads.call(SPAWN, TAKE_TIME | KEEP)?;
    assert_eq!(threads.call(JOIN, 0), Ok(SIZE));
    let before = threads.get(RUNS);
    threads.call(SPAWN, SLEEP | KEEP)?;
    eventually("the thread", || threads.get(RUNS) > before)?;
    assert_eq!(threads.call(STOP, 0), Ok(SIZE));
    assert_eq!(threads.get(OWNED), 0);
    Ok(())
}

fn a_value_that_nobody_takes_is_dropped(vm: &mut Vm) -> Result {
    let (module, threads) = load(vm)?;
    vm.rounds(|_| {
        threads.call(SPAWN, RETURN | KEEP)?;
        eventually("the thread", || threads.get(IS_FINISHED) == 1)?;
        assert_eq!(threads.get(OWNED), 1);
        threads.call(DROP, 0)?;
        assert_eq!(threads.get(OWNED), 0);

        let before = threads.get(RUNS);
        threads.call(SPAWN, SLEEP | KEEP)?;
        eventually("the thread", || threads.get(RUNS) > before)?;
        threads.call(DROP, 0)?;
        assert_eq!(threads.get(OWNED), 0);
        Ok(())
    })?;
    // The debug kernel finds what unloading would leave.
    threads.call(SPAWN, RETURN | KEEP)?;
    eventually("the thread", || threads.get(IS_FINISHED) == 1)?;
    drop(threads);
    module.unload()
}

/// Then the thread does not run at all, and what its closure owns is freed all
/// the same.
fn a_stop_that_wins(vm: &mut Vm) -> Result {
    let (_module, threads) = load(vm)?;
    // Its CPU is to be busy, with this.
    let all = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    one.set(0);
    sched_setaffinity(None, &one)?;
    let mut won = 0;
    for _ in 0..200 {
        let before = threads.get(RUNS);
        let answer = threads.call(STOP_AT_ONCE, SLEEP | KEEP);
        let ran = threads.get(RUNS) - before;
        match answer {
            Err(Errno::INTR) => {
                won += 1;
                assert_eq!(ran, 0);
            }
            answer => assert_eq!((answer, ran), (Ok(SIZE), 1)),
        }
        assert_eq!(threads.get(OWNED), 0);
    }
    sched_setaffinity(None, &all)?;
    assert!(won > 0, "no stop has won");
    Ok(())
}

fn what_a_closure_owns_is_freed(vm: &mut Vm) -> Result {
    let (_module, threads) = load(vm)?;
    vm.rounds(|_| {
        threads.call(SPAWN, RETURN)?;
        threads.call(JOIN, 0)?;
        assert_eq!(threads.get(OWNED), 0);
        let before = threads.get(RUNS);
        threads.call(SPAWN, SLEEP)?;
        eventually("the thread", || threads.get(RUNS) > before)?;
        assert_eq!(threads.get(OWNED), 1);
        threads.call(STOP, 0)?;
        assert_eq!(threads.get(OWNED), 0);
        Ok(())
    })
}

fn joining_waits_for_the_end(vm: &mut Vm) -> Result {
    let (_module, threads) = load(vm)?;
    for _ in 0..5 {
        let before = threads.get(RUNS);
        threads.call(SPAWN, TAKE_TIME)?;
        assert_eq!(threads.call(JOIN, 0), Ok(0));
        assert_eq!(threads.get(RUNS), before + 2);
        assert_eq!(tasks().len(), 0);
    }
    threads.call(SPAWN, FAIL)?;
    assert_eq!(threads.call(JOIN, 0), Err(Errno::NOSPC));
    Ok(())
}

fn a_stop_ends_waits(vm: &mut Vm) -> Result {
    let (_module, threads) = load(vm)?;
    for completed in [0, 1] {
        let before = threads.get(RUNS);
        threads.call(SPAWN, WAIT)?;
        for _ in 0..completed {
            threads.call(COMPLETE, 0)?;
        }
        eventually("the thread", || threads.get(RUNS) == before + 1 + completed)?;
        eventually("its wait", || state() == "S (sleeping)")?;
        assert_eq!(threads.call(STOP, 0), Err(Errno::PIPE));
        assert_eq!(threads.get(RUNS), before + 1 + completed);
    }
    // What it waits for comes before.
    threads.call(SPAWN, WAIT)?;
    threads.call(COMPLETE, 0)?;
    threads.call(COMPLETE, 0)?;
    assert_eq!(threads.call(JOIN, 0), Ok(0));
    Ok(())
}

fn parked_threads_do_nothing(vm: &mut Vm) -> Result {
    let (_module, threads) = load(vm)?;
    for what in [GO_ROUND, SLEEP] {
        threads.call(SPAWN, what)?;
        for _ in 0..3 {
            assert_eq!(threads.call(UNPARK, 0), Err(Errno::INVAL));
            threads.call(PARK, 0)?;
            assert_eq!(state(), "P (parked)");
            assert_eq!(threads.call(PARK, 0), Err(Errno::BUSY));
            assert_eq!(threads.get(IS_FINISHED), 0);
            let before = threads.get(RUNS);
            thread::sleep(Duration::from_millis(50));
            assert_eq!(threads.get(RUNS), before);
            threads.call(UNPARK, 0)?;
            let goes_on = || threads.get(RUNS) > before || what == SLEEP;
            eventually("the thread", goes_on)?;
            eventually("its sleep", || state() == "S (sleeping)")?;
        }
        threads.call(PARK, 0)?;
        assert_eq!(threads.call(STOP, 0), Ok(0), "while it is parked");
    }
    threads.call(SPAWN, RETURN)?;
    eventually("the thread", || threads.get(IS_FINISHED) == 1)?;
    assert_eq!(threads.call(PARK, 0), Err(Errno::SRCH));
    assert_eq!(threads.call(UNPARK, 0), Err(Errno::INVAL));
    Ok(())
}

/// A thread that ends while somebody parks it would not be heard of again.
fn parking_what_is_about_to_end(vm: &mut Vm) -> Result {
    let (_module, threads) = load(vm)?;
    vm.rounds(|_| {
        threads.call(SPAWN, RETURN)?;
        match threads.call(PARK, 0) {
            Ok(_) => {
                assert_eq!(threads.get(IS_FINISHED), 0);
                threads.call(UNPARK, 0)?;
            }
            Err(error) => assert_eq!(error, Errno::SRCH),
        }
        assert_eq!(threads.call(JOIN, 0), Ok(0));
        Ok(())
    })?;
    // Such a thread is in no closure, and stops all the same.
    vm.rounds(|_| {
        threads.call(SPAWN, RETURN)?;
        let _ = threads.call(PARK, 0);
        assert_eq!(threads.call(STOP, 0), Ok(0));
        Ok(())
    })
}

/// A wait goes on, and does not turn into going round and round.
fn parking_ends_no_wait(vm: &mut Vm) -> Result {
    let (_module, threads) = load(vm)?;
    threads.call(SPAWN, WAIT_IN_QUEUE)?;
    eventually("its wait", || threads.get(RUNS) > 1)?;
    let parker = threads.clone();
    let waiter = Waiter::begin(move || parker.call(PARK, 0));
    assert_eq!(waiter.end()?, Ok(0));
    assert_eq!(state(), "P (parked)");
    // It is asked twice or so for each half of a second.
    let runs = threads.get(RUNS);
    assert!(runs < 1000, "asked {runs} times");
    threads.call(UNPARK, 0)?;
    assert_eq!(threads.call(STOP, 0), Ok(0));
    Ok(())
}

/// The thread then goes on, and can be parked again.
fn who_parks_may_give_up(vm: &mut Vm) -> Result {
    let (_module, threads) = load(vm)?;
    let _reacting = react(Signal::USR1, Reaction::Count)?;
    let _mask = signals::block(Signal::USR1)?;
    threads.call(SPAWN, WAIT)?;
    eventually("its wait", || state() == "S (sleeping)")?;
    for _ in 0..10 {
        let waiter = threads.caller(PARK, 0)?;
        kill_process(getpid(), Signal::USR1)?;
        assert_eq!(waiter.end()?, Err(Errno::INTR));
        assert_eq!(threads.call(UNPARK, 0), Err(Errno::INVAL));
    }
    // It never came to park.
    let waiter = threads.caller(PARK, 0)?;
    waiter.sleeps()?;
    threads.call(COMPLETE, 0)?;
    threads.call(COMPLETE, 0)?;
    assert_eq!(waiter.end()?, Err(Errno::SRCH));
    assert_eq!(threads.call(JOIN, 0), Ok(0));

    // One that comes just then is parked, or goes on.
    threads.call(SPAWN, GO_ROUND)?;
    for _ in 0..vm.fewer(200) {
        let parker = threads.clone();
        let waiter = Waiter::begin(move || {
            let _mask = signals::unblock(Signal::USR1);
            parker.call(PARK, 0)
        });
        kill_process(getpid(), Signal::USR1)?;
        match waiter.end()? {
            Ok(_) => drop(threads.call(UNPARK, 0)?),
            Err(error) => assert_eq!(error, Errno::INTR),
        }
        threads.call(PARK, 0)?;
        assert_eq!(state(), "P (parked)");
        threads.call(UNPARK, 0)?;
    }
    assert_eq!(threads.call(STOP, 0), Ok(0));
    Ok(())
}

fn signals_are_no_matter(vm: &mut Vm) -> Result {
    let (_module, threads) = load(vm)?;
    threads.call(SPAWN, WAIT)?;
    eventually("its wait", || state() == "S (sleeping)")?;
    let pid = tasks()[0].field("Pid").parse()?;
    let pid = Pid::from_raw(pid).context("a process")?;
    for signal in [Signal::KILL, Signal::TERM, Signal::USR1] {
        kill_process(pid, signal)?;
    }
    thread::sleep(Duration::from_millis(50));
    assert_eq!(state(), "S (sleeping)");
    assert_eq!(threads.get(IS_FINISHED), 0);
    threads.call(COMPLETE, 0)?;
    threads.call(COMPLETE, 0)?;
    assert_eq!(threads.call(JOIN, 0), Ok(0));
    Ok(())
}

fn unloading_while_it_sleeps(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, threads) = load(vm)?;
        threads.call(SPAWN, SLEEP)?;
        drop(threads);
        module.unload()
    })
}

fn unloading_while_it_waits(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, threads) = load(vm)?;
        threads.call(SPAWN, WAIT)?;
        eventually("the thread", || threads.get(RUNS) == 1)?;
        module.unload()
    })
}

fn unloading_while_it_is_parked(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, threads) = load(vm)?;
        threads.call(SPAWN, GO_ROUND)?;
        threads.call(PARK, 0)?;
        module.unload()
    })
}

fn unloading_while_it_ends(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, threads) = load(vm)?;
        threads.call(SPAWN, RETURN)?;
        drop(threads);
        module.unload()
    })
}

/// By themselves, and nothing is left of them but for the last one.
fn threads_of_a_group_end(vm: &mut Vm) -> Result {
    let (_module, threads) = load(vm)?;
    vm.rounds(|_| {
        for what in [RETURN, FAIL, TAKE_TIME, RETURN] {
            threads.call(JOIN_GROUP, what)?;
        }
        eventually("the threads", || tasks().is_empty())?;
        assert_eq!(threads.get(OWNED), 0);
        Ok(())
    })?;
    assert_eq!(threads.call(DROP_GROUP, 0), Ok(0));
    Ok(())
}

fn dropping_a_group_stops_its_threads(vm: &mut Vm) -> Result {
    let (_module, threads) = load(vm)?;
    vm.rounds(|_| {
        let before = threads.get(RUNS);
        for what in [SLEEP, WAIT, SLEEP_LONG] {
            threads.call(JOIN_GROUP, what)?;
        }
        eventually("the threads", || threads.get(RUNS) == before + 3)?;
        assert_eq!(threads.get(OWNED), 3);
        // While these end or begin.
        for what in [TAKE_TIME, RETURN, RETURN, SLEEP] {
            threads.call(JOIN_GROUP, what)?;
        }
        assert_eq!(threads.call(DROP_GROUP, 0), Ok(0));
        assert_eq!(tasks().len(), 0);
        assert_eq!(threads.get(OWNED), 0);
        Ok(())
    })
}

/// Each waits for all the others.
fn threads_of_a_group_are_asked_together(vm: &mut Vm) -> Result {
    let (_module, threads) = load(vm)?;
    for _ in 0..TOGETHER {
        threads.call(JOIN_GROUP, STOP_TOGETHER)?;
    }
    eventually("the threads", || threads.get(RUNS) == TOGETHER as usize)?;
    threads.call(DROP_GROUP, 0)?;
    assert_eq!(threads.get(RUNS), 2 * TOGETHER as usize);
    Ok(())
}

fn unloading_while_a_group_ends(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, threads) = load(vm)?;
        for what in [RETURN, SLEEP, RETURN, RETURN, WAIT, RETURN] {
            threads.call(JOIN_GROUP, what)?;
        }
        drop(threads);
        module.unload()
    })
}
