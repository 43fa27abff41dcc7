// SPDX-License-Identifier: GPL-2.0-only

//! Parameters: numbers, a string and an array, given at load time or through sysfs.
//!
//! Book: 4.5 Passing Command Line Arguments to a Module

use kernel::prelude::*;

module! {
    type: Hello,
    name: "hello-5",
    authors: ["lkmpg-rs"],
    description: "Command line arguments of a module",
    license: "GPL",
}

lkm::params! {
    myshort: i16 { default: 1, mode: 0o660, description: "A short integer" },
    myint: i32 { default: 420, mode: 0o644, description: "An integer" },
    mylong: isize { default: 9999, mode: 0o400, description: "A long integer" },
    mystring: &CStr { default: c"blah", mode: 0, description: "A character string" },
    myintarray: [i32; 2] { default: [420, 420], mode: 0, description: "An array of integers" },
}

struct Hello;

impl kernel::Module for Hello {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("Hello, world 5\n");
        pr_info!("=============\n");
        pr_info!("myshort is a short integer: {}\n", myshort.get());
        pr_info!("myint is an integer: {}\n", myint.get());
        pr_info!("mylong is a long integer: {}\n", mylong.get());
        mystring.with(|string| pr_info!("mystring is a string: {string}\n"));
        for (i, value) in myintarray.iter().enumerate() {
            pr_info!("myintarray[{i}] = {value}\n");
        }
        pr_info!("got {} arguments for myintarray.\n", myintarray.given());
        Ok(Hello)
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        pr_info!("Goodbye, world 5\n");
    }
}
