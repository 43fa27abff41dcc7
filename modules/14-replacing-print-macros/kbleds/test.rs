// SPDX-License-Identifier: GPL-2.0-only

use std::{process::Command, sync::OnceLock};

use crate::{keyboard::*, prelude::*};

pub const EXAMPLE: Example = Example {
    demo: &["keyleds 5"],
    setup: Some(hold_the_console),
    tests: tests![
        blinks,
        says_what_it_finds,
        the_locks_are_shown_again,
        needs_an_open_console,
        follows_the_console_in_the_foreground,
        a_console_that_is_closed_shows_its_locks_again,
        the_program_says_what_is_lit,
        unloading_at_any_time,
    ],
    ..Example::EMPTY
};

/// One that nobody uses.
const OTHER: u32 = 12;

/// On a machine where all use a serial port nobody has a console open.
fn hold_the_console(_: &mut Vm) -> Result {
    static HELD: OnceLock<File> = OnceLock::new();
    let console = console(0)?;
    HELD.get_or_init(|| console);
    Ok(())
}

/// Waits until these LEDs are lit, and no others.
fn lit(keyboard: &Keyboard, leds: Leds) -> Result {
    let what = format!("the LEDs {leds:b}");
    eventually(&what, || keyboard.leds().ok() == Some(leds))
}

/// The LEDs stay as they are. What was asked for last may get to the keyboard a little later;
/// who blinks never lets them be for a second.
fn stay(keyboard: &Keyboard, leds: Leds) -> Result {
    for _ in 0..20 {
        let stay = (0..50).all(|_| {
            thread::sleep(Duration::from_millis(20));
            keyboard.leds().ok() == Some(leds)
        });
        if stay {
            return Ok(());
        }
    }
    bail!("the LEDs do not stay {leds:b}")
}

/// Another console is in the foreground until this is dropped, and is freed then. It is
/// not open.
struct Elsewhere {
    before: u32,
}

impl Elsewhere {
    fn go() -> Result<Self> {
        let before = foreground()?;
        activate(OTHER)?;
        Ok(Self { before })
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        // What fails here is seen by the next test.
        let _ = activate(self.before);
        let _ = disallocate(OTHER);
    }
}

fn blinks(vm: &mut Vm) -> Result {
    let keyboard = Keyboard::find()?;
    let before = keyboard.leds()?;
    assert_ne!(before, ALL);
    let module = vm.load("kbleds")?;
    for _ in 0..5 {
        lit(&keyboard, ALL)?;
        lit(&keyboard, before)?;
    }
    lit(&keyboard, ALL)?;
    module.unload()?;
    lit(&keyboard, before)?;
    stay(&keyboard, before)
}

fn says_what_it_finds(vm: &mut Vm) -> Result {
    let number = foreground()? - 1;
    vm.load("kbleds")?.unload()?;
    let said = vm.log().texts("kbleds")?;
    assert_eq!(said[0], "loading");
    assert_eq!(said[1], format!("fgconsole is {number:x}"));
    let consoles = said.len() - 4;
    assert!(consoles > 0);
    for (n, text) in said[2..][..consoles].iter().enumerate() {
        let begin = format!("poet_atkm: console[{n}/63] #{n}, tty ");
        assert!(text.starts_with(&begin), "{text}");
    }
    let rest = ["finished scanning consoles", "unloading..."];
    assert_eq!(said[2 + consoles..], rest);
    // Addresses are not shown as they are.
    if !vm.shows_pointers()? {
        assert!(!said.concat().contains("tty ffff"));
    }
    Ok(())
}

