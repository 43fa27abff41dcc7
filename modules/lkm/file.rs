// SPDX-License-Identifier: GPL-2.0-only

//! What files do: the operations that files in `/proc`, in debugfs and
//! character devices have in common.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use crate::{
    bindings,
    sync::WaitQueue, //
};
use core::{
    any::Any,
    cell::Cell,
    convert::Infallible,
    marker::PhantomData,
    ops::{
        Deref,
        DerefMut, //
    },
};
use kernel::{
    error::{
        from_result,
        VTABLE_DEFAULT_ERROR, //
    },
    fs::{
        file::flags,
        LocalFile, //
    },
    prelude::*,
    str::CStr,
    sync::Arc,
    transmute::{
        AsBytes,
        FromBytes, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    },
    uaccess::{
        UserPtr,
        UserSlice,
        UserSliceReader, //
    },
};
use pin_init::pin_init_from_closure;

pub use kernel::{
    fs::{
        file::Offset,
        File, //
    },
    uaccess::UserSliceWriter as Writer, //
};

/// What a file does, and the data that all who have it open share.
///
/// The methods run in process context and may sleep, several at a time.
///
/// What `read(2)` and `write(2)` answer for a file without [`read`](Self::read)
/// or [`write`](Self::write) depends on where the file is: `EIO` in `/proc`,
/// `EINVAL` elsewhere.
///
/// # Unloading
///
/// The operations are the module's, and what makes the file says how it keeps
/// the unload rule. *Owner held*, for [devices](crate::chrdev::Registration) and
/// files in [debugfs](crate::debugfs): a file that is open keeps the module.
/// *Unregister waits*, for files in [`/proc`](crate::procfs::Entry): so what
/// sleeps in an operation must wake up when the module wants to leave.
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
/// ```
#[vtable]
pub trait Operations: Send + Sync + Sized + 'static {
    /// What each opening of the file has of its own, C's `private_data`. It is
    /// dropped after [`release`](Self::release).
    ///
    /// `()` when that is nothing; for any other type there must be
    /// [`open`](Self::open), or the module does not build.
    type Private: Send + Sync + 'static;

    /// Called by `open(2)`, which fails with the error returned; nothing else
    /// is called for such a file.
    ///
    /// What one `open(2)` opened can have many descriptors, in many processes:
    /// `dup(2)` and `fork(2)` make them without a call to this.
    fn open(&self, _file: &File) -> impl PinInit<Self::Private, Error> {
        if true {
            build_error!(VTABLE_DEFAULT_ERROR)
        }
        Err::<Self::Private, Error>(EINVAL)
    }

    /// Called once for each file opened, when its last descriptor is closed;
    /// for a file in `/proc` that is removed while it is open, then.
    fn release(&self, _file: &Opened<Self>) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called by `read(2)` and `pread(2)`: writes to `dst` what the file
    /// contains at `pos`, moves `pos` on and returns the number of bytes.
    ///
    /// `dst` cannot be overrun. [`write_slice_file`](Writer::write_slice_file) does
    /// all of it when the contents are a slice.
    fn read(&self, _file: &Opened<Self>, _pos: &mut Offset, _dst: &mut Writer) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called by `write(2)` and `pwrite(2)`: takes bytes from `src` for the
    /// position `pos`, moves `pos` on and returns the number of bytes taken.
    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, _src: &mut Reader) -> Result<usize> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// The number of bytes that there are to be read, from which `lseek(2)`
    /// counts with `SEEK_END`. A file without this takes what its inode says,
    /// which is 0 for a device.
    fn size(&self, _file: &Opened<Self>) -> Offset {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called by `ioctl(2)`, of which a result above [`i32::MAX`] is an error
    /// to user space. `ENOTTY` is the answer to a command that is not known,
    /// and that of a file without this.
    ///
    /// Numbers of commands are made with [`kernel::ioctl`]. A process of 32
    /// bits comes here, too, its pointers made wide, but its numbers as they
    /// are: one that encodes the size of a pointer or of a `long` is another
    /// there, and unknown unless `cmd` is compared with both. So is the layout
    /// of a structure that contains one.
    fn ioctl(&self, _file: &Opened<Self>, _cmd: u32, _arg: Argument) -> Result<u32> {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Called by `poll(2)`, `select(2)` and `epoll(7)`: returns what can be
    /// done with the file at once, of the [`events`].
    ///
    /// First it gives `table` each queue that is woken when this may change.
    /// A file without this is always ready to be read and written.
    fn poll(&self, _file: &Opened<Self>, _table: &PollTable) -> u32 {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// A file that is open, as its operations see it.
///
/// It dereferences to what the `kernel` crate knows of a file.
///
/// # Invariants
///
/// The file was opened by the `open` of the `Callbacks` for `T`, and is not
/// yet released. The position is not in use by this thread but for the
/// operation.
#[repr(transparent)]
pub struct Opened<T> {
    file: Opaque<bindings::file>,
    _operations: PhantomData<T>,
}

impl<T: Operations> Opened<T> {
    /// What this opening of the file has of its own.
    pub fn private(&self) -> &T::Private {
        // SAFETY: By the type invariants `open` has put a pointer to a slot
        // there, which begins with what is private.
        unsafe { &*(*self.file.get()).private_data.cast::<T::Private>() }
    }

    /// The address of the file's inode, C's first argument to `open` and
    /// `release`: a number, to be printed.
    pub fn inode(&self) -> *const c_void {
        // SAFETY: By the type invariants the file is open, so it has an inode,
        // always the same.
        unsafe { (*self.file.get()).f_inode.cast_const().cast() }
    }
}

impl<T: Operations> Deref for Opened<T> {
    type Target = LocalFile;

    fn deref(&self) -> &LocalFile {
        // SAFETY: By the type invariants the file is open.
        unsafe { LocalFile::from_raw_file(self.file.get()) }
    }
}

/// Whether the caller would rather be told `EAGAIN` than wait, by `O_NONBLOCK`.
pub fn nonblocking(file: &LocalFile) -> bool {
    file.flags() & flags::O_NONBLOCK != 0
}

/// What a write has to offer: bytes of the caller's, which are taken in order,
/// and each of them once.
///
/// It dereferences to what the `kernel` crate has of that kind.
pub struct Reader {
    slice: UserSliceReader,
    // Where `slice` ends.
    end: UserPtr,
}

impl Reader {
    fn new(ptr: UserPtr, len: usize) -> Self {
        Self {
            slice: UserSlice::new(ptr, len).reader(),
            end: ptr.wrapping_byte_add(len),
        }
    }

    /// Where in user space the next byte is: a number, to be printed. Nobody
    /// has looked whether there is memory.
    pub fn as_ptr(&self) -> *const c_void {
        self.end.as_const_ptr().wrapping_byte_sub(self.slice.len())
    }
}

impl Deref for Reader {
    type Target = UserSliceReader;

    fn deref(&self) -> &UserSliceReader {
        &self.slice
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut UserSliceReader {
        &mut self.slice
    }
}

/// What a write has to offer: the bytes of `src`, but no more than `limit`.
///
/// Fails with `EFAULT` when they are not all the caller's, and with `ENOMEM`.
pub fn take(src: &mut Reader, limit: usize) -> Result<KVec<u8>> {
    let mut bytes = KVec::from_elem(0, src.len().min(limit), GFP_KERNEL)?;
    src.read_slice(&mut bytes)?;
    Ok(bytes)
}

/// Writes `byte` to all of `dst`, and returns how many bytes that are.
///
/// Where not all of `dst` is the caller's these are the ones before, as
/// `read(2)` has it; it fails with `EFAULT` when there are none.
pub fn fill(dst: &mut Writer, byte: u8) -> Result<usize> {
    let chunk = [byte; 256];
    let len = dst.len();
    let mut most = chunk.len();
    while !dst.is_empty() {
        let part = dst.len().min(most);
        match dst.write_slice(&chunk[..part]) {
            Ok(()) => {}
            Err(e) if part == 1 && dst.len() == len => return Err(e),
            Err(_) if part == 1 => break,
            // Of what failed the beginning can be the caller's.
            Err(_) => most = part / 2,
        }
    }
    Ok(len - dst.len())
}

/// What is private to an opening and cannot fail to be made: for
/// [`open`](Operations::open), which can.
///
/// # Examples
///
/// ```ignore
/// type Private = IrqRwLock<u8>;
///
/// fn open(&self, _file: &File) -> impl PinInit<IrqRwLock<u8>, Error> {
///     file::infallible(new_irq_rwlock!(0xff))
/// }
/// ```
pub fn infallible<P>(private: impl PinInit<P, Infallible>) -> impl PinInit<P, Error> {
    let init = |slot| {
        // SAFETY: `slot` is what the closure was given, for the same purpose.
        match unsafe { private.__pinned_init(slot) } {
            Ok(()) => Ok(()),
            Err(never) => match never {},
        }
    };
    // SAFETY: When the closure returns, which is always with `Ok`, `slot` was
    // initialised, and `private` keeps to the contract for pinned memory.
    unsafe { pin_init_from_closure(init) }
}

/// The third argument of `ioctl(2)`: a number, or an address in user space,
/// which can be any.
#[derive(Clone, Copy)]
pub struct Argument(usize);

impl Argument {
    /// The argument as a number.
    pub fn number(self) -> usize {
        self.0
    }

    /// The `len` bytes of user space that the argument points to. Accesses to
    /// them fail with `EFAULT` when they are not all the caller's.
    pub fn slice(self, len: usize) -> UserSlice {
        UserSlice::new(UserPtr::from_addr(self.0), len)
    }

    /// The same bytes, as a write offers them.
    pub fn reader(self, len: usize) -> Reader {
        Reader::new(UserPtr::from_addr(self.0), len)
    }

    /// Reads the value that the argument points to.
    pub fn read<T: FromBytes>(self) -> Result<T> {
        self.slice(size_of::<T>()).reader().read()
    }

    /// Writes to where the argument points.
    pub fn write<T: AsBytes>(self, value: &T) -> Result {
        self.slice(size_of::<T>()).writer().write(value)
    }

    /// Reads the string that the argument points to, without the NUL that ends
    /// it. Of a string longer than `limit` it takes no more, and looks at no
    /// more.
    pub fn read_string(self, limit: usize) -> Result<KVec<u8>> {
        let mut buffer = KVec::from_elem(0, limit, GFP_KERNEL)?;
        let from = UserPtr::from_addr(self.0).as_const_ptr();
        // SAFETY: The buffer has room for that many bytes. The address is
        // checked.
        let len = unsafe {
            bindings::strncpy_from_user(buffer.as_mut_ptr(), from.cast(), limit as isize)
        };
        let len = usize::try_from(len).map_err(|_| EFAULT)?;
        buffer.truncate(len);
        Ok(buffer)
    }

    /// Writes a string and the NUL that ends it to where the argument points.
    /// The caller must know how long it can be.
    pub fn write_string(self, text: &[u8]) -> Result {
        let mut writer = self.slice(text.len() + 1).writer();
        writer.write_slice(text)?;
        writer.write_slice(b"\0")
    }
}

/// What can be done with a file, or has happened to it: of these is the value of
/// [`Operations::poll`].
///
/// C header: [`include/uapi/linux/eventpoll.h`](srctree/include/uapi/linux/eventpoll.h)
pub mod events {
    use crate::bindings;

    /// There is something to be read; a read does not wait. With its twin
    /// `EPOLLRDNORM`, without which no driver gives it.
    pub const EPOLLIN: u32 = bindings::POLLIN | bindings::POLLRDNORM;
    /// A write does not wait. With `EPOLLWRNORM`.
    pub const EPOLLOUT: u32 = bindings::POLLOUT | bindings::POLLWRNORM;
    /// Something failed. Reported whether it was asked for or not.
    pub const EPOLLERR: u32 = bindings::POLLERR;
    /// The other side is gone. Reported whether it was asked for or not.
    pub const EPOLLHUP: u32 = bindings::POLLHUP;
}

/// Where `poll(2)`, `select(2)` and `epoll(7)` note what to wait for.
///
/// C header: [`include/linux/poll.h`](srctree/include/linux/poll.h)
///
/// # Invariants
///
/// The file is that of the call to which `table` belongs. Both are valid, but
/// for a `table` that is null, while this exists.
pub struct PollTable {
    file: *mut bindings::file,
    table: *mut bindings::poll_table,
    /// What is the case whatever the file's own operation says.
    events: Cell<u32>,
}

impl PollTable {
    /// Has the caller woken by `queue`, until it no longer waits. When the queue
    /// is [closed](WaitQueue::close) the caller does not wait.
    pub fn wait(&self, queue: &WaitQueue) {
        if !queue.is_closed() {
            // SAFETY: By the type invariants. The queue is pinned, and when it
            // is dropped it waits until nobody has an entry in it.
            unsafe { bindings::poll_wait(self.file, queue.for_poll(), self.table) };
        }
        // Who closes the queue after this sees the entry.
        if queue.is_closed() {
            self.events.set(WaitQueue::CLOSED);
        }
    }
}

/// Where the data of a file of a certain kind is.
///
/// # Safety
///
/// For a file of this kind [`data`](Self::data) returns a pointer to a `T` that
/// stays valid for as long as the operation runs that asked for it.
pub(crate) unsafe trait Place<T> {
    /// What a file has while it is open, so that the data stays.
    type Held: 'static;

    /// Called when a file is being opened, which fails with the error returned.
    ///
    /// # Safety
    ///
    /// `inode` and `file` are those of a file of this kind which is being
    /// opened.
    unsafe fn hold(inode: *mut bindings::inode, file: *mut bindings::file) -> Result<Self::Held>;

    /// The data.
    ///
    /// # Safety
    ///
    /// `file` is of this kind, and `held` is what [`hold`](Self::hold) returned
    /// for it.
    unsafe fn data(file: *mut bindings::file, held: &Self::Held) -> *const T;
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
    /// `inode` and `file` are those of a file of this kind which is being
    /// opened.
    unsafe fn find(inode: *mut bindings::inode, file: *mut bindings::file) -> Result<Arc<T>>;
}

/// Files that have a reference to their data from when they are opened. So the
/// data outlives whatever made the file visible.
pub(crate) struct Referenced<S>(PhantomData<S>);

// SAFETY: The reference is held for as long as the file is open.
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

/// What the `private_data` of an open file points to.
#[pin_data]
#[repr(C)]
struct Slot<P, H> {
    // First: see `Opened::private`.
    #[pin]
    private: P,
    // Dropped last: what is private may need the data.
    held: H,
}

impl<P, H> Slot<P, H> {
    fn new(private: impl PinInit<P, Error>, held: H) -> impl PinInit<Self, Error> {
        try_pin_init!(Self { private <- private, held })
    }
}

/// The C side's functions for the operations of `T`, whose place is `P`.
///
/// # Safety
///
/// All of them are for the kernel only, to be called as it calls those of a
/// `file_operations` of a file of the kind `P`: `inode` and `file` are that
/// file's; `buf` and `len` are user space's; `pos` is valid and not shared.
/// They come as a set: `open` and `release` belong to all the others.
pub(crate) struct Callbacks<T, P>(PhantomData<(T, P)>);

impl<T: Operations, P: Place<T>> Callbacks<T, P> {
    pub(crate) unsafe extern "C" fn open(
        inode: *mut bindings::inode,
        file: *mut bindings::file,
    ) -> c_int {
        from_result(|| {
            // SAFETY: By this function's contract.
            let held = unsafe { P::hold(inode, file) }?;
            // First, so that nothing is to be undone when memory is short.
            let slot = KBox::<Slot<T::Private, P::Held>>::new_uninit(GFP_KERNEL)?;
            let slot = if T::HAS_OPEN {
                // SAFETY: By this function's contract. The file is valid during
                // this call, and nobody else has it.
                let (data, it) = unsafe { (&*P::data(file, &held), File::from_raw_file(file)) };
                slot.write_pin_init(Slot::new(data.open(it), held))
            } else {
                slot.write_pin_init(Slot::new(Ok(nothing::<T::Private>()), held))
            }?;
            // SAFETY: The file is valid, and nobody else uses it yet.
            unsafe { (*file).private_data = slot.into_foreign() };
            Ok(0)
        })
    }

    /// The data, and the file as the operations see it.
    ///
    /// # Safety
    ///
    /// The file is one that `open` opened. It stays open for `'a`, and its
    /// position is not in use by this thread but for the operation.
    unsafe fn opened<'a>(file: *mut bindings::file) -> (&'a T, &'a Opened<T>) {
        // SAFETY: By this function's contract `open` has put the slot there,
        // which has what the file holds.
        let data = unsafe {
            let slot = Pin::<KBox<Slot<T::Private, P::Held>>>::borrow((*file).private_data);
            &*P::data(file, &slot.get_ref().held)
        };
        // SAFETY: The types have the same layout.
        // INVARIANT: By this function's contract.
        (data, unsafe { &*file.cast::<Opened<T>>() })
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
        // SAFETY: `open` has put it there. This is called once for each file
        // that was opened, and is the last call for it.
        drop(unsafe { Pin::<KBox<Slot<T::Private, P::Held>>>::from_foreign((*file).private_data) });
        0
    }

    pub(crate) unsafe extern "C" fn read(
        file: *mut bindings::file,
        buf: *mut c_char,
        len: usize,
        pos: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: By this function's contract the file is open, and the
        // position is ours.
        let ((data, file), pos) = unsafe { (Self::opened(file), &mut *pos) };
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
        let ((data, file), pos) = unsafe { (Self::opened(file), &mut *pos) };
        let mut src = Reader::new(UserPtr::from_ptr(buf.cast_mut().cast()), len);
        count(data.write(file, pos, &mut src), len)
    }

    unsafe extern "C" fn llseek(
        file: *mut bindings::file,
        offset: bindings::loff_t,
        whence: c_int,
    ) -> bindings::loff_t {
        // SAFETY: By this function's contract the file is open.
        let (data, it) = unsafe { Self::opened(file) };
        let size = data.size(it).max(0);
        // SAFETY: The file is open; C checks the rest.
        unsafe { bindings::generic_file_llseek_size(file, offset, whence, Offset::MAX, size) }
    }

    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: By this function's contract the file is open.
        let (data, file) = unsafe { Self::opened(file) };
        match data.ioctl(file, cmd, Argument(arg)) {
            Ok(value) => value as c_long,
            Err(e) => e.to_errno() as c_long,
        }
    }

    unsafe extern "C" fn poll(
        raw: *mut bindings::file,
        table: *mut bindings::poll_table,
    ) -> bindings::__poll_t {
        // SAFETY: By this function's contract the file is open.
        let (data, file) = unsafe { Self::opened(raw) };
        // INVARIANT: The kernel calls this with a file and its table; both are
        // valid during this call.
        let table = PollTable {
            file: raw,
            table,
            events: Cell::new(0),
        };
        data.poll(file, &table) | table.events.get()
    }

    /// Functions that not every file has.
    pub(crate) const READ: Option<ReadFn> = if T::HAS_READ { Some(Self::read) } else { None };
    pub(crate) const WRITE: Option<WriteFn> = if T::HAS_WRITE {
        Some(Self::write)
    } else {
        None
    };
    pub(crate) const LLSEEK: Option<LlseekFn> = if T::HAS_SIZE {
        Some(Self::llseek)
    } else {
        Some(bindings::default_llseek)
    };
    pub(crate) const IOCTL: Option<IoctlFn> = if T::HAS_IOCTL {
        Some(Self::ioctl)
    } else {
        None
    };
    pub(crate) const POLL: Option<PollFn> = if T::HAS_POLL { Some(Self::poll) } else { None };
    #[cfg(CONFIG_COMPAT)]
    pub(crate) const COMPAT_IOCTL: Option<IoctlFn> = if T::HAS_IOCTL {
        Some(bindings::compat_ptr_ioctl)
    } else {
        None
    };

    /// The table of these functions, with the module as their owner: whoever
    /// opens a file by it keeps the module.
    ///
    /// Unload rule, owner held: the kernel takes a reference to the module
    /// before it calls `open`, and drops it after `release`.
    pub(crate) const OPS: &'static bindings::file_operations = &bindings::file_operations {
        owner: &raw mut bindings::__this_module,
        open: Some(Self::open),
        release: Some(Self::release),
        read: Self::READ,
        write: Self::WRITE,
        llseek: Self::LLSEEK,
        unlocked_ioctl: Self::IOCTL,
        #[cfg(CONFIG_COMPAT)]
        compat_ioctl: Self::COMPAT_IOCTL,
        poll: Self::POLL,
        ..EMPTY
    };
}

type ReadFn =
    unsafe extern "C" fn(*mut bindings::file, *mut c_char, usize, *mut bindings::loff_t) -> isize;
type WriteFn =
    unsafe extern "C" fn(*mut bindings::file, *const c_char, usize, *mut bindings::loff_t) -> isize;
type LlseekFn =
    unsafe extern "C" fn(*mut bindings::file, bindings::loff_t, c_int) -> bindings::loff_t;
type IoctlFn = unsafe extern "C" fn(*mut bindings::file, c_uint, c_ulong) -> c_long;
type PollFn =
    unsafe extern "C" fn(*mut bindings::file, *mut bindings::poll_table) -> bindings::__poll_t;

/// Waits when it is dropped while the module's init function runs, which is when
/// that fails: until nobody has a file of the module open any more.
///
/// It is a part of what makes files whose owner is the module, and dropped after
/// these cannot be opened any more. Who has one open holds a reference to the
/// module, for which `rmmod` asks. The end of an init that fails does not: it
/// frees the module regardless.
pub(crate) struct Openers;

impl Drop for Openers {
    #[inline]
    fn drop(&mut self) {
        let module = &raw mut bindings::__this_module;
        // The one reference is that of init itself.
        // Unload rule, we wait: who has a file open gives the reference back when
        // it has left the module's text for good.
        // SAFETY: The module is there as long as this code, and may sleep while it
        // is loaded. Nobody else changes its state meanwhile.
        unsafe {
            while (&raw const (*module).state).read_volatile()
                == bindings::module_state_MODULE_STATE_COMING
                && bindings::module_refcount(module) > 1
            {
                bindings::schedule_timeout_uninterruptible(1);
            }
        }
    }
}

/// The value of a `P` that is `()`.
fn nothing<P: 'static>() -> P {
    let nothing: &mut dyn Any = &mut Some(());
    match nothing.downcast_mut::<Option<P>>().and_then(Option::take) {
        Some(nothing) => nothing,
        None => build_error!("a file whose `Private` is not `()` needs `open`"),
    }
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
