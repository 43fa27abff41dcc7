// SPDX-License-Identifier: GPL-2.0-only

//! Only the thread itself can wait as itself.

use kernel::prelude::*;
use lkm::kthread::{
    KThread,
    ThisThread, //
};

pub fn misuse(this: &'static ThisThread) -> Result<KThread> {
    KThread::spawn(c"other", move |_| {
        //~ cannot be shared between threads safely
        this.sleep_until_stop();
        Ok(())
    })
}
