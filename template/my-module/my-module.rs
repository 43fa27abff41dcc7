// SPDX-License-Identifier: GPL-2.0-only

//! My module: says hello when it is loaded and goodbye when it is unloaded.

use kernel::prelude::*;

module! {
    type: MyModule,
    name: "my-module",
    authors: ["me"],
    description: "My first module",
    license: "GPL",
}

struct MyModule;

impl kernel::Module for MyModule {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("Hello from my module.\n");
        Ok(MyModule)
    }
}

impl Drop for MyModule {
    fn drop(&mut self) {
        pr_info!("Goodbye from my module.\n");
    }
}
