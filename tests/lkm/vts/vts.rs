// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the consoles and the LEDs of `lkm::vt`.

use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex, //
};
use lkm::{
    file::{
        mode,
        Argument,
        Opened,
        Operations, //
    },
    procfs,
    vt::{
        foreground,
        Console,
        KeyboardLeds,
        Leds, //
    },
};

mod commands;

use commands::*;

module! {
    type: Vts,
    name: "vts",
    authors: ["lkmpg-rs"],
    description: "Test only: lkm::vt",
    license: "GPL",
}

/// Two that can show something.
#[pin_data]
struct Control {
    #[pin]
    leds: Mutex<[KeyboardLeds; 2]>,
}

/// A set of LEDs from its bits.
fn set(bits: usize) -> Leds {
    let all = [Leds::SCROLL, Leds::NUM, Leds::CAPS];
    let mut leds = Leds::NONE;
    for (n, led) in all.into_iter().enumerate() {
        if bits >> n & 1 != 0 {
            leds = leds | led;
        }
    }
    leds
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let number = arg.number();
        let console = || Console::find(number as u32);
        let which = number >> 8 & 1;
        let mut leds = self.leds.lock();
        match cmd {
            FOREGROUND => return Ok(foreground()),
            EXISTS => return Ok(console().is_some().into()),
            IS_OPEN => return Ok(console().is_some_and(|it| !it.tty().0.is_null()).into()),
            SHOW => leds[which].show(set(number))?,
            RESTORE => leds[which].restore(),
            RENEW => leds[which] = KeyboardLeds::new()?,
            FORGET => {
                let new = KeyboardLeds::new()?;
                core::mem::forget(core::mem::replace(&mut leds[which], new));
            }
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

struct Vts {
    _control: procfs::Entry<Control>,
}

impl kernel::Module for Vts {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let leds = [KeyboardLeds::new()?, KeyboardLeds::new()?];
        let control = pin_init!(Control {
            leds <- new_mutex!(leds),
        });
        Ok(Self {
            _control: procfs::Entry::new(c"vts", mode!(0o600), control)?,
        })
    }
}
