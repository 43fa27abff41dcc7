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
use core::cell::Cell;

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
    /// Something failed. User space is told even if it did not ask.
    pub const EPOLLERR: u32 = bindings::POLLERR;
    /// The other side is gone. User space is told even if it did not ask.
    pub const EPOLLHUP: u32 = bindings::POLLHUP;
}

/// The list of the queues that a `poll(2)`, `select(2)` or `epoll(7)` waits in.
///
/// C header: [`include/linux/poll.h`](srctree/include/linux/poll.h)
///
/// # Invariants
///
/// `file` and `table` belong to the same call. While this exists `file` is valid,
/// and `table` is valid or null.
pub struct PollTable {
    file: *mut bindings::file,
    table: *mut bindings::poll_table,
    /// Events that are added to those that the file's own operation returns.
    events: Cell<u32>,
}

impl PollTable {
    /// Lets `queue` wake the process that polls, until the process stops waiting.
    /// If the queue is [closed](WaitQueue::close), the process does not wait.
    ///
    /// May sleep.
    pub fn wait(&self, queue: &WaitQueue) {
        if !queue.is_closed() {
            // SAFETY: By the type invariants. The queue is pinned, and dropping
            // it waits until no process has an entry in it.
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
        };
        data.poll(file, &table) | table.events.get()
    }
}
