// SPDX-License-Identifier: GPL-2.0-only

//! Files in `/proc`.
//!
//! C header: [`include/linux/proc_fs.h`](srctree/include/linux/proc_fs.h)

use crate::bindings;
use core::{
    marker::{
        PhantomData,
        PhantomPinned, //
    },
    ptr::NonNull, //
};
use kernel::{
    error::VTABLE_DEFAULT_ERROR,
    fs::{
        file::Offset,
        File,
        LocalFile, //
    },
    prelude::*,
    str::CStr,
    uaccess::{
        UserPtr,
        UserSlice,
        UserSliceReader,
        UserSliceWriter, //
    },
};

/// What a file in `/proc` does, and the data that all of its open files share.
///
/// The methods run in process context and may sleep, several at a time. While
/// one of them runs, dropping the [`Entry`] waits for it: one that may block
/// for long must end when the module wants to leave.
///
/// A file without [`read`](Self::read) or [`write`](Self::write) answers that
/// call with `EIO`, as every `/proc` file does.
#[vtable]
pub trait Operations: Send + Sync + Sized + 'static {
    /// Called by `open(2)`, which fails with the error returned.
    fn open(&self, _file: &File) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called once for each file opened: when its last descriptor is closed,
    /// or before that when the [`Entry`] is dropped.
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

/// A file in `/proc`, there for as long as this value lives.
///
/// # Unloading
///
/// *Unregister waits*: `proc_remove()` returns when no operation is running
/// and all open files were released. A file that user space still holds open
/// then answers `EIO`; it no longer reaches the module.
///
/// # Invariants
///
/// `entry` was returned by `proc_create_data()` for `data`, and is not removed
/// before this value is dropped.
///
/// # Examples
///
/// ```ignore
/// struct Answer;
///
/// #[vtable]
/// impl procfs::Operations for Answer {
///     fn read(
///         &self,
///         _file: &LocalFile,
///         pos: &mut Offset,
///         dst: &mut UserSliceWriter,
///     ) -> Result<usize> {
///         dst.write_slice_file(b"42\n", pos)
///     }
/// }
///
/// let entry = KBox::pin_init(procfs::Entry::new(c"answer", 0o444, Answer), GFP_KERNEL)?;
/// ```
#[pin_data(PinnedDrop)]
pub struct Entry<T: Operations> {
    entry: NonNull<bindings::proc_dir_entry>,
    #[pin]
    data: T,
    // The kernel has a pointer to `data`: no entry may move, whatever `T` is.
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: `entry` is only used to remove the file, which may be done from any
// thread, and `T` is `Send`.
unsafe impl<T: Operations> Send for Entry<T> {}

// SAFETY: A shared reference only gives access to `data`, and `T` is `Sync`.
unsafe impl<T: Operations> Sync for Entry<T> {}

impl<T: Operations> Entry<T> {
    /// Creates `/proc/<name>` with the permission bits `mode`, of which the
    /// kernel takes `0` for `0o444`.
    ///
    /// Fails with `EINVAL` for a `name` that no file in `/proc` can have, or a
    /// `mode` that has other bits than permissions, and with `ENOMEM` when
    /// memory is short or the name is taken (the kernel then also prints a
    /// warning). May sleep.
    pub fn new<E>(
        name: &'static CStr,
        mode: u16,
        data: impl PinInit<T, E>,
    ) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        try_pin_init!(&this in Self {
            data <- data,
            entry: {
                // A file type would make the kernel take `entry` for what it
                // is not.
                if !valid_name(name) || mode & !0o777 != 0 {
                    return Err(EINVAL);
                }
                // SAFETY: `data` is initialised and pinned, so it stays valid
                // and in place until it is dropped.
                // Unload rule, unregister waits: `drop` below removes the
                // entry before `data` and the text of the operations go.
                let entry = unsafe {
                    bindings::proc_create_data(
                        name.as_char_ptr(),
                        mode,
                        core::ptr::null_mut(),
                        Table::<T>::OPS,
                        (&raw mut (*this.as_ptr()).data).cast(),
                    )
                };
                NonNull::new(entry).ok_or(ENOMEM)?
            },
            _pin: PhantomPinned,
        })
    }

    /// The data that the operations are given.
    pub fn data(&self) -> &T {
        &self.data
    }
}

#[pinned_drop]
impl<T: Operations> PinnedDrop for Entry<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants the entry was created and not yet
        // removed.
        // Unload rule, unregister waits: `proc_remove()` returns when no
        // operation runs, and none can begin after that.
        unsafe { bindings::proc_remove(self.entry.as_ptr()) };
    }
}

