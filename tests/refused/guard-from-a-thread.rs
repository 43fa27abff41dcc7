// SPDX-License-Identifier: GPL-2.0-only

//! What a thread returns goes to another thread.

use kernel::prelude::*;
use lkm::{
    kthread::KThread,
    sync::{
        IrqSpinLock,
        IrqSpinLockGuard, //
    },
};

pub fn misuse(lock: &'static IrqSpinLock<u32>) -> Result<KThread<IrqSpinLockGuard<'static, u32>>> {
    KThread::spawn(c"locks", move |_| Ok(lock.lock())) //~ cannot be sent between threads safely
}
