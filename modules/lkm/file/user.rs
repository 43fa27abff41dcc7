// SPDX-License-Identifier: GPL-2.0-only

//! The buffers of `read(2)` and `write(2)`, and the memory that the argument of
//! `ioctl(2)` points to.
//!
//! C headers: [`include/linux/uio.h`](srctree/include/linux/uio.h),
//! [`include/linux/uaccess.h`](srctree/include/linux/uaccess.h)
//!
//! The `kernel` crate's `IovIterSource` and `IovIterDest` copy as many bytes as they can,
//! and each caller must compare numbers. Here a call copies all bytes, or fails.

use super::SharedPages;
use crate::{
    bindings,
    compat::Offset,
    print::Hashed, //
};
use core::{
    mem::MaybeUninit,
    ptr,
    slice, //
};
use kernel::{
    alloc::flags::__GFP_NOWARN,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    prelude::*,
    transmute::{
        AsBytes,
        FromBytes, //
    },
    types::NotThreadSafe,
    uaccess::UserPtr, //
};

const SOURCE: c_uint = bindings::ITER_SOURCE;
const DEST: c_uint = bindings::ITER_DEST;

/// The bytes of a `write(2)`. They are taken in order, and each of them once.
///
/// They are in the memory of the process, in one piece or, with `writev(2)`, in several.
/// With `splice(2)` and `sendfile(2)`, and those that a [disk](crate::block) gets, they are in
/// pages of the kernel. It makes no difference here.
///
/// Methods that take bytes may sleep. Each takes all that it is asked for, or nothing.
pub struct Reader(IovIterSource<'static>, NotThreadSafe);

impl Reader {
    pub(super) fn of_user(at: UserPtr, len: usize) -> Self {
        let mut iter = MaybeUninit::<IovIterSource<'static>>::uninit();
        // SAFETY: C initialises it, as a source. C checks the address when it reads there.
        let iter = unsafe {
            bindings::lkm_iter_user(iter.as_mut_ptr().cast(), SOURCE, at.as_mut_ptr(), len);
            iter.assume_init()
        };
        Self(iter, NotThreadSafe)
    }

    /// A copy of `iter`, which stays where it is.
    ///
    /// # Safety
    ///
    /// `iter` is a valid source. What it has pointers to stays for as long as the copy.
    pub(crate) unsafe fn of_iter(iter: *const bindings::iov_iter) -> Self {
        // SAFETY: By this function's contract. The types have the same layout, and C moves
        // and copies an `iov_iter` as it likes.
        Self(unsafe { ptr::read(iter.cast()) }, NotThreadSafe)
    }

    /// The number of bytes left. Can be called in any context.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no bytes are left. Can be called in any context.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The address of the next byte in user space, which need not be valid. Null if the
    /// bytes are the kernel's, or none of several pieces is left. Can be called in any
    /// context.
    pub fn address(&self) -> Hashed<c_void> {
        // SAFETY: The types have the same layout, and C only reads it.
        Hashed(unsafe { bindings::lkm_iter_address((&raw const self.0).cast()) })
    }

    /// Passes over `len` bytes. Can be called in any context.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: there are not so many.
    pub fn skip(&mut self, len: usize) -> Result {
        if len > self.len() {
            return Err(EFAULT);
        }
        self.0.advance(len);
        Ok(())
    }

    /// Fills `bytes`.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: there are not so many bytes, or not all of them are in the process's
    ///   memory. Some of `bytes` may have changed.
    pub fn read_slice(&mut self, bytes: &mut [u8]) -> Result {
        // SAFETY: The types have the same layout, and only bytes that have a value are
        // written.
        self.read_raw(unsafe { &mut *(ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) })
    }

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: there are not so many bytes, or not all of them are in the process's
    ///   memory.
    pub fn read<T: FromBytes>(&mut self) -> Result<T> {
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: The value has that many bytes, which nobody else uses.
        let bytes = unsafe { slice::from_raw_parts_mut(value.as_mut_ptr().cast(), size_of::<T>()) };
        self.read_raw(bytes)?;
        // SAFETY: All its bytes were written, and any bytes are a `T`.
        Ok(unsafe { value.assume_init() })
    }

    /// Takes all bytes that are left, but at most `limit`.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: not all of the bytes are in the process's memory;
    /// - `ENOMEM`: no memory, or there are more than 4 MiB.
    pub fn take(&mut self, limit: usize) -> Result<KVec<u8>> {
        let mut bytes = zeroes(self.len().min(limit))?;
        self.read_slice(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads `len` bytes into `pages`, to `offset` there.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there is not so much room in `pages`;
    /// - `EFAULT`: there are not so many bytes, or not all of them are in the process's
    ///   memory. Some of the pages' may have changed.
    pub fn read_pages(&mut self, pages: &SharedPages, offset: usize, len: usize) -> Result {
        let into = pages.find(offset, len)?;
        // SAFETY: There is so much room, for bytes that nobody has a reference to.
        unsafe { self.read_to(into, len) }
    }

    /// Writes all of `bytes`, unless it fails.
    fn read_raw(&mut self, bytes: &mut [MaybeUninit<u8>]) -> Result {
        // SAFETY: Nobody else has the bytes.
        unsafe { self.read_to(bytes.as_mut_ptr().cast(), bytes.len()) }
    }

    /// # Safety
    ///
    /// C may write `len` bytes to `into`.
    unsafe fn read_to(&mut self, into: *mut u8, len: usize) -> Result {
        if len > self.len() {
            return Err(EFAULT);
        }
        // SAFETY: By this function's contract. The types have the same layout.
        let read = unsafe { bindings::_copy_from_iter(into.cast(), len, (&raw mut self.0).cast()) };
        if read < len {
            // SAFETY: So many were just taken.
            unsafe { self.0.revert(read) };
            return Err(EFAULT);
        }
        Ok(())
    }
}

/// Where the bytes of a `read(2)` go. They are written in order.
///
/// That is the memory of the process, in one piece or, with `readv(2)`, in several. With
/// `splice(2)` and `sendfile(2)`, and those of a [disk](crate::block), the bytes go to pages of
/// the kernel. It makes no difference here.
///
/// Methods that write may sleep.
pub struct Writer(IovIterDest<'static>, NotThreadSafe);

impl Writer {
    pub(super) fn of_user(at: UserPtr, len: usize) -> Self {
        let mut iter = MaybeUninit::<IovIterDest<'static>>::uninit();
        // SAFETY: C initialises it, as a destination. C checks the address when it writes
        // there.
        let iter = unsafe {
            bindings::lkm_iter_user(iter.as_mut_ptr().cast(), DEST, at.as_mut_ptr(), len);
            iter.assume_init()
        };
        Self(iter, NotThreadSafe)
    }

    /// A copy of `iter`, which stays where it is.
    ///
    /// # Safety
    ///
    /// `iter` is a valid destination. What it has pointers to stays for as long as the copy.
    pub(crate) unsafe fn of_iter(iter: *const bindings::iov_iter) -> Self {
        // SAFETY: As for a `Reader`.
        Self(unsafe { ptr::read(iter.cast()) }, NotThreadSafe)
    }

    /// The number of bytes that can still be written. Can be called in any context.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no more bytes can be written. Can be called in any context.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: there is not so much room, or not all of it is the process's memory. Some
    ///   of the bytes may have been written; they do not count.
    pub fn write_slice(&mut self, bytes: &[u8]) -> Result {
        // SAFETY: There are so many bytes.
        unsafe { self.write_from(bytes.as_ptr(), bytes.len()) }
    }

    /// Writes `len` bytes of `pages`, from `offset` there on.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there are not so many bytes in `pages`;
    /// - `EFAULT`: as for [`write_slice`](Self::write_slice).
    pub fn write_pages(&mut self, pages: &SharedPages, offset: usize, len: usize) -> Result {
        let from = pages.find(offset, len)?;
        // SAFETY: There are so many bytes. C copies each once, whatever it is.
        unsafe { self.write_from(from, len) }
    }

    /// Writes zeroes to what is left.
    #[cfg(CONFIG_BLOCK)]
    pub(crate) fn clear(&mut self) {
        // SAFETY: The types have the same layout.
        unsafe { bindings::iov_iter_zero(self.len(), (&raw mut self.0).cast()) };
    }

    /// # Safety
    ///
    /// C may read `len` bytes at `from`.
    unsafe fn write_from(&mut self, from: *const u8, len: usize) -> Result {
        if len > self.len() {
            return Err(EFAULT);
        }
        // SAFETY: By this function's contract. The types have the same layout.
        let written =
            unsafe { bindings::_copy_to_iter(from.cast(), len, (&raw mut self.0).cast()) };
        if written < len {
            // SAFETY: So many were just written.
            unsafe { self.0.revert(written) };
            return Err(EFAULT);
        }
        Ok(())
    }

    /// Takes `bytes` for the contents of a file. Writes them from the position `pos` on, as
    /// far as there is room. Advances `pos`, and returns the number of bytes written.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `pos` is negative;
    /// - `EFAULT`: not even the first byte can be written.
    pub fn write_slice_file(&mut self, bytes: &[u8], pos: &mut Offset) -> Result<usize> {
        if *pos < 0 {
            return Err(EINVAL);
        }
        let rest = usize::try_from(*pos).ok().and_then(|pos| bytes.get(pos..));
        let written = self.write_some(rest.unwrap_or_default())?;
        // This does not overflow: it is at most the length of a slice.
        *pos += written as Offset;
        Ok(written)
    }

    /// Writes `value`.
    ///
    /// # Errors
    ///
    /// Those of [`write_slice`](Self::write_slice).
    pub fn write<T: AsBytes>(&mut self, value: &T) -> Result {
        self.write_slice(value.as_bytes())
    }

    /// Writes `byte` until there is no more room, and returns the number of bytes written.
    ///
    /// If not all of the room is the process's memory, this writes the bytes before the bad
    /// address and returns their number, as `read(2)` does. So it does when a signal comes.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: not even the first byte can be written.
    pub fn fill(&mut self, byte: u8) -> Result<usize> {
        let chunk = [byte; 256];
        let mut written = self.write_some(&chunk)?;
        // There may be room for gigabytes.
        while !current!().signal_pending() {
            // SAFETY: This may sleep.
            unsafe { bindings::lkm_cond_resched() };
            match self.0.copy_to_iter(&chunk) {
                0 => break,
                n => written += n,
            }
        }
        Ok(written)
    }

    /// Writes as many of `bytes` as it can. Fails if there is room, and it can write none.
    fn write_some(&mut self, bytes: &[u8]) -> Result<usize> {
        match self.0.copy_to_iter(bytes) {
            0 if !bytes.is_empty() && !self.is_empty() => Err(EFAULT),
            written => Ok(written),
        }
    }
}

/// `len` zeroes. User space chooses `len`, so too many are an error, and not worth a line
/// in the log.
fn zeroes(len: usize) -> Result<KVec<u8>> {
    Ok(KVec::from_elem(0, len, GFP_KERNEL | __GFP_NOWARN)?)
}

/// The third argument of `ioctl(2)`: a number, or an address in user space. The
/// address need not be valid.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use kernel::{
///     ioctl::{_IOR, _IOW},
///     sync::atomic::{Atomic, Relaxed},
/// };
/// use lkm::file::{Argument, Opened, Operations};
///
/// const SET: u32 = _IOW::<u32>(b'x' as u32, 0);
/// const GET: u32 = _IOR::<u32>(b'x' as u32, 1);
///
/// struct Device(Atomic<u32>);
///
/// #[vtable]
/// impl Operations for Device {
///     type Private = ();
///
///     fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
///         match cmd {
///             SET => self.0.store(arg.read()?, Relaxed),
///             GET => arg.write(&self.0.load(Relaxed))?,
///             _ => return Err(ENOTTY),
///         }
///         Ok(0)
///     }
/// }
/// ```
///
/// It stays with the thread that runs the operation: to others the address means nothing,
/// or the memory of some other process.
#[derive(Clone, Copy)]
pub struct Argument(usize, NotThreadSafe);

impl Argument {
    pub(super) fn new(argument: usize) -> Self {
        Self(argument, NotThreadSafe)
    }

    /// The argument as a number. Can be called in any context.
    pub fn number(self) -> usize {
        self.0
    }

    /// The `len` bytes that the argument points to, as a `write(2)` would offer them: no more
    /// than 2 GiB of them. Can be called in any context.
    pub fn reader(self, len: usize) -> Reader {
        Reader::of_user(UserPtr::from_addr(self.0), len)
    }

    /// The `len` bytes that the argument points to, as a `read(2)` would offer them: no more
    /// than 2 GiB of them. Can be called in any context.
    pub fn writer(self, len: usize) -> Writer {
        Writer::of_user(UserPtr::from_addr(self.0), len)
    }

    /// Reads the value that the argument points to. May sleep.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: not all of it is in the process's memory.
    pub fn read<T: FromBytes>(self) -> Result<T> {
        self.reader(size_of::<T>()).read()
    }

    /// Writes `value` to the memory that the argument points to. May sleep.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: not all of that is the process's memory. A part of `value` may
    ///   have been written.
    pub fn write<T: AsBytes>(self, value: &T) -> Result {
        self.writer(size_of::<T>()).write(value)
    }

    /// Reads the string that the argument points to, without the NUL that ends
    /// it. If the string is longer than `limit` bytes, this reads only the first
    /// `limit`. May sleep.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: a byte before the NUL, and within `limit`, is not in the
    ///   process's memory;
    /// - `ENOMEM`: no memory, or `limit` is more than 4 MiB.
    pub fn read_string(self, limit: usize) -> Result<KVec<u8>> {
        let mut buffer = zeroes(limit)?;
        let from = UserPtr::from_addr(self.0).as_const_ptr();
        // SAFETY: The buffer holds that many bytes. C checks the address.
        let len = unsafe {
            bindings::strncpy_from_user(buffer.as_mut_ptr(), from.cast(), limit as isize)
        };
        let len = usize::try_from(len).map_err(|_| EFAULT)?;
        buffer.truncate(len);
        Ok(buffer)
    }

    /// Writes a string, and a NUL to end it, to the memory that the argument points
    /// to: `text.len() + 1` bytes. User space must expect a string of that length.
    /// May sleep.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: not all of that is the process's memory. A part of the string
    ///   may have been written.
    pub fn write_string(self, text: &[u8]) -> Result {
        let mut writer = self.writer(text.len() + 1);
        writer.write_slice(text)?;
        writer.write_slice(b"\0")
    }
}
