// SPDX-License-Identifier: GPL-2.0-only

//! A module in two files: one says hello, the other goodbye.
//!
//! Book: 4.6 Modules Spanning Multiple Files

use kernel::prelude::*;

mod stop;

module! {
    type: StartStop,
    name: "startstop",
    authors: ["lkmpg-rs"],
    description: "A module that spans two files",
    license: "GPL",
}

struct StartStop;

impl kernel::Module for StartStop {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("Hello, world - this is the kernel speaking\n");
        Ok(StartStop)
    }
}
