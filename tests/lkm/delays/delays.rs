// SPDX-License-Identifier: GPL-2.0-only

//! Test only: delays of any length.

use kernel::{
    prelude::*,
    time::{
        Delta,
        Instant,
        Monotonic, //
    },
};
use lkm::time::udelay;

module! {
    type: Delays,
    name: "delays",
    authors: ["lkmpg-rs"],
    description: "Test only: delays of any length",
    license: "GPL",
}

struct Delays;

impl kernel::Module for Delays {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        for (delay, least) in [
            (Delta::from_micros(300), 300),
            // As long as it spins at most, on any machine.
            (Delta::from_secs(1), 1000),
            (Delta::from_secs(3600), 1000),
            (Delta::ZERO, 0),
            (Delta::from_micros(-2), 0),
        ] {
            let begin = Instant::<Monotonic>::now();
            udelay(delay);
            let spun = begin.elapsed().as_micros_ceil();
            // A clock and a loop need not agree on what a microsecond is.
            if spun < least * 9 / 10 {
                pr_err!("a delay of {} us took {spun} us\n", delay.as_micros_ceil());
            }
        }
        Ok(Self)
    }
}
