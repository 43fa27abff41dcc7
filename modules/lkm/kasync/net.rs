// SPDX-License-Identifier: GPL-2.0-only

//! TCP for tasks.
//!
//! C headers: [`include/linux/net.h`](srctree/include/linux/net.h),
//! [`include/net/sock.h`](srctree/include/net/sock.h)
//!
//! The types are those of [`lkm::net`](crate::net), but a task that waits has no
//! thread. The `kernel` crate has no sockets.
//!
//! A socket has a wait queue. Its callbacks (`sk_data_ready`, `sk_write_space`,
//! `sk_state_change`, `sk_error_report`) wake that queue. A future that waits
//! has an entry in the queue; the function of the entry wakes the task. The
//! callbacks themselves are not replaced: connections inherit the callbacks of
//! their listener, so any number of sockets would have a pointer into the
//! module.

use super::sleep;
use crate::{
    bindings,
    net::{
        stream_methods,
        Socket, //
    },
};
use core::{
    cell::{
        Cell,
        UnsafeCell, //
    },
    future::Future,
    marker::PhantomPinned,
    net::SocketAddr,
    pin::Pin,
    task::{
        Context,
        Poll,
        Waker, //
    },
    time::Duration,
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};

/// How many operations a socket allows without a wait before other tasks get
/// their turn.
const TURNS: u32 = 32;

/// How long to wait before an operation is tried again that should have succeeded
/// and did not: there was no memory, or another task was faster.
const SOON: Duration = Duration::from_millis(10);

/// A socket, and the number of operations since the last wait.
struct Async {
    socket: Socket,
    turns: Atomic<u32>,
}

impl Async {
    fn new(socket: Socket) -> Self {
        Self {
            socket,
            turns: Atomic::new(0),
        }
    }

    /// Calls `what` until it does not fail with `EAGAIN`. Before each call it
    /// waits for one of the `events` of `poll(2)`.
    async fn when<R>(&self, events: u32, mut what: impl FnMut() -> Result<R>) -> Result<R> {
        loop {
            match self.attempt(events, &mut what).await {
                Err(error) if error == EAGAIN => sleep(SOON).await,
                result => return result,
            }
        }
    }

    fn attempt<F>(&self, events: u32, what: F) -> Attempt<'_, F> {
        Attempt {
            socket: self,
            what,
            entry: Entry {
                inner: Opaque::uninit(),
                queue: Cell::new(core::ptr::null_mut()),
                // Errors end every wait.
                events: events | bindings::POLLERR | bindings::POLLHUP,
                waker: UnsafeCell::new(None),
                _pin: PhantomPinned,
            },
        }
    }
}

const READABLE: u32 = bindings::POLLIN | bindings::POLLRDNORM | bindings::POLLRDHUP;
const WRITABLE: u32 = bindings::POLLOUT | bindings::POLLWRNORM;

/// One attempt of [`Async::when`]. Fails with `EAGAIN` also if the socket says
/// that it is ready, but the operation fails with `EAGAIN` again and again.
struct Attempt<'a, F> {
    socket: &'a Async,
    what: F,
    entry: Entry,
}

impl<R, F: FnMut() -> Result<R>> Future for Attempt<'_, F> {
    type Output = Result<R>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<R>> {
        // SAFETY: Only `entry` has to stay where it is, and nothing moves it.
        let Self {
            socket,
            what,
            entry,
        } = unsafe { self.get_unchecked_mut() };
        // SAFETY: The entry is pinned with `self`.
        let entry = unsafe { Pin::new_unchecked(&*entry) };
        let turns = socket.turns.load(Relaxed);
        if turns >= TURNS {
            socket.turns.store(0, Relaxed);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Look once more after the entry was added: an event before that is seen,
        // and an event after that wakes the task.
        for _ in 0..3 {
            let socket_ptr = socket.socket.as_ptr();
            // SAFETY: By the invariants of `Socket`.
            let ready = unsafe { bindings::lkm_sock_poll(socket_ptr) } & entry.events != 0;
            if ready {
                match what() {
                    Err(error) if error == EAGAIN => {}
                    result => {
                        socket.turns.store(turns + 1, Relaxed);
                        return Poll::Ready(result);
                    }
                }
            }
            let waited = entry.wait(&socket.socket, context.waker());
            if waited && !ready {
                socket.turns.store(0, Relaxed);
                return Poll::Pending;
            }
        }
        Poll::Ready(Err(EAGAIN))
    }
}

/// An entry in the wait queue of a socket.
///
/// # Invariants
///
/// While `queue` is not null, this is pinned, `inner` is in that queue, with the
/// function `Self::woken`, and `waker` and `events` do not change.
struct Entry {
    inner: Opaque<bindings::wait_queue_entry>,
    queue: Cell<*mut bindings::wait_queue_head>,
    events: u32,
    waker: UnsafeCell<Option<Waker>>,
    _pin: PhantomPinned,
}

assert_pinned!(Entry);

// SAFETY: Any thread may add an entry to a queue and remove it.
unsafe impl Send for Entry {}

impl Entry {
    /// Adds the entry to the queue of `socket`, for `waker`. Returns whether it
    /// was there already.
    ///
    /// `socket` is the same each time, and outlives the entry.
    fn wait(self: Pin<&Self>, socket: &Socket, waker: &Waker) -> bool {
        if !self.queue.get().is_null() {
            // SAFETY: By the type invariants the waker does not change now.
            let old = unsafe { &*self.waker.get() };
            if old.as_ref().is_some_and(|old| old.will_wake(waker)) {
                return true;
            }
            self.remove();
        }
        // SAFETY: The entry is in no queue, so only this function uses it. The
        // queue exists as long as the socket.
        // Unload rule, unregister waits: `drop` removes the entry.
        unsafe {
            *self.waker.get() = Some(waker.clone());
            self.inner.get().write(bindings::wait_queue_entry {
                func: Some(Self::woken),
                ..Default::default()
            });
            let queue = &raw mut (*socket.as_ptr()).wq.wait;
            bindings::add_wait_queue(queue, self.inner.get());
            // INVARIANT: The entry was just added, and `self` is pinned.
            self.queue.set(queue);
        }
        false
    }

