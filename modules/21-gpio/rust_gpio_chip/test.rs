// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "cat /sys/kernel/debug/gpio",
        "cat /sys/kernel/rust_gpio_chip/line3/direction",
        "echo 1 > /sys/kernel/rust_gpio_chip/line3/level",
        "cat /sys/kernel/rust_gpio_chip/line3/level",
    ],
    tests: tests![
        has_eight_lines,
        shows_what_is_driven,
        inputs_can_be_pressed,
        outputs_cannot_be_pressed,
        levels_are_0_and_1,
        edges_are_events,
        only_the_edges_that_are_wanted,
        an_edge_of_a_line_that_is_active_low,
        a_line_that_becomes_an_output_has_no_edges,
        a_line_belongs_to_one,
        a_requested_line_keeps_the_module,
        an_open_chip_does_not_keep_the_module,
        all_lines_at_once,
        unloading_at_once,
    ],
    ..Example::EMPTY
};

const CHIP: &str = "rust_gpio_chip";

fn path(line: u32, file: &str) -> String {
    format!("/sys/kernel/rust_gpio_chip/line{line}/{file}")
}

fn level(line: u32) -> Result<String> {
    Ok(fs::read_to_string(path(line, "level"))?)
}

fn direction(line: u32) -> Result<String> {
    Ok(fs::read_to_string(path(line, "direction"))?)
}

/// What is connected to the line changes its level.
fn press(line: u32, level: u8) -> io::Result<()> {
    fs::write(path(line, "level"), format!("{level}\n"))
}

fn has_eight_lines(vm: &mut Vm) -> Result {
    let module = vm.load("rust_gpio_chip")?;
    assert_eq!(vm.log().said("rust_gpio_chip")?, [info("8 lines")]);
    assert_eq!(GpioChip::open(CHIP)?.lines, 8);
    let dirs: Vec<_> = (0..8).map(|line| format!("line{line}")).collect();
    assert_eq!(names("/sys/kernel/rust_gpio_chip")?, dirs);
    for line in 0..8 {
        assert_eq!(names(path(line, ""))?, ["direction", "level"]);
        assert_eq!(fs::metadata(path(line, "level"))?.mode() & 0o7777, 0o644);
        assert_eq!(level(line)?, "0\n");
        assert_eq!(direction(line)?, "in\n");
    }
    module.unload()?;
    assert!(!GpioChip::exists(CHIP));
    assert!(!Path::new("/sys/kernel/rust_gpio_chip").exists());
    Ok(())
}

fn shows_what_is_driven(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_gpio_chip")?;
    let chip = GpioChip::open(CHIP)?;
    let lines = chip.request(&[1, 3, 5], line::OUTPUT)?;
    for bits in [0b101, 0b010, 0b111, 0] {
        lines.set(3, bits)?;
        for (place, line) in [1, 3, 5].into_iter().enumerate() {
            let expected = format!("{}\n", (bits >> place) & 1);
            assert_eq!(level(line)?, expected, "{bits:b}: {line}");
            assert_eq!(direction(line)?, "out\n");
        }
        assert_eq!(lines.get(3)?, bits);
        assert_eq!(level(2)?, "0\n");
        assert_eq!(direction(2)?, "in\n");
    }
    Ok(())
}

fn inputs_can_be_pressed(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_gpio_chip")?;
    press(2, 1)?;
    let chip = GpioChip::open(CHIP)?;
    let line = chip.request(&[2], line::INPUT)?;
    assert!(line.is_high()?);
    for now in [0, 1, 1, 0, 0] {
        press(2, now)?;
        assert_eq!(line.is_high()?, now == 1);
        assert_eq!(level(2)?, format!("{now}\n"));
    }
    Ok(())
}

fn outputs_cannot_be_pressed(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_gpio_chip")?;
    let chip = GpioChip::open(CHIP)?;
    let line = chip.request(&[0], line::OUTPUT)?;
    assert_eq!(error_of(press(0, 1)), Some(Errno::BUSY));
    assert!(!line.is_high()?);
    line.configure(line::INPUT)?;
    press(0, 1)?;
    assert!(line.is_high()?);
    // What was pressed is over as soon as the chip drives the line.
    line.configure(line::OUTPUT)?;
    assert!(!line.is_high()?);
    Ok(())
}

fn levels_are_0_and_1(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_gpio_chip")?;
    press(7, 1)?;
    for text in ["2", "-1", "on", "", "\n", "1 1", "256"] {
        let written = OpenOptions::new().write(true).open(path(7, "level"))?;
        let result = (&written).write(text.as_bytes());
        // The kernel asks no module to store nothing.
        let expected = (!text.is_empty()).then_some(Errno::INVAL);
        assert_eq!(error_of(result), expected, "{text:?}");
    }
    assert_eq!(level(7)?, "1\n");
    Ok(())
}

