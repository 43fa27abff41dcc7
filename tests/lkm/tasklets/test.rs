// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        each_schedule_is_answered,
        several_at_once_are_one,
        never_twice_at_the_same_time,
        dropping_it_waits,
        unloading_while_it_is_scheduled,
        the_kernel_complains_of_drops_that_may_sleep,
    ],
    ..Example::EMPTY
};

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load("tasklets")?;
    Ok((module, Control::open("/proc/tasklets")?))
}

fn each_schedule_is_answered(vm: &mut Vm) -> Result {
    let (_module, tasklet) = load(vm)?;
    for number in 1..=100 {
        tasklet.call(SCHEDULE, 0)?;
        eventually("the tasklet", || tasklet.get(RUNS) == number)?;
    }
    assert_eq!(tasklet.get(ELSEWHERE), 0);
    Ok(())
}

/// It runs after the last of them, and at most once for each.
fn several_at_once_are_one(vm: &mut Vm) -> Result {
    let (_module, tasklet) = load(vm)?;
    for number in 1..=20 {
        let before = tasklet.get(RUNS);
        for _ in 0..number {
            tasklet.call(SCHEDULE, 0)?;
        }
        eventually("the tasklet", || tasklet.get(RUNS) > before)?;
        thread::sleep(Duration::from_millis(10));
        // One may be left from before.
        assert!(tasklet.get(RUNS) <= before + number + 1);
    }
    Ok(())
}

fn never_twice_at_the_same_time(vm: &mut Vm) -> Result {
    let (_module, tasklet) = load(vm)?;
    tasklet.call(DELAY, 200)?;
    on_threads(4, |_| {
        for _ in 0..200 {
            tasklet.call(SCHEDULE, 0)?;
        }
        Ok(())
    })?;
    let runs = tasklet.get(RUNS);
    assert!(runs > 1, "{runs}");
    assert_eq!(tasklet.get(MOST), 1);
    assert_eq!(tasklet.get(ELSEWHERE), 0);
    Ok(())
}

fn dropping_it_waits(vm: &mut Vm) -> Result {
    let (_module, tasklet) = load(vm)?;
    vm.rounds(|_| {
        for delay in [0, 500] {
            assert_eq!(tasklet.call(DROP, delay)?, 1);
            assert_eq!(tasklet.call(DROP_UNUSED, delay)?, 0);
        }
        Ok(())
    })
}

fn unloading_while_it_is_scheduled(vm: &mut Vm) -> Result {
    let mut delay = 0;
    vm.rounds(|vm| {
        delay = (delay + 100) % 800;
        let (module, tasklet) = load(vm)?;
        tasklet.call(DELAY, delay)?;
        on_threads(2, |_| Ok(tasklet.call(SCHEDULE, 0)?))?;
        module.unload()
    })
}

/// Nobody has waited in the queue: it is dropped without sleeping. The kernel complains
/// once in a while only.
fn the_kernel_complains_of_drops_that_may_sleep(vm: &mut Vm) -> Result {
    let (_module, tasklet) = load(vm)?;
    eventually("the kernel to complain", || {
        let before = tasklet.get(RUNS);
        tasklet.call(GIVE_QUEUE, 0).unwrap();
        tasklet.call(SCHEDULE, 0).unwrap();
        // What runs later would be complained of when the test has looked.
        eventually("the tasklet", || tasklet.get(RUNS) > before).unwrap();
        vm.log()
            .count("sleeping function called")
            .is_ok_and(|n| n > 0)
    })?;
    vm.log().expect_trouble("sleeping function called")?;
    // There is a second complaint if the softirq has interrupted a task that was about to
    // sleep.
    match vm.log().count("at __might_sleep+")? {
        0 => Ok(()),
        _ => vm.log().expect_trouble("at __might_sleep+"),
    }
}
