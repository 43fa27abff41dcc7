// SPDX-License-Identifier: GPL-2.0-only

use std::sync::Barrier;

use rustix::process::{Signal, getpid, kill_process};

use crate::prelude::*;
use commands::*;
use signals::{Reaction, handled, react};

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        there_are_so_many_permits,
        there_are_never_too_many_permits,
        each_wait_ends_with_a_permit,
        who_came_first_is_served_first,
        waits_time_out,
        signals_end_those_waits_that_they_may,
        a_restarted_wait_goes_on,
        no_more_are_inside_than_permits,
        unloading_while_some_wait,
    ],
    ..Example::EMPTY
};

const WAITS: [u32; 4] = [DOWN, DOWN_INTERRUPTIBLE, DOWN_KILLABLE, DOWN_TIMEOUT];

/// More milliseconds than any kernel counts: without end.
const ENDLESS: usize = isize::MAX as usize;

fn load(vm: &mut Vm, permits: u32) -> Result<(Module, Control)> {
    let module = vm.load_with("semaphores", &format!("permits={permits}"))?;
    Ok((module, Control::open("/proc/semaphores")?))
}

/// C counts some of them with a sign.
fn there_are_never_too_many_permits(vm: &mut Vm) -> Result {
    for permits in [i32::MAX as u32, i32::MAX as u32 + 1, u32::MAX] {
        let (_module, file) = load(vm, permits)?;
        for command in [TRY_DOWN, DOWN, DOWN_TIMEOUT, TRY_DOWN] {
            assert_eq!(file.call(command, 0), Ok(0), "{permits}");
        }
    }
    Ok(())
}

fn there_are_so_many_permits(vm: &mut Vm) -> Result {
    for permits in [0, 1, 5] {
        let (_module, file) = load(vm, permits)?;
        for command in WAITS.into_iter().chain([TRY_DOWN]) {
            for _ in 0..permits {
                assert_eq!(file.call(command, 0), Ok(0));
            }
            assert_eq!(file.call(TRY_DOWN, 0), Err(Errno::AGAIN));
            assert_eq!(file.call(DOWN_TIMEOUT, 0), Err(Errno::TIMEDOUT));
            for _ in 0..permits {
                file.call(UP, 0)?;
            }
        }
        // One more than there ever was.
        file.call(UP, 0)?;
        for _ in 0..=permits {
            assert_eq!(file.call(TRY_DOWN, 0), Ok(0));
        }
        assert_eq!(file.call(TRY_DOWN, 0), Err(Errno::AGAIN));
    }
    Ok(())
}

fn each_wait_ends_with_a_permit(vm: &mut Vm) -> Result {
    let (_module, file) = load(vm, 0)?;
    for command in WAITS {
        let waiter = file.caller(command, ENDLESS)?;
        waiter.sleeps()?;
        file.call(UP, 0)?;
        assert_eq!(waiter.end()?, Ok(0));
        assert_eq!(file.call(TRY_DOWN, 0), Err(Errno::AGAIN), "it was used up");
    }
    Ok(())
}

fn who_came_first_is_served_first(vm: &mut Vm) -> Result {
    let (_module, file) = load(vm, 0)?;
    let mut waiters = Vec::new();
    for _ in 0..5 {
        let waiter = file.caller(DOWN_INTERRUPTIBLE, ENDLESS)?;
        waiter.sleeps()?;
        waiters.push(waiter);
    }
    for count in 1..=5 {
        file.call(UP, 0)?;
        let ended = |n: usize| waiters[..n].iter().all(Waiter::has_ended);
        eventually("the first to go on", || ended(count))?;
        assert!(!waiters[count..].iter().any(Waiter::has_ended));
    }
    Ok(())
}

fn waits_time_out(vm: &mut Vm) -> Result {
    let (_module, file) = load(vm, 0)?;
    for milliseconds in [0, 1, 20, (-1isize) as usize, isize::MIN as usize] {
        assert_eq!(file.call(DOWN_TIMEOUT, milliseconds), Err(Errno::TIMEDOUT));
    }
    // It did not stay in the queue of those who wait.
    file.call(UP, 0)?;
    assert_eq!(file.call(DOWN_TIMEOUT, 0), Ok(0));
    Ok(())
}

fn signals_end_those_waits_that_they_may(vm: &mut Vm) -> Result {
    let (_module, file) = load(vm, 0)?;
    let _reacting = react(Signal::USR1, Reaction::Count)?;
    let _mask = signals::block(Signal::USR1)?;

    let waiter = file.caller(DOWN_INTERRUPTIBLE, ENDLESS)?;
    waiter.sleeps()?;
    kill_process(getpid(), Signal::USR1)?;
    assert_eq!(waiter.end()?, Err(Errno::INTR));

    for command in [DOWN, DOWN_KILLABLE, DOWN_TIMEOUT] {
        let waiter = file.caller(command, ENDLESS)?;
        kill_process(getpid(), Signal::USR1)?;
        waiter.sleeps()?;
        assert!(!waiter.has_ended());
        let before = handled();
        file.call(UP, 0)?;
        assert_eq!(waiter.end()?, Ok(0));
        assert_eq!(handled(), before + 1, "after the wait");
    }
    Ok(())
}

fn a_restarted_wait_goes_on(vm: &mut Vm) -> Result {
    let (_module, file) = load(vm, 0)?;
    let _reacting = react(Signal::USR1, Reaction::CountAndRestart)?;
    let _mask = signals::block(Signal::USR1)?;
    let waiter = file.caller(DOWN_INTERRUPTIBLE, ENDLESS)?;
    let before = handled();
    kill_process(getpid(), Signal::USR1)?;
    eventually("the handler", || handled() > before)?;
    waiter.is_in(IOCTL)?;
    file.call(UP, 0)?;
    assert_eq!(waiter.end()?, Ok(0));
    Ok(())
}

fn no_more_are_inside_than_permits(vm: &mut Vm) -> Result {
    for permits in [1, 3] {
        let (_module, file) = load(vm, permits)?;
        let all_are_there = Barrier::new(10);
        on_threads(10, |_| {
            all_are_there.wait();
            for _ in 0..20 {
                file.call(ENTER, 0)?;
            }
            Ok(())
        })?;
        assert_eq!(file.call(MOST, 0)?, permits as usize);
        for _ in 0..permits {
            assert_eq!(file.call(TRY_DOWN, 0), Ok(0), "all were given back");
        }
        assert_eq!(file.call(TRY_DOWN, 0), Err(Errno::AGAIN));
    }
    Ok(())
}

fn unloading_while_some_wait(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, file) = load(vm, 0)?;
        let waiters = [
            file.caller(DOWN, ENDLESS)?,
            file.caller(DOWN_INTERRUPTIBLE, ENDLESS)?,
        ];
        module.unload()?;
        for waiter in waiters {
            assert_eq!(waiter.end()?, Ok(0));
        }
        Ok(())
    })
}
