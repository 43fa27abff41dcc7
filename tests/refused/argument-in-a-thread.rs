// SPDX-License-Identifier: GPL-2.0-only

//! In a thread of the kernel an address of user space is that of some process.

use kernel::prelude::*;
use lkm::{
    file::Argument,
    kthread::KThread, //
};

pub fn misuse(arg: Argument) -> Result<KThread> {
    KThread::spawn(c"later", move |_| arg.write(&1_u32)) //~ cannot be sent between threads safely
}
