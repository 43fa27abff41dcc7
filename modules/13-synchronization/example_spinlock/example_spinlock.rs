// SPDX-License-Identifier: GPL-2.0-only

//! Spinlocks, held with interrupts off: one that the module has for as long as
//! it is loaded, and one made when it is needed.
//!
//! Book: 13.2 Spinlocks

use kernel::prelude::*;
use lkm::{
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
    OnDrop, //
};

module! {
    type: ExampleSpinlock,
    name: "example_spinlock",
    authors: ["lkmpg-rs"],
    description: "Spinlock example",
    license: "GPL",
}

#[pin_data]
struct ExampleSpinlock {
    #[pin]
    sl_static: IrqSpinLock<u32>,
    // Dropped last.
    _exit: OnDrop,
}

impl kernel::InPlaceModule for ExampleSpinlock {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pr_info!("example spinlock started\n");
        try_pin_init!(Self {
            sl_static <- new_irq_spinlock!(0),
            _exit: OnDrop(|| pr_info!("example spinlock exit\n")),
            _: {
                example_spinlock_static(&sl_static);
                example_spinlock_dynamic()?;
            },
        })
    }
}

fn example_spinlock_static(sl_static: &IrqSpinLock<u32>) {
    let mut guard = sl_static.lock();
    pr_info!("Locked static spinlock\n");

    // Do something or other safely. It keeps this CPU from everything else, and
    // others from the lock, so it must be done in no time.
    *guard += 1;

    drop(guard);
    pr_info!("Unlocked static spinlock\n");
}

fn example_spinlock_dynamic() -> Result {
    let sl_dynamic = KBox::pin_init(new_irq_spinlock!(0), GFP_KERNEL)?;
    let mut guard = sl_dynamic.lock();
    pr_info!("Locked dynamic spinlock\n");

    // As above.
    *guard += 1;

    drop(guard);
    pr_info!("Unlocked dynamic spinlock\n");
    Ok(())
}