fn edges_are_events(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_gpio_chip")?;
    let chip = GpioChip::open(CHIP)?;
    let both = line::INPUT | line::RISING | line::FALLING;
    let line = chip.request(&[4], both)?;
    for number in 1..=10 {
        let rising = number % 2 == 1;
        press(4, rising.into())?;
        let event = LineEvent {
            line: 4,
            rising,
            number,
        };
        assert_eq!(line.event()?, event);
    }
    Ok(())
}

/// Events have numbers: none came that was not wanted. A level that stays is no edge.
fn only_the_edges_that_are_wanted(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_gpio_chip")?;
    let chip = GpioChip::open(CHIP)?;
    for (flag, rising) in [(line::RISING, true), (line::FALLING, false)] {
        press(6, (!rising).into())?;
        let line = chip.request(&[6], line::INPUT | flag)?;
        for number in 1..=5 {
            press(6, rising.into())?;
            let event = LineEvent {
                line: 6,
                rising,
                number,
            };
            assert_eq!(line.event()?, event);
            press(6, rising.into())?;
            press(6, (!rising).into())?;
            press(6, (!rising).into())?;
            press(5, rising.into())?;
            press(5, (!rising).into())?;
        }
    }
    Ok(())
}

fn an_edge_of_a_line_that_is_active_low(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_gpio_chip")?;
    press(1, 1)?;
    let chip = GpioChip::open(CHIP)?;
    let flags = line::INPUT | line::ACTIVE_LOW | line::RISING;
    let line = chip.request(&[1], flags)?;
    assert!(!line.is_high()?);
    press(1, 0)?;
    let event = LineEvent {
        line: 1,
        rising: true,
        number: 1,
    };
    assert_eq!(line.event()?, event);
    assert!(line.is_high()?);
    Ok(())
}

fn a_line_that_becomes_an_output_has_no_edges(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_gpio_chip")?;
    let chip = GpioChip::open(CHIP)?;
    let rising = line::INPUT | line::RISING;
    let line = chip.request(&[3], rising)?;
    press(3, 1)?;
    assert_eq!(line.event()?.number, 1);
    line.configure(line::OUTPUT)?;
    for bits in [1, 0, 1, 0] {
        line.set(1, bits)?;
    }
    line.configure(rising)?;
    press(3, 1)?;
    assert_eq!(line.event()?.number, 2);
    Ok(())
}

fn a_line_belongs_to_one(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_gpio_chip")?;
    let chip = GpioChip::open(CHIP)?;
    let line = chip.request(&[2], line::INPUT)?;
    let refused = |lines: &[u32]| chip.request(lines, line::INPUT).map(drop);
    assert_eq!(refused(&[2]), Err(Errno::BUSY));
    assert_eq!(refused(&[1, 2]), Err(Errno::BUSY));
    assert_eq!(refused(&[8]), Err(Errno::INVAL));
    drop(line);
    assert_eq!(refused(&[1, 2]), Ok(()));
    Ok(())
}

fn a_requested_line_keeps_the_module(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let mut module = vm.load("rust_gpio_chip")?;
        let chip = GpioChip::open(CHIP)?;
        let lines = [
            chip.request(&[0], line::OUTPUT)?,
            chip.request(&[1], line::INPUT | line::RISING | line::FALLING)?,
        ];
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
        press(1, 1)?;
        assert_eq!(lines[1].event()?.line, 1);
        drop(chip);
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
        drop(lines);
        module.unload()
    })
}

fn an_open_chip_does_not_keep_the_module(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = vm.load("rust_gpio_chip")?;
        let chip = GpioChip::open(CHIP)?;
        chip.ask()?;
        module.unload()?;
        assert_eq!(chip.ask(), Err(Errno::NODEV));
        let refused = chip.request(&[0], line::INPUT).map(drop);
        assert_eq!(refused, Err(Errno::NODEV));
        Ok(())
    })
}

/// Eight drive, each its own line, while others look.
fn all_lines_at_once(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_gpio_chip")?;
    let chip = GpioChip::open(CHIP)?;
    let times = vm.fewer(500);
    on_threads(10, |n| {
        if n >= 8 {
            for time in 0..times {
                let shown = level(time % 8)?;
                ensure!(["0\n", "1\n"].contains(&&*shown), "{shown:?}");
            }
            return Ok(());
        }
        let line = chip.request(&[n], line::OUTPUT)?;
        for time in 0..times {
            line.set(1, u64::from(time % 2))?;
            assert_eq!(line.is_high()?, time % 2 == 1);
        }
        Ok(())
    })?;
    for line in 0..8 {
        assert_eq!(level(line)?, format!("{}\n", (times - 1) % 2));
    }
    Ok(())
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| vm.load("rust_gpio_chip")?.unload())
}
