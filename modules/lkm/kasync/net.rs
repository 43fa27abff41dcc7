// SPDX-License-Identifier: GPL-2.0-only

//! TCP and UDP for tasks.
//!
//! C headers: [`include/linux/net.h`](srctree/include/linux/net.h),
//! [`include/net/sock.h`](srctree/include/net/sock.h)
//!
//! The types are those of [`lkm::net`](crate::net), but a task that waits has no
//! thread. The `kernel` crate has no sockets.
//!
//! A socket has a wait queue. Its callbacks (`sk_data_ready`, `sk_write_space`,
//! `sk_state_change`, `sk_error_report`) wake that queue. Each connection has an
//! entry in its queue; the function of the entry wakes the tasks that wait. The
//! callbacks themselves are not replaced: connections inherit the callbacks of
//! their listener, so any number of sockets would have a pointer into the
//! module.

use super::sleep;
use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    errno::error,
    net::{
        listener_methods,
        stream_methods,
        Socket, //
    },
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
};
use core::{
    ffi::CStr,
    future::Future,
    marker::PhantomPinned,
    mem::{
        self,
        ManuallyDrop, //
    },
    net::SocketAddr,
    pin::Pin,
    ptr,
    task::{
        Context,
        Poll,
        Waker, //
    },
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::Delta,
    types::Opaque, //
};

/// How many operations a socket allows without a wait before other tasks get
/// their turn.
const TURNS: u32 = 32;

/// How long to wait before an operation is tried again that should have succeeded
/// and did not: there was no memory, or another task was faster.
const SOON: Delta = Delta::from_millis(10);

/// A socket, and who waits for it.
///
/// # Invariants
///
/// `entry` has the function `Self::woken`. It is in the wait queue of `socket` until
/// `stop`, or in none.
#[pin_data]
struct Connection {
    #[pin]
    entry: Opaque<bindings::wait_queue_entry>,
    /// The number of operations since the last wait.
    turns: Atomic<u32>,
    #[pin]
    waiters: IrqSpinLock<Waiters>,
    // `give_back` drops it.
    socket: ManuallyDrop<Socket>,
    #[pin]
    _pin: PhantomPinned,
}

/// Who waits for events of a socket.
struct Waiters {
    entries: KVec<Waiter>,
    next_number: u64,
}

struct Waiter {
    number: u64,
    /// Those of `poll(2)`.
    events: u32,
    waker: Waker,
}

assert_pinned!(Connection);

// SAFETY: Any thread may add an entry to a queue and remove it.
unsafe impl Send for Connection {}

// SAFETY: The entry does not change, and all else is `Sync`.
unsafe impl Sync for Connection {}

// SAFETY: When `stop` has returned, the entry is in no queue. The function is called
// with the lock of the queue held, so it does not run then.
unsafe impl Stop for Connection {
    const NAME: &'static CStr = c"sockets";

    fn stop(&self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::remove_wait_queue(self.queue(), self.entry.get()) };
    }

    fn give_back(&self) {
        // SAFETY: This is called once, and nobody uses the value any more.
        drop(ManuallyDrop::into_inner(unsafe { ptr::read(&self.socket) }));
    }
}

impl Connection {
    fn new(socket: Socket) -> Result<Alive<Self>> {
        // INVARIANT: The entry is initialised here, and added to the queue below.
        let connection = try_pin_init!(Self {
            entry <- Opaque::ffi_init(|slot: *mut bindings::wait_queue_entry| {
                let entry = bindings::wait_queue_entry {
                    func: Some(Self::woken),
                    ..Default::default()
                };
                // SAFETY: `slot` can be written to. What is in no list is one itself, so
                // that it can be removed in any case.
                unsafe {
                    slot.write(entry);
                    (*slot).entry.next = &raw mut (*slot).entry;
                    (*slot).entry.prev = &raw mut (*slot).entry;
                }
            }),
            turns: Atomic::new(0),
            waiters <- new_irq_spinlock!(Waiters {
                entries: KVec::new(),
                next_number: 0,
            }, "Connection::waiters"),
            socket: ManuallyDrop::new(socket),
            _pin: PhantomPinned,
        }? Error);
        Alive::new(connection, |connection| {
            // SAFETY: The entry is in no queue. The queue exists as long as the socket.
            // Unload rule, unregister waits: `stop` removes the entry.
            unsafe { bindings::add_wait_queue(connection.queue(), connection.entry.get()) };
            Ok(())
        })
    }

