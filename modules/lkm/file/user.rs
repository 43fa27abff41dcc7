// SPDX-License-Identifier: GPL-2.0-only

//! The memory of a process in user space: the buffers of `read(2)` and
//! `write(2)`, and the memory that the argument of `ioctl(2)` points to.
//!
//! C header: [`include/linux/uaccess.h`](srctree/include/linux/uaccess.h)

use super::Writer;
use crate::{
    bindings,
    print::Hashed, //
};
use core::ops::{
    Deref,
    DerefMut, //
};
use kernel::{
    alloc::flags::__GFP_NOWARN,
    prelude::*,
    transmute::{
        AsBytes,
        FromBytes, //
    },
    types::NotThreadSafe,
    uaccess::{
        UserPtr,
        UserSlice,
        UserSliceReader, //
    },
};

/// The bytes of a `write(2)`. They are taken in order, and each of them once.
///
/// It dereferences to the `kernel` crate's [`UserSliceReader`].
pub struct Reader {
    slice: UserSliceReader,
    // The address after the last byte of `slice`.
    end: UserPtr,
}

impl Reader {
    pub(super) fn new(ptr: UserPtr, len: usize) -> Self {
        Self {
            slice: UserSlice::new(ptr, len).reader(),
            end: ptr.wrapping_byte_add(len),
        }
    }

    /// The address of the next byte in user space. It need not be valid.
    ///
    /// Can be called in any context.
    pub fn address(&self) -> Hashed<c_void> {
        Hashed(self.end.as_const_ptr().wrapping_byte_sub(self.slice.len()))
    }
}

impl Deref for Reader {
    type Target = UserSliceReader;

    fn deref(&self) -> &UserSliceReader {
        &self.slice
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut UserSliceReader {
        &mut self.slice
    }
}

/// Zeroes, as many as user space says: too many are an error, and nothing for the log.
fn zeroes(len: usize) -> Result<KVec<u8>> {
    Ok(KVec::from_elem(0, len, GFP_KERNEL | __GFP_NOWARN)?)
}

/// Takes the bytes of `src`, but no more than `limit`.
///
/// May sleep.
///
/// # Errors
///
/// - `EFAULT`: not all of the bytes are in the process's memory;
/// - `ENOMEM`: no memory, or there are more than 4 MiB.
pub fn take(src: &mut Reader, limit: usize) -> Result<KVec<u8>> {
    let mut bytes = zeroes(src.len().min(limit))?;
    src.read_slice(&mut bytes)?;
    Ok(bytes)
}

/// Fills `dst` with `byte`, and returns the number of bytes written.
///
/// If not all of `dst` is the process's memory, this writes the bytes before the
/// bad address and returns their number, as `read(2)` does.
///
/// May sleep.
///
/// # Errors
///
/// - `EFAULT`: the first byte of `dst` cannot be written.
pub fn fill(dst: &mut Writer, byte: u8) -> Result<usize> {
    let chunk = [byte; 256];
    let len = dst.len();
    let mut most = chunk.len();
    while !dst.is_empty() {
        let part = dst.len().min(most);
        match dst.write_slice(&chunk[..part]) {
            Ok(()) => {}
            Err(e) if part == 1 && dst.len() == len => return Err(e),
            Err(_) if part == 1 => break,
            // The first bytes of the part that failed may be valid.
            Err(_) => most = part / 2,
        }
    }
    Ok(len - dst.len())
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

    /// The `len` bytes of user space that the argument points to. Accesses to
    /// them fail with `EFAULT` if not all of them are the process's memory.
    ///
    /// Can be called in any context.
    pub fn slice(self, len: usize) -> UserSlice {
        UserSlice::new(UserPtr::from_addr(self.0), len)
    }

    /// The same bytes, as a `write(2)` would offer them. Can be called in any
    /// context.
    pub fn reader(self, len: usize) -> Reader {
        Reader::new(UserPtr::from_addr(self.0), len)
    }

    /// Reads the value that the argument points to. May sleep.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: not all of it is in the process's memory.
    pub fn read<T: FromBytes>(self) -> Result<T> {
        self.slice(size_of::<T>()).reader().read()
    }

    /// Writes `value` to the memory that the argument points to. May sleep.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: not all of that is the process's memory. A part of `value` may
    ///   have been written.
    pub fn write<T: AsBytes>(self, value: &T) -> Result {
        self.slice(size_of::<T>()).writer().write(value)
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
        let mut writer = self.slice(text.len() + 1).writer();
        writer.write_slice(text)?;
        writer.write_slice(b"\0")
    }
}
