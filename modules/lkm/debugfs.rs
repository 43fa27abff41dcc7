// SPDX-License-Identifier: GPL-2.0-only

//! Files in debugfs, for debugging the module.
//!
//! C header: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h)
//!
//! Reference: <https://docs.kernel.org/filesystems/debugfs.html>
//!
//! The `kernel` crate has `kernel::debugfs`, but its file operations name no
//! owner. So a module can be unloaded while a file of it is open. Removing the
//! file waits for the operations that run, but closing it later still reads the
//! table of operations, which is gone with the module. Also, a file's mode is fixed
//! there, and a module cannot provide `open`, `ioctl` or `poll`.

use crate::{
    alive::{
        tick,
        Alive,
        Call,
        Name,
        Stop, //
    },
    bindings,
    file::{
        is_name,
        Callbacks,
        Mode,
        Offset,
        Opened,
        Operations,
        Referenced,
        Source,
        Writer, //
    },
};
use core::{
    mem::ManuallyDrop,
    ptr, //
};
use kernel::{
    prelude::*,
    str::CStr,
    sync::{
        atomic::Atomic,
        Arc, //
    },
};

/// A directory in debugfs with its files, for as long as this value lives.
///
/// A module must work without debugfs. So creating the directory and its files
/// succeeds even if debugfs fails: when it is not available, has no memory, or
/// already has something of the same name, which the kernel logs. The files that
/// the directory already has stay as they are.
///
/// # Unloading
///
/// *Unregister waits*, for values: the functions that user space calls are the
/// kernel's, not the module's, and `debugfs_remove()` returns when none of them
/// runs. A file that is still open then answers `EIO`.
///
/// *Owner held*, for blobs and files with [operations](Operations): an open file
/// keeps the module, so `rmmod` is refused with `EWOULDBLOCK`. Dropping the
/// directory while the module stays waits for the operations that run. After
/// that an open file answers `EIO`, and only its `release` is still called, with
/// its own reference to the data. So an operation must not drop the directory of
/// its file, and must not wait for another thread that does: both would wait
/// forever.
///
/// The kernel gives out references to the module while init runs, too, but when
/// init fails it frees the module regardless of them. *We wait* then, until no file of
/// the module is open any more.
///
/// Whoever has a path to a file that was removed, as an `O_PATH` descriptor has, gets
/// `ENOENT` when he opens it.
///
/// # Examples
///
/// ```
/// # use kernel::{prelude::*, sync::atomic::Atomic};
/// use lkm::{debugfs, file::mode};
///
/// static COUNT: Atomic<u32> = Atomic::new(0);
///
/// let mut dir = debugfs::Dir::new(c"my-module")?;
/// dir.u32(c"count", mode!(0o400), &COUNT)?;
/// dir.blob(c"version", mode!(0o444), b"1.0\n")?;
/// # Ok::<(), Error>(())
/// ```
///
/// A value must live as long as the module:
///
/// ```compile_fail,E0597
/// # use kernel::{prelude::*, sync::atomic::Atomic};
/// # use lkm::{debugfs, file::mode};
/// let count = Atomic::new(0u32);
///
/// let dir = debugfs::Dir::new(c"my-module")?;
/// dir.u32(c"count", mode!(0o400), &count)?;
/// # Ok::<(), Error>(())
/// ```
pub struct Dir(Alive<Directory>);

/// # Invariants
///
/// `dir` is null, an error, or a directory that is not removed before `stop`.
/// Everything that its files have pointers to is `'static` or in `kept`.
struct Directory {
    dir: *mut bindings::dentry,
    kept: KVec<Kept>,
}

// SAFETY: debugfs can be used from any thread.
unsafe impl Send for Directory {}

// SAFETY: As above.
unsafe impl Sync for Directory {}

// SAFETY: When `stop` has returned, no function of a file runs. After that only the
// `release` of an open file can be called, and an open file has the module and its own
// reference to the data. For null and an error it does nothing.
unsafe impl Stop for Directory {
    const NAME: Name = Name::DebugfsDirs;

    fn stop(&self) {
        for kept in &self.kept {
            // SAFETY: By its type invariants.
            unsafe { (kept.hang_up)(kept.data) };
            // From then on nobody reads the table of operations of a removed file.
            // SAFETY: By its type invariants. The file is there until it is removed below.
            while !unsafe { bindings::lkm_debugfs_note(kept.file) } {
                tick();
            }
        }
        // SAFETY: By the type invariants.
        unsafe { bindings::debugfs_remove(self.dir) };
    }
}

