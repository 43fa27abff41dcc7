// SPDX-License-Identifier: GPL-2.0-only

//! A lock that many can hold to read, or one to write.
//!
//! Book: 13.3 Read and write locks

use kernel::prelude::*;
use lkm::{
    sync::{
        new_irq_rwlock,
        IrqRwLock, //
    },
    OnDrop, //
};

module! {
    type: ExampleRwlock,
    name: "example_rwlock",
    authors: ["lkmpg-rs"],
    description: "Read/Write locks example",
    license: "GPL",
}

#[pin_data]
struct ExampleRwlock {
    #[pin]
    myrwlock: IrqRwLock<u32>,
    // Dropped last.
    _exit: OnDrop,
}

impl kernel::InPlaceModule for ExampleRwlock {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pr_info!("example_rwlock started\n");
        try_pin_init!(Self {
            myrwlock <- new_irq_rwlock!(0),
            _exit: OnDrop(|| pr_info!("example_rwlock exit\n")),
            _: {
                example_read_lock(&myrwlock);
                example_write_lock(&myrwlock);
            },
        })
    }
}

fn example_read_lock(myrwlock: &IrqRwLock<u32>) {
    let guard = myrwlock.read();
    pr_info!("Read Locked\n");

    // Read from something.
    let _something = *guard;

    drop(guard);
    pr_info!("Read Unlocked\n");
}

fn example_write_lock(myrwlock: &IrqRwLock<u32>) {
    let mut guard = myrwlock.write();
    pr_info!("Write Locked\n");

    // Write to something.
    *guard += 1;

    drop(guard);
    pr_info!("Write Unlocked\n");
}
