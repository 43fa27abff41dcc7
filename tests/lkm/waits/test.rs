// SPDX-License-Identifier: GPL-2.0-only

use std::sync::Arc;

use libc::{SYS_delete_module, c_long};
use rustix::{
    event::{
        PollFlags,
        epoll::{self, EventFlags},
    },
    process::{Signal, getpid, kill_process},
};

use crate::{polling::*, prelude::*};
use commands::*;
use signals::{Reaction, handled, react};

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        each_letter_is_taken_once,
        a_wait_times_out,
        a_signal_ends_a_wait,
        a_restarted_wait_goes_on,
        a_closed_queue_lets_everybody_out,
        another_process_wakes_many_who_poll,
        unloading_frees_who_polls,
        unloading_waits_for_who_polls_for_nothing,
        one_completion_ends_one_wait,
        completing_all_ends_all_waits,
        a_completion_is_not_lost,
        waits_for_completions_time_out,
        signals_end_waits_for_completions,
        unloading_completes,
    ],
    ..Example::EMPTY
};

const MAILBOX: &str = "/proc/waits-mailbox";
const EVENT: &str = "/proc/waits-event";

/// More milliseconds than any kernel counts: without end.
const ENDLESS: usize = isize::MAX as usize;

/// What ends: a negative time is none.
const TIMES: [usize; 5] = [0, 1, 20, (-1isize) as usize, isize::MIN as usize];

/// Puts a letter into the mailbox.
fn post(mut mailbox: &File) -> Result {
    Ok(mailbox.write_all(b"x")?)
}

/// How many of `waiters` have ended.
fn ended(waiters: &[Waiter<Answer>]) -> usize {
    waiters.iter().filter(|waiter| waiter.has_ended()).count()
}

fn each_letter_is_taken_once(vm: &mut Vm) -> Result {
    let _module = vm.load("waits")?;
    let mailbox = Control::open(MAILBOX)?;
    let mut waiters = Vec::new();
    for _ in 0..20 {
        waiters.push(mailbox.caller(TAKE, ENDLESS)?);
    }
    for count in 1..=20 {
        post(&mailbox)?;
        eventually("one to take a letter", || ended(&waiters) == count)?;
    }
    for waiter in waiters {
        assert_eq!(waiter.end()?, Ok(0));
    }
    // One that is there is taken at once.
    post(&mailbox)?;
    assert_eq!(mailbox.call(TAKE, 0), Ok(0));
    assert_eq!(mailbox.call(TAKE_TIMEOUT, 0), Err(Errno::TIMEDOUT));
    Ok(())
}

fn a_wait_times_out(vm: &mut Vm) -> Result {
    let _module = vm.load("waits")?;
    let mailbox = Control::open(MAILBOX)?;
    for milliseconds in TIMES {
        assert_eq!(
            mailbox.call(TAKE_TIMEOUT, milliseconds),
            Err(Errno::TIMEDOUT)
        );
    }
    let waiter = mailbox.caller(TAKE_TIMEOUT, ENDLESS)?;
    waiter.sleeps()?;
    post(&mailbox)?;
    assert_eq!(waiter.end()?, Ok(0));
    Ok(())
}

fn a_signal_ends_a_wait(vm: &mut Vm) -> Result {
    let _module = vm.load("waits")?;
    let mailbox = Control::open(MAILBOX)?;
    let _reacting = react(Signal::USR1, Reaction::Count)?;
    let _mask = signals::block(Signal::USR1)?;
    for command in [TAKE, TAKE_TIMEOUT] {
        let waiter = mailbox.caller(command, ENDLESS)?;
        waiter.sleeps()?;
        kill_process(getpid(), Signal::USR1)?;
        assert_eq!(waiter.end()?, Err(Errno::INTR));
    }
    Ok(())
}

fn a_restarted_wait_goes_on(vm: &mut Vm) -> Result {
    let _module = vm.load("waits")?;
    let mailbox = Control::open(MAILBOX)?;
    let _reacting = react(Signal::USR1, Reaction::CountAndRestart)?;
    let _mask = signals::block(Signal::USR1)?;
    let waiter = mailbox.caller(TAKE, ENDLESS)?;
    let before = handled();
    kill_process(getpid(), Signal::USR1)?;
    eventually("the handler", || handled() > before)?;
    waiter.is_in(IOCTL)?;
    waiter.sleeps()?;
    post(&mailbox)?;
    assert_eq!(waiter.end()?, Ok(0));
    Ok(())
}

/// Begins a thread that does `wait`, and waits until that waits in `syscalls`.
fn poller<T: Send + 'static>(
    syscalls: &[c_long],
    file: &Arc<File>,
    wait: impl FnOnce(&File) -> T + Send + 'static,
) -> Result<Waiter<T>> {
    let file = file.clone();
    Waiter::begin_in(syscalls, move || wait(&file))
}

