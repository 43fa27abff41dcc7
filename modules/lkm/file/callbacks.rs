// SPDX-License-Identifier: GPL-2.0-only

//! The functions that C calls for a file, and how they find its data.

use super::{
    fasync::Chosen,
    Argument,
    File,
    Offset,
    Opened,
    Operations,
    Reader,
    Writer, //
};
use crate::{
    bindings,
    errno, //
};
use core::{
    any::Any,
    marker::PhantomData, //
};
use kernel::{
    prelude::*,
    sync::Arc,
    types::ForeignOwnable,
    uaccess::UserPtr, //
};

/// The place of the data of a kind of file.
///
/// # Safety
///
/// For a file of this kind [`data`](Self::data) returns a pointer to a `T`. The
/// `T` stays valid while the operation that asked for it runs.
pub(crate) unsafe trait Place<T> {
    /// What an open file holds to keep the data valid.
    type Held: 'static;

    /// Called when a file is being opened. `open(2)` fails with the error
    /// returned.
    ///
    /// # Safety
    ///
    /// `inode` and `file` are those of a file of this kind that is being opened.
    unsafe fn hold(inode: *mut bindings::inode, file: *mut bindings::file) -> Result<Self::Held>;

    /// The data.
    ///
    /// # Safety
    ///
    /// `file` is of this kind, and [`hold`](Self::hold) returned `held` for it.
    unsafe fn data(file: *mut bindings::file, held: &Self::Held) -> *const T;
}

/// How the data of a file that is being opened is found.
///
/// # Safety
///
/// [`find`](Self::find) returns the data of this very file, of its own type.
pub(crate) unsafe trait Source<T> {
    /// The data. Fails when it no longer exists.
    ///
    /// # Safety
    ///
    /// `inode` and `file` are those of a file of this kind that is being opened.
    unsafe fn find(inode: *mut bindings::inode, file: *mut bindings::file) -> Result<Arc<T>>;
}

/// The place for files that take a reference to their data when they are opened.
/// So the data may outlive the registration that created the file.
pub(crate) struct Referenced<S>(PhantomData<S>);

// SAFETY: An open file holds the reference until it is released, and no operation
// runs after that.
unsafe impl<T: 'static, S: Source<T>> Place<T> for Referenced<S> {
    type Held = Arc<T>;

    unsafe fn hold(inode: *mut bindings::inode, file: *mut bindings::file) -> Result<Arc<T>> {
        // SAFETY: By this function's contract.
        unsafe { S::find(inode, file) }
    }

    unsafe fn data(_file: *mut bindings::file, held: &Arc<T>) -> *const T {
        Arc::as_ptr(held)
    }
}

/// The `private_data` of an open file points to this.
#[pin_data]
#[repr(C)]
struct Slot<P, H> {
    // This comes first: `Opened::private` relies on it.
    #[pin]
    private: P,
    chosen: Chosen,
    // This is dropped last: dropping `private` may need the data.
    held: H,
}

impl<P, H> Slot<P, H> {
    fn new(private: impl PinInit<P, Error>, held: H) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            private <- private,
            chosen: Chosen::none(),
            held,
        })
    }
}

/// C's functions for the operations of `T`, whose data is in the place `P`.
///
/// # Safety
///
/// Only the kernel may call them, in the way it calls those of a `file_operations`
/// for a file of the kind `P`: `inode` and `file` are those of the file, `buf` and
/// `len` come from user space, and `pos` is valid and not shared. They belong
/// together: all but `open` are only called for a file that `open` opened and
/// `release` has not released yet.
pub(crate) struct Callbacks<T, P>(PhantomData<(T, P)>);

impl<T: Operations, P: Place<T>> Callbacks<T, P> {
    pub(crate) unsafe extern "C" fn open(
        inode: *mut bindings::inode,
        file: *mut bindings::file,
    ) -> c_int {
        let open = || -> Result {
            // SAFETY: By this function's contract.
            let held = unsafe { P::hold(inode, file) }?;
            // This comes first, so nothing needs to be undone when it fails.
            let slot = KBox::<Slot<T::Private, P::Held>>::new_uninit(GFP_KERNEL)?;
            let slot = if T::HAS_OPEN {
                // SAFETY: By this function's contract. The file is valid during
                // this call, and nothing else uses it.
                let (data, it) = unsafe { (&*P::data(file, &held), File::from_raw(file)) };
                slot.write_pin_init(Slot::new(data.open(it), held))
            } else {
                slot.write_pin_init(Slot::new(Ok(nothing::<T::Private>()), held))
            }?;
            // SAFETY: The file is valid, and nothing else uses it yet.
            unsafe { (*file).private_data = slot.into_foreign() };
            Ok(())
        };
        match open() {
            Ok(()) => 0,
            Err(error) => errno::to_opener(error),
        }
    }

