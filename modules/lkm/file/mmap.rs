// SPDX-License-Identifier: GPL-2.0-only

//! Memory that a module and processes share: `mmap(2)`.
//!
//! C headers: [`include/linux/mm.h`](srctree/include/linux/mm.h),
//! [`include/linux/vmalloc.h`](srctree/include/linux/vmalloc.h)
//!
//! The `kernel` crate has [`VmaNew`], which this uses. It can map any
//! [`Page`](kernel::page::Page), also one that still has somebody's secrets in it, and a
//! page of it is read and written by `unsafe` code only.

use super::{
    callbacks::Callbacks,
    Operations,
    Place, //
};
use crate::{
    bindings,
    errno,
    memory, //
};
use core::ptr::NonNull;
use kernel::{
    error::to_result,
    mm::virt::VmaNew,
    page::PAGE_SIZE,
    prelude::*,
    sync::atomic::Atomic, //
};

/// Pages that processes can have in their memory, too, by `mmap(2)`. They are full of
/// zeroes at first.
///
/// [`Operations::mmap`] returns them as [`writable`](Self::writable) or
/// [`read_only`](Self::read_only). Offset 0 of the file is the first byte of the pages, and
/// any part of them can be mapped, whole pages at a time.
///
/// A mapping must be `MAP_SHARED`: what is written on one side is what the other side
/// reads, at once. It does not grow by `mremap(2)`. A child has it after `fork(2)`. Where a
/// process has thrown a page away, by `madvise(2)`, an access gets it `SIGBUS`.
///
/// Processes can write at any time, so nobody has a reference to the bytes. They are copied
/// to and fro, or used as atomic numbers. Never trust in one that was read twice.
/// [`Writer::write_pages`](super::Writer::write_pages) and
/// [`Reader::read_pages`](super::Reader::read_pages) copy many at a time.
///
/// # Unloading
///
/// Nothing is registered: C gets no function and no pointer of the module. It counts who uses
/// a page, and frees the page when the last has gone, be that these or a mapping. A mapping
/// also keeps its file open: *owner held*. So `rmmod` is refused with `EWOULDBLOCK` as long
/// as there is one, also if the descriptor was closed.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use kernel::sync::atomic::Relaxed;
/// use lkm::file::{File, Mappable, Opened, Operations, SharedPages};
///
/// /// A process sees in its memory how often somebody has opened the device.
/// struct Counter {
///     pages: SharedPages,
/// }
///
/// #[vtable]
/// impl Operations for Counter {
///     type Private = ();
///
///     fn open(&self, _file: &File) -> impl PinInit<(), Error> {
///         self.pages.atomic_u32(0).map(|count| {
///             count.fetch_add(1, Relaxed);
///         })
///     }
///
///     fn mmap<'a>(&'a self, _file: &'a Opened<Self>) -> Result<Mappable<'a>> {
///         Ok(self.pages.read_only())
///     }
/// }
///
/// let counter = Counter {
///     pages: SharedPages::new(1)?,
/// };
/// # drop(counter);
/// # Ok::<(), Error>(())
/// ```
///
/// # Invariants
///
/// `at` is the first of `len` bytes that `vmalloc_user()` has allocated, and that only this
/// value frees. `len` is a number of whole pages, and not 0.
pub struct SharedPages {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: The memory belongs to no thread, and can be freed in any.
unsafe impl Send for SharedPages {}

// SAFETY: Bytes are only copied one by one, or accessed atomically.
unsafe impl Sync for SharedPages {}

impl SharedPages {
    /// Allocates so many pages, of [`PAGE_SIZE`] bytes each. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `count` is 0;
    /// - `ENOMEM`.
    pub fn new(count: usize) -> Result<Self> {
        if count == 0 {
            return Err(EINVAL);
        }
        let len = count.checked_mul(PAGE_SIZE).ok_or(ENOMEM)?;
        // C would complain in the log, at length.
        if len as u64 > memory::total() {
            return Err(ENOMEM);
        }
        // SAFETY: This may sleep.
        let at = unsafe { bindings::lkm_vmalloc_user(len) };
        let at = NonNull::new(at.cast::<u8>()).ok_or(ENOMEM)?;
        // INVARIANT: It was just allocated, and nobody else has it.
        Ok(Self { at, len })
    }

    /// How many bytes there are. Can be called in any context.
    pub fn size(&self) -> usize {
        self.len
    }

    /// Fills `bytes` with those from `offset` on. A process can write meanwhile: then some
    /// are what was there before, and some what it has written. Can be called in any context.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there are not so many bytes.
    pub fn read_slice(&self, offset: usize, bytes: &mut [u8]) -> Result {
        let from = self.find(offset, bytes.len())?;
        for (n, byte) in bytes.iter_mut().enumerate() {
            // SAFETY: There are so many bytes, and any byte will do.
            *byte = unsafe { from.add(n).read_volatile() };
        }
        Ok(())
    }