fn a_closed_queue_lets_everybody_out(vm: &mut Vm) -> Result {
    let _module = vm.load("waits")?;
    let mailbox = Control::open(MAILBOX)?;
    let callers = [
        mailbox.caller(TAKE, ENDLESS)?,
        mailbox.caller(TAKE_TIMEOUT, ENDLESS)?,
    ];
    let mut pollers = Vec::new();
    for events in [
        PollFlags::IN,
        PollFlags::OUT,
        PollFlags::PRI,
        PollFlags::empty(),
    ] {
        let wait = move |file: &File| poll_for(file, events);
        pollers.push(poller(POLL, &mailbox, wait)?);
    }
    let mut selecting = Vec::new();
    for what in [Select::Read, Select::Write, Select::Except] {
        selecting.push(poller(SELECT, &mailbox, move |file| select(file, what))?);
    }
    let set = epoll_set(&*mailbox)?;
    let epoller = poller(EPOLL, &set, |set| epoll_for(set))?;

    assert_eq!(mailbox.call(CLOSE, 0), Ok(0));
    for caller in callers {
        assert_eq!(caller.end()?, Err(Errno::NODEV));
    }
    let gone = PollFlags::ERR | PollFlags::HUP;
    for poller in pollers {
        let events = poller.end()??;
        assert!(events.contains(gone), "{events:?}");
    }
    for poller in selecting {
        poller.end()??;
    }
    let gone_too = EventFlags::ERR | EventFlags::HUP;
    assert_eq!(epoller.end()??, gone_too);

    // So it stays, for all ways to wait; closing it once more is no error.
    assert_eq!(mailbox.call(TAKE, 0), Err(Errno::NODEV));
    assert_eq!(poll_for(&*mailbox, PollFlags::empty())?, gone);
    assert_eq!(epoll_for(&set)?, gone_too);
    assert_eq!(epoll_for(epoll_set(&*mailbox)?)?, gone_too);
    assert_eq!(mailbox.call(CLOSE, 0), Ok(0));
    Ok(())
}

fn another_process_wakes_many_who_poll(vm: &mut Vm) -> Result {
    let _module = vm.load("waits")?;
    let mailbox = Control::open(MAILBOX)?;
    let set = epoll_set(&*mailbox)?;
    let mut pollers = Vec::new();
    for _ in 0..20 {
        let wait = |file: &File| poll_for(file, PollFlags::IN);
        pollers.push(poller(POLL, &mailbox, wait)?);
    }
    let epoller = poller(EPOLL, &set, |set| epoll_for(set))?;
    pollers[0].sleeps()?;
    vm.sh(&format!("echo >{MAILBOX}"))?;
    for poller in pollers {
        assert_eq!(poller.end()??, PollFlags::IN);
    }
    assert_eq!(epoller.end()??, EventFlags::IN);
    Ok(())
}

fn unloading_frees_who_polls(vm: &mut Vm) -> Result {
    for _ in 0..5 {
        let module = vm.load("waits")?;
        let mailbox = Control::open(MAILBOX)?;
        let sets = [epoll_set(&*mailbox)?, epoll_set(&*mailbox)?];
        let wait = |file: &File| poll_for(file, PollFlags::IN);
        let polling = [poller(POLL, &mailbox, wait)?, poller(POLL, &mailbox, wait)?];
        let selecting = poller(SELECT, &mailbox, |file| select(file, Select::Write))?;
        module.unload()?;
        // A file that is gone can be read and written: with an error.
        for poller in polling {
            assert_eq!(poller.end()??, PollFlags::IN);
        }
        selecting.end()??;
        assert_eq!(epoll_for(&sets[0])?, EventFlags::IN);
        epoll::delete(&*sets[1], &*mailbox)?;
        drop(mailbox);
        drop(sets);
    }
    Ok(())
}

/// What `close` is for: without it such a one is waited for.
fn unloading_waits_for_who_polls_for_nothing(vm: &mut Vm) -> Result {
    let module = vm.load("waits")?;
    let mailbox = Control::open(MAILBOX)?;
    let _reacting = react(Signal::USR1, Reaction::Count)?;
    let _mask = signals::block(Signal::USR1)?;
    let polling = poller(POLL, &mailbox, |file| {
        let _mask = signals::unblock(Signal::USR1);
        poll_for(file, PollFlags::empty())
    })?;
    let unloading = Waiter::begin(move || module.unload());
    unloading.is_in(&[SYS_delete_module])?;
    thread::sleep(Duration::from_millis(300));
    assert!(!unloading.has_ended() && !polling.has_ended());

    kill_process(getpid(), Signal::USR1)?;
    let error = polling.end()?.unwrap_err();
    assert_eq!(errno(&error), Some(Errno::INTR));
    unloading.end()??;
    Ok(())
}

