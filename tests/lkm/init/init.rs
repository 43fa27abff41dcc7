// SPDX-License-Identifier: GPL-2.0-only

//! Test only: `lkm::init`, and that it refuses once init has returned.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};
use lkm::{
    init,
    kthread::KThread, //
};

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

lkm::params! {
    late: bool { default: false, mode: 0, description: "Runs until init has ended, and longer" },
    fail: bool { default: false, mode: 0, description: "Whether init fails in the end" },
}

/// Not 0 when the thread is in a function of init.
static LATE: Atomic<u32> = Atomic::new(0);

/// A thread that is in a function of init when init ends.
fn run_late() -> Result<KThread> {
    let thread = KThread::spawn(c"init", |this| {
        init::run(|init| {
            LATE.store(1, Relaxed);
            fsleep(Delta::from_millis(300));
            // Until the end asks it to.
            while fail.get() && !this.should_stop() {
                fsleep(Delta::from_millis(1));
            }
            pr_info!("late sum: {}\n", sum(init));
        })
    })?;
    while LATE.load(Relaxed) == 0 {
        fsleep(Delta::from_millis(1));
    }
    Ok(thread)
}

struct InitSections {
    _thread: Option<KThread>,
}

impl kernel::Module for InitSections {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("sum: {}\n", init::run(sum)?);
        // With what it captures, and one in the other.
        let one = 1;
        let both = init::run(|init| sum(init) + one + init::run(sum).unwrap_or(0))?;
        pr_info!("sum of both and one: {both}\n");
        let thread = late.get().then(run_late).transpose()?;
        if fail.get() {
            // Nothing else waits for it then.
            core::mem::forget(thread);
            return Err(ENODEV);
        }
        Ok(InitSections { _thread: thread })
    }
}

impl Drop for InitSections {
    fn drop(&mut self) {
        let refused = init::run(sum) == Err(EPERM);
        pr_info!("refused in exit: {refused}\n");
    }
}
