// SPDX-License-Identifier: GPL-2.0-only

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use libc::SYS_read;
use rustix::{
    event::PollFlags,
    process::{Signal, getpid, kill_process},
};

use crate::{
    polling::POLL,
    prelude::*,
    signals::{Reaction, react},
};
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        chips_of_all_kinds,
        what_cannot_be_is_refused,
        errors_are_those_of_the_chip,
        calls_on_all_cpus_at_once,
        edges_on_all_cpus_at_once,
        edges_that_nobody_waits_for,
        dropped_while_lines_are_requested,
        dropped_while_it_is_used_on_all_cpus,
        dropped_while_interrupts_are_requested,
        a_chip_may_drop_itself,
        two_chips_may_drop_each_other,
        an_interrupt_may_drop_its_chip,
        is_read_where_one_must_not_sleep,
        lines_and_edges_keep_the_module,
        unloading_waits_for_who_reads,
        a_failing_init_waits_for_requested_lines,
        unloading_at_once,
    ],
    ..Example::EMPTY
};

const CHIP: &str = "gpio-chip";
const CONTROL: &str = "/proc/gpio-chip";

/// What poll(2) says when the controller is gone.
const GONE: PollFlags = PollFlags::HUP.union(PollFlags::ERR);

fn load(vm: &mut Vm, kind: &str) -> Result<(Module, Control)> {
    let module = vm.load_with("gpio-chip", &format!("kind={kind:?}"))?;
    Ok((module, Control::open(CONTROL)?))
}

/// The argument of [`EDGE`].
fn edge(line: u32, rising: bool) -> usize {
    line as usize | if rising { HIGH } else { 0 }
}

/// One that is not in memory, one that is aligned more than others, one that sleeps.
fn chips_of_all_kinds(vm: &mut Vm) -> Result {
    for kind in ["memory", "sleeping", "nothing", "aligned"] {
        let (module, control) = load(vm, kind)?;
        let chip = GpioChip::open(CHIP)?;
        assert_eq!(chip.lines, LINES, "{kind}");
        let all: Vec<_> = (0..LINES).collect();
        let lines = chip.request(&all, line::OUTPUT)?;
        for bits in [0xff, 0, 0xa5, 0x5a] {
            lines.set(LINES, bits)?;
            assert_eq!(lines.get(LINES)?, bits, "{kind}");
        }
        lines.configure(line::INPUT | line::RISING | line::FALLING)?;
        assert_eq!(lines.get(LINES)?, 0x5a, "{kind}");
        // The level is high, so the edge is taken for one that rises.
        control.call(EDGE, edge(1, true))?;
        let event = lines.event()?;
        assert_eq!((event.line, event.rising), (1, true), "{kind}");
        drop(lines);
        module.unload()?;
        assert!(!GpioChip::exists(CHIP), "{kind}");
    }
    Ok(())
}

fn what_cannot_be_is_refused(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm, "memory")?;
    assert_eq!(control.call(REFUSED, 0), Ok(0));
    assert!(GpioChip::exists(CHIP));
    assert!(!GpioChip::exists("gpio-chip-2"));
    for line in [LINES, HIGH as u32 - 1] {
        assert_eq!(control.call(EDGE, line as usize), Err(Errno::INVAL));
    }
    assert!(vm.log().complaints("gpio-chip")?.is_empty());
    Ok(())
}

/// What user space may see of an error number.
fn seen(errno: u16) -> Errno {
    Errno::from_raw_os_error(match errno {
        512..=514 | 516 => 4,
        515 => 25,
        524 => 95,
        512.. => 5,
        _ => errno.into(),
    })
}

fn errors_are_those_of_the_chip(vm: &mut Vm) -> Result {
    let (module, _control) = load(vm, "memory")?;
    let chip = GpioChip::open(CHIP)?;
    let line = chip.request(&[0], line::OUTPUT)?;
    let fails_with = |errno: u16| -> Result {
        let path = "/sys/module/gpio_chip/parameters/errno";
        Ok(fs::write(path, errno.to_string())?)
    };
    for errno in [1, 5, 11, 19, 511, 512, 513, 515, 516, 517, 524, 4095] {
        fails_with(errno)?;
        assert_eq!(line.get(1), Err(seen(errno)), "{errno}");
        assert_eq!(line.set(1, 1), Err(seen(errno)), "{errno}");
        for flags in [line::INPUT, line::OUTPUT] {
            assert_eq!(line.configure(flags), Err(seen(errno)), "{errno}");
        }
        let refused = chip.request(&[1], line::INPUT).map(drop);
        assert_eq!(refused, Err(seen(errno)), "{errno}");
    }
    fails_with(0)?;
    line.configure(line::OUTPUT)?;
    line.set(1, 1)?;
    assert!(line.is_high()?);
    drop(line);
    module.unload()
}