    /// The data, and the file as the operations see it.
    ///
    /// # Safety
    ///
    /// `open` opened the file. It stays open for `'a`, and this thread uses its
    /// position for nothing but the operation.
    pub(super) unsafe fn opened<'a>(file: *mut bindings::file) -> (&'a T, &'a Opened<T>) {
        // SAFETY: By this function's contract `open` has stored the slot there,
        // and it contains what the file holds.
        let data = unsafe {
            let slot = Pin::<KBox<Slot<T::Private, P::Held>>>::borrow((*file).private_data);
            &*P::data(file, &slot.get_ref().held)
        };
        // SAFETY: The types have the same layout.
        // INVARIANT: By this function's contract.
        (data, unsafe { &*file.cast::<Opened<T>>() })
    }

    /// The queue that the file goes into with `O_ASYNC`.
    ///
    /// # Safety
    ///
    /// `open` opened the file. It stays open for `'a`.
    pub(super) unsafe fn chosen<'a>(file: *mut bindings::file) -> &'a Chosen {
        // SAFETY: By this function's contract `open` has stored the slot there.
        let slot = unsafe { Pin::<KBox<Slot<T::Private, P::Held>>>::borrow((*file).private_data) };
        &slot.get_ref().chosen
    }

    pub(crate) unsafe extern "C" fn release(
        _inode: *mut bindings::inode,
        file: *mut bindings::file,
    ) -> c_int {
        if T::HAS_RELEASE {
            // SAFETY: By this function's contract the file was opened, and is
            // being closed or removed.
            let (data, it) = unsafe { Self::opened(file) };
            data.release(it);
        }
        // SAFETY: `open` has stored it there. This is called once for each file
        // that was opened, and is the last call for it.
        drop(unsafe { Pin::<KBox<Slot<T::Private, P::Held>>>::from_foreign((*file).private_data) });
        0
    }

    /// For files in debugfs, where C has no `read_iter`.
    unsafe extern "C" fn read(
        file: *mut bindings::file,
        buf: *mut c_char,
        len: usize,
        pos: *mut bindings::loff_t,
    ) -> isize {
        let mut dst = Writer::of_user(UserPtr::from_ptr(buf.cast()), len);
        // SAFETY: By this function's contract the file is open, and the position ours.
        unsafe { Self::read_to(file, &mut *pos, &mut dst) }
    }

    /// For files in debugfs and in `/proc`, where C has no `write_iter`.
    unsafe extern "C" fn write(
        file: *mut bindings::file,
        buf: *const c_char,
        len: usize,
        pos: *mut bindings::loff_t,
    ) -> isize {
        let mut src = Reader::of_user(UserPtr::from_ptr(buf.cast_mut().cast()), len);
        // SAFETY: As in `read`.
        unsafe { Self::write_from(file, &mut *pos, &mut src) }
    }

    unsafe extern "C" fn read_iter(
        iocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: By this function's contract `iter` is a destination. What it points to
        // stays until this returns. The operation only borrows the `Writer`, and has no
        // other to put in its place: those of an `ioctl` stay in their call.
        let mut dst = unsafe { Writer::of_iter(iter) };
        // SAFETY: By this function's contract the file is open, and the position ours.
        let read = unsafe { Self::read_to((*iocb).ki_filp, &mut (*iocb).ki_pos, &mut dst) };
        // SAFETY: There are at least as many bytes.
        unsafe { bindings::iov_iter_advance(iter, read.max(0) as usize) };
        read
    }

    unsafe extern "C" fn write_iter(
        iocb: *mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: As in `read_iter`, for a source and a `Reader`.
        let mut src = unsafe { Reader::of_iter(iter) };
        // SAFETY: As in `read_iter`.
        let written = unsafe { Self::write_from((*iocb).ki_filp, &mut (*iocb).ki_pos, &mut src) };
        // SAFETY: As in `read_iter`.
        unsafe { bindings::iov_iter_advance(iter, written.max(0) as usize) };
        written
    }

    /// # Safety
    ///
    /// The file is open, and `pos` its position for this call.
    unsafe fn read_to(file: *mut bindings::file, pos: &mut Offset, dst: &mut Writer) -> isize {
        // SAFETY: By this function's contract.
        let (data, file) = unsafe { Self::opened(file) };
        let room = dst.len();
        let read = data.read(file, pos, dst);
        // `splice(2)` passes on this many bytes of pages that nobody has cleared.
        count(read, room - dst.len())
    }

    /// # Safety
    ///
    /// As for `read_to`.
    unsafe fn write_from(file: *mut bindings::file, pos: &mut Offset, src: &mut Reader) -> isize {
        // SAFETY: By this function's contract.
        let (data, file) = unsafe { Self::opened(file) };
        // An operation need not take the bytes that it says it has taken.
        let len = src.len();
        count(data.write(file, pos, src), len)
    }

    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: By this function's contract the file is open.
        let (data, file) = unsafe { Self::opened(file) };
        match data.ioctl(file, cmd, Argument::new(arg)) {
            // C makes an `int` of it on the way.
            Ok(value) if value > i32::MAX as u32 => EOVERFLOW.to_errno() as c_long,
            Ok(value) => value as c_long,
            Err(error) => errno::to_user(error) as c_long,
        }
    }

    unsafe extern "C" fn flush(file: *mut bindings::file, _owner: bindings::fl_owner_t) -> c_int {
        // SAFETY: By this function's contract the file is open.
        let (data, file) = unsafe { Self::opened(file) };
        done(data.flush(file))
    }

    unsafe extern "C" fn fsync(
        file: *mut bindings::file,
        _start: bindings::loff_t,
        _end: bindings::loff_t,
        data_only: c_int,
    ) -> c_int {
        // SAFETY: By this function's contract the file is open.
        let (data, file) = unsafe { Self::opened(file) };
        done(data.fsync(file, data_only != 0))
    }

    /// Does not build for operations that C has only for devices.
    pub(crate) const ANYWHERE: () = assert!(
        !T::HAS_FLUSH && !T::HAS_FSYNC && !T::HAS_FASYNC && !T::HAS_MMAP && !T::HAS_FAULT,
        "files in /proc and debugfs have no `flush`, `fsync`, `fasync`, `mmap` and `fault`"
    );

    /// The functions that only some files have.
    const READ: Option<ReadFn> = if T::HAS_READ { Some(Self::read) } else { None };
    pub(crate) const READ_ITER: Option<IterFn> = if T::HAS_READ {
        Some(Self::read_iter)
    } else {
        None
    };
    pub(crate) const WRITE: Option<WriteFn> = if T::HAS_WRITE {
        Some(Self::write)
    } else {
        None
    };
    pub(crate) const IOCTL: Option<IoctlFn> = if T::HAS_IOCTL {
        Some(Self::ioctl)
    } else {
        None
    };
    #[cfg(CONFIG_COMPAT)]
    pub(crate) const COMPAT_IOCTL: Option<IoctlFn> = if T::HAS_IOCTL {
        Some(bindings::compat_ptr_ioctl)
    } else {
        None
    };

    /// The table of these functions, with the module as their owner. A file that
    /// was opened with this table keeps the module.
    ///
    /// Unload rule, owner held: the kernel takes a reference to the module
    /// before it calls `open`, and drops it after `release`.
    pub(crate) const OPS: &'static bindings::file_operations = &bindings::file_operations {
        owner: &raw mut bindings::__this_module,
        open: Some(Self::open),
        release: Some(Self::release),
        read_iter: Self::READ_ITER,
        write_iter: if T::HAS_WRITE {
            Some(Self::write_iter)
        } else {
            None
        },
        splice_read: if T::HAS_READ {
            Some(bindings::copy_splice_read)
        } else {
            None
        },
        splice_write: if T::HAS_WRITE {
            Some(bindings::iter_file_splice_write)
        } else {
            None
        },
        llseek: Self::LLSEEK,
        unlocked_ioctl: Self::IOCTL,
        #[cfg(CONFIG_COMPAT)]
        compat_ioctl: Self::COMPAT_IOCTL,
        poll: Self::POLL,
        mmap: Self::MMAP,
        fasync: Self::FASYNC,
        flush: if T::HAS_FLUSH {
            Some(Self::flush)
        } else {
            None
        },
        fsync: if T::HAS_FSYNC {
            Some(Self::fsync)
        } else {
            None
        },
        ..EMPTY
    };

    /// The table for a file in debugfs, where C calls `read` and `write`.
    pub(crate) const DEBUGFS_OPS: &'static bindings::file_operations = &bindings::file_operations {
        read_iter: None,
        write_iter: None,
        splice_read: None,
        splice_write: None,
        read: Self::READ,
        write: Self::WRITE,
        ..*Self::OPS
    };
}

