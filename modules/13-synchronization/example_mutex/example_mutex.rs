// SPDX-License-Identifier: GPL-2.0-only

//! A mutex: tries to lock it, and looks whether it is locked.
//!
//! Book: 13.1 Mutex

use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex, //
};
use lkm::OnDrop;

module! {
    type: ExampleMutex,
    name: "example_mutex",
    authors: ["lkmpg-rs"],
    description: "Mutex example",
    license: "GPL",
}

// A mutex never moves. procfs2 explains `#[pin]` and `<-`.
#[pin_data]
struct ExampleMutex {
    #[pin]
    mymutex: Mutex<()>,
    // Dropped last.
    _exit: OnDrop,
}

// A module with such a field is an `InPlaceModule`. Its init returns an initialiser. The
// kernel runs that where the module's value stays.
impl kernel::InPlaceModule for ExampleMutex {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pr_info!("example_mutex init\n");
        try_pin_init!(Self {
            mymutex <- new_mutex!(()),
            _exit: OnDrop(|| pr_info!("example_mutex exit\n")),
            // Not a field. This runs when the fields above are there.
            _: { try_to_lock(&mymutex) },
        })
    }
}

fn try_to_lock(mymutex: &Mutex<()>) {
    match mymutex.try_lock() {
        Some(guard) => {
            pr_info!("mutex is locked\n");

            // There can be no second guard while there is one.
            if mymutex.try_lock().is_some() {
                pr_info!("The mutex failed to lock!\n");
            }

            drop(guard);
            pr_info!("mutex is unlocked\n");
        }
        None => pr_info!("Failed to lock\n"),
    }
}
