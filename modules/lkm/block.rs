// SPDX-License-Identifier: GPL-2.0-only

//! Disks: what has blocks at positions, and can have a file system.
//!
//! C headers: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h),
//! [`include/linux/bio.h`](srctree/include/linux/bio.h)
//!
//! Reference: <https://docs.kernel.org/block/index.html>
//!
//! The `kernel` crate's [`block::mq`](kernel::block::mq) does not show a request's position,
//! direction or bytes. Its disks do not keep the module: one can be unloaded while they are
//! mounted.
//!
//! # Bios and requests
//!
//! What is to be read or written comes as a *bio*: a position, and the pages for the bytes.
//! C's `blk-mq` makes *requests* of them first: it sorts bios and puts them together, and has
//! a queue for each CPU. That is for hardware that answers later, by an interrupt. A disk
//! here gets the bios themselves, as C's RAM disks do, and answers at once. So its methods
//! may sleep, and when one has returned nothing is left of the bio.

use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    compat::CStrExt,
    errno::error,
    file::{
        is_name,
        Reader,
        Writer, //
    },
};
use core::{
    ffi::CStr,
    marker::PhantomPinned,
    ops::{
        Deref,
        Range, //
    },
    ptr, //
};
use kernel::{
    error::{
        from_err_ptr,
        from_result,
        VTABLE_DEFAULT_ERROR, //
    },
    page::PAGE_SIZE,
    prelude::*,
};

