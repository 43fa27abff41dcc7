// SPDX-License-Identifier: GPL-2.0-only

//! C and Rust in one module: a struct and functions of C, bindings made by bindgen, and a safe
//! wrapper.
//!
//! Write-up: A little C with your Rust
//! Book: 5 Preliminaries

use kernel::prelude::*;

mod cool;

module! {
    type: CInterop,
    name: "c_interop",
    authors: ["lkmpg-rs"],
    description: "C and Rust in one module",
    license: "GPL",
}

lkm::params! {
    x: i32 { default: 12, mode: 0, description: "The first number of the item" },
    y: i32 { default: 32, mode: 0, description: "The second number of the item" },
}

struct CInterop;

impl kernel::Module for CInterop {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let mut item = cool::Item {
            x: x.get(),
            y: y.get(),
        };
        item.print();
        item.swap();
        pr_info!("swapped by C: {} {}\n", item.x, item.y);
        match item.sum() {
            Some(sum) => pr_info!("added by C: {sum}\n"),
            None => pr_info!("too much for C\n"),
        }
        Ok(CInterop)
    }
}

impl Drop for CInterop {
    fn drop(&mut self) {
        pr_info!("no more cool items\n");
    }
}
