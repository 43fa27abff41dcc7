// SPDX-License-Identifier: GPL-2.0-only

//! What took a tasklet: work in softirq context, in a BH workqueue.
//!
//! Book: 22.1 Tasklets

use kernel::prelude::*;
use lkm::{
    context::Context,
    workqueue::{
        new_work,
        SystemQueue,
        Work,
        WorkItem, //
    },
};

module! {
    type: ExampleBhWork,
    name: "example_bh_work",
    authors: ["lkmpg-rs"],
    description: "BH workqueue example",
    license: "GPL",
}

struct Example;

impl WorkItem for Example {
    fn run(_work: &Work<Self>) {
        // It must not sleep, and all else on this CPU waits for it.
        pr_info!("Example BH work runs in {} context\n", Context::current());
    }
}

struct ExampleBhWork {
    work: Work<Example>,
}

impl kernel::Module for ExampleBhWork {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("BH work example init\n");
        let work = new_work!(SystemQueue::Bh, Example)?;
        work.enqueue();
        pr_info!("Example BH work init continues...\n");
        Ok(Self { work })
    }
}

impl Drop for ExampleBhWork {
    fn drop(&mut self) {
        self.work.flush();
        pr_info!("BH work example exit\n");
    }
}
