// SPDX-License-Identifier: GPL-2.0-only

//! Files in `/proc` whose text is written item by item.
//!
//! C header: [`include/linux/seq_file.h`](srctree/include/linux/seq_file.h)
//!
//! Reference: <https://docs.kernel.org/filesystems/seq_file.html>
//!
//! The `kernel` crate has [`seq_print!`] and a `SeqFile`, with which such a text is
//! written. It has no `struct seq_operations`, and so no sequences. What is being printed to
//! its `SeqFile` can print to it, too: then bytes of the text are never written, and user
//! space gets what was in that memory.

use crate::{
    bindings,
    compat::{
        CStrExt,
        Offset, //
    },
    errno,
    procfs::Contents, //
};
use core::{
    fmt::Arguments,
    marker::PhantomData,
    mem::MaybeUninit,
    ops::Deref, //
};
use kernel::prelude::*;

#[doc(inline)]
pub use kernel::seq_file::seq_print;

/// The text of an item that is being shown. [`seq_print!`] appends to it.
///
/// # Invariants
///
/// The pointer is that of a `seq_file` whose `show` runs in this thread.
pub struct SeqFile(*mut bindings::seq_file);

impl SeqFile {
    /// For [`seq_print!`].
    #[doc(hidden)]
    pub fn call_printf(&mut self, text: Arguments<'_>) {
        // SAFETY: By the type invariants. `%pA` takes a pointer to what is to be printed,
        // which does not print to the same text: that is borrowed.
        unsafe {
            bindings::seq_printf(
                self.0,
                c"%pA".as_char_ptr(),
                core::ptr::from_ref(&text).cast::<c_void>(),
            )
        };
    }
}

/// A sequence of items, and how each of them is shown.
///
/// The kernel puts the texts of as many items as fit into a buffer, and copies
/// from the buffer what user space asks for. So a reader can read in pieces of
/// any size, and an item can be of any size.
///
/// This happens in passes. A pass is part of one `read(2)` or `lseek(2)`, and
/// goes from one item to a later one. Between two passes the kernel keeps only
/// the number of the next item. Reading a whole file takes one or more passes,
/// and a last one that finds no item. Items that come or go between two passes
/// change the numbers of other items.
///
/// The methods run in process context, and several can run at the same time for
/// different open files. They may sleep, unless the cursor holds something that
/// forbids it. A cursor is created and dropped in one pass, by one thread, and
/// the kernel does not sleep in between. So a cursor can hold the guard of a lock,
/// even of a spinlock.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{
///     file::Offset,
///     seq_file::{seq_print, SeqFile, Sequence},
/// };
///
/// struct Squares;
///
/// impl Sequence for Squares {
///     type Cursor<'a> = Offset;
///
///     fn start(&self, pos: Offset) -> Result<Option<Offset>> {
///         Ok(Some(pos).filter(|&n| n < 10))
///     }
///
///     fn next(n: &mut Offset) -> bool {
///         *n += 1;
///         *n < 10
///     }
///
///     fn show(n: &Offset, text: &mut SeqFile) -> Result {
///         seq_print!(text, "{}\n", n * n);
///         Ok(())
///     }
/// }
/// ```
pub trait Sequence: Send + Sync + Sized + 'static {
    /// The position of a pass: an item. It is dropped when the pass ends.
    type Cursor<'a>;

    /// Begins a pass at the item with the number `pos`, counted from 0. Returns
    /// [`None`] when there are no more than `pos` items.
    ///
    /// # Errors
    ///
    /// `read(2)` or `lseek(2)` fails with the error returned, or with `EBUSY` instead of
    /// `EAGAIN`, for which the kernel would call this for ever. For numbers from 512 on
    /// see [`Operations`](crate::file::Operations).
    fn start(&self, pos: Offset) -> Result<Option<Self::Cursor<'_>>>;

    /// Moves on to the next item. Returns `false` when there is none; then the
    /// pass ends.
    ///
    /// A sequence must have an end: a seek to a position far beyond it goes there
    /// item by item.
    fn next(cursor: &mut Self::Cursor<'_>) -> bool;

    /// Writes the text of the item, which may be empty. When the text does not fit
    /// into the buffer, the kernel throws it away and asks for it again: with a
    /// bigger buffer, or in another pass.
    ///
    /// # Errors
    ///
    /// `read(2)` fails with the error returned, as for [`start`](Self::start), but only
    /// after the text before the item was read. `lseek(2)` to a position behind the item
    /// fails, too.
    fn show(cursor: &Self::Cursor<'_>, text: &mut SeqFile) -> Result;
}

/// The contents of a file in `/proc` whose text is that of a [`Sequence`]. The
/// file is a `procfs::Entry<Seq<T>>`.
///
/// It can be read with `read(2)` and `pread(2)`. `lseek(2)` works, except with
/// `SEEK_END`. `write(2)` fails with `EIO`.
///
/// # Unloading
///
/// *Unregister waits*, as for any [`procfs::Entry`](crate::procfs::Entry): no
/// pass is under way when the entry is gone, and a file that is still open then
/// answers `EIO`. A pass must come to its end, or `rmmod` waits forever.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{file::mode, procfs, seq_file::Seq};
/// # use lkm::{file::Offset, seq_file::{SeqFile, Sequence}};
/// # struct Squares;
/// # impl Sequence for Squares {
/// #     type Cursor<'a> = Offset;
/// #     fn start(&self, pos: Offset) -> Result<Option<Offset>> {
/// #         Ok(Some(pos).filter(|&n| n < 10))
/// #     }
/// #     fn next(n: &mut Offset) -> bool {
/// #         *n += 1;
/// #         *n < 10
/// #     }
/// #     fn show(_: &Offset, _: &mut SeqFile) -> Result {
/// #         Ok(())
/// #     }
/// # }
///
/// let entry = procfs::Entry::new(c"squares", mode!(0o444), Seq::new(Squares))?;
/// # Ok::<(), Error>(())
/// ```
#[pin_data]
pub struct Seq<T> {
    #[pin]
    sequence: T,
}

impl<T: Sequence> Seq<T> {
    /// Creates an initialiser of the contents that show `sequence`.
    ///
    /// # Errors
    ///
    /// Initialising fails with the error of `sequence`.
    pub fn new<E>(sequence: impl PinInit<T, E>) -> impl PinInit<Self, E> {
        try_pin_init!(Self { sequence <- sequence }? E)
    }
}

impl<T> Deref for Seq<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.sequence
    }
}