    /// Removes the entry from its queue, if it is in one.
    fn remove(&self) {
        let queue = self.queue.replace(core::ptr::null_mut());
        if !queue.is_null() {
            // SAFETY: By the type invariants. This takes the queue's lock. The
            // function is called with that lock held, so it does not run after
            // this.
            unsafe { bindings::remove_wait_queue(queue, self.inner.get()) };
        }
    }

    /// Called with the lock of the queue held, in any context that may take it.
    ///
    /// # Safety
    ///
    /// `inner` is the field of a `Self` that is in a queue.
    unsafe extern "C" fn woken(
        inner: *mut bindings::wait_queue_entry,
        _mode: c_uint,
        _flags: c_int,
        key: *mut c_void,
    ) -> c_int {
        // SAFETY: By this function's contract.
        let this = unsafe { &*kernel::container_of!(Opaque::cast_from(inner), Self, inner) };
        let events = key.addr() as u32;
        // 0 stands for all events.
        if events == 0 || events & this.events != 0 {
            // SAFETY: By the type invariants the waker does not change now.
            if let Some(waker) = unsafe { &*this.waker.get() } {
                waker.wake_by_ref();
            }
        }
        0
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A socket that listens for connections.
///
/// # Unloading
///
/// *Unregister waits*: a future that waits for a connection borrows the listener.
/// When it is dropped, it removes its entry from the socket's queue, with that
/// queue's lock. The socket has no other pointer into the module. Dropping the
/// listener may sleep.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::kasync::{
///     net::{TcpListener, TcpStream},
///     Spawner,
/// };
///
/// async fn greet(stream: TcpStream) -> Result {
///     stream.write_all(b"hello\n").await
/// }
///
/// async fn serve(listener: TcpListener, spawner: Spawner) -> Result {
///     loop {
///         let stream = listener.accept().await?;
///         spawner.spawn(greet(stream))?;
///     }
/// }
/// ```
pub struct TcpListener(Async);

impl TcpListener {
    /// Listens at `addr`, as
    /// [`net::TcpListener::bind`](crate::net::TcpListener::bind) does. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`net::TcpListener::bind`](crate::net::TcpListener::bind).
    pub fn bind(addr: SocketAddr, backlog: u32) -> Result<Self> {
        Ok(Self(Async::new(Socket::listen(addr, backlog)?)))
    }

    /// Waits for a connection and accepts it. To be awaited in process context.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: no memory; the connection still waits to be accepted.
    pub async fn accept(&self) -> Result<TcpStream> {
        let accept = || self.0.socket.accept(bindings::O_NONBLOCK);
        let socket = self.0.when(READABLE, accept).await?;
        Ok(TcpStream(Async::new(socket)))
    }

    /// The address at which the socket listens. May sleep.
    ///
    /// # Errors
    ///
    /// None today: TCP always knows the local address.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.0.socket.local_addr()
    }
}

/// A connection.
///
/// Several tasks may share it, for instance one that reads and one that writes.
///
/// Dropping it ends the connection, as dropping a
/// [`net::TcpStream`](crate::net::TcpStream) does. That may sleep.
///
/// # Unloading
///
/// *Unregister waits*, as for a [`TcpListener`].
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::kasync::net::TcpStream;
///
/// async fn echo(stream: TcpStream) -> Result {
///     let mut buffer = [0; 128];
///     loop {
///         let n = stream.read(&mut buffer).await?;
///         if n == 0 {
///             return Ok(());
///         }
///         stream.write_all(&buffer[..n]).await?;
///     }
/// }
/// ```
pub struct TcpStream(Async);

impl TcpStream {
    /// Waits until there is data, and reads at least one byte of it into
    /// `buffer`. Returns the number of bytes. 0 means the end: the other side
    /// writes no more, or `buffer` is empty. To be awaited in process context.
    ///
    /// If the future is dropped before it is ready, nothing was read.
    ///
    /// # Errors
    ///
    /// - `ECONNRESET`: the other side has reset the connection;
    /// - `ETIMEDOUT`: the other side does not answer any more;
    /// - other errors of the network.
    pub async fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        let receive = || self.0.socket.receive(buffer, bindings::MSG_DONTWAIT);
        self.0.when(READABLE, receive).await
    }

    /// Waits until there is space in the send buffer, and writes as much of
    /// `data` as fits. Returns the number of bytes. To be awaited in process
    /// context.
    ///
    /// If the future is dropped before it is ready, nothing was written.
    ///
    /// # Errors
    ///
    /// - `EPIPE`: the connection is over, or writing is
    ///   [shut down](Self::shutdown);
    /// - those of [`read`](Self::read).
    pub async fn write(&self, data: &[u8]) -> Result<usize> {
        let send = || self.0.socket.send(data, bindings::MSG_DONTWAIT);
        self.0.when(WRITABLE, send).await
    }

    /// Writes all of `data`. After an error, or if the future is dropped before
    /// it is ready, a part of `data` may have been written. To be awaited in
    /// process context.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Self::write).
    pub async fn write_all(&self, mut data: &[u8]) -> Result {
        while !data.is_empty() {
            let written = self.write(data).await?;
            data = &data[written..];
        }
        Ok(())
    }

    stream_methods!(0 socket);
}