    /// Calls `what` until it does not fail with `EAGAIN`. Before each call it
    /// waits for one of the `events` of `poll(2)`.
    async fn when<R>(&self, events: u32, mut what: impl FnMut() -> Result<R>) -> Result<R> {
        loop {
            let attempt = Attempt {
                connection: self,
                what: &mut what,
                // Errors end every wait.
                events: events | bindings::POLLERR | bindings::POLLHUP,
                number: None,
            };
            match attempt.await {
                Err(error) if error == EAGAIN => sleep(SOON).await,
                result => return result,
            }
        }
    }
}

const READABLE: u32 = bindings::POLLIN | bindings::POLLRDNORM | bindings::POLLRDHUP;
const WRITABLE: u32 = bindings::POLLOUT | bindings::POLLWRNORM;

/// One attempt of [`Connection::when`]. Fails with `EAGAIN` also if the socket says
/// that it is ready, but the operation fails with `EAGAIN` again and again.
struct Attempt<'a, F> {
    connection: &'a Connection,
    what: &'a mut F,
    events: u32,
    /// That of the entry in the connection's list.
    number: Option<u64>,
}

impl<R, F: FnMut() -> Result<R>> Future for Attempt<'_, F> {
    type Output = Result<R>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<R>> {
        let this = self.get_mut();
        let connection = this.connection;
        let turns = connection.turns.load(Relaxed);
        if turns >= TURNS {
            connection.turns.store(0, Relaxed);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Look once more after the entry was added: an event before that is seen,
        // and an event after that wakes the task.
        for _ in 0..3 {
            let ready = connection.events() & this.events != 0;
            if ready {
                match (this.what)() {
                    Err(error) if error == EAGAIN => {}
                    result => {
                        connection.turns.store(turns + 1, Relaxed);
                        return Poll::Ready(result);
                    }
                }
            }
            let Ok(waited) = connection.wait(&mut this.number, this.events, context.waker()) else {
                break;
            };
            if waited && !ready {
                connection.turns.store(0, Relaxed);
                return Poll::Pending;
            }
        }
        Poll::Ready(Err(EAGAIN))
    }
}

impl<F> Drop for Attempt<'_, F> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.connection.remove(number);
        }
    }
}

impl Connection {
    fn queue(&self) -> *mut bindings::wait_queue_head {
        // SAFETY: By the invariants of `Socket` it is there; this only computes an
        // address.
        unsafe { &raw mut (*self.socket.as_ptr()).wq.wait }
    }

    /// The events of `poll(2)` that there are.
    fn events(&self) -> u32 {
        // SAFETY: By the invariants of `Socket`.
        unsafe { bindings::lkm_sock_poll(self.socket.as_ptr()) }
    }

    /// Has `waker` woken at `events`, by an entry with this number or a new one.
    /// Returns whether it was there already.
    fn wait(&self, number: &mut Option<u64>, events: u32, waker: &Waker) -> Result<bool> {
        let mut new = waker.clone();
        let mut waiters = self.waiters.lock();
        if let Some(waiter) = waiters
            .entries
            .iter_mut()
            .find(|it| Some(it.number) == *number)
        {
            let same = waiter.waker.will_wake(waker);
            if !same {
                mem::swap(&mut waiter.waker, &mut new);
            }
            drop(waiters);
            return Ok(same);
        }
        let next = waiters.next_number;
        let waiter = Waiter {
            number: next,
            events,
            waker: new,
        };
        waiters.entries.push(waiter, GFP_ATOMIC)?;
        waiters.next_number += 1;
        *number = Some(next);
        Ok(false)
    }

    /// Takes the entry with this number out.
    fn remove(&self, number: u64) {
        let mut waiters = self.waiters.lock();
        let place = waiters.entries.iter().position(|it| it.number == number);
        let waiter = place.map(|place| waiters.entries.remove(place));
        drop(waiters);
        drop(waiter);
    }

    /// Called with the lock of the queue held, in any context that may take it.
    ///
    /// # Safety
    ///
    /// `entry` is the field of a `Self` that is in a queue.
    unsafe extern "C" fn woken(
        entry: *mut bindings::wait_queue_entry,
        _mode: c_uint,
        _flags: c_int,
        key: *mut c_void,
    ) -> c_int {
        // SAFETY: By this function's contract.
        let this = unsafe { &*kernel::container_of!(Opaque::cast_from(entry), Self, entry) };
        let events = key.addr() as u32;
        for waiter in this.waiters.lock().entries.iter() {
            // 0 stands for all events.
            if events == 0 || events & waiter.events != 0 {
                waiter.waker.wake_by_ref();
            }
        }
        0
    }
}

