// SPDX-License-Identifier: GPL-2.0-only

//! Files in `/proc`.
//!
//! C header: [`include/linux/proc_fs.h`](srctree/include/linux/proc_fs.h)
//!
//! The `kernel` crate has nothing for `/proc`.

use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    compat::{
        CStrExt,
        Offset, //
    },
    file::{
        self,
        Callbacks,
        Mode,
        Operations,
        Place, //
    },
};
use core::{
    ffi::CStr,
    marker::{
        PhantomData,
        PhantomPinned, //
    },
    ptr, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A file in `/proc`, for as long as this value lives.
///
/// Its contents come from [`Operations`], or item by item from a
/// [`seq_file::Seq`](crate::seq_file::Seq).
///
/// # Unloading
///
/// *Unregister waits*: `proc_remove()` returns when no operation is running
/// and all open files were released. A file that user space still holds open
/// then answers `EIO`; it no longer reaches the module.
///
/// So dropping the entry waits for operations that run. An operation that may
/// block for long must end when the module wants to leave. An operation must not
/// drop its own entry, and must not wait for another thread that does: both
/// would wait forever.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{
///     file::{mode, Offset, Opened, Operations, Writer},
///     procfs,
/// };
///
/// struct Answer;
///
/// #[vtable]
/// impl Operations for Answer {
///     type Private = ();
///
///     fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
///         dst.write_slice_file(b"42\n", pos)
///     }
/// }
///
/// let entry = procfs::Entry::new(c"answer", mode!(0o444), Answer)?;
/// # Ok::<(), Error>(())
/// ```
pub struct Entry<T: Contents>(Alive<File<T>>);

/// # Invariants
///
/// `entry` is null or was created with a pointer to `data`, and is not removed before
/// `stop`.
#[pin_data]
struct File<T> {
    entry: *mut bindings::proc_dir_entry,
    #[pin]
    data: T,
    // The directory must not be removed before this file.
    parent: Option<Dir>,
    // The kernel has a pointer to `data`, so no file may move, whatever `T` is.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(File<T> where T);

// SAFETY: `entry` is only used to remove the file. Any thread may do that, and
// `T` is `Send`.
unsafe impl<T: Contents> Send for File<T> {}

// SAFETY: A shared reference only gives access to `data`, and `T` is `Sync`.
unsafe impl<T: Contents> Sync for File<T> {}

// SAFETY: `proc_remove()` returns when no operation runs, and none can begin after
// that. The directory is not removed before, as there is a reference to it.
unsafe impl<T: Contents> Stop for File<T> {
    const NAME: &'static CStr = c"files in /proc";

    fn stop(&self) {
        if !self.entry.is_null() {
            self.data.hang_up();
            // SAFETY: By the type invariants.
            unsafe { bindings::proc_remove(self.entry) };
        }
    }
}

impl<T: Contents> Entry<T> {
    /// Creates `/proc/<name>`. A [`Mode`] alone will do for `attributes`.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: no file in `/proc` can have that name, or the
    ///   [attributes](Attributes) are not valid;
    /// - `ENOMEM`: also when the name is taken; the kernel then also prints a
    ///   warning;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `data`.
    pub fn new<E>(
        name: &'static CStr,
        attributes: impl Into<Attributes>,
        data: impl PinInit<T, E>,
    ) -> Result<Self>
    where
        Error: From<E>,
    {
        Self::create(None, name, attributes.into(), data)
    }

    fn create<E>(
        parent: Option<Dir>,
        name: &'static CStr,
        attributes: Attributes,
        data: impl PinInit<T, E>,
    ) -> Result<Self>
    where
        Error: From<E>,
    {
        if !valid_name(parent.as_ref(), name) || !attributes.are_valid() {
            return Err(EINVAL);
        }
        let file = try_pin_init!(File {
            entry: ptr::null_mut(),
            data <- data,
            parent,
            _pin: PhantomPinned,
        }? Error);
        let file = Alive::new(file, |file| {
            // SAFETY: Nothing is moved.
            let file = unsafe { file.get_unchecked_mut() };
            // SAFETY: The name is a string. The parent exists, and is not
            // removed before the entry, as the file has a reference to it.
            // `data` is initialised and pinned, so it stays valid and in
            // place until it is dropped.
            // Unload rule, unregister waits: `stop` removes the entry
            // before `data` and the text of the operations go.
            let entry = unsafe {
                T::create(
                    name.as_char_ptr(),
                    attributes.mode.bits(),
                    as_parent(file.parent.as_ref()),
                    &raw const file.data,
                )
            };
            if entry.is_null() {
                return Err(ENOMEM);
            }
            // INVARIANT: The entry was created.
            file.entry = entry;
            // SAFETY: As above, and nothing else changes it.
            unsafe { attributes.apply(entry) };
            Ok(())
        })?;
        Ok(Self(file))
    }

    /// The data that the operations are given.
    ///
    /// Can be called in any context.
    pub fn data(&self) -> &T {
        &self.0.data
    }
}

/// What `stat(2)` reports for a file in `/proc`: its permission bits and,
/// optionally, a size and an owner.
///
/// The file is created first; its size and owner follow, without a lock. A
/// process that looks up the file in between sees a size of 0 and the owner of
/// the directory, and may see them for as long as the kernel caches the inode.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{file::mode, procfs};
/// # use lkm::file::{Offset, Opened, Operations, Writer};
/// # struct Log;
/// # #[vtable]
/// # impl Operations for Log {
/// #     type Private = ();
/// #     fn read(&self, _: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
/// #         dst.write_slice_file(b"nothing happened\n", pos)
/// #     }
/// # }
///
/// // 80 bytes; it belongs to root, and the group 4 may read it.
/// let attributes = procfs::Attributes::from(mode!(0o640)).size(80).owner(0, 4);
/// let entry = procfs::Entry::new(c"log", attributes, Log)?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Attributes {
    mode: Mode,
    size: Offset,
    owner: Option<(u32, u32)>,
}

impl From<Mode> for Attributes {
    fn from(mode: Mode) -> Self {
        Self {
            mode,
            size: 0,
            owner: None,
        }
    }
}

impl Attributes {
    /// Sets the size in bytes, which need not be the length of the text. A
    /// negative size makes the attributes invalid. The default is 0.
    ///
    /// Can be called in any context.
    pub fn size(self, size: Offset) -> Self {
        Self { size, ..self }
    }

    /// Sets the user and the group that the file belongs to, as numbers of the
    /// initial user namespace. [`u32::MAX`] is no user and no group, and makes the
    /// attributes invalid. By default the file belongs to the owner of its
    /// directory: root, in `/proc` itself.
    ///
    /// Can be called in any context.
    pub fn owner(self, uid: u32, gid: u32) -> Self {
        Self {
            owner: Some((uid, gid)),
            ..self
        }
    }

    fn are_valid(&self) -> bool {
        let known = self
            .owner
            .is_none_or(|(uid, gid)| uid != u32::MAX && gid != u32::MAX);
        self.size >= 0 && known
    }

    /// Sets the attributes that follow the file's creation.
    ///
    /// # Safety
    ///
    /// The entry is valid, and nothing else sets its attributes.
    unsafe fn apply(&self, entry: *mut bindings::proc_dir_entry) {
        if self.size != 0 {
            // SAFETY: By this function's contract.
            unsafe { bindings::proc_set_size(entry, self.size) };
        }
        if let Some((uid, gid)) = self.owner {
            // In the initial namespace a number stands for itself.
            let (uid, gid) = (bindings::kuid_t { val: uid }, bindings::kgid_t { val: gid });
            // SAFETY: By this function's contract.
            unsafe { bindings::proc_set_user(entry, uid, gid) };
        }
    }
}

/// A directory in `/proc`. It exists for as long as this value, a clone of it, or
/// anything in the directory lives.
///
/// So it does not matter which is dropped first, a directory or what is in it.
///
/// # Unloading
///
/// The kernel calls no function of the module for a directory. For the files in
/// it *unregister waits*; see [`Entry`].
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{file::mode, procfs};
/// # use lkm::file::{Offset, Opened, Operations, Writer};
/// # struct Answer;
/// # #[vtable]
/// # impl Operations for Answer {
/// #     type Private = ();
/// #     fn read(&self, _: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
/// #         dst.write_slice_file(b"42\n", pos)
/// #     }
/// # }
///
/// let dir = procfs::Dir::new(c"answers")?;
/// // `/proc/answers/all`
/// let all = dir.file(c"all", mode!(0o444), Answer)?;
/// // `/proc/answers/more`
/// let more = dir.subdir(c"more")?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Dir(Arc<Alive<Directory>>);

impl Dir {
    /// Creates the directory `/proc/<name>`, which all users may read and search.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: nothing in `/proc` can have that name;
    /// - `ENOMEM`: also when the name is taken; the kernel then also prints a
    ///   warning;
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

    /// Creates a file in this directory. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`Entry::new`].
    pub fn file<T, E>(
        &self,
        name: &'static CStr,
        attributes: impl Into<Attributes>,
        data: impl PinInit<T, E>,
    ) -> Result<Entry<T>>
    where
        T: Contents,
        Error: From<E>,
    {
        Entry::create(Some(self.clone()), name, attributes.into(), data)
    }

    fn create(parent: Option<Self>, name: &CStr) -> Result<Self> {
        if !valid_name(parent.as_ref(), name) {
            return Err(EINVAL);
        }
        let directory = try_init!(Directory {
            entry: ptr::null_mut(),
            parent,
        }? Error);
        let directory = Alive::new(directory, |directory| {
            let directory = directory.get_mut();
            let parent = as_parent(directory.parent.as_ref());
            // SAFETY: The name is a string, and is copied. The parent exists, and is
            // not removed before the directory, which has a reference to it.
            // INVARIANT: It is null or was created.
            directory.entry = unsafe { bindings::proc_mkdir(name.as_char_ptr(), parent) };
            match directory.entry.is_null() {
                true => Err(ENOMEM),
                false => Ok(()),
            }
        })?;
        Ok(Self(Arc::new(directory, GFP_KERNEL)?))
    }
}

/// The directory itself. A [`Dir`] and everything in it have references to it.
///
/// # Invariants
///
/// `entry` is null or was returned by `proc_mkdir()`, and is not removed before `stop`.
/// Everything created in it has a reference to this value.
struct Directory {
    entry: *mut bindings::proc_dir_entry,
    // Dropped after this directory is removed.
    parent: Option<Dir>,
}

// SAFETY: A directory may be used and removed on any thread.
unsafe impl Send for Directory {}

// SAFETY: As above; the kernel takes a lock.
unsafe impl Sync for Directory {}

// SAFETY: C has no function of ours for a directory.
unsafe impl Stop for Directory {
    const NAME: &'static CStr = c"directories in /proc";

    fn stop(&self) {
        // SAFETY: By the type invariants the directory is there, or null, for which
        // this does nothing. Nothing is in it any more, as that is newer or has a
        // reference. That matters: anything in it would be removed together with it,
        // and then a second time. Its own directory still exists.
        unsafe { bindings::proc_remove(self.entry) };
    }
}

/// The directory as C expects it: null is `/proc`.
fn as_parent(parent: Option<&Dir>) -> *mut bindings::proc_dir_entry {
    parent.map_or(ptr::null_mut(), |dir| dir.0.entry)
}

/// The contents of a file in `/proc`: a type with [`Operations`], or a
/// [`seq_file::Seq`](crate::seq_file::Seq).
///
/// # Safety
///
/// [`create`](Self::create) returns null, or an entry with the name, mode, parent
/// and data that it was given. The functions of the entry use only that data.
pub unsafe trait Contents: Send + Sync + Sized + 'static {
    /// Creates the file. Returns null when that fails.
    ///
    /// # Safety
    ///
    /// `name` is a string, `parent` null or a directory. `data` is valid until
    /// the entry has been removed.
    #[doc(hidden)]
    unsafe fn create(
        name: *const c_char,
        mode: u16,
        parent: *mut bindings::proc_dir_entry,
        data: *const Self,
    ) -> *mut bindings::proc_dir_entry;

    /// Called before the file is removed.
    #[doc(hidden)]
    fn hang_up(&self) {}
}

