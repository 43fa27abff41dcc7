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
    callers::in_mmap,
    errno,
    memory, //
};
use core::{
    mem::ManuallyDrop,
    ptr::{
        self,
        NonNull, //
    },
};
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
/// any part of them can be mapped, whole pages at a time. A process has them from then on, all
/// of them. [`Mappable::on_demand`] is the other way: a [`page`](Self::page) for who touches it.
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
/// Nothing is registered: C has no pointer to these. It counts who uses
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
            what: What::All(self),
            writable: true,
        }
    }

    /// The pages, for a process that may only read them: `mmap(2)` fails with `EACCES` if
    /// it wants to write. Can be called in any context.
    pub fn read_only(&self) -> Mappable<'_> {
        self.writable().read_only()
    }

    /// One of the pages, for [`Operations::fault`]. The first has `index` 0. Can be called in
    /// any context.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there is no such page;
    /// - `ENOMEM`: it is used a billion times already.
    pub fn page(&self, index: usize) -> Result<MappedPage> {
        let offset = index.checked_mul(PAGE_SIZE).ok_or(EINVAL)?;
        let at = self.find(offset, PAGE_SIZE)?;
        // SAFETY: There is a page, which these have a reference to.
        let page = unsafe { bindings::lkm_vmalloc_page(at.cast()) };
        // INVARIANT: That was a reference of its own.
        Ok(MappedPage(NonNull::new(page).ok_or(ENOMEM)?))
    }
}

impl Drop for SharedPages {
    /// May sleep.
    fn drop(&mut self) {
        // SAFETY: By the type invariants. Mappings have their own references to the pages.
        unsafe { bindings::lkm_vfree(self.at.as_ptr().cast()) };
    }
}

/// A page that a process gets: the result of [`Operations::fault`].
///
/// It stays as long as somebody has it, be that this, a process, or the [`SharedPages`] that it
/// is one of. They may go first. Dropping it can be done in any context but NMI.
///
/// # Invariants
///
/// It owns a reference to a page of some `SharedPages`.
pub struct MappedPage(NonNull<bindings::page>);

// SAFETY: A page belongs to no thread.
unsafe impl Send for MappedPage {}

// SAFETY: A shared reference does not give access to anything.
unsafe impl Sync for MappedPage {}

impl Drop for MappedPage {
    fn drop(&mut self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::lkm_put_page(self.0.as_ptr()) };
    }
}

/// What a process may map: the result of [`Operations::mmap`].
pub struct Mappable<'a> {
    what: What<'a>,
    writable: bool,
}

/// What pages there are.
enum What<'a> {
    /// The process gets these, at once.
    All(&'a SharedPages),
    /// There are so many. It gets one when it touches it.
    OnDemand(usize),
}

