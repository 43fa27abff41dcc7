// SPDX-License-Identifier: GPL-2.0-only

//! Hello and goodbye again: what C names freely, Rust calls `init` and `drop`.
//!
//! Book: 4.2 Hello and Goodbye

use kernel::prelude::*;

module! {
    type: Hello,
    name: "hello-2",
    authors: ["lkmpg-rs"],
    description: "Hello and goodbye by any name",
    license: "GPL",
}

struct Hello;

impl kernel::Module for Hello {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("Hello, world 2\n");
        Ok(Hello)
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        pr_info!("Goodbye, world 2\n");
    }
}
