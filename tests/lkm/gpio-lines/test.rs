// SPDX-License-Identifier: GPL-2.0-only

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use crate::prelude::*;
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        a_line_goes_where_it_is_put,
        an_input_is_what_it_is_pulled_to,
        a_line_is_had_by_one,
        what_is_not_there,
        what_is_refused_leaves_nothing,
        the_kernel_knows_who_has_it,
        an_interrupt_has_a_number,
        many_ask_at_the_same_time,
        many_use_a_line_at_the_same_time,
        lines_are_dropped_in_softirqs,
        a_chip_that_goes,
        a_chip_that_goes_meanwhile,
        unloading_gives_lines_back,
    ],
    setup: Some(gpio_sim),
    ..Example::EMPTY
};

/// The line that most tests use, and where the module has it.
const LINE: GpioLine = GpioLine(5);
const HERE: usize = 0;

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load("gpio-lines")?;
    Ok((module, Control::open("/proc/gpio-lines")?))
}

/// The argument of a command: a place, and a number or a level.
fn place(place: usize, value: u32) -> usize {
    place | ((value as usize) << 8)
}

/// One without a number.
fn here() -> usize {
    place(HERE, 0)
}

fn a_line_goes_where_it_is_put(vm: &mut Vm) -> Result {
    let (_module, lines) = load(vm)?;
    lines.call(GET, place(HERE, LINE.0))?;
    // Nothing was done to it yet.
    assert!(!LINE.value()?);
    assert_eq!(lines.call(SET, place(HERE, 1)), Err(Errno::BADF));
    assert_eq!(lines.call(READ, here()), Err(Errno::BADF));
    for level in [1, 0] {
        lines.call(OUTPUT, place(HERE, level))?;
        assert_eq!(LINE.value()?, level == 1);
        for level in [1, 1, 0, 1, 0, 0] {
            lines.call(SET, place(HERE, level))?;
            assert_eq!(LINE.value()?, level == 1);
            assert_eq!(lines.call(READ, here()), Ok(level as usize));
        }
        lines.call(INPUT, here())?;
        assert_eq!(lines.call(SET, place(HERE, 1)), Err(Errno::BADF));
    }
    lines.call(DROP, here())?;
    drop(LINE.take()?);
    Ok(())
}

fn an_input_is_what_it_is_pulled_to(vm: &mut Vm) -> Result {
    let (_module, lines) = load(vm)?;
    lines.call(GET, place(HERE, LINE.0))?;
    lines.call(INPUT, here())?;
    for _ in 0..10 {
        for up in [true, false] {
            LINE.pull(up)?;
            assert_eq!(lines.call(READ, here()), Ok(up.into()));
        }
    }
    Ok(())
}

fn a_line_is_had_by_one(vm: &mut Vm) -> Result {
    let (_module, lines) = load(vm)?;
    let there = place(HERE + 1, LINE.0);
    lines.call(GET, place(HERE, LINE.0))?;
    for change in [None, Some(INPUT), Some(OUTPUT)] {
        if let Some(change) = change {
            lines.call(change, here())?;
        }
        assert_eq!(lines.call(GET, there), Err(Errno::BUSY));
        let error = LINE.take().err().context("the module has it")?;
        assert_eq!(errno(&error), Some(Errno::BUSY));
    }
    lines.call(DROP, here())?;

    let taken = LINE.take()?;
    assert_eq!(lines.call(GET, there), Err(Errno::BUSY));
    drop(taken);
    lines.call(GET, there)?;
    Ok(())
}

fn what_is_not_there(vm: &mut Vm) -> Result {
    let (_module, lines) = load(vm)?;
    for line in [0, 5, 65_535] {
        let expected = match line {
            65_535 => Errno::INVAL,
            _ => Errno::NODEV,
        };
        assert_eq!(lines.call(GET_ELSEWHERE, place(HERE, line)), Err(expected));
    }
    for line in [GPIO_LINES, 65_534, 65_535, 65_536, 65_541, u32::MAX] {
        let argument = place(HERE, line);
        assert_eq!(lines.call(GET, argument), Err(Errno::INVAL), "{line}");
    }
    lines.call(GET, place(HERE, GPIO_LINES - 1))?;
    Ok(())
}

