// SPDX-License-Identifier: GPL-2.0-only

//! Files in `/proc`.
//!
//! C header: [`include/linux/proc_fs.h`](srctree/include/linux/proc_fs.h)

use crate::{
    bindings,
    file::{
        self,
        Callbacks,
        Operations,
        Place, //
    },
};
use core::{
    marker::{
        PhantomData,
        PhantomPinned, //
    },
    ptr::NonNull, //
};
use kernel::{
    fs::file::Offset,
    prelude::*,
    str::CStr,
    sync::Arc, //
};

/// A file in `/proc`, there for as long as this value lives.
///
/// What it contains is made by [`Operations`], or item by item by a
/// [`seq_file::Seq`](crate::seq_file::Seq).
///
/// # Unloading
///
/// *Unregister waits*: `proc_remove()` returns when no operation is running
/// and all open files were released. A file that user space still holds open
/// then answers `EIO`; it no longer reaches the module. So dropping the entry
/// waits for operations that run: one that may block for long must end when the
/// module wants to leave, and none may drop its own entry, nor wait for who
/// does, or both wait forever.
///
/// # Invariants
///
/// `entry` was made with a pointer to `data`, and is not removed before this
/// value is dropped.
///
/// # Examples
///
/// ```ignore
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
/// let entry = KBox::pin_init(procfs::Entry::new(c"answer", 0o444, Answer), GFP_KERNEL)?;
/// ```
#[pin_data(PinnedDrop)]
pub struct Entry<T: Contents> {
    entry: NonNull<bindings::proc_dir_entry>,
    #[pin]
    data: T,
    // The directory must not be removed before what is in it.
    _parent: Option<Dir>,
    // The kernel has a pointer to `data`: no entry may move, whatever `T` is.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Entry<T> where T: Contents);

// SAFETY: `entry` is only used to remove the file, which may be done from any
// thread, and `T` is `Send`.
unsafe impl<T: Contents> Send for Entry<T> {}

// SAFETY: A shared reference only gives access to `data`, and `T` is `Sync`.
unsafe impl<T: Contents> Sync for Entry<T> {}

impl<T: Contents> Entry<T> {
    /// Creates `/proc/<name>`. Its attributes can be just the permission bits,
    /// as in `0o644`.
    ///
    /// Fails with `EINVAL` for a `name` that no file in `/proc` can have, or for
    /// [attributes](Attributes) that are not valid, and with `ENOMEM` when
    /// memory is short or the name is taken (the kernel then also prints a
    /// warning). May sleep.
    pub fn new<E>(
        name: &'static CStr,
        attributes: impl Into<Attributes>,
        data: impl PinInit<T, E>,
    ) -> impl PinInit<Self, Error>
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
    ) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        try_pin_init!(&this in Self {
            data <- data,
            entry: {
                // A file type would make the kernel take `entry` for what it
                // is not.
                if !valid_name(parent.as_ref(), name) || !attributes.are_valid() {
                    return Err(EINVAL);
                }
                // SAFETY: The name is a string, and the parent exists, and is
                // not removed before the entry, which has a reference to it.
                // `data` is initialised and pinned, so it stays valid and in
                // place until it is dropped.
                // Unload rule, unregister waits: `drop` below removes the
                // entry before `data` and the text of the operations go.
                let entry = unsafe {
                    T::create(
                        name.as_char_ptr(),
                        attributes.mode,
                        as_parent(parent.as_ref()),
                        &raw const (*this.as_ptr()).data,
                    )
                };
                let entry = NonNull::new(entry).ok_or(ENOMEM)?;
                // SAFETY: The entry was created, and nobody else changes it.
                unsafe { attributes.apply(entry.as_ptr()) };
                entry
            },
            _parent: parent,
            _pin: PhantomPinned,
        })
    }

    /// The data that the operations are given.
    pub fn data(&self) -> &T {
        &self.data
    }
}

#[pinned_drop]
impl<T: Contents> PinnedDrop for Entry<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants the entry was created and not yet
        // removed. Its directory still exists.
        // Unload rule, unregister waits: `proc_remove()` returns when no
        // operation runs, and none can begin after that.
        unsafe { bindings::proc_remove(self.entry.as_ptr()) };
    }
}

/// What `stat(2)` says of a file in `/proc`: its permission bits, and perhaps a
/// size and an owner.
///
/// There is the file, and then its size and owner are set, without a lock. Who
/// looks for the file in between sees a size of 0 and the owner of the
/// directory, and may see them for as long as the kernel remembers the file.
///
/// # Examples
///
/// ```ignore
/// let attributes = procfs::Attributes::from(0o640).size(80).owner(0, 4);
/// let entry = KBox::pin_init(procfs::Entry::new(c"log", attributes, Log), GFP_KERNEL)?;
/// ```
#[derive(Clone, Copy)]
pub struct Attributes {
    mode: u16,
    size: Offset,
    owner: Option<(u32, u32)>,
}

/// The permission bits, of which the kernel takes `0` for `0o444`. Others than
/// `0o777` are `EINVAL`.
impl From<u16> for Attributes {
    fn from(mode: u16) -> Self {
        Self {
            mode,
            size: 0,
            owner: None,
        }
    }
}

impl Attributes {
    /// The size in bytes, which can be another than that of the text. A
    /// negative one is `EINVAL`. Without this it is 0.
    pub fn size(self, size: Offset) -> Self {
        Self { size, ..self }
    }

    /// The user and the group that the file belongs to, as numbers of the
    /// initial user namespace. [`u32::MAX`] is nobody and `EINVAL`. Without
    /// this they are those of the directory: root's, in `/proc`.
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
        self.mode & !0o777 == 0 && self.size >= 0 && known
    }

    /// Sets what is set after creation.
    ///
    /// # Safety
    ///
    /// The entry is valid, and nobody else sets its attributes.
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

