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

struct Sched {
    work: Work<Handler>,
}

impl kernel::Module for Sched {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let queue = OwnedQueue::new(c"HELLOWORLD", Flags::UNBOUND, 1)?;
        let work = new_work!(queue, Handler)?;
        work.enqueue();
        Ok(Self { work })
    }
}

impl Drop for Sched {
    fn drop(&mut self) {
        // Work that is still in the queue would be taken out of it.
        self.work.flush();
    }
}
