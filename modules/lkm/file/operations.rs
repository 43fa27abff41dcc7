// SPDX-License-Identifier: GPL-2.0-only

//! The operations of a file, and the open file that they get.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    Argument,
    FasyncQueue,
    File,
    Mappable,
    MappedPage,
    Offset,
    PollTable,
    Reader,
    Writer, //
};
use core::{
    convert::Infallible,
    marker::PhantomData,
    ops::Deref, //
};
use kernel::{
    error::VTABLE_DEFAULT_ERROR,
    fs::file::flags,
    prelude::*, //
};
use pin_init::pin_init_from_closure;

/// The operations of a file, on data that all open files share.
///
/// The methods run in process context and may sleep, and several can run at the
/// same time.
///
/// Error numbers from 512 on are the kernel's own. User space gets `EIO` for them, but
/// for a few: `ERESTARTSYS` and its like begin the system call again when a signal has
/// come, and are `EINTR` otherwise; `ENOIOCTLCMD` is `ENOTTY`, and `ENOTSUPP`
/// `EOPNOTSUPP`.
///
/// A file without [`read`](Self::read) or [`write`](Self::write) answers `read(2)`
/// or `write(2)` with `EIO` in `/proc`, and with `EINVAL` elsewhere.
///
/// # Unloading
///
/// The operations are code of the module. The type that creates the file says how
/// it keeps the unload rule. *Owner held*, for
/// [devices](crate::chrdev::Registration) and files in [debugfs](crate::debugfs):
/// an open file keeps the module. *Unregister waits*, for files in
/// [`/proc`](crate::procfs::Entry): an operation that sleeps must wake up when the
/// module wants to leave.
///
/// # Examples
///
/// A counter that each `write(2)` increments, and that can be read as text. Each
/// open file remembers the count at its `open(2)`.
///
/// ```
/// # use kernel::prelude::*;
/// use kernel::{
///     str::CString,
///     sync::atomic::{Atomic, Relaxed},
/// };
/// use lkm::file::{File, Offset, Opened, Operations, Reader, Writer};
///
/// struct Counter(Atomic<u32>);
///
/// #[vtable]
/// impl Operations for Counter {
///     type Private = u32;
///
///     fn open(&self, _file: &File) -> impl PinInit<u32, Error> {
///         Ok(self.0.load(Relaxed))
///     }
///
///     fn read(&self, file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
///         let text = CString::try_from_fmt(fmt!("{}\n", file.private()))?;
///         dst.write_slice_file(text.to_bytes(), pos)
///     }
///
///     fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
///         self.0.fetch_add(1, Relaxed);
///         Ok(src.len())
///     }
/// }
/// ```
#[vtable]
pub trait Operations: Send + Sync + Sized + 'static {
    /// The data of one open file, C's `private_data`. It is dropped after
    /// [`release`](Self::release).
    ///
    /// It is `()` if there is none. Any other type needs [`open`](Self::open), or
    /// the module does not build.
    type Private: Send + Sync + 'static;

    /// Called by `open(2)`.
    ///
    /// One open file can have many descriptors, in many processes: `dup(2)` and
    /// `fork(2)` create them without a call to this.
    ///
    /// # Errors
    ///
    /// `open(2)` fails with the error returned, or with `EIO` instead of `ECHILD` and
    /// `ESTALE`, for which the kernel would call this again. No other operation is
    /// called for such a file.
    fn open(&self, _file: &File) -> impl PinInit<Self::Private, Error> {
        if true {
            build_error!(VTABLE_DEFAULT_ERROR)
        }
        Err::<Self::Private, Error>(EINVAL)
    }

    /// Called once for each open file, when its last descriptor is closed. If a
    /// file in `/proc` is removed while it is open, this is called at the removal.
    /// `open(2)` itself calls it when it fails after [`open`](Self::open), as it does
    /// for `O_DIRECT`.
    fn release(&self, _file: &Opened<Self>) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called by `read(2)` and `pread(2)`. Writes the contents at `pos` to `dst`, advances
    /// `pos`, and returns the number of bytes; 0 is the end of the file.
    ///
    /// For devices and files in `/proc`, `splice(2)`, `sendfile(2)` and `readv(2)` call it,
    /// too. One `readv(2)` is one call. In debugfs each piece is a call. While an operation
    /// waits in a `splice(2)`, whoever uses the pipe waits, too, and no signal ends that.
    ///
    /// `dst` cannot be overrun. A result that is more than what was written to it is cut.
    /// If the contents are a slice, [`write_slice_file`](Writer::write_slice_file) does all
    /// of this.
    ///
    /// # Errors
    ///
    /// `read(2)` fails with the error returned. `splice(2)` says `EAGAIN` for `EFAULT`.
    fn read(&self, _file: &Opened<Self>, _pos: &mut Offset, _dst: &mut Writer) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called by `write(2)` and `pwrite(2)`. Takes bytes from `src` for the position `pos`,
    /// advances `pos`, and returns the number of bytes taken.
    ///
    /// For devices, `splice(2)`, `sendfile(2)` and `writev(2)` call it, too. One `writev(2)`
    /// is one call. In `/proc` and debugfs each piece is a call. A `splice(2)` makes others
    /// wait, as for [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// `write(2)` fails with the error returned.
    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, _src: &mut Reader) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The number of bytes that the file contains. `lseek(2)` with `SEEK_END`
    /// counts from there. Without this operation the size is that of the inode,
    /// which is 0 for a device.
    fn size(&self, _file: &Opened<Self>) -> Offset {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called by `ioctl(2)`, which returns the result.
    ///
    /// Command numbers come from [`kernel::ioctl`]. 32-bit processes call this,
    /// too, except for a file in debugfs: there they get `ENOTTY`. Their pointers are
    /// extended, but nothing else is translated. A command number encodes the size of
    /// its argument. If that is the size of a pointer or of a `long`, a 32-bit process
    /// uses another number, and `cmd` must be compared with both. The layout of a
    /// structure with such a field differs as well.
    ///
    /// # Errors
    ///
    /// `ioctl(2)` fails with the error returned. `ENOTTY` is the one for an unknown
    /// command, and for every command of a file without this operation. A result above
    /// [`i32::MAX`] fails with `EOVERFLOW`.
    fn ioctl(&self, _file: &Opened<Self>, _cmd: u32, _arg: Argument) -> Result<u32> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called by `poll(2)`, `select(2)` and `epoll(7)`. Returns those of the
    /// [`events`](super::events) for which the file is ready.
    ///
    /// Before that it calls [`PollTable::wait`] for each queue that is woken when
    /// the answer may change. To `poll(2)` and `select(2)` a file without this operation
    /// is always ready to be read and written. `epoll(7)` does not take a device without
    /// it, and fails with `EPERM`.
    fn poll<'a>(&'a self, _file: &'a Opened<Self>, _table: &PollTable<'a>) -> u32 {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The queue of those who get a signal when the file is ready: it is called when a
    /// process first sets `O_ASYNC`. From then on the file is in this queue as long as it
    /// has that flag, and is open. [`FasyncQueue`] says more. For devices only, as
    /// [`flush`](Self::flush).
    ///
    /// Without this operation `fcntl(2)` ignores the flag, and `FIOASYNC` fails with `ENOTTY`.
    fn fasync<'a>(&'a self, _file: &'a Opened<Self>) -> &'a FasyncQueue {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called by `mmap(2)`. Returns the pages that the process may have in its memory, and
    /// whether it may write to them. For devices only, as [`flush`](Self::flush).
    ///
    /// The part that the process asks for is mapped from the offset on that it names.
    /// [`SharedPages`](super::SharedPages) says what it may ask for. The file stays open as
    /// long as the mapping is there.
    ///
    /// The map of the process's memory is locked meanwhile: to read or write that memory
    /// here would wait for ever. So could a lock that another operation holds while it reads or
    /// writes such memory.
    ///
    /// Others may read `/dev`, or a file in `/proc`, into that memory, and wait for the map with
    /// the locks of that. So what C calls, such as a device, cannot be made here: that fails with
    /// `EDEADLK`. What is dropped here goes a little later. Both also hold elsewhere while more
    /// than 64 tasks are here.
    ///
    /// # Errors
    ///
    /// `mmap(2)` fails with the error returned, and with `ENODEV` for a file without this
    /// operation.
    fn mmap<'a>(&'a self, _file: &'a Opened<Self>) -> Result<Mappable<'a>> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called when a process touches a page that it does not have, of a mapping that is
    /// [on demand](super::Mappable::on_demand). Returns the page. For devices only, as
    /// [`flush`](Self::flush).
    ///
    /// Pages are counted from offset 0 of the file on: `index` is less than the number that
    /// the mapping was made of. Two processes, or two threads of one, can touch the same page
    /// at the same time: then two calls run. They share what they write if both calls return
    /// the same page.
    ///
    /// The process need not be the one that has opened the file, nor the one whose memory it
    /// is: it is called for whoever touches that memory, also for the kernel in the middle of
    /// another system call, and for `MAP_POPULATE`, when nobody has touched it yet. The map of
    /// that memory is locked, as for [`mmap`](Self::mmap), and what cannot or must not be done
    /// there holds here, too. While this waits, no signal ends the process, and who looks at it
    /// may wait, too.
    ///
    /// # Errors
    ///
    /// Whatever the error is, the process gets `SIGBUS`. If it is a system call that touches
    /// the page, that fails with `EFAULT`.
    fn fault(&self, _file: &Opened<Self>, _index: usize) -> Result<MappedPage> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called by each `close(2)` of one of the file's descriptors, and when a process ends
    /// that has one. [`release`](Self::release) follows the last. For devices only: with
    /// this, a file in `/proc` or debugfs does not build.
    ///
    /// # Errors
    ///
    /// `close(2)` fails with the error returned. The descriptor is closed all the same.
    fn flush(&self, _file: &Opened<Self>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called by `fsync(2)`, and by `fdatasync(2)` with `data_only`: returns when what was
    /// written has got to where it stays. For devices only, as [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// `fsync(2)` fails with the error returned, and with `EINVAL` for a file without this
    /// operation.
    fn fsync(&self, _file: &Opened<Self>, _data_only: bool) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called before a file in `/proc` or debugfs is removed, which waits for all
    /// operations that run. From now on none may wait long: waits have to end, with an
    /// error. Operations can still begin.
    ///
    /// For a device it is called when the device goes while init runs, as failing init
    /// waits until its files are closed, and when the module is unloaded. In between an
    /// open file of a device keeps the module. May sleep.
    fn hang_up(&self) {}
}

/// An open file, as its operations get it.
///
/// It dereferences to a [`File`].
///
/// # Invariants
///
/// The file was opened by the `open` of the `Callbacks` for `T`, and is not
/// yet released. This thread uses the position for nothing but the operation.
#[repr(transparent)]
pub struct Opened<T> {
    file: File,
    _operations: PhantomData<T>,
}

impl<T: Operations> Opened<T> {
    /// The data of this open file.
    ///
    /// Can be called in any context.
    pub fn private(&self) -> &T::Private {
        // SAFETY: By the type invariants `open` has stored a pointer to a slot
        // there, and the slot begins with the private data.
        unsafe { &*(*self.file.as_ptr()).private_data.cast::<T::Private>() }
    }
}

impl<T: Operations> Deref for Opened<T> {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

/// Whether the file is non-blocking (`O_NONBLOCK`). An operation that would have
/// to wait then fails with `EAGAIN` instead.
///
/// Can be called in any context.
pub fn nonblocking(file: &File) -> bool {
    file.flags() & flags::O_NONBLOCK != 0
}

/// Turns an initialiser that cannot fail into one that [`open`](Operations::open)
/// can return.
///
/// Can be called in any context.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{
///     file::{self, File, Operations},
///     sync::{new_irq_rwlock, IrqRwLock},
/// };
///
/// struct Device;
///
/// #[vtable]
/// impl Operations for Device {
///     type Private = IrqRwLock<u8>;
///
///     fn open(&self, _file: &File) -> impl PinInit<IrqRwLock<u8>, Error> {
///         file::infallible(new_irq_rwlock!(0xff))
///     }
/// }
/// ```
pub fn infallible<P>(private: impl PinInit<P, Infallible>) -> impl PinInit<P, Error> {
    let init = |slot| {
        // SAFETY: `slot` was given to this closure to be initialised, and is
        // passed on for that.
        match unsafe { private.__pinned_init(slot) } {
            Ok(()) => Ok(()),
            Err(never) => match never {},
        }
    };
    // SAFETY: The closure always returns `Ok`, and `slot` is initialised then.
    // `private` keeps to the contract for pinned memory.
    unsafe { pin_init_from_closure(init) }
}
