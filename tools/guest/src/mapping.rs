// SPDX-License-Identifier: GPL-2.0-only

//! Files in the memory of this program: `mmap(2)`.

use std::{
    ffi::c_void,
    os::fd::{AsFd, AsRawFd},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
};

use anyhow::{Context, Result};
use rustix::{
    io::Errno,
    mm::{
        Advice, MapFlags, MprotectFlags, MremapFlags, ProtFlags, madvise, mmap, mprotect, mremap,
        munmap,
    },
    process::{Pid, WaitOptions, WaitStatus, waitpid},
};

use crate::syscalls::result;

/// Memory that is a part of a file. It is unmapped when this is dropped.
pub struct Mapping {
    at: *mut c_void,
    len: usize,
}

// SAFETY: the memory belongs to no thread, and is only accessed byte by byte.
unsafe impl Send for Mapping {}

// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of `file`, from `offset` on, to be read and written by all who map
    /// them.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn of(file: impl AsFd, offset: u64, len: usize) -> Result<Self, Errno> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        Self::with(file, offset, len, access, MapFlags::SHARED)
    }

    /// The same for another access, and with other flags.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn with(
        file: impl AsFd,
        offset: u64,
        len: usize,
        access: ProtFlags,
        flags: MapFlags,
    ) -> Result<Self, Errno> {
        // SAFETY: new memory, where the kernel likes.
        let at = unsafe { mmap(ptr::null_mut(), len, access, flags, file, offset) }?;
        Ok(Self { at, len })
    }

    /// The byte at `offset`.
    ///
    /// # Panics
    ///
    /// When it is not in the mapping.
    #[must_use]
    pub fn read(&self, offset: usize) -> u8 {
        assert!(offset < self.len);
        // SAFETY: the byte is in the mapping. Others may write to it.
        unsafe { self.at.cast::<u8>().add(offset).read_volatile() }
    }

    /// Writes a byte at `offset`.
    ///
    /// # Panics
    ///
    /// When it is not in the mapping.
    pub fn write(&self, offset: usize, byte: u8) {
        assert!(offset < self.len);
        // SAFETY: the byte is in the mapping. Nobody has a reference to it.
        unsafe { self.at.cast::<u8>().add(offset).write_volatile(byte) };
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> usize {
        self.at.addr()
    }

    /// Reads `file` at `pos` into it, as much as it has room for.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn read_from(&self, file: impl AsFd, pos: i64) -> Result<usize, Errno> {
        let file = file.as_fd().as_raw_fd();
        // SAFETY: the kernel writes to the mapping only, which nobody has a reference to.
        result(unsafe { libc::pread(file, self.at.cast(), self.len, pos) })
    }

    /// Asks for another access.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn protect(&self, access: MprotectFlags) -> Result<(), Errno> {
        // SAFETY: nobody has a reference to the bytes.
        unsafe { mprotect(self.at, self.len, access) }
    }

    /// Makes it longer or shorter.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn resize(&mut self, len: usize) -> Result<(), Errno> {
        // SAFETY: nobody has a reference to the bytes.
        self.at = unsafe { mremap(self.at, self.len, len, MremapFlags::MAYMOVE) }?;
        self.len = len;
        Ok(())
    }

    /// Maps the same part of the file once more, `len` bytes of it.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn duplicate(&self, len: usize) -> Result<Self, Errno> {
        // SAFETY: a length of 0 leaves the mapping as it is.
        let at = unsafe { mremap(self.at, 0, len, MremapFlags::MAYMOVE) }?;
        Ok(Self { at, len })
    }

    /// Throws the pages away: the kernel is asked for them when they are accessed again.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn forget(&self) -> Result<(), Errno> {
        // SAFETY: nobody has a reference to the bytes.
        unsafe { madvise(self.at, self.len, Advice::LinuxDontNeed) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the memory is ours, and nobody has a reference to it.
        let _ = unsafe { munmap(self.at, self.len) };
    }
}

/// Does `what` in a child that has all mappings, too, and waits for its end. `what` only
/// accesses them.
///
/// # Errors
///
/// When there can be no child.
pub fn in_child(what: impl FnOnce()) -> Result<WaitStatus> {
    // SAFETY: the child has this thread only. It does nothing that needs a lock that
    // another one may have held, and drops nothing.
    let id = unsafe { libc::fork() };
    if id == 0 {
        let done = catch_unwind(AssertUnwindSafe(what));
        // SAFETY: this ends the child.
        unsafe { libc::_exit(i32::from(done.is_err())) };
    }
    let child = (id > 0).then(|| Pid::from_raw(id)).flatten();
    let child = child.context("no child")?;
    let ended = waitpid(Some(child), WaitOptions::empty())?;
    let (_, status) = ended.context("the child has not ended")?;
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_child_shares_what_is_mapped() {
        let zero = File::options().read(true).write(true).open("/dev/zero");
        let zero = zero.unwrap();
        let mapping = Mapping::of(&zero, 0, 4096).unwrap();
        assert_eq!(mapping.read(4095), 0);
        let status = in_child(|| mapping.write(4095, 7)).unwrap();
        assert_eq!(status.exit_status(), Some(0));
        assert_eq!(mapping.read(4095), 7);
        mapping.protect(MprotectFlags::READ).unwrap();
        let status = in_child(|| mapping.write(4095, 8)).unwrap();
        assert_eq!(status.terminating_signal(), Some(libc::SIGSEGV));
        assert_eq!(mapping.read(4095), 7);
    }
}
