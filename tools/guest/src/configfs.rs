// SPDX-License-Identifier: GPL-2.0-only

//! Where configfs is.

use std::fs;

use anyhow::{Context, Result};

use crate::Vm;

/// Where it is mounted.
pub const CONFIGFS: &str = "/sys/kernel/config";

/// For an example's `setup`: configfs is mounted.
///
/// # Errors
///
/// When it cannot be, as the kernel does not have it.
pub fn configfs(vm: &mut Vm) -> Result<()> {
    let mounts = fs::read_to_string("/proc/mounts").context("/proc/mounts")?;
    if !mounts.contains(&format!(" {CONFIGFS} configfs ")) {
        vm.sh(&format!("mount -t configfs configfs {CONFIGFS}"))?;
    }
    Ok(())
}