fn what_is_refused_leaves_nothing(vm: &mut Vm) -> Result {
    let (module, lines) = load(vm)?;
    let taken = LINE.take()?;
    vm.rounds(|_| {
        assert_eq!(lines.call(GET, place(HERE, LINE.0)), Err(Errno::BUSY));
        let nowhere = lines.call(GET_ELSEWHERE, place(HERE, 0));
        assert_eq!(nowhere, Err(Errno::NODEV));
        Ok(())
    })?;
    drop(taken);
    vm.rounds(|_| {
        for change in [OUTPUT, INPUT] {
            lines.call(GET, place(HERE, LINE.0))?;
            lines.call(change, here())?;
            lines.call(DROP, here())?;
        }
        Ok(())
    })?;
    drop(lines);
    module.unload()
}

fn the_kernel_knows_who_has_it(vm: &mut Vm) -> Result {
    let (_module, lines) = load(vm)?;
    let known = || {
        let text = fs::read_to_string("/sys/kernel/debug/gpio")?;
        anyhow::Ok(text.matches("gpio-lines").count())
    };
    assert_eq!(known()?, 0);
    for n in 0..3 {
        lines.call(GET, place(n, LINE.0 + n as u32))?;
    }
    assert_eq!(known()?, 3);
    lines.call(DROP, place(1, 0))?;
    assert_eq!(known()?, 2);
    Ok(())
}

/// The same each time. The line is given back with it.
fn an_interrupt_has_a_number(vm: &mut Vm) -> Result {
    let (_module, lines) = load(vm)?;
    let button = GpioLine(16);
    let mut numbers = Vec::new();
    for _ in 0..3 {
        lines.call(GET, place(HERE, button.0))?;
        lines.call(INPUT, here())?;
        numbers.push(lines.call(NUMBER, here())?);
        drop(button.take()?);
    }
    assert!(numbers[0] > 0, "{numbers:?}");
    assert_eq!(numbers, [numbers[0]; 3]);
    Ok(())
}

