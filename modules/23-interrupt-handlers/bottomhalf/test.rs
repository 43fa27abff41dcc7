// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "echo pull-up | tee /sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio17/pull",
        "sleep 1",
        "cat /sys/devices/platform/gpio-sim.*/gpiochip*/sim_gpio4/value",
    ],
    tests: gpio_button_tests![
        BUTTONS: the_halves_run_in_order,
        a_press_while_it_works_is_not_lost,
        the_top_half_has_no_thread,
        unloading_while_it_works,
        bad_delays,
    ],
    setup: Some(gpio_sim),
    ..Example::EMPTY
};

const BUTTONS: GpioButtons = GpioButtons {
    module: "bottomhalf",
    params: "delay_ms=0",
    says_at_load: "bottomhalf_init",
    says_at_unload: "bottomhalf_exit",
    presses: 50,
};

const LED: GpioLine = GpioLine(4);
const BUTTON1: GpioLine = GpioLine(17);
const BUTTON2: GpioLine = GpioLine(18);

const TOP_ON: &str = "Top half: LED ON";
const TOP_OFF: &str = "Top half: LED OFF";
const STARTS: &str = "Bottom half workqueue starts";
const ENDS: &str = "Bottom half workqueue ends";

fn press(button: GpioLine) -> Result {
    button.pull(true)?;
    button.pull(false)
}

fn the_halves_run_in_order(vm: &mut Vm) -> Result {
    let module = vm.load_with("bottomhalf", "delay_ms=10")?;
    for (button, top) in [(BUTTON1, TOP_ON), (BUTTON2, TOP_OFF)] {
        vm.log().mark()?;
        press(button)?;
        vm.log().expect(ENDS)?;
        let said = vm.log().said("bottomhalf")?;
        assert_eq!(said, [top, STARTS, ENDS].map(info));
    }
    assert_eq!(module.param("delay_ms")?, "10");
    module.unload()
}

/// The top half interrupts the bottom half, which runs once more.
fn a_press_while_it_works_is_not_lost(vm: &mut Vm) -> Result {
    let _module = vm.load_with("bottomhalf", "delay_ms=200")?;
    for round in 1..=3 {
        press(BUTTON1)?;
        LED.becomes(true)?;
        press(BUTTON2)?;
        LED.becomes(false)?;
        let both = || vm.log().count(ENDS).is_ok_and(|ends| ends >= 2 * round);
        eventually("both", both)?;
    }
    let said = vm.log().texts("bottomhalf")?;
    let count = |text: &str| said.iter().filter(|said| *said == text).count();
    assert_eq!([TOP_ON, TOP_OFF, STARTS, ENDS].map(count), [3, 3, 6, 6]);
    Ok(())
}

fn the_top_half_has_no_thread(vm: &mut Vm) -> Result {
    let _module = vm.load("bottomhalf")?;
    let threads = live_tasks(|name| name.starts_with("irq/") && name.contains("-gpiomod"));
    assert_eq!(threads.len(), 0);
    Ok(())
}

/// What has begun is waited for. What has not does not begin.
fn unloading_while_it_works(vm: &mut Vm) -> Result {
    let mut delay = 0;
    vm.rounds(|vm| {
        delay = (delay + 3) % 20;
        vm.log().mark()?;
        let module = vm.load_with("bottomhalf", &format!("delay_ms={delay}"))?;
        press(BUTTON1)?;
        LED.becomes(true)?;
        press(BUTTON2)?;
        module.unload()?;
        let said = vm.log().texts("bottomhalf")?;
        let count = |text: &str| said.iter().filter(|said| *said == text).count();
        let [starts, ends] = [STARTS, ENDS].map(count);
        assert_eq!(starts, ends, "{said:?}");
        assert!((1..=2).contains(&starts), "{said:?}");
        assert!(!LED.value()?);
        Ok(())
    })
}

fn bad_delays(vm: &mut Vm) -> Result {
    let refused = |vm: &mut Vm, value| vm.load_fails("bottomhalf", value);
    assert_eq!(refused(vm, "delay_ms=-1")?, Errno::INVAL);
    assert_eq!(refused(vm, "delay_ms=soon")?, Errno::INVAL);
    assert_eq!(refused(vm, "delay_ms=65536")?, Errno::RANGE);
    Ok(())
}