// SAFETY: The functions of the table are those for `T` and `InEntry`.
unsafe impl<T: Operations> Contents for T {
    unsafe fn create(
        name: *const c_char,
        mode: u16,
        parent: *mut bindings::proc_dir_entry,
        data: *const T,
    ) -> *mut bindings::proc_dir_entry {
        let () = Callbacks::<T, InEntry>::ANYWHERE;
        let data = data.cast_mut().cast();
        // SAFETY: By this function's contract.
        unsafe { bindings::proc_create_data(name, mode, parent, Table::<T>::OPS, data) }
    }

    fn hang_up(&self) {
        Operations::hang_up(self);
    }
}

/// Whether a file in `parent` can have the name `name`. [`None`] is `/proc`, where
/// the name must not be the number of a process. For most of the names that are
/// refused here the kernel would print a warning.
fn valid_name(parent: Option<&Dir>, name: &CStr) -> bool {
    file::is_name(name) && (parent.is_some() || !name.to_bytes().iter().all(u8::is_ascii_digit))
}

/// The place of the data of a file in `/proc`: its [`Entry`].
struct InEntry;

// SAFETY: The data pointer of the `/proc` entry points to the `T` of a `File`.
// That `T` lives until the `/proc` entry is removed.
// Unload rule, unregister waits: `proc_remove()` returns when no operation
// runs, and has released the files that are still open.
unsafe impl<T: Operations> Place<T> for InEntry {
    type Held = ();

