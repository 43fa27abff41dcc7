// SPDX-License-Identifier: GPL-2.0-only

//! A tasklet: a function that runs soon, in softirq context. What new code takes
//! instead is in `example_bh_work`.
//!
//! Book: 22.1 Tasklets

use kernel::{
    prelude::*,
    time::Delta, //
};
use lkm::{
    tasklet::{
        Handler,
        Tasklet, //
    },
    time::udelay,
    OnDrop, //
};

module! {
    type: ExampleTasklet,
    name: "example_tasklet",
    authors: ["lkmpg-rs"],
    description: "Tasklet example",
    license: "GPL",
}

lkm::params! {
    delay_ms: u16 { default: 50, mode: 0o444, description: "How long the tasklet takes, in milliseconds" },
}

/// What the book's tasklet takes; no more is allowed.
const LIMIT: u16 = 5000;

struct MyTask;

impl Handler for MyTask {
    fn run(&self) {
        pr_info!("Example tasklet starts\n");
        // It must not sleep, and all else on this CPU waits for it. In the book
        // this takes five seconds.
        delay(delay_ms.get());
        pr_info!("Example tasklet ends\n");
    }
}

/// Waits without sleeping.
fn delay(millis: u16) {
    for _ in 0..millis {
        udelay(Delta::from_millis(1));
    }
}

struct ExampleTasklet {
    _mytask: Tasklet<MyTask>,
    // Dropped last, when the tasklet has run.
    _exit: OnDrop,
}

impl kernel::Module for ExampleTasklet {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("tasklet example init\n");
        if delay_ms.get() > LIMIT {
            return Err(EINVAL);
        }
        let mytask = Tasklet::new(MyTask)?;
        mytask.schedule();
        delay(delay_ms.get() / 25);
        pr_info!("Example tasklet init continues...\n");
        Ok(Self {
            _mytask: mytask,
            _exit: OnDrop(|| pr_info!("tasklet example exit\n")),
        })
    }
}
