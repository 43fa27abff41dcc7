// SPDX-License-Identifier: GPL-2.0-only

//! Work that runs after a delay, unless the module is unloaded before.
//!
//! Write-up: Workqueue

use kernel::{
    prelude::*,
    time::{
        Delta,
        Instant,
        Monotonic, //
    },
};
use lkm::{
    workqueue::{
        new_work,
        SystemQueue,
        Work,
        WorkItem, //
    },
    OnDrop, //
};

module! {
    type: RustDelayedWork,
    name: "rust_delayed_work",
    authors: ["lkmpg-rs"],
    description: "Rust work queue sample: an item with a delay",
    license: "GPL",
}

lkm::params! {
    delay_ms: u32 { default: 100, mode: 0o444, description: "Delay in milliseconds" },
}

/// When it was enqueued.
struct Example(Instant<Monotonic>);

impl WorkItem for Example {
    fn run(work: &Work<Self>) {
        let passed = work.0.elapsed().as_millis();
        pr_info!("Hello from a work item, {passed} ms later\n");
    }
}

struct RustDelayedWork {
    work: Work<Example>,
    // Dropped last.
    _exit: OnDrop,
}

impl kernel::Module for RustDelayedWork {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let delay = Delta::from_millis(delay_ms.get().into());
        let work = new_work!(SystemQueue::Dfl, Example(Instant::now()))?;
        work.enqueue_delayed(delay);
        Ok(Self {
            work,
            _exit: OnDrop(|| pr_info!("Rust work queue sample (exit)\n")),
        })
    }
}

impl Drop for RustDelayedWork {
    fn drop(&mut self) {
        if self.work.cancel() {
            pr_info!("Cancelled\n");
        }
    }
}
