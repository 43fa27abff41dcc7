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

#[pin_data(PinnedDrop)]
struct ExampleBhWork {
    #[pin]
    work: Work<Example>,
}

impl kernel::InPlaceModule for ExampleBhWork {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pr_info!("BH work example init\n");
        try_pin_init!(Self {
            work <- new_work!(SystemQueue::Bh, Example),
            _: {
                work.enqueue();
                pr_info!("Example BH work init continues...\n");
            },
        })
    }
}

#[pinned_drop]
impl PinnedDrop for ExampleBhWork {
    fn drop(self: Pin<&mut Self>) {
        self.work.flush();
        pr_info!("BH work example exit\n");
    }
}
