// SPDX-License-Identifier: GPL-2.0-only

//! Memory that this program and a VM share. It has no name in any file system,
//! and is gone with the last process that has it open, however that ends.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use anyhow::{Context, Result};
use rustix::{
    fs::{MemfdFlags, ftruncate, memfd_create},
    io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd},
};

/// Memory of `size` bytes, all of them 0. What nobody writes to takes nothing.
pub fn create(name: &str, size: u64) -> Result<File> {
    let memory = || -> rustix::io::Result<File> {
        let file = memfd_create(format!("lkmpg-{name}"), MemfdFlags::CLOEXEC)?;
        ftruncate(&file, size)?;
        Ok(file.into())
    };
    memory().with_context(|| format!("{} MiB of memory", size >> 20))
}

/// Open files that a child is to have.
#[derive(Default)]
pub struct Inherited(Vec<OwnedFd>);

impl Inherited {
    /// Adds a copy of `file`. Returns the number that the child knows it by.
    pub fn add(&mut self, file: impl AsFd) -> Result<i32> {
        let copy = fcntl_dupfd_cloexec(file, 3).context("a file")?;
        let number = copy.as_raw_fd();
        self.0.push(copy);
        Ok(number)
    }

    /// The path at which the child finds a copy of `file`.
    pub fn path(&mut self, file: impl AsFd) -> Result<String> {
        let number = self.add(file)?;
        Ok(format!("/proc/self/fd/{number}"))
    }

    /// Lets this process keep them when it becomes another program: for the
    /// child, between fork and exec.
    pub fn keep(&self) -> io::Result<()> {
        for file in &self.0 {
            fcntl_setfd(file, FdFlags::empty())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_its_size_and_no_name() {
        let memory = create("test", 1 << 20).unwrap();
        let metadata = memory.metadata().unwrap();
        assert_eq!(metadata.len(), 1 << 20);
        assert_eq!(std::os::unix::fs::MetadataExt::nlink(&metadata), 0);
    }
}
