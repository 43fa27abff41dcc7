// SPDX-License-Identifier: GPL-2.0-only

//! A parameter with callbacks: the module is told when it is set and when it is read.
//!
//! Book: 4.5 Passing Command Line Arguments to a Module

use kernel::prelude::*;

module! {
    type: Hello,
    name: "hello-6",
    authors: ["lkmpg-rs"],
    description: "A parameter with callbacks",
    license: "GPL",
}

lkm::params! {
    watched: i32 {
        default: 42,
        mode: 0o644,
        description: "An integer that logs every update",
        set: watched_set,
        get: watched_get,
    },
}

fn watched_set(value: i32) -> Result {
    pr_info!("watched updated to {value}\n");
    Ok(())
}

fn watched_get(_value: i32) {
    pr_info!("watched was read\n");
}

struct Hello;

impl kernel::Module for Hello {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("Hello, world 6\n");
        pr_info!("watched starts at {}\n", watched.get());
        Ok(Hello)
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        pr_info!("Goodbye, world 6\n");
    }
}
