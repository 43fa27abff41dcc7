// SPDX-License-Identifier: GPL-2.0-only

//! A producer and a consumer: two kernel threads and a buffer that holds two
//! items, with condition variables for who waits.
//!
//! Write-up: mutex lock and kernel thread

use kernel::{
    new_condvar, new_mutex,
    prelude::*,
    sync::{
        Arc,
        CondVar,
        Mutex, //
    },
};
use lkm::{
    kthread::KThread,
    OnDrop, //
};

module! {
    type: RustCondVar,
    name: "rust_condvar",
    authors: ["lkmpg-rs"],
    description: "Rust condition variable sample",
    license: "GPL",
}

lkm::params! {
    produce: u32 { default: 5, mode: 0o444, description: "How many items to produce" },
    consume: u32 { default: 5, mode: 0o444, description: "How many items to consume" },
}

/// How many items fit in the buffer.
const CAPACITY: usize = 2;

#[pin_data]
struct Buffer {
    #[pin]
    items: Mutex<KVec<u32>>,
    #[pin]
    not_full: CondVar,
    #[pin]
    not_empty: CondVar,
}

impl Buffer {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            items <- new_mutex!(KVec::new()),
            not_full <- new_condvar!(),
            not_empty <- new_condvar!(),
        })
    }

    fn put(&self, item: u32) -> Result {
        let mut items = self.items.lock();
        while items.len() == CAPACITY {
            // A thread that is asked to stop is woken as if by a signal.
            if self.not_full.wait_interruptible(&mut items) {
                return Err(EINTR);
            }
        }
        items.push(item, GFP_KERNEL)?;
        pr_info!("put {item}, {} in the buffer\n", items.len());
        self.not_empty.notify_one();
        Ok(())
    }

    fn take(&self) -> Result<u32> {
        let mut items = self.items.lock();
        while items.is_empty() {
            if self.not_empty.wait_interruptible(&mut items) {
                return Err(EINTR);
            }
        }
        let item = items.remove(0)?;
        pr_info!("took {item}, {} in the buffer\n", items.len());
        self.not_full.notify_one();
        Ok(item)
    }
}

struct RustCondVar {
    _producer: KThread,
    _consumer: KThread,
    // Dropped last, when both threads have ended.
    _exit: OnDrop,
}

impl kernel::Module for RustCondVar {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let buffer = Arc::pin_init(Buffer::new(), GFP_KERNEL)?;
        let from = buffer.clone();
        Ok(Self {
            _producer: KThread::spawn(c"producer", move |_| {
                (0..produce.get()).try_for_each(|item| buffer.put(item))
            })?,
            _consumer: KThread::spawn(c"consumer", move |_| {
                (0..consume.get()).try_for_each(|_| from.take().map(drop))
            })?,
            _exit: OnDrop(|| pr_info!("Rust condition variable sample (exit)\n")),
        })
    }
}
