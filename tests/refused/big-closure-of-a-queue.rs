// SPDX-License-Identifier: GPL-2.0-only

//! A closure goes over a kernel stack before it is in memory of its own.

use core::hint::black_box;
use kernel::prelude::*;
use lkm::workqueue::OwnedQueue;

pub fn misuse(queue: &OwnedQueue, captured: [u8; 2048]) -> Result {
    queue.spawn(GFP_KERNEL, move || {
        let _ = black_box(captured);
    }) //~ more than 1 KiB is too big to pass on a kernel stack
}
