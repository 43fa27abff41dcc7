// SPDX-License-Identifier: GPL-2.0-only

use std::path::Path;

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

/// A file system in memory with place for next to nothing. It is gone when this
/// is dropped.
pub struct TinyDisk(TempDir);

impl TinyDisk {
    /// Makes one.
    pub fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let flags = MountFlags::empty();
        mount("tmpfs", dir.path(), "tmpfs", flags, c"size=64k").context("mounting a tmpfs")?;
        Ok(Self(dir))
    }

    /// The folder where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        // Even while somebody uses it.
        if let Err(error) = unmount(self.path(), UnmountFlags::DETACH) {
            eprintln!("{} is still mounted: {error}", self.path().display());
        }
    }
}
