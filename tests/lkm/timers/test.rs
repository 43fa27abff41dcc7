// SPDX-License-Identifier: GPL-2.0-only

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use rustix::thread::{CpuSet, gettid, sched_getaffinity, sched_setaffinity};

use crate::prelude::*;
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        goes_off_once,
        never_before_so_many_ticks,
        a_later_start_counts,
        can_be_cancelled,
        goes_on_when_it_says_so,
        keeps_in_step,
        what_it_says_counts_more_than_a_start,
        far_times,
        never_twice_at_the_same_time,
        types_of_odd_sizes,
        dropping_it_waits,
        a_handler_may_drop_its_timer,
        dropping_it_with_interrupts_off_does_not_wait,
        unloading_before_it_goes_off,
        unloading_while_it_goes_on,
    ],
    ..Example::EMPTY
};

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load("timers")?;
    Ok((module, Control::open("/proc/timers")?))
}

/// Does `what` in a thread on each CPU, at the same time.
fn on_each_cpu(what: impl Fn(usize) + Sync) -> Result {
    let all = sched_getaffinity(None)?;
    thread::scope(|scope| {
        for cpu in (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)) {
            let what = &what;
            scope.spawn(move || {
                let mut set = CpuSet::new();
                set.set(cpu);
                sched_setaffinity(None, &set).unwrap();
                what(cpu);
            });
        }
    });
    Ok(())
}

/// How many ticks so many milliseconds are at least.
fn ticks(vm: &mut Vm, millis: usize) -> Result<usize> {
    let config = vm.sh("zcat /proc/config.gz")?;
    let rate = config
        .lines()
        .find_map(|line| line.strip_prefix("CONFIG_HZ="));
    let rate: usize = rate.context("CONFIG_HZ")?.parse()?;
    Ok((millis * rate).div_ceil(1000))
}

fn goes_off_once(vm: &mut Vm) -> Result {
    let (_module, timer) = load(vm)?;
    for (number, delay) in (1..).zip([0, 1, 10, 50, 0]) {
        assert_eq!(timer.get(IS_PENDING), 0);
        assert_eq!(timer.call(START, delay)?, 0);
        eventually("the timer", || timer.get(RUNS) == number)?;
        thread::sleep(Duration::from_millis(20));
        assert_eq!(timer.get(RUNS), number);
    }
    assert_eq!(timer.get(ELSEWHERE), 0);
    Ok(())
}

/// It is late at times, but not early by what it counts.
fn never_before_so_many_ticks(vm: &mut Vm) -> Result {
    let (_module, timer) = load(vm)?;
    for (number, delay) in (1..).zip([0, 1, 4, 5, 20, 100, 333]) {
        timer.call(START, delay)?;
        eventually("the timer", || timer.get(RUNS) == number)?;
        let (waited, least) = (timer.get(TICKS), ticks(vm, delay)?);
        assert!(waited >= least, "{waited} ticks, not {least}");
    }
    Ok(())
}

fn a_later_start_counts(vm: &mut Vm) -> Result {
    let (_module, timer) = load(vm)?;
    // Longer than this test, and than no time.
    const LONG: usize = 1 << 30;
    assert_eq!(timer.call(START, LONG)?, 0);
    assert_eq!(timer.get(IS_PENDING), 1);
    assert_eq!(timer.call(START, 1)?, 1);
    eventually("the timer", || timer.get(RUNS) == 1)?;
    for _ in 0..100 {
        assert_eq!(timer.call(START, 0).map(drop), Ok(()));
        timer.call(START, LONG)?;
    }
    // It may have gone off in between, and the handler may be running on another CPU.
    let runs = timer.get(RUNS);
    assert_eq!(timer.get(IS_PENDING), 1);
    thread::sleep(Duration::from_millis(50));
    assert!(timer.get(RUNS) <= runs + 1);
    assert_eq!(timer.get(IS_PENDING), 1);
    Ok(())
}

fn can_be_cancelled(vm: &mut Vm) -> Result {
    let (_module, timer) = load(vm)?;
    assert_eq!(timer.get(CANCEL), 0);
    timer.call(START, 1 << 30)?;
    assert_eq!(timer.get(CANCEL), 1);
    assert_eq!(timer.get(IS_PENDING), 0);
    assert_eq!(timer.get(CANCEL), 0);
    timer.call(START, 1)?;
    eventually("the timer", || timer.get(RUNS) == 1)?;
    // Also one that goes on: not while it is running, but in the end.
    timer.call(RESTART, AFTER)?;
    timer.call(START, 0)?;
    eventually("the timer", || timer.get(RUNS) > 10)?;
    eventually("the end", || timer.get(CANCEL) == 1)?;
    let runs = timer.get(RUNS);
    thread::sleep(Duration::from_millis(50));
    assert_eq!(timer.get(RUNS), runs);
    assert_eq!(timer.get(IS_PENDING), 0);
    Ok(())
}

fn goes_on_when_it_says_so(vm: &mut Vm) -> Result {
    let (_module, timer) = load(vm)?;
    for restart in [AFTER, AFTER | 3, EVERY, EVERY | 3, EVERY | 20] {
        let before = timer.get(RUNS);
        timer.call(RESTART, restart)?;
        timer.call(START, 0)?;
        eventually("the timer", || timer.get(RUNS) >= before + 10)?;
    }
    assert_eq!(timer.get(MOST), 1);
    assert_eq!(timer.get(ELSEWHERE), 0);
    Ok(())
}