fn one_completion_ends_one_wait(vm: &mut Vm) -> Result {
    let _module = vm.load("waits")?;
    let event = Control::open(EVENT)?;
    let mut waiters = Vec::new();
    for command in [
        WAIT_INTERRUPTIBLE,
        WAIT_INTERRUPTIBLE_TIMEOUT,
        WAIT,
        WAIT_TIMEOUT,
    ] {
        waiters.push(event.caller(command, ENDLESS)?);
    }
    // In the order in which they came.
    while !waiters.is_empty() {
        assert_eq!(event.call(COMPLETE, 0), Ok(0));
        assert_eq!(waiters.remove(0).end()?, Ok(0));
        thread::sleep(Duration::from_millis(50));
        assert_eq!(ended(&waiters), 0);
    }
    assert_eq!(event.call(IS_DONE, 0), Ok(0));
    Ok(())
}

fn completing_all_ends_all_waits(vm: &mut Vm) -> Result {
    let _module = vm.load("waits")?;
    let event = Control::open(EVENT)?;
    let mut waiters = Vec::new();
    for command in [
        WAIT,
        WAIT_INTERRUPTIBLE,
        WAIT_TIMEOUT,
        WAIT_INTERRUPTIBLE_TIMEOUT,
    ] {
        waiters.push(event.caller(command, ENDLESS)?);
        waiters.push(event.caller(command, ENDLESS)?);
    }
    assert_eq!(event.call(COMPLETE_ALL, 0), Ok(0));
    for waiter in waiters {
        assert_eq!(waiter.end()?, Ok(0));
    }
    for command in [
        WAIT,
        WAIT_INTERRUPTIBLE,
        WAIT_TIMEOUT,
        WAIT_INTERRUPTIBLE_TIMEOUT,
    ] {
        assert_eq!(event.call(command, 1), Ok(0));
    }
    assert_eq!(event.call(TRY_WAIT, 0), Ok(1));
    assert_eq!(event.call(IS_DONE, 0), Ok(1));
    assert_eq!(event.call(REINIT, 0), Ok(0));
    assert_eq!(event.call(IS_DONE, 0), Ok(0));
    assert_eq!(event.call(TRY_WAIT, 0), Ok(0));
    Ok(())
}

fn a_completion_is_not_lost(vm: &mut Vm) -> Result {
    let _module = vm.load("waits")?;
    let event = Control::open(EVENT)?;
    for _ in 0..3 {
        assert_eq!(event.call(COMPLETE, 0), Ok(0));
    }
    assert_eq!(event.call(IS_DONE, 0), Ok(1));
    assert_eq!(event.call(TRY_WAIT, 0), Ok(1));
    assert_eq!(event.call(WAIT, 0), Ok(0));
    assert_eq!(event.call(WAIT_INTERRUPTIBLE_TIMEOUT, 1), Ok(0));
    assert_eq!(event.call(TRY_WAIT, 0), Ok(0));
    Ok(())
}

fn waits_for_completions_time_out(vm: &mut Vm) -> Result {
    let _module = vm.load("waits")?;
    let event = Control::open(EVENT)?;
    for milliseconds in TIMES {
        for command in [WAIT_TIMEOUT, WAIT_INTERRUPTIBLE_TIMEOUT] {
            assert_eq!(event.call(command, milliseconds), Err(Errno::TIMEDOUT));
        }
    }
    Ok(())
}

fn signals_end_waits_for_completions(vm: &mut Vm) -> Result {
    let _module = vm.load("waits")?;
    let event = Control::open(EVENT)?;
    let _reacting = react(Signal::USR1, Reaction::Count)?;
    let _mask = signals::block(Signal::USR1)?;
    for command in [WAIT_INTERRUPTIBLE, WAIT_INTERRUPTIBLE_TIMEOUT] {
        let waiter = event.caller(command, ENDLESS)?;
        waiter.sleeps()?;
        kill_process(getpid(), Signal::USR1)?;
        assert_eq!(waiter.end()?, Err(Errno::INTR));
    }
    for command in [WAIT, WAIT_TIMEOUT] {
        let waiter = event.caller(command, ENDLESS)?;
        let before = handled();
        kill_process(getpid(), Signal::USR1)?;
        thread::sleep(Duration::from_millis(100));
        assert!(!waiter.has_ended());
        assert_eq!(event.call(COMPLETE, 0), Ok(0));
        assert_eq!(waiter.end()?, Ok(0));
        assert_eq!(handled(), before + 1);
    }
    Ok(())
}

fn unloading_completes(vm: &mut Vm) -> Result {
    let module = vm.load("waits")?;
    let event = Control::open(EVENT)?;
    let waiters = [
        event.caller(WAIT, ENDLESS)?,
        event.caller(WAIT_INTERRUPTIBLE, ENDLESS)?,
    ];
    module.unload()?;
    for waiter in waiters {
        assert_eq!(waiter.end()?, Ok(0));
    }
    assert_eq!(event.call(COMPLETE, 0), Err(Errno::NOTTY));
    Ok(())
}
