// SPDX-License-Identifier: GPL-2.0-only

//! A GPIO controller with a DHT11 on its only line, for those who have none: what the sensor
//! measures is in /sys/module/dht11_sim/parameters.

use kernel::{
    prelude::*,
    time::{
        Delta,
        Instant,
        Monotonic, //
    },
};
use lkm::{
    gpio::chip::{
        self,
        Chip, //
    },
    params::Param,
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
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

/// Counts down. Returns whether there was anything left.
fn take_one(from: &Param<u32>) -> bool {
    let left = from.get();
    from.set(left.saturating_sub(1));
    left > 0
}

/// How long the line is pulled low by who asks.
const QUESTION: Delta = Delta::from_millis(18);

// In the answer high and low take turns. First the line stays high, then it is low and high
// once before the bits. Each of these is low, and then high: for a short time if it is 0, for
// a long time if it is 1. In the end the line is low once more. In microseconds:
const BEFORE: [u32; 3] = [30, 80, 80];
const LOW: u32 = 50;
const HIGH: [u32; 2] = [27, 70];
const BITS: usize = 40;
const WIDTHS: usize = BEFORE.len() + 2 * BITS + 1;

/// The line, and the sensor on it.
///
/// The sensor's clock is the looks at the line: each takes a `step`. A virtual machine that
/// gets no CPU for a moment would miss the whole answer otherwise.
struct Line {
    /// The level that the chip drives. Otherwise a resistor pulls the line up, and the sensor
    /// can pull it down.
    driven: Option<bool>,
    low_since: Instant<Monotonic>,
    asked: bool,
    /// The answer, in nanoseconds.
    widths: [u32; WIDTHS],
    /// Where it is, and for how long already. At its end it is over.
    at: usize,
    elapsed: u32,
    random: u32,
}

impl Line {
    fn new() -> Self {
        Self {
            driven: None,
            low_since: Instant::now(),
            asked: false,
            widths: [0; WIDTHS],
            at: WIDTHS,
            elapsed: 0,
            random: 1,
        }
    }

    /// The chip drives the line to this level, or does not.
    fn drive(&mut self, level: Option<bool>) {
        let low = Some(false);
        if level == low && self.driven != low {
            self.low_since = Instant::now();
        }
        if level != low && self.driven == low {
            self.asked = self.low_since.elapsed() >= QUESTION;
        }
        self.driven = level;
        self.at = WIDTHS;
        if level.is_none() && core::mem::take(&mut self.asked) && !take_one(&silent) {
            self.answer();
        }
    }

    fn answer(&mut self) {
        let percent = humidity.get();
        if rising.get() {
            humidity.set(percent.wrapping_add(1));
        }
        let degrees = temperature.get();
        // Both have digits after the point, which are 0. The last byte is the sum.
        let bytes = [percent, 0, degrees, 0, percent.wrapping_add(degrees)];
        let flipped = take_one(&wrong).then(|| bit.get() as usize);

        for (place, us) in BEFORE.into_iter().enumerate() {
            self.widths[place] = self.vary(us);
        }
        for place in 0..BITS {
            let is_one = bytes[place / 8] >> (7 - place % 8) & 1 == 1;
            let is_one = is_one != (flipped == Some(place));
            let at = BEFORE.len() + 2 * place;
            self.widths[at] = self.vary(LOW);
            self.widths[at + 1] = self.vary(HIGH[usize::from(is_one)]);
        }
        self.widths[WIDTHS - 1] = self.vary(LOW);
        (self.at, self.elapsed) = (0, 0);
    }

    /// A width of about so many microseconds, in nanoseconds.
    fn vary(&mut self, us: u32) -> u32 {
        // Random enough.
        self.random = self
            .random
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        let most = jitter.get();
        let later = (self.random >> 16) % (2 * most + 1);
        1000 * (us + later - most)
    }

    fn look(&mut self) -> bool {
        if let Some(level) = self.driven {
            return level;
        }
        self.elapsed = self.elapsed.saturating_add(step.get());
        while self.at < WIDTHS && self.elapsed >= self.widths[self.at] {
            self.elapsed -= self.widths[self.at];
            self.at += 1;
        }
        self.at % 2 == 0
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