/// Each has a line, and none loses a call.
fn calls_on_all_cpus_at_once(vm: &mut Vm) -> Result {
    for kind in ["memory", "sleeping", "nothing", "aligned"] {
        let (_module, control) = load(vm, kind)?;
        let chip = GpioChip::open(CHIP)?;
        let times = vm.fewer(250);
        on_threads(LINES, |n| {
            let line = chip.request(&[n], line::OUTPUT)?;
            for time in 1..=times {
                line.set(1, u64::from(time % 2))?;
                assert_eq!(line.is_high()?, time % 2 == 1);
            }
            Ok(())
        })?;
        let calls = LINES * (1 + 2 * times);
        assert_eq!(control.get(CALLS), calls as usize, "{kind}");
    }
    Ok(())
}

/// Each line has an interrupt of its own. Each edge comes, and comes once.
fn edges_on_all_cpus_at_once(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm, "memory")?;
    let chip = GpioChip::open(CHIP)?;
    let times = vm.fewer(250);
    on_threads(LINES, |n| {
        let line = chip.request(&[n], line::INPUT | line::RISING)?;
        for number in 1..=times {
            control.call(EDGE, edge(n, false))?;
            control.call(EDGE, edge(n, true))?;
            let event = LineEvent {
                line: n,
                rising: true,
                number,
            };
            assert_eq!(line.event()?, event);
        }
        Ok(())
    })
    .map(drop)
}

/// Before a line is requested, while it is not asked for edges, and afterwards.
fn edges_that_nobody_waits_for(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm, "memory")?;
    let all_edges = || -> Result {
        for n in 0..LINES {
            control.call(EDGE, edge(n, true))?;
            control.call(EDGE, edge(n, false))?;
        }
        Ok(())
    };
    all_edges()?;
    let chip = GpioChip::open(CHIP)?;
    let line = chip.request(&[3], line::INPUT)?;
    all_edges()?;
    line.configure(line::INPUT | line::FALLING)?;
    all_edges()?;
    let event = LineEvent {
        line: 3,
        rising: false,
        number: 1,
    };
    assert_eq!(line.event()?, event);
    // If it was told of any other, that is the second.
    control.call(EDGE, edge(3, false))?;
    assert_eq!(line.event()?.number, 2);
    drop(line);
    all_edges()?;
    let line = chip.request(&[3], line::INPUT | line::RISING)?;
    for number in 1..=2 {
        control.call(EDGE, edge(3, true))?;
        assert_eq!(line.event()?.number, number);
    }
    Ok(())
}

/// The module stays as long as somebody has a line, which does nothing any more.
fn dropped_while_lines_are_requested(vm: &mut Vm) -> Result {
    // The kernel leaves the names of such lines behind.
    vm.forgive_leaks();
    for kind in ["memory", "sleeping"] {
        let (mut module, control) = load(vm, kind)?;
        let chip = GpioChip::open(CHIP)?;
        let output = chip.request(&[0], line::OUTPUT)?;
        let both = line::INPUT | line::RISING | line::FALLING;
        let input = chip.request(&[1], both)?;
        control.call(EDGE, edge(1, true))?;
        input.event()?;

        let input = Arc::new(input);
        let polling = input.clone();
        let waiter = Waiter::begin_in(POLL, move || poll_for(&*polling, PollFlags::IN))?;
        assert_eq!(control.call(DROP, 0), Ok(0));
        assert_eq!(waiter.end()??, GONE);
        assert_eq!(polled(&*input)?, GONE);
        assert_eq!(chip.ask(), Err(Errno::NODEV));
        assert!(!GpioChip::exists(CHIP));
        assert_eq!(output.set(1, 1), Err(Errno::NODEV));
        assert_eq!(output.get(1), Err(Errno::NODEV));
        assert_eq!(output.configure(line::INPUT), Err(Errno::NODEV));
        assert_eq!(control.call(EDGE, edge(1, true)), Err(Errno::NODEV));

        drop(control);
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK), "{kind}");
        drop(input);
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK), "{kind}");
        drop(output);
        module.unload()?;
    }
    Ok(())
}

