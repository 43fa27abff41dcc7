// SPDX-License-Identifier: GPL-2.0-only

//! The line between the sensor and who asks it, and what the sensor answers.

use kernel::time::{
    Delta,
    Instant,
    Monotonic, //
};
use lkm::params::Param;

use crate::{
    bit,
    humidity,
    jitter,
    rising,
    silent,
    step,
    temperature,
    wrong, //
};

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
pub(crate) const BITS: usize = 40;
const WIDTHS: usize = BEFORE.len() + 2 * BITS + 1;

/// The line, and the sensor on it.
///
/// The sensor's clock is the looks at the line: each takes a `step`. A virtual machine that
/// gets no CPU for a moment would miss the whole answer otherwise.
pub(crate) struct Line {
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
    pub(crate) fn new() -> Self {
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
    pub(crate) fn drive(&mut self, level: Option<bool>) {
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

    pub(crate) fn look(&mut self) -> bool {
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
