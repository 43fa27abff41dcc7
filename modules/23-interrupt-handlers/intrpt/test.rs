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
