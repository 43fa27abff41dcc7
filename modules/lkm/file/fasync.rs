// SPDX-License-Identifier: GPL-2.0-only

//! Signals for those who want to be told that a file is ready: `O_ASYNC`.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/uapi/asm-generic/siginfo.h`](srctree/include/uapi/asm-generic/siginfo.h)
//!
//! The `kernel` crate has nothing like it.

use super::{
    callbacks::Callbacks,
    Operations,
    Place, //
};
use crate::bindings;
use core::ptr;
use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Full, //
    },
    types::Opaque, //
};

/// What a signal of a [`FasyncQueue`] says of the file. It is in `si_band` if the process
/// has chosen a signal by `fcntl(2)` with `F_SETSIG`, as the [`events`](super::events) of
/// `poll(2)`, and in `si_code`.
///
/// C header: [`include/uapi/asm-generic/siginfo.h`](srctree/include/uapi/asm-generic/siginfo.h)
// C stops with a BUG for any other number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Band {
    /// `POLL_IN`: there is something to read.
    In = bindings::POLL_IN,
    /// `POLL_OUT`: a write does not wait.
    Out = bindings::POLL_OUT,
    /// `POLL_MSG`: there is a message to read.
    Msg = bindings::POLL_MSG,
    /// `POLL_ERR`: something failed.
    Err = bindings::POLL_ERR,
    /// `POLL_PRI`: there is something urgent to read.
    Pri = bindings::POLL_PRI,
    /// `POLL_HUP`: the other side is gone.
    Hup = bindings::POLL_HUP,
}

/// The open files whose processes want a signal when something happens. In C it is a
/// list of `struct fasync_struct`.
///
/// It is a part of what the files have for as long as they are open: of the device's data,
/// of [`Private`](Operations::Private), or a static. [`Operations::fasync`] returns it,
/// and whoever makes a file ready calls [`kill_fasync`](Self::kill_fasync).
///
/// A process asks for signals in two steps. By `fcntl(2)` with `F_SETOWN` it says who gets
/// them, which can be itself, another process or a group; without that nobody does. With
/// `F_SETFL` and the flag `O_ASYNC`, or by `ioctl(2)` with `FIOASYNC`, it turns them on. The
/// signal is `SIGIO`, or the one that it chooses with `F_SETSIG`. It is sent as long as the
/// file is open somewhere: a descriptor that was made by `dup(2)`, or that a child has
/// inherited, is the same file.
///
/// # Unloading
///
/// The queue has nothing that C calls, and C keeps no pointer to it. What is in it are open
/// files, and each of them keeps the module: *owner held*. C takes a file out of the
/// queue before it is released. The queue cannot go before that, as an open file keeps what
/// it is a part of. So it is empty when it is dropped.
///
/// # Examples
///
/// ```
/// use kernel::prelude::*;
/// use lkm::file::{Band, FasyncQueue, Offset, Opened, Operations, Reader};
///
/// struct Bell {
///     listeners: FasyncQueue,
/// }
///
/// #[vtable]
/// impl Operations for Bell {
///     type Private = ();
///
///     fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
///         self.listeners.kill_fasync(Band::In);
///         Ok(src.len())
///     }
///
///     fn fasync<'a>(&'a self, _file: &'a Opened<Self>) -> &'a FasyncQueue {
///         &self.listeners
///     }
/// }
/// ```
///
/// A queue of the operation's own does not compile:
///
/// ```compile_fail,E0515
/// # use kernel::prelude::*;
/// # use lkm::file::{FasyncQueue, Opened, Operations};
/// struct Own;
///
/// #[vtable]
/// impl Operations for Own {
///     type Private = ();
///
///     fn fasync<'a>(&'a self, _file: &'a Opened<Self>) -> &'a FasyncQueue {
///         &FasyncQueue::new()
///     }
/// }
/// ```
///
/// Nor does one that may go while the file is open:
///
/// ```compile_fail,E0515
/// # use kernel::{prelude::*, sync::{Arc, Mutex}};
/// # use lkm::file::{FasyncQueue, Opened, Operations};
/// struct Changing {
///     queue: Pin<KBox<Mutex<Arc<FasyncQueue>>>>,
/// }
///
/// #[vtable]
/// impl Operations for Changing {
///     type Private = ();
///
///     fn fasync<'a>(&'a self, _file: &'a Opened<Self>) -> &'a FasyncQueue {
///         let queue = self.queue.lock().clone();
///         &queue
///     }
/// }
/// ```
pub struct FasyncQueue(Opaque<*mut bindings::fasync_struct>);

// SAFETY: The list belongs to no thread.
unsafe impl Send for FasyncQueue {}

// SAFETY: C changes the list under a lock, and reads it under RCU.
unsafe impl Sync for FasyncQueue {}

impl FasyncQueue {
    /// Creates an empty queue. Can be called in any context.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(Opaque::new(ptr::null_mut()))
    }

    /// Sends a signal to the owner of each file in the queue. This is C's `kill_fasync()`
    /// with `SIGIO`.
    ///
    /// Can be called in the contexts in which an
    /// [`IrqSpinLock`](crate::sync::IrqSpinLock) can be taken.
    pub fn kill_fasync(&self, band: Band) {
        // SAFETY: It is a list that C has made. All of the bands are C's.
        unsafe { bindings::kill_fasync(self.0.get(), bindings::SIGIO as c_int, band as c_int) };
    }
}

/// The queue that an open file goes into, from the first time on. An operation could
/// answer with another one each time, and C would look for the file in the wrong one.
pub(super) struct Chosen(Atomic<usize>);

impl Chosen {
    pub(super) const fn none() -> Self {
        Self(Atomic::new(0))
    }

    /// The queue, or null.
    fn queue(&self) -> *const FasyncQueue {
        self.0.load(Acquire) as *const FasyncQueue
    }

    /// Chooses `queue`, unless another thread was first.
    fn choose(&self, queue: &FasyncQueue) {
        let _ = self.0.cmpxchg(0, ptr::from_ref(queue) as usize, Full);
    }
}

type FasyncFn = unsafe extern "C" fn(c_int, *mut bindings::file, c_int) -> c_int;

impl<T: Operations, P: Place<T>> Callbacks<T, P> {
    pub(super) const FASYNC: Option<FasyncFn> = if T::HAS_FASYNC {
        Some(Self::fasync)
    } else {
        None
    };

    unsafe extern "C" fn fasync(fd: c_int, raw: *mut bindings::file, on: c_int) -> c_int {
        // SAFETY: By this function's contract the file was opened. C also calls this before
        // it releases the file.
        let (data, file) = unsafe { Self::opened(raw) };
        // SAFETY: As above.
        let chosen = unsafe { Self::chosen(raw) };
        if on != 0 && chosen.queue().is_null() {
            chosen.choose(data.fasync(file));
        }
        let queue = chosen.queue();
        if queue.is_null() {
            // It was never in any.
            return 0;
        }
        // SAFETY: The file is there. The queue is there as long as the file, for this is
        // what the operation's type says: its result lives as long as the data and the
        // file do, however long that is. So C has taken the file out of it, by a call of
        // this function, before either of them is gone.
        // Unload rule, owner held: a file that is in the queue is open.
        unsafe { bindings::fasync_helper(fd, raw, on, (*queue).0.get()) }
    }
}
