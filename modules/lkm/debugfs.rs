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
        Stop, //
    },
    bindings,
    compat::{
        atomic_load,
        atomic_store,
        CStrExt, //
    },
    file::{
        is_name,
        Callbacks,
        Mode,
        Offset,
        Opened,
        Operations,
        Reader,
        Referenced,
        Source,
        Writer, //
    },
    params::Param, //
};
use core::{
    ffi::CStr,
    mem::{
        self,
        ManuallyDrop, //
    },
    ptr, //
};
use kernel::{
    error::to_result,
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
};

/// A directory in debugfs. It exists, with its files, for as long as this value, a clone
/// of it, or a directory in it lives.
///
/// So it does not matter which is dropped first, a directory or one in it.
///
/// A module must work without debugfs. So creating the directory and its files
/// succeeds even if debugfs fails: when it is not available, has no memory, or
/// already has something of the same name, which the kernel logs. The files that
/// the directory already has stay as they are.
///
/// # Unloading
///
/// *Unregister waits*, for values that are unsigned or a `bool`: the functions that user
/// space calls are the kernel's, not the module's, and `debugfs_remove()` returns when
/// none of them runs. A file that is still open then answers `EIO`.
///
/// *Owner held*, for signed values, blobs and files with [operations](Operations): an
/// open file keeps the module, so `rmmod` is refused with `EWOULDBLOCK`. Dropping the
/// directory's last handle while the module stays waits for the operations that run.
/// After that an open file answers `EIO`, and only its `release` is still called, with
/// its own reference to the data. So an operation must not drop the last handle of its
/// file's directory, or the last thing that keeps it, and must not wait for another thread
/// that does: both would wait forever.
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
/// let dir = debugfs::Dir::new(c"my-module")?;
/// dir.value(c"count", mode!(0o400), &COUNT)?;
/// // `my-module/about/version`
/// let about = dir.subdir(c"about")?;
/// about.blob(c"version", mode!(0o444), b"1.0\n")?;
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
/// dir.value(c"count", mode!(0o400), &count)?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Dir(Arc<Alive<Directory>>);

/// The directory itself. A [`Dir`] and every directory in it have references to it.
///
/// # Invariants
///
/// `dir` is null, an error, or a directory that is not removed before `stop`.
/// Everything that its files have pointers to is `'static` or in `kept`. Every directory
/// created in it has a reference to this value.
#[pin_data]
struct Directory {
    dir: *mut bindings::dentry,
    #[pin]
    kept: Mutex<KVec<Kept>>,
    // Dropped after this directory is removed.
    parent: Option<Dir>,
}

// SAFETY: debugfs can be used from any thread.
unsafe impl Send for Directory {}

// SAFETY: As above.
unsafe impl Sync for Directory {}

// SAFETY: When `stop` has returned, no function of a file runs. After that only the
// `release` of an open file can be called, and an open file has the module and its own
// reference to the data. For null and an error it does nothing.
unsafe impl Stop for Directory {
    const NAME: &'static CStr = c"directories in debugfs";

    fn stop(&self) {
        // Nobody makes a file any more: that takes a handle, and a `Call`. The lock is not
        // held while functions of the module are called, which may take others.
        let kept = mem::take(&mut *self.kept.lock());
        for kept in &kept {
            // SAFETY: By its type invariants.
            unsafe { (kept.hang_up)(kept.data) };
            // From then on nobody reads the table of operations of a removed file.
            // SAFETY: By its type invariants. The file is there until it is removed below.
            while !unsafe { bindings::lkm_debugfs_note(kept.file) } {
                tick();
            }
        }
        // SAFETY: By the type invariants. No directory of ours is in it any more: each is
        // newer, or has a reference to it. Otherwise C would remove that one here, and then
        // again. Its own directory still exists.
        unsafe { bindings::debugfs_remove(self.dir) };
        // What a lost handle owns is not dropped.
        *self.kept.lock() = kept;
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
        Self::create(None, name)
    }

