// SPDX-License-Identifier: GPL-2.0-only

//! Test only: `lkm::init`, and that it refuses once init has returned.

use kernel::prelude::*;
use lkm::init;

module! {
    type: InitSections,
    name: "init",
    authors: ["lkmpg-rs"],
    description: "Test only: lkm::init",
    license: "GPL",
}

lkm::init! {
    static NUMBERS: [u8; 3] = [1, 2, 3];
    static NAME: &str = "numbers";

    fn sum(init: &Init) -> u8 {
        pr_info!("{}\n", NAME.get(init));
        NUMBERS.get(init).iter().sum()
    }
}

lkm::params! {
    sum_now: bool {
        default: false,
        mode: 0o600,
        description: "Calls the function of init",
        set: |_| init::run(sum).map(|sum| pr_info!("sum for the parameter: {sum}\n")),
    },
}

struct InitSections;

impl kernel::Module for InitSections {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("sum: {}\n", init::run(sum)?);
        // With what it captures, and one in the other.
        let one = 1;
        let both = init::run(|init| sum(init) + one + init::run(sum).unwrap_or(0))?;
        pr_info!("sum of both and one: {both}\n");
        Ok(InitSections)
    }
}

impl Drop for InitSections {
    fn drop(&mut self) {
        let refused = init::run(sum) == Err(EPERM);
        pr_info!("refused in exit: {refused}\n");
    }
}
