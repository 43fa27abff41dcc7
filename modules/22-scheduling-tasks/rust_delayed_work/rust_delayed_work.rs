// SPDX-License-Identifier: GPL-2.0-only

//! Work that runs after a delay, unless the module is unloaded before.
//!
//! Write-up: Workqueue

use kernel::{
    prelude::*,
    time::{
        msecs_to_jiffies,
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

#[pin_data(PinnedDrop)]
struct RustDelayedWork {
    #[pin]
    work: Work<Example>,
    // Dropped last.
    _exit: OnDrop,
}

impl kernel::InPlaceModule for RustDelayedWork {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let delay = msecs_to_jiffies(delay_ms.get());
        try_pin_init!(Self {
            work <- new_work!(SystemQueue::Dfl, Example(Instant::now())),
            _exit: OnDrop(|| pr_info!("Rust work queue sample (exit)\n")),
            _: { work.enqueue_delayed(delay); },
        })
    }
}

#[pinned_drop]
impl PinnedDrop for RustDelayedWork {
    fn drop(self: Pin<&mut Self>) {
        if self.work.cancel() {
            pr_info!("Cancelled\n");
        }
    }
}
