// SPDX-License-Identifier: GPL-2.0-only

//! What a module says of itself: `modinfo` shows who wrote it, what it is and its licence.
//!
//! Book: 4.4 Licensing and Module Documentation

use kernel::prelude::*;

module! {
    type: Hello,
    name: "hello-4",
    authors: ["LKMPG"],
    description: "A sample driver",
    license: "GPL",
}

struct Hello;

impl kernel::Module for Hello {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("Hello, world 4\n");
        Ok(Hello)
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        pr_info!("Goodbye, world 4\n");
    }
}
