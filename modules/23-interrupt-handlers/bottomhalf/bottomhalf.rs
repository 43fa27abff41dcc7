// SPDX-License-Identifier: GPL-2.0-only

//! Two buttons on GPIO lines, whose interrupts are answered in two halves: the top half at
//! once, and the bottom half, which takes its time, in a work item.
//!
//! Book: 23.3 Bottom Half

use core::ffi::CStr;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
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
        Trigger, //
    },
    workqueue::{
        new_work,
        SystemQueue,
        Work,
        WorkItem, //
    },
};

module! {
    type: TwoHalves,
    name: "bottomhalf",
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

/// The bottom half runs in a thread of the kernel, and may sleep.
struct BottomHalf {
    led: Led,
    /// What the LED is to be: not 0 is on. The button that was pressed last says so.
    on: Atomic<u32>,
}

impl WorkItem for BottomHalf {
    fn run(work: &Work<Self>) {
        pr_info!("Bottom half workqueue starts\n");
        work.led.set(work.on.load(Relaxed) != 0);
        // Do something which takes a while.
        fsleep(Delta::from_millis(delay_ms.get().into()));
        pr_info!("Bottom half workqueue ends\n");
    }
}

/// The top half.
struct Button {
    bottom: Arc<Work<BottomHalf>>,
    turns_on: bool,
}

#[vtable]
impl Handler for Button {
    /// Must not sleep, so the LED is not for this half. If the work is waiting already, it
    /// runs once for both presses; if it is running, it runs again.
    fn hard(&self) -> Reply {
        let what = if self.turns_on { "ON" } else { "OFF" };
        pr_info!("Top half: LED {what}\n");
        self.bottom.on.store(self.turns_on.into(), Relaxed);
        self.bottom.enqueue();
        Reply::Done
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
    // Both own the work, which owns the LED. When the second is gone, nothing enqueues the
    // work any more: then it is taken out of its queue, or waited for if it runs.
    _button1: Irq<Button>,
    _button2: Irq<Button>,
}

impl kernel::Module for TwoHalves {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("bottomhalf_init\n");
        let bottom = BottomHalf {
            led: led()?,
            on: Atomic::new(0),
        };
        let bottom = Arc::new(new_work!(SystemQueue::Dfl, bottom)?, GFP_KERNEL)?;
        let input1 = button(button1_gpio.get(), c"LED 1 ON BUTTON")?;
        let input2 = button(button2_gpio.get(), c"LED 1 OFF BUTTON")?;
        pr_info!("Current button1 value: {}\n", u8::from(input1.get()?));
        let [on, off] = [true, false].map(|turns_on| Button {
            bottom: bottom.clone(),
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
