// SPDX-License-Identifier: GPL-2.0-only

//! What a thread returns goes over a kernel stack, too.

use kernel::prelude::*;
use lkm::kthread::KThread;

pub fn misuse() -> Result<KThread<[u8; 4096]>> {
    KThread::spawn(c"big", |_| Ok([0_u8; 4096])) //~ more than 1 KiB is too big to pass on a kernel stack
}
