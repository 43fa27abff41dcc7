// SPDX-License-Identifier: GPL-2.0-only

//! Work that enqueues itself again, until it has counted to ten.
//!
//! Write-up: Workqueue

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use lkm::{
    workqueue::{
        new_work,
        Flags,
        OwnedQueue,
        Work,
        WorkItem, //
    },
    OnDrop, //
};

module! {
    type: RustQueue,
    name: "rust_workq_requeue",
    authors: ["lkmpg-rs"],
    description: "Rust work queue sample: an item that enqueues itself",
    license: "GPL",
}

struct Example {
    count: Atomic<u32>,
}

impl WorkItem for Example {
    fn run(work: &Work<Self>) {
        let count = work.count.fetch_add(1, Relaxed);
        pr_info!("Called with count={count}\n");

        // Queue again if the count is less than 10. While the module is unloaded
        // this does nothing.
        if count < 10 {
            work.enqueue();
        }
    }
}

struct RustQueue {
    _work: Work<Example>,
    // Dropped last, when the work is over.
    _exit: OnDrop,
}

impl kernel::Module for RustQueue {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let example = Example {
            count: Atomic::new(0),
        };
        let queue = OwnedQueue::new(c"workq", Flags::UNBOUND, 0)?;
        let work = new_work!(queue, example)?;
        // Queue the first time.
        work.enqueue();
        Ok(Self {
            _work: work,
            _exit: OnDrop(|| pr_info!("Rust work queue sample (exit)\n")),
        })
    }
}
