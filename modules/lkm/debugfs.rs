// SPDX-License-Identifier: GPL-2.0-only

//! Files in debugfs, for whoever debugs the module.
//!
//! C header: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h)
//!
//! Reference: <https://docs.kernel.org/filesystems/debugfs.html>

use crate::{
    bindings,
    file::{
        is_name,
        Callbacks,
        Offset,
        Opened,
        Openers,
        Operations,
        Referenced,
        Source,
        Writer, //
    },
};
use core::mem::ManuallyDrop;
use kernel::{
    prelude::*,
    str::CStr,
    sync::{
        atomic::Atomic,
        Arc, //
    },
};

/// A directory in debugfs, there with its files for as long as this value
/// lives.
///
/// A module must work without debugfs. So making directory and files does not
/// fail when debugfs does: when it is not there, has no memory, or when there
/// is something of the same name, which the kernel logs. What the directory
/// already has stays as it is then.
///
/// `mode` are the permission bits of a file. A name that no file can have, and
/// a mode with other bits, are `EINVAL`.
///
/// # Unloading
///
/// *Unregister waits*, for values: the functions that user space calls are not
/// the module's, and `debugfs_remove()` returns when none of them runs. A file
/// that is still open then answers `EIO`.
///
/// *Owner held*, for blobs and files with [operations](Operations): one that is
/// open keeps the module, so `rmmod` is refused with `EWOULDBLOCK`. Dropping the
/// directory while the module stays waits for the operations that run; then an
/// open file answers `EIO`, and only its release is called still, with its own
/// reference to the data. So an operation must not drop the directory of its
/// file, nor wait for who does, or both wait forever.
///
/// While init runs the kernel gives references to the module, too, but when init
/// fails it frees the module regardless of them. *We wait* then: dropping the
/// directory while init runs returns when nobody has a file of the module open.
///
/// # Invariants
///
/// `dir` was returned by `debugfs_create_dir()`, and is an error or a directory
/// that is not removed before this value is dropped. Whatever its files have
/// pointers to is `'static` or in `kept`.
///
/// # Examples
///
/// ```ignore
/// static COUNT: Atomic<u32> = Atomic::new(0);
///
/// let mut dir = debugfs::Dir::new(c"my-module")?;
/// dir.u32(c"count", 0o400, &COUNT)?;
/// dir.blob(c"version", 0o444, b"1.0\n")?;
/// ```
pub struct Dir {
    // Dropped in this order: first of all the files go, and last who has opened
    // one when init fails.
    dir: Dentry,
    kept: KVec<Kept>,
    _openers: Openers,
}

impl Dir {
    /// Makes the directory `name` below the root of debugfs. May sleep.
    pub fn new(name: &CStr) -> Result<Self> {
        if !is_name(name) {
            return Err(EINVAL);
        }
        // SAFETY: The name is a string, and copied.
        // INVARIANT: The pointer is what was returned.
        let dir =
            unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), core::ptr::null_mut()) };
        Ok(Self {
            dir: Dentry(dir),
            kept: KVec::new(),
            _openers: Openers,
        })
    }

    /// Makes a file that shows `value` in decimal and takes numbers as C writes
    /// them. The kernel takes those of 64 bits, and keeps 32 of them. May sleep.
    pub fn u32(&self, name: &CStr, mode: u16, value: &'static Atomic<u32>) -> Result {
        check(name, mode)?;
        // SAFETY: The name is a string, and copied. The value lives as long as
        // the module, and C reads and writes it with one load or store.
        // Unload rule, unregister waits: dropping `dir` removes the file.
        unsafe {
            bindings::debugfs_create_u32(name.as_char_ptr(), mode, self.dir.0, value.as_ptr())
        };
        Ok(())
    }

    /// Makes a file that shows `value` as `Y` or `N` and takes these, `1` or
    /// `0`, and `on` or `off`. The kernel ignores other texts without a word.
    /// May sleep.
    pub fn bool(&self, name: &CStr, mode: u16, value: &'static Atomic<bool>) -> Result {
        check(name, mode)?;
        // SAFETY: As in `u32`. C writes nothing but 0 and 1.
        // Unload rule, unregister waits: dropping `dir` removes the file.
        unsafe {
            bindings::debugfs_create_bool(name.as_char_ptr(), mode, self.dir.0, value.as_ptr())
        };
        Ok(())
    }

    /// Makes a file that contains `bytes`. Fails with `ENOMEM`, too. May sleep.
    ///
    /// This is not C's `debugfs_create_blob()`: root may write to such a blob
    /// whatever its mode, which here is read-only memory.
    pub fn blob(&mut self, name: &CStr, mode: u16, bytes: &'static [u8]) -> Result {
        self.file(name, mode, Blob(bytes))
    }

    /// Makes a file with the operations of `T`. Fails with the error of `data`
    /// and with `ENOMEM`, too. May sleep.
    pub fn file<T, E>(&mut self, name: &CStr, mode: u16, data: impl PinInit<T, E>) -> Result
    where
        T: Operations,
        Error: From<E>,
    {
        check(name, mode)?;
        let data = self.keep(Arc::<T>::pin_init(data, GFP_KERNEL)?)?;
        // SAFETY: The name is a string, and copied. The data is kept until the
        // file is gone, and is what the functions of `T` and `Files` look for.
        // Unload rule, owner held: the kernel takes a reference to the owner
        // of the table before it calls any of its functions.
        unsafe {
            bindings::debugfs_create_file_full(
                name.as_char_ptr(),
                mode,
                self.dir.0,
                data.cast_mut().cast(),
                core::ptr::null(),
                Callbacks::<T, Referenced<Files>>::OPS,
            )
        };
        Ok(())
    }

    /// Keeps `data` until the files are gone. Returns where it is.
    fn keep<T: Send + Sync + 'static>(&mut self, data: Arc<T>) -> Result<*const T> {
        let pointer = Arc::as_ptr(&data);
        self.kept.push(Kept::new(data), GFP_KERNEL)?;
        Ok(pointer)
    }
}

