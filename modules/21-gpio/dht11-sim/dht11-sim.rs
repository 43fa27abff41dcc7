// SPDX-License-Identifier: GPL-2.0-only

//! A GPIO controller with a DHT11 on its only line, for those who have none: what the sensor
//! measures is in /sys/module/dht11_sim/parameters.

use kernel::prelude::*;
use lkm::{
    gpio::chip::{
        self,
        Chip, //
    },
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
};

mod line;

use line::{
    Line,
    BITS, //
};

module! {
    type: Dht11Sim,
    name: "dht11-sim",
    authors: ["lkmpg-rs"],
    description: "A DHT11 sensor, simulated",
    license: "GPL",
}

lkm::params! {
    humidity: u8 { default: 61, mode: 0o644, description: "What it measures, in percent" },
    temperature: u8 { default: 30, mode: 0o644, description: "What it measures, in Celsius" },
    rising: bool {
        default: false,
        mode: 0o644,
        description: "Whether the humidity rises by one with each answer",
    },
    silent: u32 {
        default: 0,
        mode: 0o644,
        description: "How many of the next questions are not answered",
    },
    wrong: u32 {
        default: 0,
        mode: 0o644,
        description: "How many of the next answers have a wrong bit",
    },
    bit: u32 {
        default: 0,
        mode: 0o644,
        description: "Which bit is wrong, from 0, the first, to 39",
        set: |place| check(place < BITS as u32),
    },
    jitter: u32 {
        default: 0,
        mode: 0o644,
        description: "By how many microseconds the signal comes early or late, at most 5",
        set: |us| check(us <= 5),
    },
    step: u32 {
        default: 2000,
        mode: 0o644,
        description: "Nanoseconds from one look at the line to the next, from 100 to 3000",
        set: |ns| check((100..=3000).contains(&ns)),
    },
}

fn check(fits: bool) -> Result {
    match fits {
        true => Ok(()),
        false => Err(EINVAL),
    }
}

#[pin_data]
struct Sensor {
    // Its driver reads it with interrupts off.
    #[pin]
    line: IrqSpinLock<Line>,
}

impl Chip for Sensor {
    fn direction_input(&self, _line: u32) -> Result {
        self.line.lock().drive(None);
        Ok(())
    }

    fn direction_output(&self, _line: u32, level: bool) -> Result {
        self.line.lock().drive(Some(level));
        Ok(())
    }

    fn get(&self, _line: u32) -> Result<bool> {
        Ok(self.line.lock().look())
    }

    fn set(&self, _line: u32, level: bool) -> Result {
        self.line.lock().drive(Some(level));
        Ok(())
    }
}

struct Dht11Sim {
    _chip: chip::Registration<Sensor>,
}

impl kernel::Module for Dht11Sim {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let sensor = pin_init!(Sensor {
            line <- new_irq_spinlock!(Line::new()),
        });
        Ok(Self {
            _chip: chip::Registration::new(c"dht11-sim", 1, sensor)?,
        })
    }
}
