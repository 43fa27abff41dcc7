// SPDX-License-Identifier: GPL-2.0-only

//! Interrupts are off on the CPU that took the lock, not on the thread's.

use kernel::prelude::*;
use lkm::{
    kthread::KThread,
    sync::IrqSpinLock, //
};

pub fn misuse(lock: &'static IrqSpinLock<u32>) -> Result<KThread> {
    let mut count = lock.lock();
    KThread::spawn(c"unlocks", move |_| {
        //~ cannot be sent between threads safely
        *count += 1;
        Ok(())
    })
}