    unsafe fn hold(_inode: *mut bindings::inode, _file: *mut bindings::file) -> Result {
        Ok(())
    }

    unsafe fn data(file: *mut bindings::file, _held: &()) -> *const T {
        // SAFETY: By this function's contract the file is one of an entry.
        unsafe { bindings::lkm_pde_data((*file).f_inode) }.cast()
    }
}

/// C's table of the operations of `T`.
struct Table<T>(PhantomData<T>);

impl<T: Operations> Table<T> {
    const OPS: &'static bindings::proc_ops = &bindings::proc_ops {
        proc_open: Some(Callbacks::<T, InEntry>::open),
        proc_release: Some(Callbacks::<T, InEntry>::release),
        proc_read_iter: Callbacks::<T, InEntry>::READ_ITER,
        proc_write: Callbacks::<T, InEntry>::WRITE,
        proc_lseek: Callbacks::<T, InEntry>::LLSEEK,
        proc_ioctl: Callbacks::<T, InEntry>::IOCTL,
        #[cfg(CONFIG_COMPAT)]
        proc_compat_ioctl: Callbacks::<T, InEntry>::COMPAT_IOCTL,
        proc_poll: Callbacks::<T, InEntry>::POLL,
        ..EMPTY
    };
}

/// No operations. The flags must not contain `PROC_ENTRY_PERMANENT`: removing
/// such an entry does not wait for operations that run.
// SAFETY: All-zero is a valid `struct proc_ops`: no flags, no functions.
const EMPTY: bindings::proc_ops = unsafe { core::mem::zeroed() };
