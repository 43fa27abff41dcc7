// SPDX-License-Identifier: GPL-2.0-only

//! What files do: the operations that files in `/proc`, in debugfs and
//! character devices have in common.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use crate::bindings;
use core::marker::PhantomData;
use kernel::{
    error::{
        from_result,
        VTABLE_DEFAULT_ERROR, //
    },
    fs::{
        file::Offset,
        File,
        LocalFile, //
    },
    prelude::*,
    str::CStr,
    sync::Arc,
    uaccess::{
        UserPtr,
        UserSlice,
        UserSliceReader,
        UserSliceWriter, //
    },
};

/// What a file does, and the data that all who have it open share.
///
/// The methods run in process context and may sleep, several at a time.
///
/// What `read(2)` and `write(2)` answer for a file without [`read`](Self::read)
/// or [`write`](Self::write) depends on where the file is: `EIO` in `/proc`,
/// `EINVAL` elsewhere.
#[vtable]
pub trait Operations: Send + Sync + Sized + 'static {
    /// Called by `open(2)`, which fails with the error returned.
    fn open(&self, _file: &File) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called once for each file opened, when its last descriptor is closed;
    /// for a file in `/proc` that is removed while it is open, then.
    fn release(&self, _file: &File) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called by `read(2)` and `pread(2)`: writes to `dst` what the file
    /// contains at `pos`, moves `pos` on and returns the number of bytes.
    ///
    /// `dst` cannot be overrun. [`UserSliceWriter::write_slice_file`] does all
    /// of it when the contents are a slice.
    fn read(
        &self,
        _file: &LocalFile,
        _pos: &mut Offset,
        _dst: &mut UserSliceWriter,
    ) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called by `write(2)` and `pwrite(2)`: takes bytes from `src` for the
    /// position `pos`, moves `pos` on and returns the number of bytes taken.
    fn write(
        &self,
        _file: &LocalFile,
        _pos: &mut Offset,
        _src: &mut UserSliceReader,
    ) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// Where the data of a file of a certain kind is.
///
/// # Safety
///
/// For a file of this kind, between an [`attach`](Self::attach) that succeeded
/// and the [`detach`](Self::detach) after it, [`data`](Self::data) returns a
/// pointer to a `T` that stays valid for as long as the operation runs that
/// asked for it.
pub(crate) unsafe trait Place<T> {
    /// Called when a file is being opened, which fails with the error returned.
    ///
    /// # Safety
    ///
    /// `inode` and `file` are those of a file of this kind, and nobody else
    /// uses `file`.
    unsafe fn attach(_inode: *mut bindings::inode, _file: *mut bindings::file) -> Result {
        Ok(())
    }

    /// Called when a file has been closed, or could not be opened.
    ///
    /// # Safety
    ///
    /// `file` is one that was attached, and is not used as such again.
    unsafe fn detach(_file: *mut bindings::file) {}

    /// The data.
    ///
    /// # Safety
    ///
    /// `file` is one that was attached.
    unsafe fn data(file: *mut bindings::file) -> *const T;
}

/// Where the data of a file that is being opened comes from.
///
/// # Safety
///
/// [`find`](Self::find) returns the data of the file's own kind.
pub(crate) unsafe trait Source<T> {
    /// The data; an error when there is none any more.
    ///
    /// # Safety
    ///
    /// `inode` is that of a file of this kind which is being opened.
    unsafe fn find(inode: *mut bindings::inode) -> Result<Arc<T>>;
}

/// Files that have a reference to their data, in `private_data`, from when they
/// are opened. So the data outlives whatever made the file visible.
pub(crate) struct Referenced<S>(PhantomData<S>);

// SAFETY: The reference is taken by `attach` and dropped by `detach`.
unsafe impl<T, S: Source<T>> Place<T> for Referenced<S> {
    unsafe fn attach(inode: *mut bindings::inode, file: *mut bindings::file) -> Result {
        // SAFETY: By this function's contract.
        let data = unsafe { S::find(inode) }?;
        // SAFETY: By this function's contract nobody else uses the file.
        unsafe { (*file).private_data = Arc::into_raw(data).cast_mut().cast() };
        Ok(())
    }

    unsafe fn detach(file: *mut bindings::file) {
        // SAFETY: `attach` has put the reference there, and nobody uses it
        // after this.
        drop(unsafe { Arc::from_raw((*file).private_data.cast_const().cast::<T>()) });
    }

    unsafe fn data(file: *mut bindings::file) -> *const T {
        // SAFETY: The file is valid.
        unsafe { (*file).private_data.cast_const().cast() }
    }
}