/// Its handler takes longer than a tick. Counted from its end, all times would be longer.
fn keeps_in_step(vm: &mut Vm) -> Result {
    const INTERVAL: usize = 40;
    let (_module, timer) = load(vm)?;
    timer.call(DELAY, 5000)?;
    timer.call(RESTART, EVERY | INTERVAL)?;
    timer.call(START, 0)?;
    eventually("the timer", || timer.get(RUNS) >= 3)?;
    let interval = ticks(vm, INTERVAL)?;
    eventually("a time in step", || timer.get(TICKS) <= interval)
}

/// Each time it starts itself for ever, and yet there is a tenth time.
fn what_it_says_counts_more_than_a_start(vm: &mut Vm) -> Result {
    let (_module, timer) = load(vm)?;
    timer.call(STARTS_ITSELF, 0)?;
    eventually("the tenth time", || timer.get(DROPPED) == 1)
}

fn far_times(vm: &mut Vm) -> Result {
    let (_module, timer) = load(vm)?;
    for number in 0..FAR.len() {
        let before = timer.get(RUNS);
        timer.call(START_FAR, number)?;
        match number {
            0 | 1 => assert_eq!(timer.get(IS_PENDING), 1),
            _ => eventually("the timer", || timer.get(RUNS) > before)?,
        }
    }
    // The far ones were set anew: nothing else has gone off.
    assert_eq!(timer.get(RUNS), 2);
    Ok(())
}

/// Each CPU starts it again and again, while it starts itself.
fn never_twice_at_the_same_time(vm: &mut Vm) -> Result {
    let (_module, timer) = load(vm)?;
    timer.call(DELAY, 100)?;
    timer.call(RESTART, AFTER)?;
    let times = vm.fewer(2000) as usize;
    on_each_cpu(|cpu| {
        for number in 0..times {
            match (number + cpu) % 16 {
                0 => timer.call(CANCEL, 0).map(drop).unwrap(),
                _ => timer.call(START, number % 2).map(drop).unwrap(),
            }
        }
    })?;
    let before = timer.get(RUNS);
    timer.call(START, 0)?;
    eventually("the timer", || timer.get(RUNS) > before + 10)?;
    assert_eq!(timer.get(MOST), 1);
    assert_eq!(timer.get(ELSEWHERE), 0);
    Ok(())
}

fn types_of_odd_sizes(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, timer) = load(vm)?;
        timer.call(ODD, 0)?;
        eventually("both", || timer.get(ODD_RUNS) == 2)?;
        drop(timer);
        module.unload()
    })
}

/// When it is dropped it does not run, and will not.
fn dropping_it_waits(vm: &mut Vm) -> Result {
    let (_module, timer) = load(vm)?;
    for delay in [0, 1, 5] {
        for _ in 0..20 {
            assert_eq!(timer.call(DROP, delay)?, 0, "{delay}");
        }
    }
    on_each_cpu(|_| {
        for _ in 0..20 {
            assert_eq!(timer.call(DROP, 0), Ok(0));
        }
    })
}

fn a_handler_may_drop_its_timer(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, timer) = load(vm)?;
        for number in 1..=3 {
            timer.call(DROPS_ITSELF, 0)?;
            eventually("the drop", || timer.get(DROPPED) == number)?;
        }
        drop(timer);
        module.unload()?;
        assert_eq!(vm.log().count("not dropped")?, 0);
        Ok(())
    })
}

/// Some drivers call interrupt handlers like this: in process context, with interrupts off.
/// Another task stops the timer then, and drops what it owns.
fn dropping_it_with_interrupts_off_does_not_wait(vm: &mut Vm) -> Result {
    let (module, timer) = load(vm)?;
    timer.call(DROP_WITH_IRQS_OFF, 0)?;
    eventually("the drop", || timer.get(DROPPED) == 1)?;
    assert_ne!(timer.get(DROPPER), gettid().as_raw_pid() as usize);
    drop(timer);
    module.unload()
}

fn unloading_before_it_goes_off(vm: &mut Vm) -> Result {
    let mut delay = 0;
    vm.rounds(|vm| {
        delay = (delay + 1) % 10;
        let (module, timer) = load(vm)?;
        timer.call(START, delay)?;
        drop(timer);
        module.unload()
    })
}

fn unloading_while_it_goes_on(vm: &mut Vm) -> Result {
    let mut delay = 0;
    vm.rounds(|vm| {
        delay = (delay + 50) % 400;
        let (module, timer) = load(vm)?;
        timer.call(DELAY, delay)?;
        timer.call(RESTART, if delay % 100 == 0 { AFTER } else { EVERY | 1 })?;
        timer.call(START, 0)?;
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let starter = scope.spawn(|| {
                while !stop.load(SeqCst) {
                    for _ in 0..10 {
                        timer.call(START, 1).map(drop)?;
                    }
                    // Who starts it at each tick puts it off for ever.
                    thread::sleep(Duration::from_millis(20));
                }
                anyhow::Ok(())
            });
            let result = eventually("the timer", || timer.get(RUNS) > 2);
            stop.store(true, SeqCst);
            starter.join().unwrap().and(result)
        })?;
        drop(timer);
        module.unload()
    })
}
