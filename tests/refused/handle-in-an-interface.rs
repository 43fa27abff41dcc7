// SPDX-License-Identifier: GPL-2.0-only

//! A handle belongs to the module that has made it.

use kernel::prelude::*;
use lkm::kthread::KThread;

lkm::interface! {
    pub(crate) trait Undertaker {
        fn bury(&self, thread: KThread) -> Result<()>;
        //~ Crossing` is not satisfied
    }
}
