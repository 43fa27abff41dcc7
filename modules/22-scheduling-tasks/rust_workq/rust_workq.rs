// SPDX-License-Identifier: GPL-2.0-only

//! A closure that runs once, in a queue of the module's own.
//!
//! Write-up: Workqueue

use kernel::{
    prelude::*,
    sync::Arc, //
};
use lkm::{
    workqueue::{
        Flags,
        OwnedQueue, //
    },
    OnDrop, //
};

module! {
    type: RustQueue,
    name: "rust_workq",
    authors: ["lkmpg-rs"],
    description: "Rust work queue sample: a closure",
    license: "GPL",
}

struct RustQueue {
    // Dropping it waits for what is in it.
    _queue: Arc<OwnedQueue>,
    // Dropped last.
    _exit: OnDrop,
}

fn work() {
    pr_info!("Hello from a work item\n");
}

impl kernel::Module for RustQueue {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let queue = OwnedQueue::new(c"workq", Flags::UNBOUND, 0)?;
        queue.spawn(GFP_KERNEL, work)?;
        Ok(Self {
            _queue: queue,
            _exit: OnDrop(|| pr_info!("Rust work queue sample (exit)\n")),
        })
    }
}
