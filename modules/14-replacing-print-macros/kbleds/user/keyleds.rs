// SPDX-License-Identifier: GPL-2.0-only

//! Says which of the keyboard's LEDs are lit, each time that one changes: as often as its
//! argument says, or once.

use std::{env, process::ExitCode};

use crate::{keyboard::*, prelude::*};

pub fn main() -> ExitCode {
    let count = env::args()
        .nth(1)
        .map_or(Ok(1), |count| count.parse::<u32>());
    let Ok(count) = count else {
        println!("Usage: keyleds [how often]");
        return ExitCode::FAILURE;
    };
    match watch(count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn watch(count: u32) -> Result {
    let keyboard = Keyboard::find()?;
    let mut before = None;
    for _ in 0..count {
        let mut now = None;
        eventually("the LEDs to change", || {
            now = keyboard.leds().ok();
            now.is_some() && now != before
        })?;
        before = now;
        let leds = now.unwrap_or_default();
        let names = [(SCROLL, "Scroll"), (NUM, "Num"), (CAPS, "Caps")];
        let lit = names.iter().filter(|(led, _)| leds & led != 0);
        let lit: Vec<_> = lit.map(|(_, name)| *name).collect();
        match lit[..] {
            [] => println!("no LED is lit"),
            _ => println!("lit: {}", lit.join(", ")),
        }
    }
    Ok(())
}