/// Each asks for a line of its own, and gets that one.
fn many_ask_at_the_same_time(vm: &mut Vm) -> Result {
    let (_module, lines) = load(vm)?;
    let rounds = vm.fewer(200);
    on_threads(PLACES as u32, |n| {
        let (at, line) = (n as usize, GpioLine(n));
        for round in 0..rounds {
            let level = round % 2;
            lines.call(GET, place(at, n))?;
            lines.call(OUTPUT, place(at, level))?;
            assert_eq!(line.value()?, level == 1);
            lines.call(DROP, place(at, 0))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn many_use_a_line_at_the_same_time(vm: &mut Vm) -> Result {
    let (_module, lines) = load(vm)?;
    lines.call(GET, place(HERE, LINE.0))?;
    lines.call(OUTPUT, here())?;
    lines.call(SHARE, here())?;
    let rounds = vm.fewer(500);
    on_threads(8, |n| {
        for _ in 0..rounds {
            lines.call(USE_SHARED, n as usize % 2)?;
        }
        Ok(())
    })?;
    for level in [1, 0] {
        assert_eq!(lines.call(USE_SHARED, level), Ok(level));
        assert_eq!(LINE.value()?, level == 1);
    }
    lines.call(DROP_SHARED, 0)?;
    drop(LINE.take()?);
    Ok(())
}

/// They are given back a little later.
fn lines_are_dropped_in_softirqs(vm: &mut Vm) -> Result {
    let (module, lines) = load(vm)?;
    vm.rounds(|_| {
        for change in [None, Some(INPUT), Some(OUTPUT)] {
            lines.call(GET, place(HERE, LINE.0))?;
            if let Some(change) = change {
                lines.call(change, here())?;
            }
            lines.call(DROP_IN_SOFTIRQ, here())?;
            LINE.becomes_free()?;
        }
        Ok(())
    })?;
    // At once.
    lines.call(GET, place(HERE, LINE.0))?;
    lines.call(DROP_IN_SOFTIRQ, here())?;
    drop(lines);
    module.unload()?;
    assert_eq!(vm.log().count("not dropped")?, 0);
    drop(LINE.take()?);
    Ok(())
}

/// All that is done with its lines fails. When it is there again, it has other lines.
fn a_chip_that_goes(vm: &mut Vm) -> Result {
    let (module, lines) = load(vm)?;
    let [other, input, output] = [1, 2, 3];
    let changes = [None, Some(INPUT), Some(OUTPUT)];
    for (at, change) in (1..).zip(changes) {
        lines.call(GET, place(at, LINE.0 + at as u32))?;
        if let Some(change) = change {
            lines.call(change, place(at, 0))?;
        }
    }
    gpio_chip_goes()?;
    assert_eq!(lines.call(GET, place(4, 4)), Err(Errno::NODEV));
    for again in [false, true] {
        if again {
            gpio_chip_comes()?;
            // It is not taken, though a line of that number is.
            lines.call(GET, place(4, LINE.0 + 3))?;
            lines.call(OUTPUT, place(4, 1))?;
        }
        assert_eq!(lines.call(SET, place(output, 0)), Err(Errno::NODEV));
        assert_eq!(lines.call(READ, place(output, 0)), Err(Errno::NODEV));
        assert_eq!(lines.call(READ, place(input, 0)), Err(Errno::NODEV));
    }
    assert!(GpioLine(LINE.0 + 3).value()?);
    // Nor can they become anything else: then they are given back.
    assert_eq!(lines.call(OUTPUT, place(other, 1)), Err(Errno::NODEV));
    assert_eq!(lines.call(NUMBER, place(input, 0)), Err(Errno::NODEV));
    assert_eq!(lines.call(INPUT, place(output, 0)), Err(Errno::NODEV));
    assert_eq!(lines.call(READ, place(output, 0)), Err(Errno::BADF));
    assert_eq!(lines.call(READ, place(4, 0)), Ok(1));
    drop(lines);
    module.unload()?;
    // The kernel forgets the names of those who had its lines.
    vm.forgive_leaks();
    gpio_chip_comes_as_before()
}

/// At any time.
fn a_chip_that_goes_meanwhile(vm: &mut Vm) -> Result {
    let (module, lines) = load(vm)?;
    let (over, worked) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let users: Vec<_> = (0..4_u32)
            .map(|n| {
                let (over, worked, lines) = (&over, &worked, lines.clone());
                scope.spawn(move || {
                    while !over.load(Relaxed) {
                        let at = n as usize;
                        let results = [
                            lines.call(GET, place(at, n)),
                            lines.call(OUTPUT, place(at, 1)),
                            lines.call(SET, place(at, 0)),
                            lines.call(READ, place(at, 0)),
                            lines.call(DROP, place(at, 0)),
                        ];
                        if results.iter().all(Result::is_ok) {
                            worked.fetch_add(1, Relaxed);
                        }
                        // What could not be had cannot be set.
                        for error in results.into_iter().filter_map(Result::err) {
                            assert!(matches!(error, Errno::NODEV | Errno::BADF), "{error}");
                        }
                    }
                })
            })
            .collect();
        let result = (0..vm.fewer(20)).try_for_each(|_| {
            gpio_chip_goes()?;
            gpio_chip_comes()?;
            let before = worked.load(Relaxed);
            eventually("the new chip's lines", || worked.load(Relaxed) > before)
        });
        over.store(true, Relaxed);
        for user in users {
            user.join().expect("there are only those errors");
        }
        result
    })?;
    drop(lines);
    module.unload()?;
    // The kernel forgets the names of those who had its lines.
    vm.forgive_leaks();
    gpio_chip_comes_as_before()
}

fn unloading_gives_lines_back(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, lines) = load(vm)?;
        let changes = [None, Some(INPUT), Some(OUTPUT)];
        for (n, change) in changes.into_iter().enumerate() {
            lines.call(GET, place(n, n as u32))?;
            if let Some(change) = change {
                lines.call(change, place(n, 0))?;
            }
        }
        lines.call(GET, place(HERE + 3, LINE.0))?;
        lines.call(OUTPUT, place(HERE + 3, 1))?;
        lines.call(SHARE, place(HERE + 3, 0))?;
        module.unload()?;
        for line in [0, 1, 2, LINE.0] {
            drop(GpioLine(line).take()?);
        }
        Ok(())
    })
}
