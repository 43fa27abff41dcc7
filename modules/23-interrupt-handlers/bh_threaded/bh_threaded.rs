// SPDX-License-Identifier: GPL-2.0-only

//! Two buttons on GPIO lines, whose interrupts are answered in two halves: the top half at
//! once, and the bottom half, which takes its time, in a thread of the interrupt.
//!
//! Book: 23.4 Threaded IRQ

use core::ffi::CStr;
use kernel::{
    prelude::*,
    sync::Arc,
    time::{
        delay::fsleep,
        Delta, //
    },
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
        Reply,
        Source,
        Trigger, //
    },
};

module! {
    type: TwoHalves,
    name: "bh_threaded",
    authors: ["lkmpg-rs"],
    description: "Interrupt with top and bottom half",
    license: "GPL",
}

lkm::params! {
    chip: &CStr { default: c"lkmpg", mode: 0o444, description: "Label of the GPIO chip: see /sys/kernel/debug/gpio" },
    led_gpio: u32 { default: 4, mode: 0o444, description: "Line of the LED on that chip" },
    button1_gpio: u32 { default: 17, mode: 0o444, description: "Line of the button that turns it on" },
    button2_gpio: u32 { default: 18, mode: 0o444, description: "Line of the button that turns it off" },
    delay_ms: u16 { default: 500, mode: 0o444, description: "How long the bottom half takes, in milliseconds" },
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
    /// The top half. This happens immediately, when the interrupt comes. A handler with
    /// nothing more to do than this can leave it out: see `intrpt`.
    fn hard(&self) -> Reply {
        Reply::WakeThread
    }

    /// The bottom half. This can happen at leisure: it holds nobody up. If the button is
    /// pressed again meanwhile, it runs once more.
    fn thread(&self, _source: &Source) {
        pr_info!("Bottom half task starts\n");
        self.led.set(self.turns_on);
        // Do something which takes a while. A thread need not keep a CPU busy for that.
        fsleep(Delta::from_millis(delay_ms.get().into()));
        pr_info!("Bottom half task ends\n");
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

struct TwoHalves {
    // Each owns its line, and both own the LED. To drop one waits for its thread.
    _button1: Irq<Button>,
    _button2: Irq<Button>,
}

impl kernel::Module for TwoHalves {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("bottomhalf_init\n");
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

impl Drop for TwoHalves {
    fn drop(&mut self) {
        pr_info!("bottomhalf_exit\n");
    }
}