// SAFETY: The functions of the table are those for `T`. An open file has the
// state that they expect.
unsafe impl<T: Sequence> Contents for Seq<T> {
    unsafe fn create(
        name: *const c_char,
        mode: u16,
        parent: *mut bindings::proc_dir_entry,
        data: *const Self,
    ) -> *mut bindings::proc_dir_entry {
        let size = const {
            // The allocator aligns all memory to this.
            assert!(align_of::<State<'_, T>>() <= bindings::ARCH_KMALLOC_MINALIGN);
            assert!(size_of::<State<'_, T>>() <= 4096);
            size_of::<State<'_, T>>() as c_uint
        };
        let data = data.cast_mut().cast();
        // SAFETY: By this function's contract.
        unsafe {
            bindings::proc_create_seq_private(name, mode, parent, Table::<T>::OPS, size, data)
        }
    }
}

/// The state of an open file. The kernel allocates it as all zeros, and frees it.
#[repr(C)]
struct State<'a, T: Sequence> {
    /// Whether a pass is under way, and so whether `cursor` is initialised.
    passing: bool,
    cursor: MaybeUninit<T::Cursor<'a>>,
}

/// C's functions for a [`Sequence`].
struct Table<T>(PhantomData<T>);

impl<T: Sequence> Table<T> {
    const OPS: &'static bindings::seq_operations = &bindings::seq_operations {
        start: Some(Self::start),
        stop: Some(Self::stop),
        next: Some(Self::next),
        show: Some(Self::show),
    };

    /// # Safety
    ///
    /// `m` is the `seq_file` of an open file of a [`Seq`], and the caller holds
    /// its lock for `'a`, so nothing else uses the state.
    unsafe fn state<'a>(m: *mut bindings::seq_file) -> &'a mut State<'a, T> {
        // SAFETY: By this function's contract. The kernel has allocated a state
        // of that size, and all zeros is a valid state.
        unsafe { &mut *(*m).private.cast() }
    }

    unsafe extern "C" fn start(
        m: *mut bindings::seq_file,
        pos: *mut bindings::loff_t,
    ) -> *mut c_void {
        // SAFETY: The kernel calls this for an open file, and holds its lock
        // until after `stop`. The data is that of the file's entry.
        // Unload rule, unregister waits: `proc_remove()` returns when no pass
        // is under way, and none can begin after that.
        let (state, seq) = unsafe {
            let data = bindings::lkm_pde_data((*(*m).file).f_inode);
            (Self::state(m), &*data.cast::<Seq<T>>())
        };
        // SAFETY: The position is valid.
        match seq.sequence.start(unsafe { *pos }) {
            Ok(Some(cursor)) => {
                state.passing = true;
                core::ptr::from_mut(state.cursor.write(cursor)).cast()
            }
            Ok(None) => core::ptr::null_mut(),
            Err(error) => Error::from_errno(errno::to_seq_reader(error)).to_ptr(),
        }
    }

    unsafe extern "C" fn stop(m: *mut bindings::seq_file, _v: *mut c_void) {
        // SAFETY: As in `start`.
        let state = unsafe { Self::state(m) };
        // If `start` found nothing, there is no cursor to drop.
        if core::mem::take(&mut state.passing) {
            // SAFETY: A pass was under way until here, so there is a cursor.
            unsafe { state.cursor.assume_init_drop() };
        }
    }

    unsafe extern "C" fn next(
        _m: *mut bindings::seq_file,
        v: *mut c_void,
        pos: *mut bindings::loff_t,
    ) -> *mut c_void {
        // SAFETY: The kernel calls this in a pass, with the pointer that `start`
        // returned and a valid position.
        let more = unsafe {
            *pos += 1;
            T::next(&mut *v.cast())
        };
        if more {
            v
        } else {
            core::ptr::null_mut()
        }
    }

    unsafe extern "C" fn show(m: *mut bindings::seq_file, v: *mut c_void) -> c_int {
        // INVARIANT: The kernel calls this for `m`, and only this thread uses it meanwhile.
        let mut text = SeqFile(m);
        // SAFETY: As in `next`.
        match T::show(unsafe { &*v.cast() }, &mut text) {
            Ok(()) => 0,
            Err(error) => errno::to_seq_reader(error),
        }
    }
}
