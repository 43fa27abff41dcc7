// SPDX-License-Identifier: GPL-2.0-only

//! A closure that runs once, in a queue of the module's own.
//!
//! Write-up: Workqueue

use kernel::{prelude::*, sync::Arc};
use lkm::workqueue::{flags::WQ_UNBOUND, OwnedQueue};

module! {
    type: RustQueue,
    name: "rust_workq",
    authors: ["lkmpg-rs"],
    description: "Rust work queue sample: a closure",
    license: "GPL",
}

struct RustQueue {
    queue: Arc<OwnedQueue>,
}

fn work() {
    pr_info!("Hello from a work item\n");
}

impl kernel::Module for RustQueue {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let queue = OwnedQueue::new(c"workq", WQ_UNBOUND, 0)?;
        queue.spawn(GFP_KERNEL, work)?;
        Ok(Self { queue })
    }
}

impl Drop for RustQueue {
    fn drop(&mut self) {
        // Dropping the queue does so too, but after the message below.
        self.queue.flush();
        pr_info!("Rust work queue sample (exit)\n");
    }
}
