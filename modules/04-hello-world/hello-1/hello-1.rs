// SPDX-License-Identifier: GPL-2.0-only

//! Hello World: says hello when it is loaded and goodbye when it is unloaded.
//!
//! Book: 4.1 The Simplest Module

use kernel::prelude::*;

// What modinfo shows, and the type whose value is the module.
module! {
    type: Hello,
    name: "hello-1",
    authors: ["lkmpg-rs"],
    description: "The simplest module: hello and goodbye",
    license: "GPL",
}

struct Hello;

// insmod calls this. The value that it returns is kept until rmmod; an error would
// be that of insmod.
impl kernel::Module for Hello {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("Hello world 1.\n");
        Ok(Hello)
    }
}

// rmmod drops the value.
impl Drop for Hello {
    fn drop(&mut self) {
        pr_info!("Goodbye world 1.\n");
    }
}
