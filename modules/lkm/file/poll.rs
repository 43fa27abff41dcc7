// SPDX-License-Identifier: GPL-2.0-only

//! `poll(2)`, `select(2)` and `epoll(7)`.
//!
//! C header: [`include/linux/poll.h`](srctree/include/linux/poll.h)
//!
//! The `kernel` crate has a `PollTable`, but no file operation that gets one. Its
//! `PollCondVar` cannot be closed.

use super::{
    callbacks::Callbacks,
    Operations,
    Place, //
};
use crate::{
    bindings,
    sync::WaitQueue, //
};
use core::{
    cell::Cell,
    marker::PhantomData, //
};

/// The events that [`Operations::poll`] can return, combined with `|`.
///
/// C header: [`include/uapi/linux/eventpoll.h`](srctree/include/uapi/linux/eventpoll.h)
pub mod events {
    use crate::bindings;

    /// There is something to read, so a read does not wait. It contains
    /// `EPOLLRDNORM`, too.
    pub const EPOLLIN: u32 = bindings::POLLIN | bindings::POLLRDNORM;
    /// A write does not wait. It contains `EPOLLWRNORM`, too.
    pub const EPOLLOUT: u32 = bindings::POLLOUT | bindings::POLLWRNORM;
    /// There is something urgent to read. To `select(2)` it is an exception.
    pub const EPOLLPRI: u32 = bindings::POLLPRI;
    /// The other side writes no more: after what is there to read comes the end.
    pub const EPOLLRDHUP: u32 = bindings::POLLRDHUP;
    /// Something failed. User space is told even if it did not ask.
    pub const EPOLLERR: u32 = bindings::POLLERR;
    /// The other side is gone. User space is told even if it did not ask.
    pub const EPOLLHUP: u32 = bindings::POLLHUP;
}

/// The list of the queues that a `poll(2)`, `select(2)` or `epoll(7)` waits in.
///
/// C header: [`include/linux/poll.h`](srctree/include/linux/poll.h)
///
/// The process that polls is in a queue longer than `poll` runs. So a queue belongs to
/// what the file has for as long as it is open, which is what `'a` stands for: it is in
/// the data, in [`Opened::private`](super::Opened::private), or in a static.
///
/// # Invariants
///
/// `file` and `table` belong to the same call. While this exists `file` is valid,
/// and `table` is valid or null.
pub struct PollTable<'a> {
    file: *mut bindings::file,
    table: *mut bindings::poll_table,
    /// Events that are added to those that the file's own operation returns.
    events: Cell<u32>,
    // A function of `&'a`, so that `'a` cannot become shorter.
    _queues: PhantomData<fn(&'a WaitQueue)>,
}

impl<'a> PollTable<'a> {
    /// Lets `queue` wake the process that polls, until the process stops waiting.
    /// If the queue is [closed](WaitQueue::close), the process does not wait.
    ///
    /// May sleep.
    ///
    /// # Examples
    ///
    /// A queue of `poll`'s own does not compile:
    ///
    /// ```compile_fail,E0597
    /// # use kernel::prelude::*;
    /// # use lkm::{file::{Opened, Operations, PollTable}, sync::new_wait_queue};
    /// struct Own;
    ///
    /// #[vtable]
    /// impl Operations for Own {
    ///     type Private = ();
    ///
    ///     fn poll<'a>(&'a self, _file: &'a Opened<Self>, table: &PollTable<'a>) -> u32 {
    ///         if let Ok(queue) = KBox::pin_init(new_wait_queue!(), GFP_KERNEL) {
    ///             table.wait(&queue);
    ///         }
    ///         0
    ///     }
    /// }
    /// ```
    ///
    /// Nor does one that may go while the file is open:
    ///
    /// ```compile_fail,E0597
    /// # use kernel::{prelude::*, sync::{Arc, Mutex}};
    /// # use lkm::{file::{Opened, Operations, PollTable}, sync::WaitQueue};
    /// struct Changing {
    ///     queue: Pin<KBox<Mutex<Arc<WaitQueue>>>>,
    /// }
    ///
    /// #[vtable]
    /// impl Operations for Changing {
    ///     type Private = ();
    ///
    ///     fn poll<'a>(&'a self, _file: &'a Opened<Self>, table: &PollTable<'a>) -> u32 {
    ///         let queue = self.queue.lock().clone();
    ///         table.wait(&queue);
    ///         0
    ///     }
    /// }
    /// ```
    ///
    /// And the table of a call does not become one for less:
    ///
    /// ```compile_fail
    /// # use lkm::{file::PollTable, sync::WaitQueue};
    /// fn wait_shortly<'a, 'short>(table: &PollTable<'a>, queue: &'short WaitQueue)
    /// where
    ///     'a: 'short,
    /// {
    ///     let table: &PollTable<'short> = table;
    ///     table.wait(queue);
    /// }
    /// ```
    pub fn wait(&self, queue: &'a WaitQueue) {
        if !queue.is_closed() {
            // SAFETY: By the type invariants. The queue is pinned, lives as long as the
            // file is open, and dropping it waits until no process has an entry in it.
            unsafe { bindings::poll_wait(self.file, queue.for_poll(), self.table) };
        }
        // If the queue is closed after this check, `close` sees the entry.
        if queue.is_closed() {
            self.events.set(WaitQueue::CLOSED);
        }
    }
}

type PollFn =
    unsafe extern "C" fn(*mut bindings::file, *mut bindings::poll_table) -> bindings::__poll_t;

impl<T: Operations, P: Place<T>> Callbacks<T, P> {
    pub(crate) const POLL: Option<PollFn> = if T::HAS_POLL { Some(Self::poll) } else { None };

    unsafe extern "C" fn poll(
        raw: *mut bindings::file,
        table: *mut bindings::poll_table,
    ) -> bindings::__poll_t {
        // SAFETY: By this function's contract the file is open.
        let (data, file) = unsafe { Self::opened(raw) };
        // INVARIANT: The kernel calls this with a file and the table of the same
        // call, which can be null. Both are valid during this call.
        let table = PollTable {
            file: raw,
            table,
            events: Cell::new(0),
            _queues: PhantomData,
        };
        data.poll(file, &table) | table.events.get()
    }
}