/// Those that were on before, and those that were turned on meanwhile.
fn the_locks_are_shown_again(vm: &mut Vm) -> Result {
    let keyboard = Keyboard::find()?;
    let before = keyboard.leds()?;
    let console = console(0)?;
    for locks in [CAPS, NUM | SCROLL, before] {
        set_locks(&console, locks)?;
        lit(&keyboard, locks)?;
        let module = vm.load("kbleds")?;
        lit(&keyboard, ALL)?;
        lit(&keyboard, locks)?;
        lit(&keyboard, ALL)?;
        module.unload()?;
        lit(&keyboard, locks)?;
        stay(&keyboard, locks)?;
    }
    let module = vm.load("kbleds")?;
    lit(&keyboard, ALL)?;
    set_locks(&console, CAPS)?;
    module.unload()?;
    lit(&keyboard, CAPS)?;
    set_locks(&console, before)?;
    lit(&keyboard, before)
}

/// The book's module reads a null pointer then.
fn needs_an_open_console(vm: &mut Vm) -> Result {
    let _elsewhere = Elsewhere::go()?;
    assert_eq!(vm.load_fails("kbleds", "")?, Errno::NODEV);
    vm.log().expect("kbleds: nobody has /dev/tty12 open")?;
    // As long as it is open.
    let open = console(OTHER)?;
    vm.load("kbleds")?.unload()?;
    drop(open);
    assert_eq!(vm.load_fails("kbleds", "")?, Errno::NODEV);
    Ok(())
}

/// The book's module leaves the LEDs of the first one as they are.
fn follows_the_console_in_the_foreground(vm: &mut Vm) -> Result {
    let keyboard = Keyboard::find()?;
    let before = keyboard.leds()?;
    for _ in 0..3 {
        let module = vm.load("kbleds")?;
        lit(&keyboard, ALL)?;
        let elsewhere = Elsewhere::go()?;
        let open = console(OTHER)?;
        set_locks(&open, 0)?;
        lit(&keyboard, 0)?;
        lit(&keyboard, ALL)?;
        module.unload()?;
        lit(&keyboard, 0)?;
        stay(&keyboard, 0)?;
        drop(open);
        drop(elsewhere);
        lit(&keyboard, before)?;
        stay(&keyboard, before)?;
    }
    Ok(())
}

fn a_console_that_is_closed_shows_its_locks_again(vm: &mut Vm) -> Result {
    let keyboard = Keyboard::find()?;
    let before = keyboard.leds()?;
    let elsewhere = Elsewhere::go()?;
    let open = console(OTHER)?;
    set_locks(&open, 0)?;
    let module = vm.load("kbleds")?;
    lit(&keyboard, ALL)?;
    drop(open);
    lit(&keyboard, 0)?;
    stay(&keyboard, 0)?;
    // It goes on when it can.
    let open = console(OTHER)?;
    lit(&keyboard, ALL)?;
    drop(open);
    module.unload()?;
    lit(&keyboard, 0)?;
    stay(&keyboard, 0)?;
    drop(elsewhere);
    lit(&keyboard, before)
}

fn the_program_says_what_is_lit(vm: &mut Vm) -> Result {
    let keyboard = Keyboard::find()?;
    let console = console(0)?;
    let before = keyboard.leds()?;
    set_locks(&console, CAPS)?;
    lit(&keyboard, CAPS)?;
    let _module = vm.load("kbleds")?;
    let output = Command::new("keyleds").arg("12").output()?;
    set_locks(&console, before)?;
    let text = String::from_utf8(output.stdout)?;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 12, "{text}");
    for expected in ["lit: Caps", "lit: Scroll, Num, Caps"] {
        assert!(lines.contains(&expected), "{text}");
    }
    // One changes after the other, and it may look in between. Caps Lock is always on.
    assert!(lines.iter().all(|line| line.ends_with("Caps")), "{text}");
    let twice = lines.windows(2).find(|two| two[0] == two[1]);
    assert_eq!(twice, None, "{text}");
    Ok(())
}

fn unloading_at_any_time(vm: &mut Vm) -> Result {
    let keyboard = Keyboard::find()?;
    let before = keyboard.leds()?;
    let mut round = 0;
    vm.rounds(|vm| {
        round += 1;
        let module = vm.load("kbleds")?;
        thread::sleep(Duration::from_millis(round * 13 % 450));
        module.unload()
    })?;
    lit(&keyboard, before)?;
    stay(&keyboard, before)
}
