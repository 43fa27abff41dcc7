// SPDX-License-Identifier: GPL-2.0-only

//! TCP for tasks.
//!
//! C headers: [`include/linux/net.h`](srctree/include/linux/net.h),
//! [`include/net/sock.h`](srctree/include/net/sock.h)
//!
//! The types are those of [`lkm::net`](crate::net), and wait without a thread.
//!
//! A socket has a queue of those who wait for it, which its callbacks
//! (`sk_data_ready`, `sk_write_space`, `sk_state_change`, `sk_error_report`) wake.
//! A future has an entry there while it waits, with a function of its own, which
//! wakes the task. The callbacks themselves are left alone: connections inherit
//! those of their listener, and there would be no end to who has a pointer into
//! the module.

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

/// How often a task may go on without waiting before others get their turn.
const TURNS: u32 = 32;

/// How soon to try again what should have been possible, and was not: there was
/// no memory, or another task was quicker.
const SOON: Duration = Duration::from_millis(10);

/// A socket, and what its tasks have done with it without waiting.
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

    /// Does `what` as soon as it does not fail with `EAGAIN`. Before, it waits
    /// for one of `events` of `poll(2)`.
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
                // Whoever waits is told of errors, too.
                events: events | bindings::POLLERR | bindings::POLLHUP,
                waker: UnsafeCell::new(None),
                _pin: PhantomPinned,
            },
        }
    }
}

const READABLE: u32 = bindings::POLLIN | bindings::POLLRDNORM | bindings::POLLRDHUP;
const WRITABLE: u32 = bindings::POLLOUT | bindings::POLLWRNORM;

/// What [`Async::when`] does. It also fails with `EAGAIN` when nobody knows what
/// to wait for.
struct Attempt<'a, F> {
    socket: &'a Async,
    what: F,
    entry: Entry,
}

impl<R, F: FnMut() -> Result<R>> Future for Attempt<'_, F> {
    type Output = Result<R>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<R>> {
        // SAFETY: Only `entry` has to stay where it is, and nothing is moved out
        // of it.
        let Self {
            socket,
            what,
            entry,
        } = unsafe { self.get_unchecked_mut() };
        // SAFETY: It is pinned with `self`.
        let entry = unsafe { Pin::new_unchecked(&*entry) };
        let turns = socket.turns.load(Relaxed);
        if turns >= TURNS {
            socket.turns.store(0, Relaxed);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Once more after the entry is there: what happens from then on wakes the
        // task, and what has happened before is seen.
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

/// A place in the queue of a socket.
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

// SAFETY: An entry may be put into a queue and taken out in any thread.
unsafe impl Send for Entry {}

impl Entry {
    /// Puts the entry into the queue of `socket`, for `waker`. Returns whether it
    /// was there already.
    ///
    /// `socket` is the same each time, and outlives the entry.
    fn wait(self: Pin<&Self>, socket: &Socket, waker: &Waker) -> bool {
        if !self.queue.get().is_null() {
            // SAFETY: By the type invariants nobody changes it.
            let old = unsafe { &*self.waker.get() };
            if old.as_ref().is_some_and(|old| old.will_wake(waker)) {
                return true;
            }
            self.remove();
        }
        // SAFETY: The entry is in no queue, so it is nobody else's. The queue is
        // there as long as the socket. Unregister waits: `drop` takes the entry
        // out again.
        unsafe {
            *self.waker.get() = Some(waker.clone());
            self.inner.get().write(bindings::wait_queue_entry {
                func: Some(Self::woken),
                ..Default::default()
            });
            let queue = &raw mut (*socket.as_ptr()).wq.wait;
            bindings::add_wait_queue(queue, self.inner.get());
            // INVARIANT: It was just put there.
            self.queue.set(queue);
        }
        false
    }

    /// Takes the entry out of its queue, if it is in one.
    fn remove(&self) {
        let queue = self.queue.replace(core::ptr::null_mut());
        if !queue.is_null() {
            // SAFETY: By the type invariants. This takes the queue's lock, with
            // which the function is called: it does not run afterwards.
            unsafe { bindings::remove_wait_queue(queue, self.inner.get()) };
        }
    }

    /// Called with the lock of the queue, in any context.
    ///
    /// # Safety
    ///
    /// `inner` is that of a `Self` that is in a queue.
    unsafe extern "C" fn woken(
        inner: *mut bindings::wait_queue_entry,
        _mode: c_uint,
        _flags: c_int,
        key: *mut c_void,
    ) -> c_int {
        // SAFETY: By the function's requirements.
        let this = unsafe { &*kernel::container_of!(Opaque::cast_from(inner), Self, inner) };
        let events = key.addr() as u32;
        // No events are all.
        if events == 0 || events & this.events != 0 {
            // SAFETY: By the type invariants nobody changes it.
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
/// *Unregister waits*: a future that waits for a connection borrows the listener,
/// and takes its entry out of the socket's queue when it is dropped, with that
/// queue's lock. Nothing else of the socket's has a pointer into the module.
///
/// # Examples
///
/// ```ignore
/// async fn serve(listener: TcpListener, executor: Spawner) -> Result {
///     loop {
///         let stream = listener.accept().await?;
///         executor.spawn(talk(stream))?;
///     }
/// }
/// ```
pub struct TcpListener(Async);

impl TcpListener {
    /// As [`net::TcpListener::bind`](crate::net::TcpListener::bind).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn bind(addr: SocketAddr, backlog: u32) -> Result<Self> {
        Ok(Self(Async::new(Socket::listen(addr, backlog)?)))
    }

    /// Waits for a connection, and accepts it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: the connection still waits to be accepted.
    pub async fn accept(&self) -> Result<TcpStream> {
        let accept = || self.0.socket.accept(bindings::O_NONBLOCK);
        let socket = self.0.when(READABLE, accept).await?;
        Ok(TcpStream(Async::new(socket)))
    }

    /// The address at which it listens. May sleep.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.0.socket.local_addr()
    }
}

/// A connection.
///
/// Several tasks may have it, for instance one that reads and one that writes.
///
/// Dropping it ends the connection, as dropping a
/// [`net::TcpStream`](crate::net::TcpStream).
///
/// # Unloading
///
/// As for a [`TcpListener`].
///
/// # Examples
///
/// ```ignore
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
    /// Waits for something to be received, and reads at least one byte of it. 0
    /// is the end: the other side writes no more.
    ///
    /// When it is dropped before it is ready, nothing was read.
    ///
    /// # Errors
    ///
    /// - `ECONNRESET`: the other side is gone;
    /// - `ETIMEDOUT` and others.
    pub async fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        let receive = || self.0.socket.receive(buffer, bindings::MSG_DONTWAIT);
        self.0.when(READABLE, receive).await
    }

    /// Writes as much of `data` as there is room for, which this waits for.
    /// Returns how many bytes that were.
    ///
    /// When it is dropped before it is ready, nothing was written.
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

    /// Writes all of `data`. After an error, or when it is dropped before it is
    /// ready, nobody knows how much of it was written.
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