/// What a directory keeps for a file: a reference to data of some type.
///
/// # Invariants
///
/// `data` is from `Arc::into_raw`, and `release` drops such an `Arc`.
struct Kept {
    data: *const c_void,
    release: unsafe fn(*const c_void),
}

// SAFETY: `new` takes only what can be sent and shared.
unsafe impl Send for Kept {}

// SAFETY: As above.
unsafe impl Sync for Kept {}

impl Kept {
    fn new<T: Send + Sync + 'static>(data: Arc<T>) -> Self {
        /// # Safety
        ///
        /// `data` is from `Arc::<T>::into_raw`, and not used after this.
        unsafe fn release<T>(data: *const c_void) {
            // SAFETY: By this function's contract.
            drop(unsafe { Arc::from_raw(data.cast::<T>()) });
        }
        // INVARIANT: Both are of the same type.
        Self {
            data: Arc::into_raw(data).cast(),
            release: release::<T>,
        }
    }
}

impl Drop for Kept {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariants; nobody uses the pointer after this.
        unsafe { (self.release)(self.data) };
    }
}

/// The directory on the C side, or the error that it is.
struct Dentry(*mut bindings::dentry);

// SAFETY: debugfs can be used from any thread.
unsafe impl Send for Dentry {}

// SAFETY: As above.
unsafe impl Sync for Dentry {}

impl Drop for Dentry {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the invariants of `Dir` this is a directory of ours, or an
        // error, with which this does nothing.
        // Unload rule, unregister waits: when this returns, no function of a
        // file runs, and only the release of an open one can be called after
        // that; such a file keeps the module.
        unsafe { bindings::debugfs_remove(self.0) };
    }
}

/// A file that never changes.
struct Blob(&'static [u8]);

#[vtable]
impl Operations for Blob {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        dst.write_slice_file(self.0, pos)
    }
}

/// Where the files find their data.
struct Files;

// SAFETY: A file's inode points to the data that the file was made with, which
// is kept until the file is gone. debugfs waits for who is opening a file before
// it is.
unsafe impl<T: Operations> Source<T> for Files {
    unsafe fn find(inode: *mut bindings::inode, _file: *mut bindings::file) -> Result<Arc<T>> {
        // SAFETY: The inode is valid by this function's contract, and points to
        // the data of an `Arc` that exists during this call.
        let data = unsafe { Arc::from_raw((*inode).i_private.cast_const().cast::<T>()) };
        // That one is not ours.
        Ok(Arc::clone(&ManuallyDrop::new(data)))
    }
}

fn check(name: &CStr, mode: u16) -> Result {
    // A file type would be a bug to the kernel.
    if !is_name(name) || mode & !0o777 != 0 {
        return Err(EINVAL);
    }
    Ok(())
}
