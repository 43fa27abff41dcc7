// SPDX-License-Identifier: GPL-2.0-only

//! A task that waits must not have a spinlock: it goes on somewhere else.

use kernel::{
    prelude::*,
    time::Delta, //
};
use lkm::{
    kasync::{
        sleep,
        Executor, //
    },
    sync::IrqSpinLock, //
};

pub fn misuse(executor: &Executor, lock: &'static IrqSpinLock<u32>) -> Result {
    let task = async {
        let mut count = lock.lock();
        *count += 1;
        sleep(Delta::from_millis(10)).await;
        *count += 1;
    };
    executor.spawn(task).map(drop) //~ future cannot be sent between threads safely
}