impl Mappable<'_> {
    /// So many pages, which are asked for one by one: [`Operations::fault`] gives a process
    /// the page that it touches. It may write to them if its descriptor may. Can be called in
    /// any context.
    ///
    /// What [`SharedPages`] say of a mapping holds here, too, but for this: a child after
    /// `fork(2)` has no pages yet, and who has thrown one away is given it again.
    ///
    /// `mmap(2)` fails with `ENODEV` if the file has no such operation.
    ///
    /// # Unloading
    ///
    /// *Owner held*: each area of memory that can ask for pages keeps the file open.
    ///
    /// # Examples
    ///
    /// A device with so many pages that nobody has them all:
    ///
    /// ```
    /// # use kernel::prelude::*;
    /// use lkm::file::{Mappable, MappedPage, Opened, Operations, SharedPages};
    ///
    /// struct Squares;
    ///
    /// #[vtable]
    /// impl Operations for Squares {
    ///     type Private = ();
    ///
    ///     fn mmap<'a>(&'a self, _file: &'a Opened<Self>) -> Result<Mappable<'a>> {
    ///         Ok(Mappable::on_demand(1 << 30).read_only())
    ///     }
    ///
    ///     fn fault(&self, _file: &Opened<Self>, index: usize) -> Result<MappedPage> {
    ///         let number = SharedPages::new(1)?;
    ///         number.write_slice(0, &(index * index).to_ne_bytes())?;
    ///         number.page(0)
    ///     }
    /// }
    /// ```
    pub fn on_demand(count: usize) -> Self {
        Self {
            what: What::OnDemand(count),
            writable: true,
        }
    }

    /// The same, for a process that may only read: `mmap(2)` fails with `EACCES` if it wants
    /// to write. Can be called in any context.
    pub fn read_only(self) -> Self {
        Self {
            writable: false,
            ..self
        }
    }

    /// Maps the part that `area` asks for. `fault` is called for pages on demand.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the mapping is private, or longer than what there is from its offset on;
    /// - `EACCES`: it is to be written to, and may not;
    /// - `ENODEV`: there is no function to ask for pages;
    /// - `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `fault` may be called for the file of the area, as long as that is open. The file has a
    /// reference to the module.
    unsafe fn map(&self, area: &VmaNew, fault: Option<FaultFn>) -> Result {
        // C says what the flags are: the `kernel` crate's `MAYSHARE` is another one in 7.2.6.
        // SAFETY: The area is being set up.
        if !unsafe { bindings::lkm_vma_is_shared(area.as_ptr()) } {
            return Err(EINVAL);
        }
        if !self.writable {
            area.try_clear_maywrite().map_err(|_| EACCES)?;
        }
        to_result(match self.what {
            // SAFETY: The area is being set up. C checks that the pages are enough for it, takes
            // a reference to each, and has the area not grow.
            // Unload rule, owner held: the area keeps the file open, and calls nothing else.
            What::All(pages) => unsafe {
                bindings::lkm_remap_vmalloc_range(area.as_ptr(), pages.at.as_ptr().cast())
            },
            // SAFETY: The area is being set up. C checks its part, and has it not grow.
            // Unload rule, owner held: each area that can call the function keeps the file
            // open, also those that are copied from it or cut out of it.
            What::OnDemand(count) => unsafe {
                let fault = fault.ok_or(ENODEV)?;
                bindings::lkm_vma_on_demand(area.as_ptr(), count, Some(fault))
            },
        })
    }
}

type MmapFn = unsafe extern "C" fn(*mut bindings::file, *mut bindings::vm_area_struct) -> c_int;
type FaultFn = unsafe extern "C" fn(*mut bindings::file, c_ulong) -> *mut bindings::page;

impl<T: Operations, P: Place<T>> Callbacks<T, P> {
    pub(super) const MMAP: Option<MmapFn> = if T::HAS_MMAP { Some(Self::mmap) } else { None };
    const FAULT: Option<FaultFn> = if T::HAS_FAULT {
        Some(Self::fault)
    } else {
        None
    };

    unsafe extern "C" fn mmap(
        file: *mut bindings::file,
        area: *mut bindings::vm_area_struct,
    ) -> c_int {
        let _inside = in_mmap();
        // SAFETY: By this function's contract the file is open.
        let (data, file) = unsafe { Self::opened(file) };
        // SAFETY: C calls this to have the area set up.
        let area = unsafe { VmaNew::from_raw(area) };
        // SAFETY: The function is the one for this file. Files that can be mapped are those of
        // devices, which have the module.
        let map = |mappable: Mappable<'_>| unsafe { mappable.map(area, Self::FAULT) };
        match data.mmap(file).and_then(map) {
            Ok(()) => 0,
            Err(error) => errno::to_user(error),
        }
    }

    /// # Safety
    ///
    /// `open` opened the file, and an area that is mapped keeps it open.
    unsafe extern "C" fn fault(file: *mut bindings::file, index: c_ulong) -> *mut bindings::page {
        let _inside = in_mmap();
        // SAFETY: By this function's contract.
        let (data, file) = unsafe { Self::opened(file) };
        match data.fault(file, index) {
            // C gets the reference.
            Ok(page) => ManuallyDrop::new(page).0.as_ptr(),
            Err(_) => ptr::null_mut(),
        }
    }
}