impl Dir {
    /// Creates the directory `name` below the root of debugfs. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: no file can have that name;
    /// - `ENOMEM`: no memory for what the module has of the directory;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub fn new(name: &CStr) -> Result<Self> {
        check(name)?;
        let directory = try_init!(Directory {
            dir: ptr::null_mut(),
            kept: KVec::new(),
        }? Error);
        let directory = Alive::new(directory, |directory| {
            // SAFETY: The name is a string, and copied.
            let dir = unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), ptr::null_mut()) };
            // INVARIANT: The pointer is what was returned.
            directory.get_mut().dir = dir;
            Ok(())
        })?;
        Ok(Self(directory))
    }

    /// Creates a file that shows `value` in decimal and takes decimal,
    /// hexadecimal (`0x`) and octal (`0`) numbers. The kernel takes numbers of up
    /// to 64 bits, and keeps the lower 32. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: no file can have that name;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub fn u32(&self, name: &CStr, mode: Mode, value: &'static Atomic<u32>) -> Result {
        check(name)?;
        let _call = Call::begin()?;
        // SAFETY: The name is a string, and copied. The value lives as long as
        // the module, and C reads and writes it with a single load or store.
        // Unload rule, unregister waits: dropping `dir` removes the file.
        unsafe {
            bindings::debugfs_create_u32(
                name.as_char_ptr(),
                mode.bits(),
                self.0.dir,
                value.as_ptr(),
            )
        };
        Ok(())
    }

    /// Creates a file that shows `value` as `Y` or `N` and takes these, `1` or
    /// `0`, and `on` or `off`. The kernel silently ignores other texts.
    /// May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: no file can have that name;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub fn bool(&self, name: &CStr, mode: Mode, value: &'static Atomic<bool>) -> Result {
        check(name)?;
        let _call = Call::begin()?;
        // SAFETY: As in `u32`. C only writes 0 and 1.
        // Unload rule, unregister waits: dropping `dir` removes the file.
        unsafe {
            bindings::debugfs_create_bool(
                name.as_char_ptr(),
                mode.bits(),
                self.0.dir,
                value.as_ptr(),
            )
        };
        Ok(())
    }

    /// Creates a file that contains `bytes`. May sleep.
    ///
    /// This does not use C's `debugfs_create_blob()`. Root may write to a blob of
    /// that kind whatever its mode is, and `bytes` can be read-only memory.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: no file can have that name;
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub fn blob(&mut self, name: &CStr, mode: Mode, bytes: &'static [u8]) -> Result {
        self.file(name, mode, Blob(bytes))
    }

    /// Creates a file with the operations of `T`. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: no file can have that name;
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `data`.
    pub fn file<T, E>(&mut self, name: &CStr, mode: Mode, data: impl PinInit<T, E>) -> Result
    where
        T: Operations,
        Error: From<E>,
    {
        let () = Callbacks::<T, Referenced<Files>>::ANYWHERE;
        check(name)?;
        let data = Arc::<T>::pin_init(data, GFP_KERNEL)?;
        self.0.change(|directory| {
            let directory = directory.get_mut();
            let dir = directory.dir;
            let kept = directory.keep(data)?;
            // SAFETY: The name is a string, and copied. The data is kept until the
            // file is gone, and is what the functions for `T` and `Files` expect.
            // Unload rule, owner held: the kernel takes a reference to the owner
            // of the table before it calls any of its functions.
            kept.file = unsafe {
                bindings::debugfs_create_file_full(
                    name.as_char_ptr(),
                    mode.bits(),
                    dir,
                    kept.data.cast_mut(),
                    ptr::null(),
                    Callbacks::<T, Referenced<Files>>::OPS,
                )
            };
            Ok(())
        })
    }
}

impl Directory {
    /// Keeps `data` until the files are gone.
    fn keep<T: Operations>(&mut self, data: Arc<T>) -> Result<&mut Kept> {
        self.kept.push(Kept::new(data), GFP_KERNEL)?;
        self.kept.last_mut().ok_or(ENOMEM)
    }
}

/// A file, and the reference to its data, of any type, that its directory keeps.
///
/// # Invariants
///
/// - `data` is from `Arc::into_raw`, and `release` drops an `Arc` of that type. `hang_up` is
///   that type's, too;
/// - `file` is null, an error, or a file in the directory, which goes with it.
struct Kept {
    file: *mut bindings::dentry,
    data: *const c_void,
    hang_up: unsafe fn(*const c_void),
    release: unsafe fn(*const c_void),
}

// SAFETY: `new` takes only data that is `Send` and `Sync`.
unsafe impl Send for Kept {}

// SAFETY: As above.
unsafe impl Sync for Kept {}

impl Kept {
    fn new<T: Operations>(data: Arc<T>) -> Self {
        /// # Safety
        ///
        /// `data` is from `Arc::<T>::into_raw`.
        unsafe fn hang_up<T: Operations>(data: *const c_void) {
            // SAFETY: By this function's contract.
            unsafe { &*data.cast::<T>() }.hang_up();
        }
        /// # Safety
        ///
        /// `data` is from `Arc::<T>::into_raw`, and not used after this.
        unsafe fn release<T>(data: *const c_void) {
            // SAFETY: By this function's contract.
            drop(unsafe { Arc::from_raw(data.cast::<T>()) });
        }
        // INVARIANT: Both are for the type `T`.
        Self {
            file: ptr::null_mut(),
            data: Arc::into_raw(data).cast(),
            hang_up: hang_up::<T>,
            release: release::<T>,
        }
    }
}

impl Drop for Kept {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariants. The pointer is not used after this.
        unsafe { (self.release)(self.data) };
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

/// How the files find their data.
struct Files;

// SAFETY: A file's inode points to the data that the file was created with. The
// data is kept until the file is gone, and before that debugfs waits for calls of
// `open` that are running.
unsafe impl<T: Operations> Source<T> for Files {
    unsafe fn find(inode: *mut bindings::inode, file: *mut bindings::file) -> Result<Arc<T>> {
        // SAFETY: The file is valid, but for that of `lkm_debugfs_note()`, which has nothing
        // but its path.
        if unsafe { (*file).f_inode }.is_null() {
            return Err(ENODEV);
        }
        // SAFETY: The inode is valid by this function's contract, and points to
        // the data of an `Arc` that exists during this call.
        let data = unsafe { Arc::from_raw((*inode).i_private.cast_const().cast::<T>()) };
        // The reference that `data` stands for is not ours to drop.
        Ok(Arc::clone(&ManuallyDrop::new(data)))
    }
}

/// Fails with `EINVAL` if no file can have that name.
fn check(name: &CStr) -> Result {
    if !is_name(name) {
        return Err(EINVAL);
    }
    Ok(())
}
