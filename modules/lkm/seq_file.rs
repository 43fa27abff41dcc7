// SPDX-License-Identifier: GPL-2.0-only

//! Files in `/proc` whose text is made item by item.
//!
//! C header: [`include/linux/seq_file.h`](srctree/include/linux/seq_file.h)
//!
//! Reference: <https://docs.kernel.org/filesystems/seq_file.html>

use crate::{
    bindings,
    procfs::Contents, //
};
use core::{
    marker::PhantomData,
    mem::MaybeUninit,
    ops::Deref, //
};
use kernel::{
    error::from_result,
    fs::file::Offset,
    prelude::*, //
};

#[doc(inline)]
pub use kernel::seq_file::{
    seq_print,
    SeqFile, //
};

/// A sequence of items, and how each of them is shown.
///
/// The kernel puts the texts of the items into a buffer, as many as there is
/// room for, and gives user space from it what it asks for. So a reader can read
/// in pieces of any size, and an item can be of any size.
///
/// It does so in passes, each within one `read(2)` or `lseek(2)`: a pass goes
/// from some item to another, and between two passes there is only the number of
/// the next item. A file is read from its beginning in several passes, and one
/// more, that finds no item. Items that come or go between two passes change the
/// numbers of others.
///
/// The methods run in process context, several at a time for different open
/// files. They may sleep, unless the cursor forbids it: it is made and dropped
/// in one pass, by one thread, and nothing between that sleeps by itself. So a
/// cursor can have the guard of a lock, even of one that spins.
///
/// # Examples
///
/// ```ignore
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
///     fn show(n: &Offset, text: &SeqFile) -> Result {
///         seq_print!(text, "{}\n", n * n);
///         Ok(())
///     }
/// }
/// ```
pub trait Sequence: Send + Sync + Sized + 'static {
    /// Where a pass is: at an item. It is dropped when the pass ends.
    type Cursor<'a>;

    /// Begins a pass at the item number `pos`, of which 0 is the first; [`None`]
    /// when there are no more than `pos` items.
    ///
    /// An error is what `read(2)` answers, or `lseek(2)`.
    fn start(&self, pos: Offset) -> Result<Option<Self::Cursor<'_>>>;

    /// Moves on to the next item; `false` when there is none, and the pass ends.
    ///
    /// A sequence must have an end: who seeks far beyond it goes there item by
    /// item.
    fn next(cursor: &mut Self::Cursor<'_>) -> bool;

    /// Writes the text of the item, which may be empty. When it did not fit into
    /// the buffer the kernel throws it away, and asks again: with more room, or
    /// in another pass.
    ///
    /// `read(2)` answers with the error returned, but only when what comes
    /// before the item was read. `lseek(2)` to behind the item fails, too.
    fn show(cursor: &Self::Cursor<'_>, text: &SeqFile) -> Result;
}

/// What a file in `/proc` is made of whose text is that of a [`Sequence`]:
/// `procfs::Entry<Seq<T>>`.
///
/// It can be read, also by `pread(2)`, and has a position, but not one that
/// counts from the end; writing it is `EIO`.
///
/// # Unloading
///
/// *Unregister waits*, as for any [`procfs::Entry`](crate::procfs::Entry): no
/// pass goes on when the entry is gone, and a file that is still open then
/// answers `EIO`. A pass must come to its end, or `rmmod` waits forever.
///
/// # Examples
///
/// ```ignore
/// let entry = procfs::Entry::new(c"squares", 0o444, Seq::new(Squares));
/// let entry = KBox::pin_init(entry, GFP_KERNEL)?;
/// ```
#[pin_data]
pub struct Seq<T> {
    #[pin]
    sequence: T,
}

impl<T: Sequence> Seq<T> {
    /// What shows `sequence`.
    pub fn new<E>(sequence: impl PinInit<T, E>) -> impl PinInit<Self, E> {
        pin_init!(Self { sequence <- sequence }? E)
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
            // What the allocator aligns all memory to.
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

/// What an open file has of its own. The kernel allocates it, all zeros, and
/// frees it.
#[repr(C)]
struct State<'a, T: Sequence> {
    /// Whether a pass is under way, and so `cursor` initialised.
    passing: bool,
    cursor: MaybeUninit<T::Cursor<'a>>,
}

/// The C side's functions for a [`Sequence`].
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
    /// `m` is the `seq_file` of an open file of a [`Seq`], and the caller has
    /// its lock for `'a`: nobody else uses the state.
    unsafe fn state<'a>(m: *mut bindings::seq_file) -> &'a mut State<'a, T> {
        // SAFETY: By this function's contract. The kernel has allocated a state
        // of that size, for which all zeros is a valid value.
        unsafe { &mut *(*m).private.cast() }
    }

    unsafe extern "C" fn start(
        m: *mut bindings::seq_file,
        pos: *mut bindings::loff_t,
    ) -> *mut c_void {
        // SAFETY: The kernel calls this for an open file, with its lock held
        // until after `stop`; the data is that of its entry.
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
            Err(error) => error.to_ptr(),
        }
    }

    unsafe extern "C" fn stop(m: *mut bindings::seq_file, _v: *mut c_void) {
        // SAFETY: As in `start`.
        let state = unsafe { Self::state(m) };
        // There is nothing to end where `start` found nothing.
        if core::mem::take(&mut state.passing) {
            // SAFETY: A pass is under way until here.
            unsafe { state.cursor.assume_init_drop() };
        }
    }

    unsafe extern "C" fn next(
        _m: *mut bindings::seq_file,
        v: *mut c_void,
        pos: *mut bindings::loff_t,
    ) -> *mut c_void {
        // SAFETY: The kernel calls this in a pass, with what `start` returned
        // and a valid position.
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
        from_result(|| {
            // SAFETY: As in `next`; this is the only thread with the `seq_file`.
            T::show(unsafe { &*v.cast() }, unsafe { SeqFile::from_raw(m) })?;
            Ok(0)
        })
    }
}
