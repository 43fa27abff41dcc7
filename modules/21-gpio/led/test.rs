// SPDX-License-Identifier: GPL-2.0-only

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "echo 1 >/dev/gpio_led",
        "cat /sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio4/value",
        "grep LED /sys/kernel/debug/gpio",
        "echo 0 >/dev/gpio_led",
        "cat /sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio4/value",
    ],
    tests: tests![
        says_what_it_makes,
        the_line_follows,
        with_newline_or_without,
        anything_else_is_invalid,
        an_empty_write_does_nothing,
        bad_addresses,
        many_write,
        an_open_device_keeps_the_module,
        no_chip_and_no_line,
        the_line_is_taken,
        another_line,
        the_device_is_never_without_its_led,
        the_chip_goes,
        runs_on_a_chip_of_ours,
    ],
    setup: Some(gpio_sim),
    ..Example::EMPTY
};

const PATH: &str = "/dev/gpio_led";
const LED: GpioLine = GpioLine(4);

fn open() -> Result<File> {
    Ok(OpenOptions::new().write(true).open(PATH)?)
}

fn says_what_it_makes(vm: &mut Vm) -> Result {
    let module = vm.load("led")?;
    let node = fs::metadata(PATH)?;
    assert!(node.file_type().is_char_device());
    let major = rustix::fs::major(node.rdev());
    assert_eq!(rustix::fs::minor(node.rdev()), 0);
    assert!(Path::new("/sys/class/gpio_led/gpio_led").exists());
    fs::write(PATH, "1\n")?;
    fs::write(PATH, "0\n")?;
    module.unload()?;
    assert!(!Path::new(PATH).exists());
    let said = [
        format!("Major = {major}, Minor = 0"),
        "Device created on /dev/gpio_led".to_owned(),
        "LED ON".to_owned(),
        "LED OFF".to_owned(),
    ];
    assert_eq!(vm.log().said("led")?, said.map(info));
    Ok(())
}

fn the_line_follows(vm: &mut Vm) -> Result {
    let module = vm.load("led")?;
    assert!(!LED.value()?);
    for _ in 0..10 {
        for level in [true, false, false, true] {
            fs::write(PATH, u8::from(level).to_string())?;
            assert_eq!(LED.value()?, level);
            // What is driven does not mind what pulls.
            LED.pull(!level)?;
            assert_eq!(LED.value()?, level);
            LED.pull(false)?;
        }
    }
    module.unload()?;
    assert!(!LED.value()?);
    drop(LED.take()?);
    Ok(())
}

/// As a program writes it, and as `echo` does.
fn with_newline_or_without(vm: &mut Vm) -> Result {
    let _module = vm.load("led")?;
    let mut device = open()?;
    for (text, level) in [("1", true), ("0", false), ("1\n", true), ("0\n", false)] {
        assert_eq!(device.write(text.as_bytes())?, text.len());
        assert_eq!(LED.value()?, level, "{text:?}");
    }
    vm.sh("echo 1 >/dev/gpio_led")?;
    assert!(LED.value()?);
    vm.sh("echo 0 | tee /dev/gpio_led")?;
    assert!(!LED.value()?);
    Ok(())
}

/// The guide takes the first byte of anything, and says that all is well.
fn anything_else_is_invalid(vm: &mut Vm) -> Result {
    let _module = vm.load("led")?;
    let mut device = open()?;
    device.write_all(b"1")?;
    for text in [
        "2", "on", "\n", "\n0", "00", "01", "0 ", " 0", "0\n\n", "0\0", "-0", "0\n0", "\u{660}",
    ] {
        let written = device.write(text.as_bytes());
        assert_eq!(error_of(written), Some(Errno::INVAL), "{text:?}");
    }
    assert!(LED.value()?);
    assert_eq!(vm.log().count("led: Invalid value!")?, 13);
    let zeroes = device.write(&[b'0'; 1 << 20]);
    assert_eq!(error_of(zeroes), Some(Errno::INVAL));
    assert!(LED.value()?);
    Ok(())
}

/// The guide does again what the last write was to do, whoever wrote.
fn an_empty_write_does_nothing(vm: &mut Vm) -> Result {
    let _module = vm.load("led")?;
    let mut device = open()?;
    for level in [true, false] {
        fs::write(PATH, u8::from(level).to_string())?;
        vm.log().mark()?;
        assert_eq!(device.write(b"")?, 0);
        assert_eq!(LED.value()?, level);
        assert_eq!(vm.log().said("led")?.len(), 0);
    }
    Ok(())
}

fn bad_addresses(vm: &mut Vm) -> Result {
    let _module = vm.load("led")?;
    let device = open()?;
    fs::write(PATH, "1")?;
    for len in [1, 2, 100] {
        assert_eq!(write_from_bad_address(&device, len), Err(Errno::FAULT));
    }
    // The second byte is not there.
    assert_eq!(Edge::of(b"0").write(&device, 2), Err(Errno::FAULT));
    assert!(LED.value()?);
    assert_eq!(Edge::of(b"0").write(&device, 1), Ok(1));
    assert!(!LED.value()?);
    // There is nothing to read, and nothing to do by ioctl.
    let read = read_write(PATH)?.read(&mut [0; 8]);
    assert_eq!(error_of(read), Some(Errno::INVAL));
    assert_eq!(ioctl(&device, 0, Argument::None), Err(Errno::NOTTY));
    Ok(())
}

