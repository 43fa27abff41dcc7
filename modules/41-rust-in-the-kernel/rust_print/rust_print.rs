// SPDX-License-Identifier: GPL-2.0-only

//! The printing macros: every level, lines that are continued, and debugging.
//!
//! Write-up: Linux 6.2, all log levels

use kernel::{
    pr_cont,
    prelude::*, //
};

module! {
    type: RustPrint,
    name: "rust_print",
    authors: ["lkmpg-rs"],
    description: "Rust printing macros sample",
    license: "GPL",
}

struct RustPrint;

impl kernel::Module for RustPrint {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("Rust printing macros sample (init)\n");
        without_arguments();
        with_arguments();
        Ok(RustPrint)
    }
}

fn without_arguments() {
    pr_emerg!("Emergency message (level 0) without args\n");
    pr_alert!("Alert message (level 1) without args\n");
    pr_crit!("Critical message (level 2) without args\n");
    pr_err!("Error message (level 3) without args\n");
    pr_warn!("Warning message (level 4) without args\n");
    pr_notice!("Notice message (level 5) without args\n");
    pr_info!("Info message (level 6) without args\n");

    // Only where the kernel is built with debug assertions.
    pr_debug!("Debug message (level 7) without args\n");

    pr_info!("A line that");
    pr_cont!(" is continued");
    pr_cont!(" without args\n");
}

fn with_arguments() {
    pr_emerg!("{} message (level {}) with args\n", "Emergency", 0);
    pr_alert!("{} message (level {}) with args\n", "Alert", 1);
    pr_crit!("{} message (level {}) with args\n", "Critical", 2);
    pr_err!("{} message (level {}) with args\n", "Error", 3);
    pr_warn!("{} message (level {}) with args\n", "Warning", 4);
    pr_notice!("{} message (level {}) with args\n", "Notice", 5);
    pr_info!("{} message (level {}) with args\n", "Info", 6);
    pr_debug!("{} message (level {}) with args\n", "Debug", 7);

    pr_info!("A {} that", "line");
    pr_cont!(" is {}", "continued");
    pr_cont!(" with {}\n", "args");
}

impl Drop for RustPrint {
    fn drop(&mut self) {
        pr_info!("Rust printing macros sample (exit)\n");
    }
}
