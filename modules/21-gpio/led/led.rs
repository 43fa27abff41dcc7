// SPDX-License-Identifier: GPL-2.0-only

//! An LED on a GPIO line, and a device that turns it on and off.
//!
//! Book: 21.2 Control the LED's on/off state

use kernel::prelude::*;
use lkm::{
    chrdev,
    file::{
        Offset,
        Opened,
        Operations,
        Reader, //
    },
    gpio::{
        Gpio,
        Output, //
    },
};

module! {
    type: Module,
    name: "led",
    authors: ["lkmpg-rs"],
    description: "An LED on a GPIO line: /dev/gpio_led",
    license: "GPL",
}

lkm::params! {
    chip: &CStr { default: c"lkmpg", mode: 0o444, description: "Label of the GPIO chip: see /sys/kernel/debug/gpio" },
    led_gpio: u32 { default: 4, mode: 0o444, description: "Line of the LED on that chip" },
}

struct Led(Output);

#[vtable]
impl Operations for Led {
    type Private = ();

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        // One byte more than there may be shows that there are too many.
        let text = src.take(3)?;
        let on = match &text[..] {
            b"" => return Ok(0),
            b"0" | b"0\n" => false,
            b"1" | b"1\n" => true,
            _ => {
                pr_warn!("Invalid value!\n");
                return Err(EINVAL);
            }
        };
        self.0.set(on)?;
        pr_info!("LED {}\n", if on { "ON" } else { "OFF" });
        Ok(text.len())
    }
}

impl Drop for Led {
    /// The line is given back after this. It would stay as it is.
    fn drop(&mut self) {
        // When the chip is gone, so is the LED.
        let _ = self.0.set(false);
    }
}

struct Module {
    // It owns the line. So the device is there when the line is ours, and only then.
    _device: chrdev::Registration<Led>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let line = chip.with_core(|label| Gpio::get(label, led_gpio.get(), c"LED 1"));
        let led = line.and_then(|line| line.into_output(false));
        let led = led.inspect_err(|error| {
            pr_err!("Unable to request GPIOs for LEDs: {}\n", error.to_errno());
        })?;
        let device = chrdev::Registration::new(c"gpio_led", Led(led))?;
        pr_info!("Major = {}, Minor = 0\n", device.major());
        pr_info!("Device created on /dev/gpio_led\n");
        Ok(Self { _device: device })
    }
}