/// The guide has one buffer for all.
fn many_write(vm: &mut Vm) -> Result {
    let module = vm.load("led")?;
    on_threads(8, |n| {
        let mut device = open()?;
        for _ in 0..20 {
            device.write_all((n % 2).to_string().as_bytes())?;
        }
        Ok(())
    })?;
    fs::write(PATH, "1")?;
    assert!(LED.value()?);
    assert_eq!(vm.log().count("led: LED O")?, 161);
    module.unload()
}

/// The guide's module has no owner from 6.4 on: closing the device after the unload is a
/// jump into memory that was freed.
fn an_open_device_keeps_the_module(vm: &mut Vm) -> Result {
    let mut module = vm.load("led")?;
    let mut device = open()?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    device.write_all(b"1\n")?;
    assert!(LED.value()?);
    drop(device);
    module.unload()?;
    assert!(!LED.value()?);
    Ok(())
}

/// Loading fails with this error and this line, and there is no device.
fn fails(vm: &mut Vm, params: &str, error: Errno) -> Result {
    vm.log().mark()?;
    assert_eq!(vm.load_fails("led", params)?, error, "{params}");
    let number = -error.raw_os_error();
    let line = format!("Unable to request GPIOs for LEDs: {number}");
    assert_eq!(vm.log().said("led")?, [(3, line)], "{params}");
    assert!(!Path::new(PATH).exists());
    assert!(!Path::new("/sys/class/gpio_led").exists());
    Ok(())
}

fn no_chip_and_no_line(vm: &mut Vm) -> Result {
    for chip in ["nowhere", "", "lkmpg2", "LKMPG", "lkmp"] {
        fails(vm, &format!("chip={chip}"), Errno::NODEV)?;
    }
    // C takes 65535 for the name of a line.
    for line in [GPIO_LINES, 65_534, 65_535, 65_540, u32::MAX] {
        fails(vm, &format!("led_gpio={line}"), Errno::INVAL)?;
    }
    drop(LED.take()?);
    Ok(())
}

/// In the guide the device was there already.
fn the_line_is_taken(vm: &mut Vm) -> Result {
    let taken = LED.take()?;
    fails(vm, "", Errno::BUSY)?;
    drop(taken);
    let module = vm.load("led")?;
    let error = LED.take().err().context("the module has it")?;
    assert_eq!(errno(&error), Some(Errno::BUSY));
    module.unload()?;
    drop(LED.take()?);
    Ok(())
}

fn another_line(vm: &mut Vm) -> Result {
    for line in [0, 5, GPIO_LINES - 1] {
        let module = vm.load_with("led", &format!("led_gpio={line}"))?;
        assert_eq!(module.param("led_gpio")?, line.to_string());
        assert_eq!(module.param("chip")?, GPIO_CHIP);
        fs::write(PATH, "1")?;
        assert!(GpioLine(line).value()?);
        assert!(!LED.value()?);
        module.unload()?;
    }
    Ok(())
}

/// The guide makes its device before it has the line, and gives the line back before the
/// device goes. Who opens the device meanwhile writes to a line that is not the module's.
fn the_device_is_never_without_its_led(vm: &mut Vm) -> Result {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            while !over.load(Relaxed) {
                if let Ok(mut device) = open() {
                    device.write_all(b"1")?;
                }
                thread::sleep(Duration::from_millis(1));
            }
            anyhow::Ok(())
        });
        let result = vm.rounds(|vm| {
            let mut module = vm.load("led")?;
            let mut result = Ok(());
            eventually("a moment when nobody has the device open", || {
                result = module.try_unload();
                result != Err(Errno::WOULDBLOCK)
            })?;
            Ok(result?)
        });
        over.store(true, Relaxed);
        writer.join().expect("it does not panic")?;
        result
    })
}

/// An error, and no more than that. So it is for who comes when the chip is there again.
fn the_chip_goes(vm: &mut Vm) -> Result {
    let module = vm.load("led")?;
    let mut device = open()?;
    device.write_all(b"1")?;
    gpio_chip_goes()?;
    for again in [false, true] {
        if again {
            gpio_chip_comes()?;
        }
        for text in ["0", "1"] {
            let written = device.write(text.as_bytes());
            assert_eq!(error_of(written), Some(Errno::NODEV));
        }
    }
    // It is another line, which nobody has.
    assert!(!LED.value()?);
    drop(LED.take()?);
    drop(device);
    module.unload()?;
    gpio_chip_comes_as_before()?;
    // The kernel forgets the names of those who had its lines.
    vm.forgive_leaks();
    vm.load("led")?.unload()
}

/// Then both ends are in Rust.
fn runs_on_a_chip_of_ours(vm: &mut Vm) -> Result {
    const LINE: &str = "/sys/kernel/rust_gpio_chip/line4";
    let level = || fs::read_to_string(format!("{LINE}/level"));
    let mut chip = vm.load("rust_gpio_chip")?;
    let led = vm.load_with("led", "chip=rust_gpio_chip")?;
    assert_eq!(fs::read_to_string(format!("{LINE}/direction"))?, "out\n");
    for text in ["1", "0", "1\n", "0\n", "1"] {
        fs::write(PATH, text)?;
        assert_eq!(level()?.trim_end(), text.trim_end());
    }
    assert!(!LED.value()?);
    // The chip is in use.
    assert_eq!(chip.try_unload(), Err(Errno::WOULDBLOCK));
    led.unload()?;
    assert_eq!(level()?, "0\n");
    chip.unload()
}