    /// Creates a directory in this one. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub fn subdir(&self, name: &CStr) -> Result<Self> {
        Self::create(Some(self.clone()), name)
    }

    fn create(parent: Option<Self>, name: &CStr) -> Result<Self> {
        check(name)?;
        let directory = try_pin_init!(Directory {
            dir: ptr::null_mut(),
            kept <- new_mutex!(KVec::new(), "Dir::kept"),
            parent,
        }? Error);
        let directory = Alive::new(directory, |directory| {
            // SAFETY: Nothing is moved.
            let directory = unsafe { directory.get_unchecked_mut() };
            let parent = directory.parent.as_ref();
            let parent = parent.map_or(ptr::null_mut(), |parent| parent.0.dir);
            // SAFETY: The name is a string, and copied. The parent exists or is an error,
            // and is not removed before the directory, which has a reference to it.
            // INVARIANT: The pointer is what was returned.
            directory.dir = unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), parent) };
            Ok(())
        })?;
        Ok(Self(Arc::new(directory, GFP_KERNEL)?))
    }

    /// Creates a file that shows `value`, and stores in it what is written to the file.
    /// May sleep.
    ///
    /// A `bool` is shown as `Y` or `N`. The file takes what begins with a letter of `Yes`,
    /// `True`, `Enable`, `No`, `False` or `Disable`, with `1` or `0`, or with `on` or `of`. The
    /// kernel silently ignores other texts.
    ///
    /// A number is shown in decimal. The file takes decimal, hexadecimal (`0x`) and octal
    /// (`0`) numbers. A signed value can be negative. `write(2)` fails with:
    ///
    /// - `EINVAL`: the text is no number, or has more than 32 bytes. Of a text for an
    ///   unsigned value the kernel reads only 23 bytes;
    /// - `ERANGE`: a signed number does not fit, or an unsigned one has more than 64 bits.
    ///   Of other unsigned numbers the kernel keeps the lower bits.
    ///
    /// The mode holds for root, too, but root may read with a mode of 0. Writing what nobody
    /// may write is `EACCES` for a number and `EINVAL` for a `bool`. The same holds for
    /// reading what may only be written.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: no file can have that name;
    /// - `ENOMEM`: no memory for the file of a signed value;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub fn value(&self, name: &CStr, mode: Mode, value: &'static impl Value) -> Result {
        value.create(self, name, mode)
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
    pub fn blob(&self, name: &CStr, mode: Mode, bytes: &'static [u8]) -> Result {
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
    pub fn file<T, E>(&self, name: &CStr, mode: Mode, data: impl PinInit<T, E>) -> Result
    where
        T: Operations,
        Error: From<E>,
    {
        let () = Callbacks::<T, Referenced<Files>>::ANYWHERE;
        check(name)?;
        let data = Arc::<T>::pin_init(data, GFP_KERNEL)?;
        let _call = Call::begin()?;
        let mut kept = self.0.kept.lock();
        // So `push` cannot fail. It would drop the data with the lock held.
        kept.reserve(1, GFP_KERNEL)?;
        kept.push(Kept::new(data), GFP_KERNEL)?;
        let kept = kept.last_mut().ok_or(ENOMEM)?;
        // SAFETY: The name is a string, and copied. The data is kept until the
        // file is gone, and is what the functions for `T` and `Files` expect.
        // Unload rule, owner held: the kernel takes a reference to the owner
        // of the table before it calls any of its functions.
        kept.file = unsafe {
            bindings::debugfs_create_file_full(
                name.as_char_ptr(),
                mode.bits(),
                self.0.dir,
                kept.data.cast_mut(),
                ptr::null(),
                Callbacks::<T, Referenced<Files>>::DEBUGFS_OPS,
            )
        };
        Ok(())
    }
}

/// A variable that [`Dir::value`] takes: an [`Atomic`] or a [parameter](Param) of type
/// `bool`, `u32`, `u64`, `usize`, `i8`, `i16`, `i32`, `i64` or `isize`. `u64` is only there
/// on machines of 64 bits. The `kernel` crate of Linux 6.18 has no atomic `bool`, `i8` and
/// `i16`; a parameter can have these types there, too.
///
/// Writing to the file of a parameter does not call the parameter's callback.
pub trait Value: private::Variable {}

mod private {
    use super::*;

