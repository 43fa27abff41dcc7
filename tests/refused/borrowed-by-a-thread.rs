// SPDX-License-Identifier: GPL-2.0-only

//! A thread may outlive what the caller has on its stack.

use kernel::prelude::*;
use lkm::kthread::KThread;

pub fn misuse() -> Result<KThread> {
    let mut count = 0;
    KThread::spawn(c"borrows", |_| {
        //~ closure may outlive the current function
        count += 1;
        Ok(())
    })
}