/// A socket that listens for connections.
///
/// # Unloading
///
/// *Unregister waits*: dropping the listener removes its entry from the socket's
/// queue, with that queue's lock. The socket has no other pointer into the module.
/// Dropping the listener may sleep.
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
///         let (stream, _) = listener.accept().await?;
///         spawner.spawn(greet(stream))?;
///     }
/// }
/// ```
pub struct TcpListener(Alive<Connection>);

impl TcpListener {
    /// Listens at `addr`, as
    /// [`net::TcpListener::bind`](crate::net::TcpListener::bind) does. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`net::TcpListener::bind`](crate::net::TcpListener::bind), and:
    ///
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub fn bind(addr: SocketAddr, backlog: u32) -> Result<Self> {
        Ok(Self(Connection::new(Socket::listen(addr, backlog)?)?))
    }

    /// Waits for a connection and accepts it. Returns it with the address of the other
    /// side. To be awaited in process context.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the listener was [shut down](Self::shutdown);
    /// - `ENOMEM`: no memory. The connection still waits to be accepted, or was closed;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr)> {
        let accept = || self.0.socket.accept(bindings::O_NONBLOCK);
        let (socket, addr) = self.0.when(READABLE, accept).await?;
        Ok((TcpStream(Connection::new(socket)?), addr))
    }

    listener_methods!(0 socket);
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
pub struct TcpStream(Alive<Connection>);

impl TcpStream {
    /// Connects with `addr`. Waits until the other side has answered. To be awaited in
    /// process context.
    ///
    /// # Errors
    ///
    /// Those of [`net::TcpStream::connect`](crate::net::TcpStream::connect) but
    /// `ERESTARTSYS`, and:
    ///
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub async fn connect(addr: SocketAddr) -> Result<Self> {
        let connection = Connection::new(Socket::stream(addr)?)?;
        match connection.socket.connect(addr, bindings::O_NONBLOCK) {
            Err(failed) if failed == error(bindings::EINPROGRESS) => {
                let take_error = || connection.socket.take_error();
                connection.when(WRITABLE, take_error).await?;
            }
            result => result?,
        }
        Ok(Self(connection))
    }

    /// Waits until [`read`](Self::read) has not to wait: there is data, or the end, or an
    /// error. So a task needs no buffer before there is something for it. To be awaited in
    /// process context.
    ///
    /// # Errors
    ///
    /// None today.
    pub async fn readable(&self) -> Result {
        self.0.when(READABLE, || Ok(())).await
    }

    /// As [`read`](Self::read), but what it gives stays there to be read. To be awaited in
    /// process context.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    pub async fn peek(&self, buffer: &mut [u8]) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let flags = bindings::MSG_DONTWAIT | bindings::MSG_PEEK;
        let receive = || self.0.socket.receive(buffer, flags);
        self.0.when(READABLE, receive).await
    }

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
        if buffer.is_empty() {
            return Ok(0);
        }
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
        if data.is_empty() {
            return Ok(0);
        }
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

/// A UDP socket.
///
/// # Unloading
///
/// *Unregister waits*, as for a [`TcpListener`].
pub struct UdpSocket(Alive<Connection>);

impl UdpSocket {
    /// Creates a socket with the address `addr`, as
    /// [`net::UdpSocket::bind`](crate::net::UdpSocket::bind) does. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`net::UdpSocket::bind`](crate::net::UdpSocket::bind), and:
    ///
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub fn bind(addr: SocketAddr) -> Result<Self> {
        Ok(Self(Connection::new(Socket::datagram(addr)?)?))
    }

    /// Waits for a message and reads it into `buffer`; what does not fit is lost. Returns
    /// the number of bytes, which can be 0, and who has sent it. To be awaited in process
    /// context.
    ///
    /// If the future is dropped before it is ready, no message was read.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: no memory;
    /// - other errors of the network.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
        let receive = || self.0.socket.receive_from(buffer, bindings::MSG_DONTWAIT);
        self.0.when(READABLE, receive).await
    }

    /// Sends `data` to `addr` as one message. It may get lost. To be awaited in process
    /// context.
    ///
    /// # Errors
    ///
    /// Those of [`net::UdpSocket::send_to`](crate::net::UdpSocket::send_to).
    pub async fn send_to(&self, data: &[u8], addr: SocketAddr) -> Result {
        let send = || self.0.socket.send_to(data, addr, bindings::MSG_DONTWAIT);
        self.0.when(WRITABLE, send).await.map(drop)
    }

    /// The address of this side. May sleep.
    ///
    /// # Errors
    ///
    /// None today: UDP always knows the local address.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.0.socket.local_addr()
    }
}
