// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const TESTS: &[Test] = tests![
    each_schedule_is_answered,
    several_at_once_are_one,
    never_twice_at_the_same_time,
    dropping_it_waits,
    unloading_while_it_is_scheduled,
];

const fn command(number: u32) -> u32 {
    ((b'l' as u32) << 8) | number
}

const SCHEDULE: u32 = command(0);
const RUNS: u32 = command(1);
const MOST: u32 = command(2);
const ELSEWHERE: u32 = command(3);
const DELAY: u32 = command(4);
const DROP: u32 = command(5);
const DROP_UNUSED: u32 = command(6);

fn open() -> Result<File> {
    Ok(File::open("/proc/tasklets")?)
}

fn call(file: &File, command: u32, number: usize) -> Result<usize> {
    Ok(ioctl(file, command, Argument::Number(number))?)
}

fn each_schedule_is_answered(vm: &mut Vm) -> Result {
    let _module = vm.load("tasklets")?;
    let file = open()?;
    for number in 1..=100 {
        call(&file, SCHEDULE, 0)?;
        let ran = || call(&file, RUNS, 0).is_ok_and(|runs| runs == number);
        vm.wait_for("the tasklet", ran)?;
    }
    assert_eq!(call(&file, ELSEWHERE, 0)?, 0);
    Ok(())
}

/// It runs after the last of them, and at most once for each.
fn several_at_once_are_one(vm: &mut Vm) -> Result {
    let _module = vm.load("tasklets")?;
    let file = open()?;
    for number in 1..=20 {
        let before = call(&file, RUNS, 0)?;
        for _ in 0..number {
            call(&file, SCHEDULE, 0)?;
        }
        let ran = || call(&file, RUNS, 0).is_ok_and(|runs| runs > before);
        vm.wait_for("the tasklet", ran)?;
        thread::sleep(Duration::from_millis(10));
        assert!(call(&file, RUNS, 0)? <= before + number);
    }
    Ok(())
}

fn never_twice_at_the_same_time(vm: &mut Vm) -> Result {
    let _module = vm.load("tasklets")?;
    let file = open()?;
    call(&file, DELAY, 200)?;
    on_threads(4, |_| {
        for _ in 0..200 {
            call(&file, SCHEDULE, 0)?;
        }
        Ok(())
    })?;
    let runs = call(&file, RUNS, 0)?;
    assert!(runs > 1, "{runs}");
    assert_eq!(call(&file, MOST, 0)?, 1);
    assert_eq!(call(&file, ELSEWHERE, 0)?, 0);
    Ok(())
}

fn dropping_it_waits(vm: &mut Vm) -> Result {
    let _module = vm.load("tasklets")?;
    let file = open()?;
    vm.rounds(|_| {
        for delay in [0, 500] {
            assert_eq!(call(&file, DROP, delay)?, 1);
            assert_eq!(call(&file, DROP_UNUSED, delay)?, 0);
        }
        Ok(())
    })
}

fn unloading_while_it_is_scheduled(vm: &mut Vm) -> Result {
    let mut delay = 0;
    vm.rounds(|vm| {
        delay = (delay + 100) % 800;
        let module = vm.load("tasklets")?;
        let file = open()?;
        call(&file, DELAY, delay)?;
        on_threads(2, |_| call(&file, SCHEDULE, 0))?;
        module.unload()
    })
}