/// A directory in `/proc`, there for as long as this value lives, or a clone of
/// it, or anything in the directory.
///
/// So it does not matter what is dropped first, a directory or what is in it.
///
/// # Unloading
///
/// The kernel calls no function of the module for a directory. *Unregister
/// waits*, for what is in it; see [`Entry`].
///
/// # Examples
///
/// ```ignore
/// let dir = procfs::Dir::new(c"answers")?;
/// let entry = KBox::pin_init(dir.entry(c"all", 0o444, Answer), GFP_KERNEL)?;
/// let more = dir.subdir(c"more")?;
/// ```
#[derive(Clone)]
pub struct Dir(Arc<Directory>);

impl Dir {
    /// Creates the directory `/proc/<name>`, which all may read and search.
    ///
    /// Fails with `EINVAL` for a `name` that nothing in `/proc` can have, and
    /// with `ENOMEM` when memory is short or the name is taken (the kernel then
    /// also prints a warning). May sleep.
    pub fn new(name: &CStr) -> Result<Self> {
        Self::create(None, name)
    }

    /// Creates a directory in this one. Fails as [`new`](Self::new) does.
    pub fn subdir(&self, name: &CStr) -> Result<Self> {
        Self::create(Some(self.clone()), name)
    }

    /// Creates a file in this directory. Fails as [`Entry::new`] does.
    pub fn entry<T, E>(
        &self,
        name: &'static CStr,
        attributes: impl Into<Attributes>,
        data: impl PinInit<T, E>,
    ) -> impl PinInit<Entry<T>, Error>
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
        // SAFETY: The name is a string, and copied. The parent exists, and is
        // not removed before the directory, which has a reference to it.
        let entry = unsafe { bindings::proc_mkdir(name.as_char_ptr(), as_parent(parent.as_ref())) };
        // INVARIANT: The directory was created.
        let directory = Directory {
            entry: NonNull::new(entry).ok_or(ENOMEM)?,
            _parent: parent,
        };
        Ok(Self(Arc::new(directory, GFP_KERNEL)?))
    }
}

/// What a [`Dir`] and all that is in it have references to.
///
/// # Invariants
///
/// `entry` was returned by `proc_mkdir()`, and is not removed before this value
/// is dropped. Whatever is made in it has a reference to this value.
struct Directory {
    entry: NonNull<bindings::proc_dir_entry>,
    // Dropped after this directory is removed.
    _parent: Option<Dir>,
}

// SAFETY: A directory may be used and removed from any thread.
unsafe impl Send for Directory {}

// SAFETY: As above; the kernel has a lock.
unsafe impl Sync for Directory {}

impl Drop for Directory {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the directory was created and not yet
        // removed, and nothing is in it any more: what is removed with it would
        // be removed twice. Its own directory still exists.
        unsafe { bindings::proc_remove(self.entry.as_ptr()) };
    }
}

/// The directory as the C side wants it: null is `/proc`.
fn as_parent(parent: Option<&Dir>) -> *mut bindings::proc_dir_entry {
    parent.map_or(core::ptr::null_mut(), |dir| dir.0.entry.as_ptr())
}

/// What a file in `/proc` can be made of: a type with [`Operations`], or a
/// [`seq_file::Seq`](crate::seq_file::Seq).
///
/// # Safety
///
/// [`create`](Self::create) returns null or an entry that was created as it was
/// asked for, whose functions use nothing but the data.
pub unsafe trait Contents: Send + Sync + Sized + 'static {
    /// Creates the file; null when that failed.
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
}

// SAFETY: The functions of the table are those for `T` and `InEntry`.
unsafe impl<T: Operations> Contents for T {
    unsafe fn create(
        name: *const c_char,
        mode: u16,
        parent: *mut bindings::proc_dir_entry,
        data: *const T,
    ) -> *mut bindings::proc_dir_entry {
        let data = data.cast_mut().cast();
        // SAFETY: By this function's contract.
        unsafe { bindings::proc_create_data(name, mode, parent, Table::<T>::OPS, data) }
    }
}

/// Whether `name` can be that of a file in `parent`, which is `/proc` when it is
/// none: there it must not be the number of a process. The kernel warns about
/// the others.
fn valid_name(parent: Option<&Dir>, name: &CStr) -> bool {
    file::is_name(name) && (parent.is_some() || !name.to_bytes().iter().all(u8::is_ascii_digit))
}

/// Where the data of a file in `/proc` is.
struct InEntry;

// SAFETY: The entry's data points to the `T` of an `Entry`, which lives until
// the entry is removed.
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

/// The C side's table of `T`'s operations.
struct Table<T>(PhantomData<T>);

impl<T: Operations> Table<T> {
    const OPS: &'static bindings::proc_ops = &bindings::proc_ops {
        proc_open: Some(Callbacks::<T, InEntry>::open),
        proc_release: Some(Callbacks::<T, InEntry>::release),
        proc_read: Callbacks::<T, InEntry>::READ,
        proc_write: Callbacks::<T, InEntry>::WRITE,
        proc_lseek: Callbacks::<T, InEntry>::LLSEEK,
        proc_ioctl: Callbacks::<T, InEntry>::IOCTL,
        #[cfg(CONFIG_COMPAT)]
        proc_compat_ioctl: Callbacks::<T, InEntry>::COMPAT_IOCTL,
        proc_poll: Callbacks::<T, InEntry>::POLL,
        ..EMPTY
    };
}

/// No operations. Not `PROC_ENTRY_PERMANENT`: removing such an entry would
/// wait for nobody.
// SAFETY: All-zero is a valid `struct proc_ops`: no flags, no functions.
const EMPTY: bindings::proc_ops = unsafe { core::mem::zeroed() };