type IterFn = unsafe extern "C" fn(*mut bindings::kiocb, *mut bindings::iov_iter) -> isize;
type ReadFn =
    unsafe extern "C" fn(*mut bindings::file, *mut c_char, usize, *mut bindings::loff_t) -> isize;
type WriteFn =
    unsafe extern "C" fn(*mut bindings::file, *const c_char, usize, *mut bindings::loff_t) -> isize;
type IoctlFn = unsafe extern "C" fn(*mut bindings::file, c_uint, c_ulong) -> c_long;

/// Returns `()` as a `P`. Any other `P` does not build.
fn nothing<P: 'static>() -> P {
    let nothing: &mut dyn Any = &mut Some(());
    match nothing.downcast_mut::<Option<P>>().and_then(Option::take) {
        Some(nothing) => nothing,
        None => build_error!("a file whose `Private` is not `()` needs `open`"),
    }
}

/// No operations.
// SAFETY: All-zero is a valid `struct file_operations`: no owner, no functions.
const EMPTY: bindings::file_operations = unsafe { core::mem::zeroed() };

/// The return value of a function of C's that returns nothing but an error.
fn done(result: Result) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => errno::to_user(error),
    }
}

/// The return value of C's `read` or `write`. The caller relies on a result of at most
/// `most`.
fn count(result: Result<usize>, most: usize) -> isize {
    match result {
        Ok(n) => n.min(most) as isize,
        Err(error) => errno::to_user(error) as isize,
    }
}
