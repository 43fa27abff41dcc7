// SPDX-License-Identifier: GPL-2.0-only

use std::sync::OnceLock;

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use crate::{keyboard::*, prelude::*};
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    setup: Some(hold_the_console),
    tests: tests![
        consoles_are_found,
        each_led_is_lit,
        the_last_one_to_show_wins,
        nobody_is_asked_for_a_permission,
        a_console_may_go_meanwhile,
        one_that_is_lost_leaves_them_lit,
        nothing_is_left,
    ],
    ..Example::EMPTY
};

/// One that nobody uses.
const OTHER: u32 = 13;

/// Sets of LEDs as the module numbers them.
const SETS: [(usize, Leds); 8] = [
    (0, 0),
    (1, SCROLL),
    (2, NUM),
    (3, SCROLL | NUM),
    (4, CAPS),
    (5, CAPS | SCROLL),
    (6, CAPS | NUM),
    (7, ALL),
];

/// The second one that shows something.
const SECOND: usize = 1 << 8;

/// On a machine where all use a serial port nobody has a console open.
fn hold_the_console(_: &mut Vm) -> Result {
    static HELD: OnceLock<File> = OnceLock::new();
    let console = console(0)?;
    HELD.get_or_init(|| console);
    Ok(())
}

fn load(vm: &mut Vm) -> Result<(Module, Control, Keyboard)> {
    let module = vm.load("vts")?;
    Ok((module, Control::open("/proc/vts")?, Keyboard::find()?))
}

/// Waits until these LEDs are lit, and no others.
fn lit(keyboard: &Keyboard, leds: Leds) -> Result {
    let what = format!("the LEDs {leds:b}");
    eventually(&what, || keyboard.leds().ok() == Some(leds))
}

fn consoles_are_found(vm: &mut Vm) -> Result {
    let (_module, control, _) = load(vm)?;
    let here = foreground()?;
    assert_eq!(control.get(FOREGROUND), here as usize - 1);
    assert_eq!(control.call(EXISTS, here as usize - 1), Ok(1));
    assert_eq!(control.call(IS_OPEN, here as usize - 1), Ok(1));
    let other = OTHER as usize - 1;
    assert_eq!(control.call(EXISTS, other), Ok(0));
    let open = console(OTHER)?;
    assert_eq!(control.call(EXISTS, other), Ok(1));
    assert_eq!(control.call(IS_OPEN, other), Ok(1));
    drop(open);
    assert_eq!(control.call(EXISTS, other), Ok(1));
    assert_eq!(control.call(IS_OPEN, other), Ok(0));
    disallocate(OTHER)?;
    assert_eq!(control.call(EXISTS, other), Ok(0));
    for none in [63, 64, 1 << 20, u32::MAX as usize] {
        assert_eq!(control.call(EXISTS, none), Ok(0));
    }
    Ok(())
}

fn each_led_is_lit(vm: &mut Vm) -> Result {
    let (module, control, keyboard) = load(vm)?;
    let before = keyboard.leds()?;
    for (number, leds) in SETS {
        control.call(SHOW, number)?;
        lit(&keyboard, leds)?;
    }
    for command in [RESTORE, RENEW] {
        control.call(SHOW, 7)?;
        lit(&keyboard, ALL)?;
        for _ in 0..2 {
            control.call(command, 0)?;
            lit(&keyboard, before)?;
        }
    }
    control.call(SHOW, 7)?;
    lit(&keyboard, ALL)?;
    drop(control);
    module.unload()?;
    lit(&keyboard, before)
}

fn the_last_one_to_show_wins(vm: &mut Vm) -> Result {
    let (_module, control, keyboard) = load(vm)?;
    let before = keyboard.leds()?;
    control.call(SHOW, 1)?;
    lit(&keyboard, SCROLL)?;
    control.call(SHOW, SECOND | 4)?;
    lit(&keyboard, CAPS)?;
    control.call(SHOW, 2)?;
    lit(&keyboard, NUM)?;
    control.call(RENEW, SECOND)?;
    lit(&keyboard, before)?;
    control.call(SHOW, 2)?;
    lit(&keyboard, NUM)?;
    control.call(RESTORE, 0)?;
    lit(&keyboard, before)
}

/// It is the module that lights them, whoever calls it.
fn nobody_is_asked_for_a_permission(vm: &mut Vm) -> Result {
    let (_module, control, keyboard) = load(vm)?;
    let before = keyboard.leds()?;
    let same = control.clone();
    let waiter = Waiter::begin(move || -> Result {
        let mut sets = capabilities(None)?;
        sets.effective.remove(CapabilitySet::SYS_TTY_CONFIG);
        set_capabilities(None, sets)?;
        ensure!(same.call(SHOW, 7) == Ok(0), "not shown");
        // The caller is who it was.
        let sets = capabilities(None)?;
        ensure!(!sets.effective.contains(CapabilitySet::SYS_TTY_CONFIG));
        Ok(())
    });
    waiter.end()??;
    lit(&keyboard, ALL)?;
    control.call(RESTORE, 0)?;
    lit(&keyboard, before)
}

/// The terminal of a console that is not open any more is used once more, to restore the LEDs.
/// Until then the console stays.
fn a_console_may_go_meanwhile(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control, keyboard) = load(vm)?;
        let here = foreground()?;
        let before = keyboard.leds()?;
        activate(OTHER)?;
        let open = console(OTHER)?;
        control.call(SHOW, 7)?;
        lit(&keyboard, ALL)?;
        drop(open);
        assert_eq!(control.call(SHOW, SECOND | 7), Err(Errno::NODEV));
        activate(here)?;
        lit(&keyboard, before)?;
        // What is lit there is a use of it.
        let refused = try_disallocate(OTHER).unwrap_err();
        assert_eq!(errno(&refused), Some(Errno::BUSY));
        control.call(RESTORE, 0)?;
        lit(&keyboard, before)?;
        disallocate(OTHER)?;
        drop(control);
        module.unload()
    })
}

fn one_that_is_lost_leaves_them_lit(vm: &mut Vm) -> Result {
    const KDSETLED: u32 = 0x4b32;
    let (module, control, keyboard) = load(vm)?;
    let before = keyboard.leds()?;
    control.call(SHOW, 7)?;
    lit(&keyboard, ALL)?;
    control.call(FORGET, 0)?;
    drop(control);
    module.unload()?;
    thread::sleep(Duration::from_millis(100));
    assert_eq!(keyboard.leds()?, ALL);
    ioctl(console(0)?, KDSETLED, Argument::Number(0xff))?;
    lit(&keyboard, before)?;
    vm.forgive_leaks();
    Ok(())
}

fn nothing_is_left(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control, keyboard) = load(vm)?;
        let before = keyboard.leds()?;
        for (number, _) in SETS {
            control.call(SHOW, number)?;
            control.call(SHOW, SECOND | number)?;
        }
        drop(control);
        module.unload()?;
        lit(&keyboard, before)
    })
}