fn dropped_while_it_is_used_on_all_cpus(vm: &mut Vm) -> Result {
    vm.forgive_leaks();
    for round in 0..vm.fewer(20) {
        let kind = ["memory", "sleeping", "nothing", "aligned"][round as usize % 4];
        let (module, control) = load(vm, kind)?;
        let chip = GpioChip::open(CHIP)?;
        on_threads(LINES + 1, |n| {
            if n == LINES {
                eventually("some calls", || control.get(CALLS) > 50)?;
                control.call(DROP, 0)?;
                return Ok(());
            }
            let line = match chip.request(&[n], line::OUTPUT) {
                Ok(line) => line,
                Err(error) => {
                    assert_eq!(error, Errno::NODEV);
                    return Ok(());
                }
            };
            loop {
                let result = line.set(1, 1).and_then(|()| line.is_high());
                match result {
                    Ok(is_high) => assert!(is_high),
                    Err(error) => {
                        assert_eq!(error, Errno::NODEV);
                        return Ok(());
                    }
                }
            }
        })?;
        drop((chip, control));
        module.unload()?;
    }
    Ok(())
}

/// By their number, so that nobody has their lines. Of each, two threads want one interrupt.
fn dropped_while_interrupts_are_requested(vm: &mut Vm) -> Result {
    for _ in 0..vm.fewer(50) {
        let (module, control) = load(vm, "memory")?;
        let numbers = [control.call(IRQ, 2)?, control.call(IRQ, 3)?];
        let requests = AtomicU32::new(0);
        on_threads(5, |n| {
            if n == 4 {
                eventually("some requests", || requests.load(SeqCst) > 10)?;
                control.call(DROP, 0)?;
                return Ok(());
            }
            loop {
                match control.call(REQUEST, numbers[n as usize % 2]) {
                    Ok(_) | Err(Errno::BUSY) => requests.fetch_add(1, SeqCst),
                    // It goes, or it has gone.
                    Err(Errno::NODEV | Errno::INVAL | Errno::NOSYS) => return Ok(()),
                    Err(error) => bail!("request: {error}"),
                };
            }
        })?;
        assert_eq!(interrupts(CHIP)?, None);
        drop(control);
        module.unload()?;
    }
    Ok(())
}

/// In a method, which goes on. It does not wait for itself.
fn a_chip_may_drop_itself(vm: &mut Vm) -> Result {
    vm.forgive_leaks();
    for _ in 0..10 {
        vm.log().mark()?;
        let (module, control) = load(vm, "drops itself")?;
        let chip = GpioChip::open(CHIP)?;
        let line = chip.request(&[0], line::OUTPUT)?;
        line.set(1, 1)?;
        vm.log().expect("gpio-chip: dropped itself: true")?;
        eventually("its end", || chip.ask() == Err(Errno::NODEV))?;
        assert_eq!(line.set(1, 1), Err(Errno::NODEV));
        drop((line, control));
        module.unload()?;
        assert_eq!(vm.log().count("not dropped")?, 0);
    }
    Ok(())
}

fn two_chips_may_drop_each_other(vm: &mut Vm) -> Result {
    vm.forgive_leaks();
    for _ in 0..10 {
        vm.log().mark()?;
        let (module, control) = load(vm, "drop each other")?;
        let chips = [GpioChip::open(CHIP)?, GpioChip::open("gpio-chip-2")?];
        on_threads(2, |n| {
            let line = chips[n as usize].request(&[0], line::OUTPUT)?;
            line.set(1, 1)?;
            Ok(())
        })?;
        for chip in &chips {
            eventually("its end", || chip.ask() == Err(Errno::NODEV))?;
        }
        assert_eq!(vm.log().count("gpio-chip: dropped the other")?, 2);
        drop((chips, control));
        module.unload()?;
        assert_eq!(vm.log().count("not dropped")?, 0);
    }
    Ok(())
}

