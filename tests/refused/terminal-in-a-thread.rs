// SPDX-License-Identifier: GPL-2.0-only

//! A terminal is that of the process which runs, and a thread of the kernel has none.

use kernel::prelude::*;
use lkm::{
    kthread::KThread,
    tty::CurrentTty, //
};

pub fn misuse() -> Result<KThread<usize>> {
    let tty = CurrentTty::get()?;
    KThread::spawn(c"misuse", move |_| tty.write(b"from elsewhere\n"))
} //~ cannot be sent between threads safely
