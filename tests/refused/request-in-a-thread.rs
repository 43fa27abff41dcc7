// SPDX-License-Identifier: GPL-2.0-only

//! A request is there only while its handler runs.

use kernel::prelude::*;
use lkm::{
    genl::Request,
    kthread::KThread, //
};

pub fn misuse(request: &'static Request) -> Result<KThread> {
    KThread::spawn(c"later", move |_| request.reply(1, |_| Ok(()))) //~ cannot be shared between threads safely
}
