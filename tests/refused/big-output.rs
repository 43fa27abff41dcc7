// SPDX-License-Identifier: GPL-2.0-only

//! So does what a task returns.

use kernel::prelude::*;
use lkm::kasync::Executor;

pub fn misuse(executor: &Executor) -> Result {
    executor.spawn(async { [0_u8; 4096] }).map(drop) //~ more than 1 KiB is too big to pass on a kernel stack
}
