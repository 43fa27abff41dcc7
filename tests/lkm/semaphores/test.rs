// SPDX-License-Identifier: GPL-2.0-only

use std::sync::Arc;

use libc::{SYS_ioctl, c_long};
use rustix::process::{Signal, getpid, kill_process};

use crate::prelude::*;
use signals::{Reaction, handled, react};

pub const TESTS: &[Test] = tests![
    there_are_so_many_permits,
    each_wait_ends_with_a_permit,
    who_came_first_is_served_first,
    waits_time_out,
    signals_end_those_waits_that_they_may,
    a_restarted_wait_goes_on,
    no_more_are_inside_than_permits,
    unloading_while_some_wait,
];

const PATH: &str = "/proc/semaphores";

const fn command(number: u32) -> u32 {
    ((b's' as u32) << 8) | number
}

const DOWN: u32 = command(0);
const DOWN_INTERRUPTIBLE: u32 = command(1);
const DOWN_KILLABLE: u32 = command(2);
const DOWN_TIMEOUT: u32 = command(3);
const TRY_DOWN: u32 = command(4);
const UP: u32 = command(5);
const ENTER: u32 = command(6);
const MOST: u32 = command(7);

const WAITS: [u32; 4] = [DOWN, DOWN_INTERRUPTIBLE, DOWN_KILLABLE, DOWN_TIMEOUT];

const IOCTL: &[c_long] = &[SYS_ioctl];

/// More jiffies than any kernel counts: without end.
const ENDLESS: usize = usize::MAX;

type Answer = std::result::Result<usize, Errno>;

fn load(vm: &mut Vm, permits: u32) -> Result<(Module, Arc<File>)> {
    let module = vm.load_with("semaphores", &format!("permits={permits}"))?;
    let file = OpenOptions::new().read(true).write(true).open(PATH)?;
    Ok((module, Arc::new(file)))
}

fn call(file: &File, command: u32, number: usize) -> Answer {
    ioctl(file, command, Argument::Number(number))
}

/// Begins a thread that waits in `command`. It alone takes `USR1`, when the
/// test has blocked that.
fn caller(file: &Arc<File>, command: u32) -> Result<Waiter<Answer>> {
    let file = file.clone();
    Waiter::begin_in(IOCTL, move || {
        let _mask = signals::unblock(Signal::USR1);
        call(&file, command, ENDLESS)
    })
}

fn there_are_so_many_permits(vm: &mut Vm) -> Result {
    for permits in [0, 1, 5] {
        let (_module, file) = load(vm, permits)?;
        for command in WAITS.into_iter().chain([TRY_DOWN]) {
            for _ in 0..permits {
                assert_eq!(call(&file, command, 0), Ok(0));
            }
            assert_eq!(call(&file, TRY_DOWN, 0), Err(Errno::AGAIN));
            assert_eq!(call(&file, DOWN_TIMEOUT, 0), Err(Errno::TIMEDOUT));
            for _ in 0..permits {
                call(&file, UP, 0)?;
            }
        }
        // One more than there ever was.
        call(&file, UP, 0)?;
        for _ in 0..=permits {
            assert_eq!(call(&file, TRY_DOWN, 0), Ok(0));
        }
        assert_eq!(call(&file, TRY_DOWN, 0), Err(Errno::AGAIN));
    }
    Ok(())
}

fn each_wait_ends_with_a_permit(vm: &mut Vm) -> Result {
    let (_module, file) = load(vm, 0)?;
    for command in WAITS {
        let waiter = caller(&file, command)?;
        waiter.sleeps()?;
        call(&file, UP, 0)?;
        assert_eq!(waiter.end()?, Ok(0));
        assert_eq!(
            call(&file, TRY_DOWN, 0),
            Err(Errno::AGAIN),
            "it was used up"
        );
    }
    Ok(())
}

fn who_came_first_is_served_first(vm: &mut Vm) -> Result {
    let (_module, file) = load(vm, 0)?;
    let mut waiters = Vec::new();
    for _ in 0..5 {
        let waiter = caller(&file, DOWN_INTERRUPTIBLE)?;
        waiter.sleeps()?;
        waiters.push(waiter);
    }
    for count in 1..=5 {
        call(&file, UP, 0)?;
        let ended = |n: usize| waiters[..n].iter().all(Waiter::has_ended);
        vm.wait_for("the first to go on", || ended(count))?;
        assert!(!waiters[count..].iter().any(Waiter::has_ended));
    }
    Ok(())
}

fn waits_time_out(vm: &mut Vm) -> Result {
    let (_module, file) = load(vm, 0)?;
    for jiffies in [0, 1, 20] {
        assert_eq!(call(&file, DOWN_TIMEOUT, jiffies), Err(Errno::TIMEDOUT));
    }
    // It did not stay in the queue of those who wait.
    call(&file, UP, 0)?;
    assert_eq!(call(&file, DOWN_TIMEOUT, 0), Ok(0));
    Ok(())
}

fn signals_end_those_waits_that_they_may(vm: &mut Vm) -> Result {
    let (_module, file) = load(vm, 0)?;
    let _reacting = react(Signal::USR1, Reaction::Count)?;
    let _mask = signals::block(Signal::USR1)?;

    let waiter = caller(&file, DOWN_INTERRUPTIBLE)?;
    waiter.sleeps()?;
    kill_process(getpid(), Signal::USR1)?;
    assert_eq!(waiter.end()?, Err(Errno::INTR));

    for command in [DOWN, DOWN_KILLABLE, DOWN_TIMEOUT] {
        let waiter = caller(&file, command)?;
        kill_process(getpid(), Signal::USR1)?;
        waiter.sleeps()?;
        assert!(!waiter.has_ended());
        let before = handled();
        call(&file, UP, 0)?;
        assert_eq!(waiter.end()?, Ok(0));
        assert_eq!(handled(), before + 1, "after the wait");
    }
    Ok(())
}

fn a_restarted_wait_goes_on(vm: &mut Vm) -> Result {
    let (_module, file) = load(vm, 0)?;
    let _reacting = react(Signal::USR1, Reaction::CountAndRestart)?;
    let _mask = signals::block(Signal::USR1)?;
    let waiter = caller(&file, DOWN_INTERRUPTIBLE)?;
    let before = handled();
    kill_process(getpid(), Signal::USR1)?;
    vm.wait_for("the handler", || handled() > before)?;
    waiter.is_in(IOCTL)?;
    call(&file, UP, 0)?;
    assert_eq!(waiter.end()?, Ok(0));
    Ok(())
}

fn no_more_are_inside_than_permits(vm: &mut Vm) -> Result {
    for permits in [1, 3] {
        let (_module, file) = load(vm, permits)?;
        on_threads(10, |_| {
            for _ in 0..20 {
                call(&file, ENTER, 0)?;
            }
            Ok(())
        })?;
        assert_eq!(call(&file, MOST, 0)?, permits as usize);
        for _ in 0..permits {
            assert_eq!(call(&file, TRY_DOWN, 0), Ok(0), "all were given back");
        }
        assert_eq!(call(&file, TRY_DOWN, 0), Err(Errno::AGAIN));
    }
    Ok(())
}

fn unloading_while_some_wait(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, file) = load(vm, 0)?;
        let waiters = [caller(&file, DOWN)?, caller(&file, DOWN_INTERRUPTIBLE)?];
        module.unload()?;
        for waiter in waiters {
            assert_eq!(waiter.end()?, Ok(0));
        }
        Ok(())
    })
}