/// What a disk does.
///
/// Positions are in bytes from the disk's beginning. Positions and lengths are multiples of
/// [`BLOCK_SIZE`](Self::BLOCK_SIZE), and lie within the disk.
///
/// All methods can run at the same time, on different CPUs, and also for the same blocks. They
/// can run before [`Registration::new`] has returned.
///
/// A process that has opened the disk with `O_DIRECT` gets the error that a method returns, if
/// the block layer has that: others are `EIO`. All others get `EIO`.
///
/// # Context
///
/// In the task that reads or writes, or in one of the kernel that writes back what is in
/// memory. They may sleep. To allocate memory never waits for this disk here, even with
/// `GFP_KERNEL`. But the methods must not wait
///
/// - for another disk: what is read or written there waits until this method has returned;
/// - for a lock that somebody holds who drops a disk, allocates memory, or copies to or from a
///   process: each of these can be what calls the method;
/// - for a thread or a work item that does so.
#[vtable]
pub trait Disk: Send + Sync + 'static {
    /// How many bytes are read and written at a time, or a multiple of that: a power of two,
    /// from 512 to the size of a page.
    const BLOCK_SIZE: usize = 512;

    /// Writes the bytes at `pos` into `dst`, all that it has room for. What is left out is
    /// read as zeroes.
    ///
    /// # Errors
    ///
    /// Any. Some of the bytes may have been written.
    fn read(&self, pos: u64, dst: &mut Writer) -> Result;

    /// Takes the bytes in `src`, all of them, and stores them at `pos`. A disk without this
    /// method is read-only.
    ///
    /// # Errors
    ///
    /// Any. Some of the bytes may have been stored. A process that has not opened the disk
    /// with `O_DIRECT` has got its answer long ago; it gets `EIO` from `fsync(2)`.
    fn write(&self, _pos: u64, _src: &mut Reader) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Nobody needs what is there any more: it can be read as anything. Without this method,
    /// or on a read-only disk, that cannot be said.
    ///
    /// # Errors
    ///
    /// Any.
    fn discard(&self, _range: Range<u64>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Makes everything there zero. Without this method the kernel writes zeroes.
    ///
    /// # Errors
    ///
    /// Any.
    fn write_zeroes(&self, _range: Range<u64>) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// A disk: `/dev/NAME`, unless something else has that name. It dereferences to what does the
/// work.
///
/// It has no major number of its own: the kernel gives it one of those for disks of all
/// kinds. Partitions are looked for when somebody opens it first.
///
/// # Unloading
///
/// *Owner held*: an open file, a mount and a swap area keep the module, so `rmmod` is
/// refused with `EWOULDBLOCK`. *Unregister waits*: dropping this writes back what is in memory
/// only, and waits until no method runs. *We wait* when init fails, until no file of the
/// disk is open.
///
/// A disk can be dropped while it is in use. To files that are open it has no blocks any more:
/// they read nothing, and cannot write. File systems get errors. A method may drop disks, too,
/// which then go a little later.
///
/// # Examples
///
/// A disk full of zeroes:
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{
///     block::{self, Disk},
///     file::Writer,
/// };
///
/// struct Zeroes;
///
/// #[vtable]
/// impl Disk for Zeroes {
///     fn read(&self, _pos: u64, _dst: &mut Writer) -> Result {
///         Ok(())
///     }
/// }
///
/// let disk = block::Registration::new(c"zeroes", 1 << 30, Zeroes)?;
/// # drop(disk);
/// # Ok::<(), Error>(())
/// ```
pub struct Registration<T: Disk>(Alive<Inner<T>>);

/// # Invariants
///
/// `raw` is null, or `lkm_disk_add` has returned it for this value, with the functions for `T`.
#[pin_data]
struct Inner<T> {
    raw: *mut bindings::lkm_disk,
    #[pin]
    disk: T,
    // C has a pointer to the value.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Inner<T> where T);

// SAFETY: Any thread may remove a disk, and `T` is `Send`.
unsafe impl<T: Disk> Send for Inner<T> {}

// SAFETY: A shared reference gives access to `disk` only, and `T` is `Sync`.
unsafe impl<T: Disk> Sync for Inner<T> {}

// SAFETY: When `stop` has returned, no method runs or will: C fails what is submitted. Files
// that are open have the module, whose table of functions they use. What C does with the disk
// after the last of them has nothing of the module.
unsafe impl<T: Disk> Stop for Inner<T> {
    const NAME: &'static CStr = c"disks";

    fn stop(&self) {
        if !self.raw.is_null() {
            // SAFETY: By the type invariants, and this may sleep.
            unsafe { bindings::lkm_disk_remove(self.raw) };
        }
    }

    /// What is written back would wait for the method.
    fn is_within(&self) -> bool {
        is_within()
    }

    fn give_back(&self) {
        if !self.raw.is_null() {
            // SAFETY: By the type invariants. It was removed, and this may sleep.
            unsafe { bindings::lkm_disk_free(self.raw) };
        }
    }
}

/// Whether the caller is a method of a disk, of whatever module.
fn is_within() -> bool {
    // SAFETY: This reads what belongs to the current task.
    unsafe { bindings::lkm_disk_within() }
}

/// The longest name of a disk, in bytes.
const LONGEST: usize = 31;

/// What a sector is to C, whatever the size of a block.
const SECTOR: u64 = 512;

impl<T: Disk> Registration<T> {
    /// Makes a disk of that name, with `size` bytes. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the name is no file name, has more than 31 bytes, or has a `!`, a blank or
    ///   a control character in it;
    /// - `EINVAL`: `size` is 0, no multiple of the block's, or more than [`i64::MAX`];
    /// - `EEXIST`: there is a disk or a partition of that name; the kernel also prints where
    ///   it was called from;
    /// - `EBUSY`: there is no number left;
    /// - `EDEADLK`: the caller is a method of a disk;
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `disk`.
    pub fn new<E>(name: &CStr, size: u64, disk: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        const {
            assert!(
                T::BLOCK_SIZE.is_power_of_two()
                    && T::BLOCK_SIZE >= SECTOR as usize
                    && T::BLOCK_SIZE <= PAGE_SIZE,
                "a block has 512, 1024, ... bytes, and no more than a page"
            )
        };
        let is_bad = |byte: &u8| *byte == b'!' || *byte <= b' ' || *byte == 0x7f;
        let text = name.to_bytes();
        if !is_name(name) || text.len() > LONGEST || text.iter().any(is_bad) {
            return Err(EINVAL);
        }
        if size == 0 || size > i64::MAX as u64 || size % T::BLOCK_SIZE as u64 != 0 {
            return Err(EINVAL);
        }
        if is_within() {
            return Err(error(bindings::EDEADLK));
        }
        let inner = try_pin_init!(Inner {
            raw: ptr::null_mut(),
            disk <- disk,
            _pin: PhantomPinned,
        }? Error);
        let inner = Alive::new(inner, |inner| {
            // SAFETY: Nothing is moved.
            let inner = unsafe { inner.get_unchecked_mut() };
            // SAFETY: The functions are for a pointer to the disk, which stays in place until
            // it is removed. The name is short enough, and copied. This may sleep.
            // Unload rule, owner held, and unregister waits: see `stop`.
            let raw = from_err_ptr(unsafe {
                bindings::lkm_disk_add(
                    name.as_char_ptr(),
                    size,
                    T::BLOCK_SIZE as c_uint,
                    Inner::<T>::OPS,
                    (&raw mut inner.disk).cast(),
                )
            })?;
            // INVARIANT: It was just made.
            inner.raw = raw;
            Ok(())
        })?;
        Ok(Self(inner))
    }
}

impl<T: Disk> Deref for Registration<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.disk
    }
}

impl<T: Disk> Inner<T> {
    const OPS: &'static bindings::lkm_disk_ops = &bindings::lkm_disk_ops {
        read: Some(Self::read),
        write: if T::HAS_WRITE {
            Some(Self::write)
        } else {
            None
        },
        discard: if T::HAS_WRITE && T::HAS_DISCARD {
            Some(Self::discard)
        } else {
            None
        },
        write_zeroes: if T::HAS_WRITE && T::HAS_WRITE_ZEROES {
            Some(Self::write_zeroes)
        } else {
            None
        },
    };

    /// # Safety
    ///
    /// `data` is the `T` of a disk that was not removed. `into` is a destination of pages,
    /// which stay as long as the call.
    unsafe extern "C" fn read(data: *mut c_void, pos: u64, into: *mut bindings::iov_iter) -> c_int {
        // SAFETY: By this function's contract. The writer stays in this call: nobody can keep
        // what is only lent, and there is no other one here to be put in its place.
        let (disk, mut writer) = unsafe { (&*data.cast::<T>(), Writer::of_iter(into)) };
        let result = disk.read(pos, &mut writer);
        if result.is_ok() {
            // The pages may have what somebody else has left there.
            writer.clear();
        }
        from_result(|| result.map(|()| 0))
    }

    /// # Safety
    ///
    /// As that of [`read`](Self::read), with a source.
    unsafe extern "C" fn write(
        data: *mut c_void,
        pos: u64,
        from: *mut bindings::iov_iter,
    ) -> c_int {
        // SAFETY: By this function's contract, and as above.
        let (disk, mut reader) = unsafe { (&*data.cast::<T>(), Reader::of_iter(from)) };
        from_result(|| disk.write(pos, &mut reader).map(|()| 0))
    }

    /// # Safety
    ///
    /// `data` is the `T` of a disk that was not removed.
    unsafe extern "C" fn discard(data: *mut c_void, pos: u64, len: u64) -> c_int {
        // SAFETY: By this function's contract.
        let disk = unsafe { &*data.cast::<T>() };
        from_result(|| disk.discard(pos..pos + len).map(|()| 0))
    }

    /// # Safety
    ///
    /// As that of [`discard`](Self::discard).
    unsafe extern "C" fn write_zeroes(data: *mut c_void, pos: u64, len: u64) -> c_int {
        // SAFETY: By this function's contract.
        let disk = unsafe { &*data.cast::<T>() };
        from_result(|| disk.write_zeroes(pos..pos + len).map(|()| 0))
    }
}
