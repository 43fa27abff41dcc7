// SPDX-License-Identifier: GPL-2.0-only

//! System calls that the standard library does not offer, and some that a
//! well-behaved program never makes.

use std::{
    ffi::{c_char, c_void},
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    ptr,
};

use rustix::io::Errno;

use crate::arch::KERNEL_ADDRESS;

/// An address in the first page, which the kernel never maps.
const BAD: usize = 8;

/// Asks `file` for `length` bytes at addresses where this program has no
/// memory: at one where nobody has any, then at one of the kernel's.
///
/// # Errors
///
/// The kernel's error number; [`Errno::FAULT`] is the right one for both.
pub fn read_to_bad_address(file: impl AsFd, length: usize) -> Result<usize, Errno> {
    let file = file.as_fd().as_raw_fd();
    both(|address| {
        // SAFETY: the kernel checks the address. It writes nothing there, where
        // this program has no memory.
        unsafe { libc::read(file, ptr::without_provenance_mut(address), length) }
    })
}

/// Offers `file` `length` bytes at addresses where this program has no memory:
/// at one where nobody has any, then at one of the kernel's.
///
/// # Errors
///
/// The kernel's error number; [`Errno::FAULT`] is the right one for both.
pub fn write_from_bad_address(file: impl AsFd, length: usize) -> Result<usize, Errno> {
    let file = file.as_fd().as_raw_fd();
    both(|address| {
        // SAFETY: the kernel checks the address; it only reads.
        unsafe { libc::write(file, ptr::without_provenance(address), length) }
    })
}

/// Asks openat(2) for files whose paths are at addresses where this program has no
/// memory: at one where nobody has any, then at one of the kernel's.
///
/// # Errors
///
/// The kernel's error number; [`Errno::FAULT`] is the right one for both.
pub fn open_bad_address() -> Result<usize, Errno> {
    both(|address| {
        // SAFETY: the kernel checks the address; it only reads.
        unsafe { open(ptr::without_provenance(address)) }
    })
}

/// Opens the file with that path, for reading, by openat(2).
///
/// # Safety
///
/// The kernel may read what is there.
unsafe fn open(path: *const c_char) -> isize {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: by this function's contract. Not the C library's function, which may make
    // another system call of it.
    unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags) as isize }
}

/// What `call` returns for a bad address, if that is not `EFAULT`, else what
/// for one of the kernel's.
fn both(call: impl Fn(usize) -> isize) -> Result<usize, Errno> {
    match result(call(BAD)) {
        Err(Errno::FAULT) => result(call(KERNEL_ADDRESS)),
        other => other,
    }
}

/// Bytes at the end of this program's memory: what comes after them is not
/// mapped.
pub struct Edge {
    pages: *mut c_void,
    len: usize,
}

/// The size of a page, which is no less anywhere that this runs.
const PAGE: usize = 4096;

impl Edge {
    /// A copy of `bytes`, which are no more than a page.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        assert!(bytes.len() <= PAGE);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: new memory, where the kernel likes.
        let pages = unsafe { libc::mmap(ptr::null_mut(), 2 * PAGE, protection, flags, -1, 0) };
        assert_ne!(pages, libc::MAP_FAILED);
        let edge = Self {
            pages,
            len: bytes.len(),
        };
        // SAFETY: both pages are ours, and the bytes fit in the first. The other
        // cannot be accessed from here on, but nothing else comes to be there.
        let result = unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), edge.begin(), bytes.len());
            libc::mprotect(pages.byte_add(PAGE), PAGE, libc::PROT_NONE)
        };
        assert_eq!(result, 0);
        edge
    }

    /// The bytes, as they are now.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the first page can be read, and nobody writes to it now.
        unsafe { std::slice::from_raw_parts(self.begin(), self.len) }
    }

    /// Their address, for an ioctl.
    #[must_use]
    pub fn argument(&self) -> Argument<'static> {
        Argument::Number(self.begin().addr())
    }

    /// Asks `file` for `length` bytes, where only the first have a place.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn read(&mut self, file: impl AsFd, length: usize) -> Result<usize, Errno> {
        // SAFETY: the kernel writes to our pages only, as far as it may.
        result(unsafe { libc::read(file.as_fd().as_raw_fd(), self.begin().cast(), length) })
    }

    /// Offers `file` `length` bytes, of which there are only the first.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn write(&self, file: impl AsFd, length: usize) -> Result<usize, Errno> {
        // SAFETY: the kernel only reads.
        result(unsafe { libc::write(file.as_fd().as_raw_fd(), self.begin().cast(), length) })
    }

    /// Opens the file whose path the bytes are, with a NUL at the end, by openat(2).
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn open(&self) -> Result<OwnedFd, Errno> {
        // SAFETY: the kernel only reads.
        let fd = result(unsafe { open(self.begin().cast()) })?;
        // SAFETY: the descriptor is new, and nobody else has it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
    }

    /// Where the bytes begin.
    fn begin(&self) -> *mut u8 {
        // SAFETY: this is in the first page, or the beginning of the second.
        unsafe { self.pages.byte_add(PAGE - self.len).cast() }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // SAFETY: the pages are ours, and nobody has a reference to them.
        unsafe { libc::munmap(self.pages, 2 * PAGE) };
    }
}

/// What an ioctl is called with.
pub enum Argument<'a> {
    /// Nothing.
    None,
    /// A number; not an address.
    Number(usize),
    /// The address of a buffer, which must be as large as the driver expects.
    Buffer(&'a mut [u8]),
    /// An address where there is no memory.
    BadAddress,
    /// An address of the kernel's.
    KernelAddress,
}

