// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "ps | grep '[i]rq/'",
        "echo pull-up | tee /sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio17/pull",
        "sleep 1",
        "cat /sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio4/value",
    ],
    tests: gpio_button_tests![
        BUTTONS: the_thread_runs_after_each_press,
        a_press_while_it_works_is_not_lost,
        it_sleeps_while_it_works,
        unloading_while_it_works,
    ],
    setup: Some(gpio_sim),
    ..Example::EMPTY
};

const BUTTONS: GpioButtons = GpioButtons {
    module: "bh_threaded",
    params: "delay_ms=0",
    says_at_load: "bottomhalf_init",
    says_at_unload: "bottomhalf_exit",
    presses: 50,
};

const LED: GpioLine = GpioLine(4);
const BUTTON1: GpioLine = GpioLine(17);
const BUTTON2: GpioLine = GpioLine(18);

const STARTS: &str = "Bottom half task starts";
const ENDS: &str = "Bottom half task ends";

fn press(button: GpioLine) -> Result {
    button.pull(true)?;
    button.pull(false)
}

/// The threads of the interrupts.
fn threads() -> Vec<Task> {
    live_tasks(|name| name.starts_with("irq/") && name.contains("-gpiomod"))
}

fn the_thread_runs_after_each_press(vm: &mut Vm) -> Result {
    let module = vm.load_with("bh_threaded", "delay_ms=10")?;
    assert_eq!(threads().len(), 2);
    for (button, level) in [(BUTTON1, true), (BUTTON2, false)] {
        vm.log().mark()?;
        press(button)?;
        vm.log().expect(ENDS)?;
        assert_eq!(LED.value()?, level);
        let said = vm.log().said("bh_threaded")?;
        assert_eq!(said, [STARTS, ENDS].map(info));
    }
    module.unload()?;
    assert_eq!(threads().len(), 0);
    Ok(())
}

/// The thread runs once more.
fn a_press_while_it_works_is_not_lost(vm: &mut Vm) -> Result {
    let _module = vm.load_with("bh_threaded", "delay_ms=200")?;
    for round in 1..=3 {
        press(BUTTON1)?;
        vm.log().expect(STARTS)?;
        press(BUTTON1)?;
        let both = || vm.log().count(ENDS).is_ok_and(|ends| ends == 2);
        eventually("both", both).with_context(|| format!("round {round}"))?;
        assert_eq!(vm.log().count(STARTS)?, 2);
        vm.log().mark()?;
    }
    Ok(())
}

/// The guide's thread keeps a CPU busy for half a second. One of the two waits for an
/// interrupt here, and the other for the time, in a way that no signal ends.
fn it_sleeps_while_it_works(vm: &mut Vm) -> Result {
    let _module = vm.load_with("bh_threaded", "delay_ms=200")?;
    eventually("a thread to sleep", || {
        press(BUTTON1).expect("the chip is there");
        let threads = threads();
        let mut states: Vec<_> = threads.iter().map(|task| task.field("State")).collect();
        states.sort_unstable();
        states == ["D (disk sleep)", "S (sleeping)"]
    })
}

/// Unloading waits until it has ended.
fn unloading_while_it_works(vm: &mut Vm) -> Result {
    let mut delay = 0;
    vm.rounds(|vm| {
        delay = (delay + 3) % 20;
        vm.log().mark()?;
        let module = vm.load_with("bh_threaded", &format!("delay_ms={delay}"))?;
        press(BUTTON1)?;
        LED.becomes(true)?;
        press(BUTTON2)?;
        module.unload()?;
        let said = vm.log().texts("bh_threaded")?;
        let count = |text: &str| said.iter().filter(|said| *said == text).count();
        let [starts, ends] = [STARTS, ENDS].map(count);
        assert_eq!(starts, ends, "{said:?}");
        assert!((1..=2).contains(&starts), "{said:?}");
        assert!(!LED.value()?);
        Ok(())
    })
}