    /// Writes all of `bytes`, from `offset` on. A process that reads meanwhile can get some of
    /// them and not the others. Can be called in any context.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there is not so much room. Nothing was written.
    pub fn write_slice(&self, offset: usize, bytes: &[u8]) -> Result {
        let to = self.find(offset, bytes.len())?;
        for (n, byte) in bytes.iter().enumerate() {
            // SAFETY: There is so much room. Nobody has a reference to what is there.
            unsafe { to.add(n).write_volatile(*byte) };
        }
        Ok(())
    }

    /// Makes `len` bytes from `offset` on zero. Can be called in any context.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there are not so many bytes.
    pub fn clear(&self, offset: usize, len: usize) -> Result {
        let at = self.find(offset, len)?;
        // SAFETY: There are so many bytes, which nobody has a reference to.
        unsafe { bindings::lkm_clear(at.cast(), len) };
        Ok(())
    }

    /// The four bytes at `offset` as a number that changes as a whole, in the order of bytes
    /// that the CPU has. Processes should use it in the same way. Can be called in any
    /// context.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there are not so many bytes, or `offset` is no multiple of 4.
    pub fn atomic_u32(&self, offset: usize) -> Result<&Atomic<u32>> {
        if offset % align_of::<Atomic<u32>>() != 0 {
            return Err(EINVAL);
        }
        let at = self.find(offset, size_of::<u32>())?;
        // SAFETY: The pages are aligned, and so is the offset. The bytes are there as long
        // as the result, and any bytes will do. What others do to them is volatile or
        // atomic, or an instruction of a process.
        Ok(unsafe { Atomic::from_ptr(at.cast()) })
    }

    /// The address of `len` bytes from `offset` on.
    pub(super) fn find(&self, offset: usize, len: usize) -> Result<*mut u8> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Ok(self.at.as_ptr().wrapping_add(offset)),
            _ => Err(EINVAL),
        }
    }

    /// The pages, for a process that may read and write them if its descriptor may. Can be
    /// called in any context.
    pub fn writable(&self) -> Mappable<'_> {
        Mappable {
            pages: self,
            writable: true,
        }
    }

    /// The pages, for a process that may only read them: `mmap(2)` fails with `EACCES` if
    /// it wants to write. Can be called in any context.
    pub fn read_only(&self) -> Mappable<'_> {
        Mappable {
            pages: self,
            writable: false,
        }
    }
}

impl Drop for SharedPages {
    /// May sleep.
    fn drop(&mut self) {
        // SAFETY: By the type invariants. Mappings have their own references to the pages.
        unsafe { bindings::lkm_vfree(self.at.as_ptr().cast()) };
    }
}

/// What a process may map: the result of [`Operations::mmap`].
pub struct Mappable<'a> {
    pages: &'a SharedPages,
    writable: bool,
}

impl Mappable<'_> {
    /// Maps the part that `area` asks for.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the mapping is private, or longer than what there is from its offset on;
    /// - `EACCES`: it is to be written to, and may not;
    /// - `ENOMEM`.
    fn map(&self, area: &VmaNew) -> Result {
        // C says what the flags are: the `kernel` crate's `MAYSHARE` is another one in 7.2.6.
        // SAFETY: The area is being set up.
        if !unsafe { bindings::lkm_vma_is_shared(area.as_ptr()) } {
            return Err(EINVAL);
        }
        if !self.writable {
            area.try_clear_maywrite().map_err(|_| EACCES)?;
        }
        // SAFETY: The area is being set up. C checks that the pages are enough for it, takes a
        // reference to each, and has the area not grow.
        // Unload rule, owner held: the area keeps the file open, and calls nothing else.
        to_result(unsafe {
            bindings::lkm_remap_vmalloc_range(area.as_ptr(), self.pages.at.as_ptr().cast())
        })
    }
}

type MmapFn = unsafe extern "C" fn(*mut bindings::file, *mut bindings::vm_area_struct) -> c_int;

impl<T: Operations, P: Place<T>> Callbacks<T, P> {
    pub(super) const MMAP: Option<MmapFn> = if T::HAS_MMAP { Some(Self::mmap) } else { None };

    unsafe extern "C" fn mmap(
        file: *mut bindings::file,
        area: *mut bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: By this function's contract the file is open.
        let (data, file) = unsafe { Self::opened(file) };
        // SAFETY: C calls this to have the area set up.
        let area = unsafe { VmaNew::from_raw(area) };
        match data.mmap(file).and_then(|mappable| mappable.map(area)) {
            Ok(()) => 0,
            Err(error) => errno::to_user(error),
        }
    }
}