/// Whether `name` is the name of a file directly below `/proc`: neither empty,
/// nor a path, nor the number of a process. The kernel warns about the others.
fn valid_name(name: &CStr) -> bool {
    const NAME_MAX: usize = 255;

    let name = name.to_bytes();
    !name.is_empty()
        && name.len() <= NAME_MAX
        && name != b"."
        && name != b".."
        && !name.contains(&b'/')
        && !name.iter().all(u8::is_ascii_digit)
}

/// The C side's table of `T`'s operations.
struct Table<T>(PhantomData<T>);

impl<T: Operations> Table<T> {
    const OPS: &'static bindings::proc_ops = &bindings::proc_ops {
        proc_open: if T::HAS_OPEN { Some(Self::open) } else { None },
        proc_release: if T::HAS_RELEASE {
            Some(Self::release)
        } else {
            None
        },
        proc_read: if T::HAS_READ { Some(Self::read) } else { None },
        proc_write: if T::HAS_WRITE {
            Some(Self::write)
        } else {
            None
        },
        proc_lseek: Some(bindings::default_llseek),
        ..EMPTY
    };

    /// # Safety
    ///
    /// `inode` must be the inode of an entry made by [`Entry::<T>::new`], in a
    /// call that removing the entry waits for.
    unsafe fn data<'a>(inode: *const bindings::inode) -> &'a T {
        // SAFETY: The entry's data points to the `T` that lives until the
        // entry is removed, which by the caller's promise is after this call.
        unsafe { &*bindings::lkm_pde_data(inode).cast::<T>() }
    }

    /// # Safety
    ///
    /// Called by procfs only: `inode` and `file` are those of a file of an
    /// `Entry<T>` that is being opened.
    unsafe extern "C" fn open(
        inode: *mut bindings::inode,
        file: *mut bindings::file,
    ) -> kernel::ffi::c_int {
        // SAFETY: By this function's contract; `proc_remove()` waits for it.
        let data = unsafe { Self::data(inode) };
        // SAFETY: The file is valid during this call, and nobody else has it.
        let file = unsafe { File::from_raw_file(file) };
        data.open(file).map_or_else(|e| e.to_errno(), |()| 0)
    }

    /// # Safety
    ///
    /// Called by procfs only, once: `inode` and `file` are those of a file of
    /// an `Entry<T>`.
    unsafe extern "C" fn release(
        inode: *mut bindings::inode,
        file: *mut bindings::file,
    ) -> kernel::ffi::c_int {
        // SAFETY: By this function's contract; `proc_remove()` waits for it or
        // calls it itself.
        let data = unsafe { Self::data(inode) };
        // SAFETY: The file is valid during this call; it is being closed or
        // removed, no file position of it is in use on this thread.
        data.release(unsafe { File::from_raw_file(file) });
        0
    }

    /// # Safety
    ///
    /// Called by procfs only: `file` is a file of an `Entry<T>`, `buf` and
    /// `len` are user space's, `pos` is valid and not shared.
    unsafe extern "C" fn read(
        file: *mut bindings::file,
        buf: *mut kernel::ffi::c_char,
        len: usize,
        pos: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: By this function's contract; `proc_remove()` waits for it.
        let (data, pos) = unsafe { (Self::data((*file).f_inode), &mut *pos) };
        // SAFETY: The file is valid during this call.
        let file = unsafe { LocalFile::from_raw_file(file) };
        let mut dst = UserSlice::new(UserPtr::from_ptr(buf.cast()), len).writer();
        count(data.read(file, pos, &mut dst), len)
    }

    /// # Safety
    ///
    /// Called by procfs only: `file` is a file of an `Entry<T>`, `buf` and
    /// `len` are user space's, `pos` is valid and not shared.
    unsafe extern "C" fn write(
        file: *mut bindings::file,
        buf: *const kernel::ffi::c_char,
        len: usize,
        pos: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: By this function's contract; `proc_remove()` waits for it.
        let (data, pos) = unsafe { (Self::data((*file).f_inode), &mut *pos) };
        // SAFETY: The file is valid during this call.
        let file = unsafe { LocalFile::from_raw_file(file) };
        let mut src = UserSlice::new(UserPtr::from_ptr(buf.cast_mut().cast()), len).reader();
        count(data.write(file, pos, &mut src), len)
    }
}

/// No operations. Not `PROC_ENTRY_PERMANENT`: removing such an entry would
/// wait for nobody.
// SAFETY: All-zero is a valid `struct proc_ops`: no flags, no functions.
const EMPTY: bindings::proc_ops = unsafe { core::mem::zeroed() };

/// The return value of a C `read` or `write` that was asked for `len` bytes;
/// the caller relies on never being told of more.
fn count(result: Result<usize>, len: usize) -> isize {
    match result {
        Ok(n) => n.min(len) as isize,
        Err(e) => e.to_errno() as isize,
    }
}
