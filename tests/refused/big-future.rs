// SPDX-License-Identifier: GPL-2.0-only

//! A future goes over a kernel stack before it is in memory of its own.

use kernel::{
    prelude::*,
    time::Delta, //
};
use lkm::kasync::{
    sleep,
    Executor, //
};

async fn sum() -> usize {
    let buffer = [1_u8; 4096];
    sleep(Delta::from_millis(10)).await;
    buffer.iter().map(|byte| usize::from(*byte)).sum()
}

pub fn misuse(executor: &Executor) -> Result {
    executor.spawn(sum()).map(drop) //~ more than 1 KiB is too big to pass on a kernel stack
}
