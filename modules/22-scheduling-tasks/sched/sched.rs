// SPDX-License-Identifier: GPL-2.0-only

//! Work that runs later, in a queue of the module's own.
//!
//! Book: 22.2 Work queues

use kernel::prelude::*;
use lkm::workqueue::{
    new_work,
    Flags,
    OwnedQueue,
    Work,
    WorkItem, //
};

module! {
    type: Sched,
    name: "sched",
    authors: ["lkmpg-rs"],
    description: "Workqueue example",
    license: "GPL",
}

struct Handler;

impl WorkItem for Handler {
    fn run(_work: &Work<Self>) {
        pr_info!("work handler function.\n");
    }
}

#[pin_data(PinnedDrop)]
struct Sched {
    #[pin]
    work: Work<Handler>,
}

impl kernel::InPlaceModule for Sched {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            work <- new_work!(OwnedQueue::new(c"HELLOWORLD", Flags::UNBOUND, 1)?, Handler),
            _: { work.enqueue(); },
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Sched {
    fn drop(self: Pin<&mut Self>) {
        // Work that is still in the queue would be taken out of it.
        self.work.flush();
    }
}
