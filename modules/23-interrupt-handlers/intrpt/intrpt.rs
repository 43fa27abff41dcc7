// SPDX-License-Identifier: GPL-2.0-only

//! Two buttons on GPIO lines: the interrupt of one turns an LED on, that of the other turns
//! it off.
//!
//! Book: 23.2 Detecting button presses

use core::ffi::CStr;
use kernel::{
    prelude::*,
    sync::Arc, //
};
use lkm::{
    gpio::{
        Gpio,
        Input,
        Output, //
    },
    irq::{
        Handler,
        Irq,
        Source,
        Trigger, //
    },
};

module! {
    type: Intrpt,
    name: "intrpt",
    authors: ["lkmpg-rs"],
    description: "Handle some GPIO interrupts",
    license: "GPL",
}

lkm::params! {
    chip: &CStr { default: c"lkmpg", mode: 0o444, description: "Label of the GPIO chip: see /sys/kernel/debug/gpio" },
    led_gpio: u32 { default: 4, mode: 0o444, description: "Line of the LED on that chip" },
    button1_gpio: u32 { default: 17, mode: 0o444, description: "Line of the button that turns it on" },
    button2_gpio: u32 { default: 18, mode: 0o444, description: "Line of the button that turns it off" },
}

/// The LED. It is off when nobody has it any more.
struct Led(Output);

impl Led {
    fn set(&self, on: bool) {
        if let Err(error) = self.0.set(on) {
            pr_err!("Unable to set the LED: {}\n", error.to_errno());
        }
    }
}

impl Drop for Led {
    fn drop(&mut self) {
        self.set(false);
    }
}

struct Button {
    led: Arc<Led>,
    turns_on: bool,
}

#[vtable]
impl Handler for Button {
    /// Lines may sleep. So this is done in the thread of the interrupt, and not at once.
    fn thread(&self, _source: &Source) {
        self.led.set(self.turns_on);
    }
}

/// Asks for a line of the chip.
fn line(number: u32, consumer: &CStr) -> Result<Gpio> {
    chip.with_core(|label| Gpio::get(label, number, consumer))
}

fn led() -> Result<Led> {
    let led = line(led_gpio.get(), c"LED 1").and_then(|line| line.into_output(false));
    let led = led.inspect_err(|error| {
        pr_err!("Unable to request GPIOs for LEDs: {}\n", error.to_errno());
    })?;
    Ok(Led(led))
}

fn button(number: u32, consumer: &CStr) -> Result<Input> {
    let button = line(number, consumer).and_then(Gpio::into_input);
    button.inspect_err(|error| {
        pr_err!(
            "Unable to request GPIOs for BUTTONs: {}\n",
            error.to_errno()
        );
    })
}

/// From here on `button` does something.
fn listen(number: u32, input: Input, name: &'static CStr, button: Button) -> Result<Irq<Button>> {
    let irq = input
        .irq()
        .and_then(|source| Irq::new(source, Trigger::Rising, name, button));
    let irq = irq.inspect_err(|error| {
        pr_err!("Unable to request IRQ: {}\n", error.to_errno());
    })?;
    pr_info!(
        "Successfully requested BUTTON{number} IRQ # {}\n",
        irq.number()
    );
    Ok(irq)
}

struct Intrpt {
    // Each owns its line, and both own the LED. So they go first.
    _button1: Irq<Button>,
    _button2: Irq<Button>,
}

impl kernel::Module for Intrpt {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("intrpt_init\n");
        let led = Arc::new(led()?, GFP_KERNEL)?;
        let input1 = button(button1_gpio.get(), c"LED 1 ON BUTTON")?;
        let input2 = button(button2_gpio.get(), c"LED 1 OFF BUTTON")?;
        pr_info!("Current button1 value: {}\n", u8::from(input1.get()?));
        let [on, off] = [true, false].map(|turns_on| Button {
            led: led.clone(),
            turns_on,
        });
        Ok(Self {
            _button1: listen(1, input1, c"gpiomod#button1", on)?,
            _button2: listen(2, input2, c"gpiomod#button2", off)?,
        })
    }
}

impl Drop for Intrpt {
    fn drop(&mut self) {
        pr_info!("intrpt_exit\n");
    }
}
