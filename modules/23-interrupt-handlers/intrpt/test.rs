// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "grep button /proc/interrupts",
        "echo pull-up | tee /sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio17/pull",
        "cat /sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio4/value",
        "echo pull-up | tee /sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio18/pull",
        "cat /sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio4/value",
        "grep button /proc/interrupts",
    ],
    tests: gpio_button_tests![
        BUTTONS: each_interrupt_has_a_thread,
        the_chip_goes,
        runs_on_a_chip_of_ours,
    ],
    setup: Some(gpio_sim),
    ..Example::EMPTY
};

/// The guide's handlers use lines where they must not sleep.
const BUTTONS: GpioButtons = GpioButtons {
    module: "intrpt",
    params: "",
    says_at_load: "intrpt_init",
    says_at_unload: "intrpt_exit",
    presses: 1000,
};

fn threads() -> usize {
    live_tasks(|name| name.starts_with("irq/") && name.contains("-gpiomod")).len()
}

fn each_interrupt_has_a_thread(vm: &mut Vm) -> Result {
    let module = vm.load("intrpt")?;
    assert_eq!(threads(), 2);
    let number = interrupt_number("gpiomod#button1")?;
    let directory = format!("/proc/irq/{number}/gpiomod#button1");
    assert!(Path::new(&directory).exists());
    module.unload()?;
    assert_eq!(threads(), 0);
    assert!(!Path::new(&directory).exists());
    Ok(())
}

/// The kernel takes the interrupts away. The module stays, and can be unloaded, also when
/// the numbers are those of another chip.
fn the_chip_goes(vm: &mut Vm) -> Result {
    for again in [false, true] {
        let module = vm.load("intrpt")?;
        gpio_chip_goes()?;
        assert_eq!(interrupts("gpiomod#button1")?, None);
        assert_eq!(threads(), 0);
        if again {
            gpio_chip_comes()?;
            // Nobody listens to it.
            GpioLine(17).pull(true)?;
            assert!(!GpioLine(4).value()?);
            GpioLine(17).pull(false)?;
        }
        vm.log().mark()?;
        module.unload()?;
        // The LED is turned off in the end.
        let lines = [info("intrpt_exit"), (3, "Unable to set the LED: -19")];
        assert_eq!(vm.log().said("intrpt")?, lines);
        gpio_chip_comes_as_before()?;
    }
    // The kernel forgets the names of those who had its lines.
    vm.forgive_leaks();
    vm.load("intrpt")?.unload()
}

/// Then both ends are in Rust.
fn runs_on_a_chip_of_ours(vm: &mut Vm) -> Result {
    let level = |line: u32| format!("/sys/kernel/rust_gpio_chip/line{line}/level");
    let press = |button| -> Result {
        fs::write(level(button), "1")?;
        Ok(fs::write(level(button), "0")?)
    };
    let led_is = |on: &str| fs::read_to_string(level(4)).is_ok_and(|now| now.trim_end() == on);
    let mut chip = vm.load("rust_gpio_chip")?;
    let module = vm.load_with(
        "intrpt",
        "chip=rust_gpio_chip button1_gpio=1 button2_gpio=2",
    )?;
    for _ in 0..vm.fewer(100) {
        press(1)?;
        eventually("the LED to be on", || led_is("1"))?;
        press(2)?;
        eventually("the LED to be off", || led_is("0"))?;
    }
    // The chip is in use.
    assert_eq!(chip.try_unload(), Err(Errno::WOULDBLOCK));
    module.unload()?;
    press(1)?;
    assert!(led_is("0"));
    chip.unload()
}