/// Makes the ioctl `request` on `file` and returns what the driver returns.
///
/// # Errors
///
/// The kernel's error number.
pub fn ioctl(file: impl AsFd, request: u32, argument: Argument<'_>) -> Result<usize, Errno> {
    let argument = match argument {
        Argument::None => ptr::null_mut(),
        Argument::Number(number) => ptr::without_provenance_mut(number),
        Argument::Buffer(buffer) => buffer.as_mut_ptr().cast(),
        Argument::BadAddress => ptr::without_provenance_mut::<c_void>(BAD),
        Argument::KernelAddress => ptr::without_provenance_mut::<c_void>(KERNEL_ADDRESS),
    };
    // SAFETY: the kernel checks the address. That the driver keeps to the
    // buffer is what the caller promises, and what is under test.
    let returned = unsafe { libc::ioctl(file.as_fd().as_raw_fd(), request as _, argument) };
    result(returned as isize)
}

/// What [`select`] waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Select {
    /// That the file can be read.
    Read,
    /// That the file can be written.
    Write,
    /// Something exceptional.
    Except,
}

/// Waits by `select(2)` until `file` is ready, for as long as that takes.
///
/// # Errors
///
/// The kernel's error number.
pub fn select(file: impl AsFd, what: Select) -> Result<(), Errno> {
    let fd = file.as_fd().as_raw_fd();
    // What does not fit in a set of the C library is no number of ours.
    let fits = usize::try_from(fd).is_ok_and(|fd| fd < libc::FD_SETSIZE);
    assert!(fits, "the program has too many files open");
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set can be written to, and the descriptor fits in.
    let mut set = unsafe {
        libc::FD_ZERO(set.as_mut_ptr());
        libc::FD_SET(fd, set.as_mut_ptr());
        set.assume_init()
    };
    let mut sets = [ptr::null_mut(); 3];
    sets[what as usize] = &raw mut set;
    let [read, write, except] = sets;
    let forever = ptr::null_mut::<libc::timespec>();
    let same_signals = ptr::null_mut::<c_void>();
    // SAFETY: each set is valid, or null. Not the C library's function, which
    // may make another system call of it.
    let returned = unsafe {
        libc::syscall(
            libc::SYS_pselect6,
            fd + 1,
            read,
            write,
            except,
            forever,
            same_signals,
        )
    };
    result(returned as isize).map(|_| ())
}

/// The error number at the root of `error`, when it has one.
#[must_use]
pub fn errno(error: &anyhow::Error) -> Option<Errno> {
    error.chain().find_map(|cause| {
        let errno = cause.downcast_ref::<Errno>().copied();
        errno.or_else(|| Errno::from_io_error(cause.downcast_ref()?))
    })
}

/// What a function of the C library has returned, or the error number that it has left.
///
/// # Errors
///
/// That one.
pub(crate) fn result(returned: isize) -> Result<usize, Errno> {
    usize::try_from(returned).map_err(|_| {
        let error = std::io::Error::last_os_error();
        Errno::from_io_error(&error).unwrap_or(Errno::IO)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn the_address_is_bad() {
        let zero = File::open("/dev/zero").unwrap();
        assert_eq!(read_to_bad_address(&zero, 4), Err(Errno::FAULT));
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(write_from_bad_address(&ours, 4), Err(Errno::FAULT));
    }

    #[test]
    fn memory_ends_at_the_edge() {
        use std::io::{Read, Write};
        let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut edge = Edge::of(b"four");
        assert_eq!(edge.write(&theirs, 4), Ok(4));
        let mut bytes = [0; 4];
        ours.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"four");
        ours.write_all(b"text").unwrap();
        assert_eq!(edge.read(&theirs, 4), Ok(4));
        assert_eq!(edge.bytes(), b"text");

        // What is done with the first bytes differs; the last are not there.
        let zero = File::open("/dev/zero").unwrap();
        assert_eq!(edge.read(&zero, 5), Ok(4));
        assert_eq!(edge.bytes(), [0; 4]);
        assert_eq!(Edge::of(&[]).read(&zero, 1), Err(Errno::FAULT));
        assert_eq!(Edge::of(&[]).write(&theirs, 1), Err(Errno::FAULT));
    }

    #[test]
    fn a_path_has_a_place() {
        assert_eq!(open_bad_address(), Err(Errno::FAULT));
        assert!(Edge::of(b"/dev/null\0").open().is_ok());
        let error = Edge::of(b"/dev/null").open();
        assert_eq!(error.err(), Some(Errno::FAULT));
    }

    #[test]
    fn an_ioctl_fills_a_buffer() {
        let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        std::io::Write::write_all(&mut ours, b"four").unwrap();
        let mut count = [0; 4];
        const FIONREAD: u32 = 0x541b;
        let result = ioctl(&theirs, FIONREAD, Argument::Buffer(&mut count));
        assert_eq!((result, u32::from_ne_bytes(count)), (Ok(0), 4));
        for bad in [Argument::BadAddress, Argument::KernelAddress] {
            assert_eq!(ioctl(&theirs, FIONREAD, bad), Err(Errno::FAULT));
        }
    }

    #[test]
    fn the_root_of_an_error_is_found() {
        use anyhow::Context;
        let error = Err::<(), _>(Errno::BUSY).context("rmmod").unwrap_err();
        assert_eq!(errno(&error), Some(Errno::BUSY));
        let error = File::open("/nowhere").context("open").unwrap_err();
        assert_eq!(errno(&error), Some(Errno::NOENT));
        assert_eq!(errno(&anyhow::anyhow!("no number")), None);
    }
}
