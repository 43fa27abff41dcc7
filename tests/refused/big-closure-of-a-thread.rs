// SPDX-License-Identifier: GPL-2.0-only

//! A closure goes over a kernel stack before it is in memory of its own.

use core::hint::black_box;
use kernel::prelude::*;
use lkm::kthread::KThread;

pub fn misuse(captured: [u8; 2048]) -> Result<KThread> {
    KThread::spawn(c"big", move |_| {
        let _ = black_box(captured);
        Ok(())
    }) //~ more than 1 KiB is too big to pass on a kernel stack
}
