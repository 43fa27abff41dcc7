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
    prelude::*,
    str::CStr, //
};

/// A file in `/proc`, there for as long as this value lives.
///
/// # Unloading
///
/// *Unregister waits*: `proc_remove()` returns when no operation is running
/// and all open files were released. A file that user space still holds open
/// then answers `EIO`; it no longer reaches the module. So dropping the entry
/// waits for operations that run: one that may block for long must end when the
/// module wants to leave.
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

/// Whether `name` is the name of a file directly below `/proc`, and not the
/// number of a process. The kernel warns about the others.
fn valid_name(name: &CStr) -> bool {
    file::is_name(name) && !name.to_bytes().iter().all(u8::is_ascii_digit)
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