/// The C side's functions for the operations of `T`, whose place is `P`.
///
/// # Safety
///
/// All of them are for the kernel only, to be called as it calls those of a
/// `file_operations` of a file of the kind `P`: `inode` and `file` are that
/// file's; `buf` and `len` are user space's; `pos` is valid and not shared.
pub(crate) struct Callbacks<T, P>(PhantomData<(T, P)>);

impl<T: Operations, P: Place<T>> Callbacks<T, P> {
    pub(crate) unsafe extern "C" fn open(
        inode: *mut bindings::inode,
        file: *mut bindings::file,
    ) -> c_int {
        from_result(|| {
            // SAFETY: By this function's contract.
            unsafe { P::attach(inode, file) }?;
            if T::HAS_OPEN {
                // SAFETY: The file was attached. It is valid during this call,
                // and nobody else has it.
                let (data, it) = unsafe { (&*P::data(file), File::from_raw_file(file)) };
                data.open(it).inspect_err(|_| {
                    // SAFETY: It was attached; a file that was not opened is
                    // not used further.
                    unsafe { P::detach(file) };
                })?;
            }
            Ok(0)
        })
    }

    pub(crate) unsafe extern "C" fn release(
        _inode: *mut bindings::inode,
        file: *mut bindings::file,
    ) -> c_int {
        if T::HAS_RELEASE {
            // SAFETY: By this function's contract the file was opened, hence
            // attached. It is valid during this call; it is being closed or
            // removed, no file position of it is in use on this thread.
            let (data, it) = unsafe { (&*P::data(file), File::from_raw_file(file)) };
            data.release(it);
        }
        // SAFETY: This is called once for each file that was opened, and the
        // last call for it.
        unsafe { P::detach(file) };
        0
    }

    pub(crate) unsafe extern "C" fn read(
        file: *mut bindings::file,
        buf: *mut c_char,
        len: usize,
        pos: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: By this function's contract the file was opened, hence
        // attached, and the position is ours.
        let (data, pos) = unsafe { (&*P::data(file), &mut *pos) };
        // SAFETY: The file is valid during this call.
        let file = unsafe { LocalFile::from_raw_file(file) };
        let mut dst = UserSlice::new(UserPtr::from_ptr(buf.cast()), len).writer();
        count(data.read(file, pos, &mut dst), len)
    }

    pub(crate) unsafe extern "C" fn write(
        file: *mut bindings::file,
        buf: *const c_char,
        len: usize,
        pos: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: As in `read`.
        let (data, pos) = unsafe { (&*P::data(file), &mut *pos) };
        // SAFETY: The file is valid during this call.
        let file = unsafe { LocalFile::from_raw_file(file) };
        let mut src = UserSlice::new(UserPtr::from_ptr(buf.cast_mut().cast()), len).reader();
        count(data.write(file, pos, &mut src), len)
    }

    /// The table of these functions, with the module as their owner: whoever
    /// opens a file by it keeps the module.
    ///
    /// Unload rule, owner held: the kernel takes a reference to the module
    /// before it calls `open`, and drops it after `release`.
    pub(crate) const OPS: &'static bindings::file_operations = &bindings::file_operations {
        owner: &raw mut bindings::__this_module,
        open: Some(Self::open),
        release: Some(Self::release),
        read: if T::HAS_READ { Some(Self::read) } else { None },
        write: if T::HAS_WRITE {
            Some(Self::write)
        } else {
            None
        },
        llseek: Some(bindings::default_llseek),
        ..EMPTY
    };
}

/// Whether `name` can be the name of a file: neither empty, nor a path.
pub(crate) const fn is_name(name: &CStr) -> bool {
    const NAME_MAX: usize = 255;

    let name = name.to_bytes();
    let mut n = 0;
    while n < name.len() {
        if name[n] == b'/' {
            return false;
        }
        n += 1;
    }
    !matches!(name, b"" | b"." | b"..") && name.len() <= NAME_MAX
}

/// No operations.
// SAFETY: All-zero is a valid `struct file_operations`: no owner, no functions.
const EMPTY: bindings::file_operations = unsafe { core::mem::zeroed() };

/// The return value of a C `read` or `write` that was asked for `len` bytes;
/// the caller relies on never being told of more.
fn count(result: Result<usize>, len: usize) -> isize {
    match result {
        Ok(n) => n.min(len) as isize,
        Err(e) => e.to_errno() as isize,
    }
}