/// That waits for the handler, so the handler does not.
fn an_interrupt_may_drop_its_chip(vm: &mut Vm) -> Result {
    vm.forgive_leaks();
    for round in 0..10 {
        let kind = ["dropped by a thread", "dropped by a handler"][round % 2];
        vm.log().mark()?;
        let (mut module, control) = load(vm, kind)?;
        let chip = GpioChip::open(CHIP)?;
        control.call(EDGE, edge(0, true))?;
        vm.log().expect("gpio-chip: dropped by its interrupt")?;
        eventually("its end", || chip.ask() == Err(Errno::NODEV))?;
        assert_eq!(control.call(EDGE, edge(0, true)), Err(Errno::NODEV));
        // The module has the line yet.
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK), "{kind}");
        assert_eq!(control.call(DROP, 0), Ok(0));
        drop(control);
        module.unload()?;
        assert_eq!(vm.log().count("not dropped")?, 0);
    }
    Ok(())
}

/// If its chip does not sleep, until that goes.
fn is_read_where_one_must_not_sleep(vm: &mut Vm) -> Result {
    vm.forgive_leaks();
    let (module, control) = load(vm, "memory")?;
    let chip = GpioChip::open(CHIP)?;
    let line = chip.request(&[5], line::OUTPUT)?;
    line.set(1, 1)?;
    drop((line, chip));
    assert_eq!(control.call(READ_ATOMIC, 5), Ok(1));
    drop(control);
    module.unload()?;
    let (_module, control) = load(vm, "sleeping")?;
    assert_eq!(control.call(READ_ATOMIC, 5), Err(Errno::OPNOTSUPP));
    Ok(())
}

fn lines_and_edges_keep_the_module(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (mut module, control) = load(vm, "memory")?;
        drop(control);
        let chip = GpioChip::open(CHIP)?;
        let line = chip.request(&[0], line::INPUT | line::RISING)?;
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
        line.configure(line::OUTPUT)?;
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
        drop(line);
        module.unload()
    })
}

/// The kernel has the module wait for a read(2) of /dev/gpiochipN. A signal ends it.
fn unloading_waits_for_who_reads(vm: &mut Vm) -> Result {
    let _reacting = react(Signal::USR1, Reaction::Count)?;
    let _mask = signals::block(Signal::USR1)?;
    let (module, control) = load(vm, "memory")?;
    drop(control);
    let chip = GpioChip::open(CHIP)?;
    let reading = GpioChip::open(CHIP)?;
    let reader = Waiter::begin_in(&[SYS_read], move || {
        let _mask = signals::unblock(Signal::USR1);
        error_of(reading.wait())
    })?;
    let unload = Waiter::begin(move || module.unload());
    // Nobody else gets in any more.
    eventually("its end", || !GpioChip::exists(CHIP))?;
    unload.sleeps()?;
    assert!(!reader.has_ended());
    kill_process(getpid(), Signal::USR1)?;
    assert_eq!(reader.end()?, Some(Errno::INTR));
    unload.end()??;
    assert_eq!(chip.ask(), Err(Errno::NODEV));
    assert_eq!(polled(&chip)?, GONE);
    Ok(())
}

/// The kernel would free the module all the same.
fn a_failing_init_waits_for_requested_lines(vm: &mut Vm) -> Result {
    assert_eq!(vm.load_fails("gpio-chip", "fail")?, Errno::NODEV);
    vm.forgive_leaks();
    let load = Waiter::begin(|| Module::load("gpio-chip", "wait fail").map(drop));
    eventually("the controller", || GpioChip::exists(CHIP))?;
    let chip = GpioChip::open(CHIP)?;
    let line = chip.request(&[0], line::INPUT)?;
    eventually("its end", || line.get(1) == Err(Errno::NODEV))?;
    thread::sleep(Duration::from_millis(100));
    assert!(!load.has_ended());
    drop(line);
    let error = load.end()?.unwrap_err();
    assert_eq!(errno(&error), Some(Errno::NODEV));
    assert_eq!(chip.ask(), Err(Errno::NODEV));
    Ok(())
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| load(vm, "memory")?.0.unload())
}
