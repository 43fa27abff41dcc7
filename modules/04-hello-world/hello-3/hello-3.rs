// SPDX-License-Identifier: GPL-2.0-only

//! A function and a variable that only init needs: the kernel frees their memory after it.
//!
//! Book: 4.3 The __init and __exit Macros

use kernel::prelude::*;
use lkm::init;

module! {
    type: Hello,
    name: "hello-3",
    authors: ["lkmpg-rs"],
    description: "Code and data for init only, freed after it",
    license: "GPL",
}

lkm::init! {
    static HELLO3_DATA: i32 = 3;

    fn say_hello(init: &Init) {
        pr_info!("Hello, world {}\n", HELLO3_DATA.get(init));
    }
}

struct Hello;

impl kernel::Module for Hello {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        init::run(say_hello)?;
        Ok(Hello)
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        pr_info!("Goodbye, world 3\n");
    }
}