    /// Seals [`Value`].
    pub trait Variable {
        /// Creates a file for the variable.
        fn create(&'static self, dir: &Dir, name: &CStr, mode: Mode) -> Result;
    }
}

/// Implements [`Value`]: `type of the variable: C's function that creates the file`.
macro_rules! impl_value {
    ($($(#[$attr:meta])* $variable:ty: $create:ident;)*) => {$(
        $(#[$attr])*
        impl Value for $variable {}

        $(#[$attr])*
        impl private::Variable for $variable {
            fn create(&'static self, dir: &Dir, name: &CStr, mode: Mode) -> Result {
                check(name)?;
                let _call = Call::begin()?;
                // SAFETY: The name is a string, and copied. The variable lives as long as
                // the module, and C reads and writes it with a single load or store. To a
                // `bool` it only writes 0 and 1.
                // Unload rule, unregister waits: dropping `dir` removes the file.
                unsafe {
                    bindings::$create(
                        name.as_char_ptr(),
                        mode.bits(),
                        dir.0.dir,
                        self.as_ptr(),
                    )
                };
                Ok(())
            }
        }
    )*};
}

impl_value! {
    #[cfg(not(linux_6_18))]
    Atomic<bool>: debugfs_create_bool;
    Param<bool>: debugfs_create_bool;
    Atomic<u32>: debugfs_create_u32;
    Param<u32>: debugfs_create_u32;
    // On 32 bits C needs two stores.
    #[cfg(CONFIG_64BIT)]
    Atomic<u64>: debugfs_create_u64;
    #[cfg(CONFIG_64BIT)]
    Param<u64>: debugfs_create_u64;
    Atomic<usize>: debugfs_create_size_t;
    Param<usize>: debugfs_create_size_t;
}

/// A signed variable of any size. C only has a file for an `i32`.
trait Signed: Sync {
    /// The text that user space reads.
    fn show(&self) -> Result<CString>;

    /// Stores the number in a text from user space.
    fn set(&self, text: &CStr) -> Result;
}

/// Implements [`Signed`] and [`Value`] for variables of these types.
macro_rules! impl_signed {
    ($($(#[$attr:meta])* $variable:ty)*) => {$(
        $(#[$attr])*
        impl Signed for $variable {
            fn show(&self) -> Result<CString> {
                // SAFETY: The variable exists, and all accesses are single loads and stores.
                let value = unsafe { atomic_load(self.as_ptr(), Relaxed) };
                CString::try_from_fmt(fmt!("{value}\n"))
            }

            fn set(&self, text: &CStr) -> Result {
                // SAFETY: As in `show`.
                unsafe { atomic_store(self.as_ptr(), parse(text)?, Relaxed) };
                Ok(())
            }
        }

        $(#[$attr])*
        impl Value for $variable {}

        $(#[$attr])*
        impl private::Variable for $variable {
            fn create(&'static self, dir: &Dir, name: &CStr, mode: Mode) -> Result {
                dir.file(name, mode, Number { value: self, mode })
            }
        }
    )*};
}

impl_signed! {
    #[cfg(not(linux_6_18))]
    Atomic<i8>
    #[cfg(not(linux_6_18))]
    Atomic<i16>
    Atomic<i32>
    Atomic<i64>
    Atomic<isize>
    Param<i8>
    Param<i16>
    Param<i32>
    Param<i64>
    Param<isize>
}

/// The number in a text, as C reads it. Fails with `EINVAL` if there is none, and with
/// `ERANGE` if it does not fit.
fn parse<N: TryFrom<i64>>(text: &CStr) -> Result<N> {
    let mut number = 0;
    // SAFETY: The text is a string.
    to_result(unsafe { bindings::kstrtoll(text.as_char_ptr(), 0, &mut number) })?;
    number.try_into().map_err(|_| ERANGE)
}

/// The file of a signed variable.
struct Number {
    value: &'static dyn Signed,
    mode: Mode,
}

#[vtable]
impl Operations for Number {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        // With a mode of 0 root may read, as for C's values.
        if self.mode.allows(2) && !self.mode.allows(4) {
            return Err(EACCES);
        }
        dst.write_slice_file(self.value.show()?.to_bytes(), pos)
    }

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        // The longest number, in octal with a sign and a newline, has 25 bytes.
        const LIMIT: usize = 32;

        let len = src.len();
        if !self.mode.allows(2) {
            return Err(EACCES);
        }
        if len > LIMIT {
            return Err(EINVAL);
        }
        let mut text = src.take(LIMIT)?;
        text.push(0, GFP_KERNEL)?;
        self.value
            .set(CStr::from_bytes_with_nul(&text).map_err(|_| EINVAL)?)?;
        Ok(len)
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
