// SPDX-License-Identifier: GPL-2.0-only

//! Two variables in debugfs, which are parameters of the module as well.
//!
//! Book: 9 debugfs: Flexible debugging interfaces

use core::ffi::CStr;
use kernel::prelude::*;
use lkm::{
    debugfs,
    file::mode,
    OnDrop, //
};

module! {
    type: HelloDebugfs,
    name: "hello-debugfs",
    authors: ["lkmpg-rs"],
    description: "Export simple values through debugfs",
    license: "GPL",
}

lkm::params! {
    debug_value: u32 {
        default: 42,
        mode: 0o600,
        description: "Value exported through both sysfs and debugfs",
    },
    debug_enabled: bool {
        default: true,
        mode: 0o600,
        description: "Enable or disable the example flag",
    },
}

const DIR: &CStr = c"lkmpg_debugfs";

struct HelloDebugfs {
    _dir: debugfs::Dir,
    // Dropped last, when the directory is gone.
    _removed: OnDrop,
}

impl kernel::Module for HelloDebugfs {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let dir = debugfs::Dir::new(DIR)?;
        dir.value(c"debug_value", mode!(0o600), &debug_value)?;
        dir.value(c"debug_enabled", mode!(0o600), &debug_enabled)?;
        pr_info!("debugfs interface registered under /sys/kernel/debug/lkmpg_debugfs\n");
        Ok(Self {
            _dir: dir,
            _removed: OnDrop(removed),
        })
    }
}

fn removed() {
    pr_info!("debugfs example removed\n");
}
