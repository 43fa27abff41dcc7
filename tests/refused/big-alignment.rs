// SPDX-License-Identifier: GPL-2.0-only

//! A closure without a byte in it, which is big wherever there is something beside it.

use core::hint::black_box;
use kernel::prelude::*;
use lkm::kthread::KThread;

#[repr(align(4096))]
pub struct Aligned;

pub fn misuse(captured: Aligned) -> Result<KThread> {
    KThread::spawn(c"aligned", move |_| {
        let _ = black_box(captured);
        Ok(())
    }) //~ more than 1 KiB is too big to pass on a kernel stack
}
