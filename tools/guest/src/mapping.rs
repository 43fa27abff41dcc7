// SPDX-License-Identifier: GPL-2.0-only

//! Files in the memory of this program: `mmap(2)`.

use std::{
    ffi::c_void,
    mem,
    os::fd::{AsFd, AsRawFd},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
};

use anyhow::{Context, Result};
use rustix::{
    io::Errno,
    mm::{
        Advice, MapFlags, MprotectFlags, MremapFlags, ProtFlags, madvise, mmap, mmap_anonymous,
        mprotect, mremap, mremap_fixed, munmap,
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

    /// Addresses that nothing else comes to be at, of `len` bytes that nobody may access.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn reserve(len: usize) -> Result<Self, Errno> {
        let (none, flags) = (ProtFlags::empty(), MapFlags::PRIVATE);
        // SAFETY: new memory, where the kernel likes.
        let at = unsafe { mmap_anonymous(ptr::null_mut(), len, none, flags) }?;
        Ok(Self { at, len })
    }

    /// Where `len` bytes at `offset` are.
    fn part(&self, offset: usize, len: usize) -> *mut c_void {
        assert!(offset <= self.len && len <= self.len - offset);
        self.at.wrapping_byte_add(offset)
    }

    /// Maps `len` bytes of `file`, from `from` on, in place of those at `offset` here.
    ///
    /// # Errors
    ///
    /// The kernel's error number. What was there may be gone.
    ///
    /// # Panics
    ///
    /// When there are not so many.
    pub fn cover(
        &self,
        offset: usize,
        file: impl AsFd,
        from: u64,
        len: usize,
    ) -> Result<(), Errno> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: the memory is ours, and nobody has a reference to it.
        unsafe { mmap(self.part(offset, len), len, access, flags, file, from) }?;
        Ok(())
    }

    /// Takes `len` bytes at `offset` away. Nothing else comes to be there.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    ///
    /// # Panics
    ///
    /// When there are not so many.
    pub fn cut(&self, offset: usize, len: usize) -> Result<(), Errno> {
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        // SAFETY: the memory is ours, and nobody has a reference to it.
        unsafe { mmap_anonymous(self.part(offset, len), len, ProtFlags::empty(), flags) }?;
        Ok(())
    }

    /// Moves it to where `place` is.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    ///
    /// # Panics
    ///
    /// When that is not as long.
    pub fn relocate(&mut self, place: Self) -> Result<(), Errno> {
        assert_eq!(self.len, place.len);
        let (len, flags) = (self.len, MremapFlags::MAYMOVE);
        // SAFETY: all of the memory is ours, and nobody has a reference to it.
        self.at = unsafe { mremap_fixed(self.at, len, len, flags, place.at) }?;
        mem::forget(place);
        Ok(())
    }

    /// Reads bytes of `file`, from `from` on, into `len` bytes at `offset` here: it is the kernel
    /// that touches them.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    ///
    /// # Panics
    ///
    /// When there are not so many.
    pub fn read_from(
        &self,
        offset: usize,
        file: impl AsFd,
        from: u64,
        len: usize,
    ) -> Result<usize, Errno> {
        let file = file.as_fd().as_raw_fd();
        // SAFETY: the memory is ours, and nobody has a reference to it.
        result(unsafe { libc::pread(file, self.part(offset, len), len, from as libc::off_t) })
    }

    /// Has `pipe` keep the pages of `len` bytes at `offset`, until they are read from it.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    ///
    /// # Panics
    ///
    /// When there are not so many.
    pub fn give(&self, offset: usize, pipe: impl AsFd, len: usize) -> Result<usize, Errno> {
        let part = libc::iovec {
            iov_base: self.part(offset, len),
            iov_len: len,
        };
        // SAFETY: the kernel only reads the bytes.
        result(unsafe { libc::vmsplice(pipe.as_fd().as_raw_fd(), &raw const part, 1, 0) })
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
        // Rust's runtime catches these once, and has the access made again.
        for signal in [libc::SIGBUS, libc::SIGSEGV] {
            // SAFETY: That is the default of a process.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
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
    use std::{fs::File, io::Read};

    use rustix::pipe::pipe;

    #[test]
    fn parts_come_and_go() {
        const PAGE: usize = 4096;
        let zero = File::options().read(true).write(true).open("/dev/zero");
        let zero = zero.unwrap();
        let mut mapping = Mapping::reserve(3 * PAGE).unwrap();
        mapping.cover(PAGE, &zero, 0, PAGE).unwrap();
        assert_eq!(mapping.read_from(PAGE, &zero, 0, 10), Ok(10));
        assert_eq!(mapping.read_from(0, &zero, 0, 1), Err(Errno::FAULT));
        mapping.write(PAGE + 1, 7);
        let (reader, writer) = pipe().unwrap();
        assert_eq!(mapping.give(PAGE, &writer, 2), Ok(2));
        mapping.cut(PAGE, PAGE).unwrap();
        let mut bytes = [1; 2];
        File::from(reader).read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, [0, 7]);

        mapping = Mapping::of(&zero, 0, PAGE).unwrap();
        mapping.write(0, 8);
        let place = Mapping::reserve(PAGE).unwrap();
        let to = place.address();
        mapping.relocate(place).unwrap();
        assert_eq!((mapping.address(), mapping.read(0)), (to, 8));
    }

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
