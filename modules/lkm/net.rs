// SPDX-License-Identifier: GPL-2.0-only

//! TCP and UDP for the kernel itself: sockets that are not files of a process.
//!
//! C header: [`include/linux/net.h`](srctree/include/linux/net.h)
//!
//! Reference: <https://docs.kernel.org/networking/kapi.html>
//!
//! The `kernel` crate has no sockets: its `net` module has only drivers for PHYs.
//!
//! A wait in this module blocks the calling thread.
//! [`kasync::net`](crate::kasync::net) has the same types for tasks, which wait
//! without a thread.
//!
//! All sockets are in the initial network namespace, `init_net`.

use crate::{
    bindings,
    errno::error,
    time::jiffies, //
};
use core::{
    mem::size_of,
    net::{
        Ipv4Addr,
        Ipv6Addr,
        SocketAddr,
        SocketAddrV4,
        SocketAddrV6, //
    },
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    error::to_result,
    prelude::*,
    task::MAX_SCHEDULE_TIMEOUT,
    time::Delta, //
};

/// The direction that [`TcpStream::shutdown`] ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Reading: nothing more is received.
    Read,
    /// Writing: the other side reads what was written, and then the end.
    Write,
    /// Reading and writing.
    Both,
}

/// A TCP or UDP socket.
///
/// # Invariants
///
/// The pointer is that of such a socket of the kernel, which only this value
/// releases.
pub(crate) struct Socket(NonNull<bindings::socket>);

// SAFETY: A socket may be used and released in any thread that may sleep.
unsafe impl Send for Socket {}

// SAFETY: A socket has a lock of its own.
unsafe impl Sync for Socket {}

impl Socket {
    /// Creates a socket of this kind for addresses like `addr`.
    fn new(kind: bindings::sock_type, addr: SocketAddr) -> Result<Self> {
        let family = match addr {
            SocketAddr::V4(_) => bindings::AF_INET,
            SocketAddr::V6(_) => bindings::AF_INET6,
        };
        let mut socket = ptr::null_mut();
        // SAFETY: The namespace exists as long as the kernel runs, so it does
        // not matter that the socket does not hold it yet. `socket` can be
        // written to.
        to_result(unsafe {
            bindings::sock_create_kern(
                &raw mut bindings::init_net,
                family as c_int,
                kind as c_int,
                // The default protocol of such sockets: TCP or UDP.
                0,
                &mut socket,
            )
        })?;
        // INVARIANT: The socket was just created.
        let socket = Self(NonNull::new(socket).ok_or(ENOMEM)?);
        // tcp_close() stops the timers of a socket that does not hold its
        // namespace, for namespaces that end. Such a socket never sends again
        // what was lost of its last data, and is never freed. So let this one
        // hold its namespace.
        // SAFETY: By the type invariants, and the socket does not hold its
        // namespace yet. The sockets that it accepts inherit this.
        // Unload rule, unregister waits: there is nothing to wait for. The timers
        // are TCP's own.
        unsafe { bindings::lkm_sock_hold_net(socket.as_ptr()) };
        Ok(socket)
    }

    /// Gives the socket the address `addr`.
    fn bind(&self, addr: SocketAddr) -> Result {
        let (mut addr, len) = to_c(addr);
        // SAFETY: By the type invariants. The address has the length `len`, and is
        // copied.
        to_result(unsafe {
            bindings::kernel_bind(self.as_ptr(), (&raw mut addr).cast(), len as c_int)
        })
    }

    /// Creates a socket that listens at `addr`, for [`TcpListener::bind`] here
    /// and in `kasync::net`.
    pub(crate) fn listen(addr: SocketAddr, backlog: u32) -> Result<Self> {
        let socket = Self::new(bindings::sock_type_SOCK_STREAM, addr)?;
        socket.set_option(bindings::SO_REUSEADDR, 1)?;
        socket.bind(addr)?;
        let backlog = backlog.min(c_int::MAX as u32) as c_int;
        // SAFETY: By the type invariants.
        to_result(unsafe { bindings::kernel_listen(socket.as_ptr(), backlog) })?;
        Ok(socket)
    }

    /// Creates a UDP socket with the address `addr`.
    pub(crate) fn datagram(addr: SocketAddr) -> Result<Self> {
        let socket = Self::new(bindings::sock_type_SOCK_DGRAM, addr)?;
        socket.bind(addr)?;
        Ok(socket)
    }

    /// Creates a TCP socket for a connection with `addr`.
    pub(crate) fn stream(addr: SocketAddr) -> Result<Self> {
        Self::new(bindings::sock_type_SOCK_STREAM, addr)
    }

    /// Connects the socket. With `O_NONBLOCK` in `flags` it does not wait, and fails with
    /// `EINPROGRESS`.
    pub(crate) fn connect(&self, addr: SocketAddr, flags: u32) -> Result {
        let (mut addr, len) = to_c(addr);
        // SAFETY: As in `bind`.
        to_result(unsafe {
            bindings::kernel_connect(
                self.as_ptr(),
                (&raw mut addr).cast(),
                len as c_int,
                flags as c_int,
            )
        })
    }

    /// The error that waits to be told.
    pub(crate) fn take_error(&self) -> Result {
        // SAFETY: By the type invariants.
        to_result(unsafe { bindings::lkm_sock_error(self.as_ptr()) })
    }

    pub(crate) fn as_ptr(&self) -> *mut bindings::socket {
        self.0.as_ptr()
    }

    /// Accepts a connection. With `O_NONBLOCK` in `flags` it does not wait for
    /// one.
    pub(crate) fn accept(&self, flags: u32) -> Result<(Self, SocketAddr)> {
        let mut socket = ptr::null_mut();
        // SAFETY: By the type invariants; `socket` can be written to.
        to_result(unsafe { bindings::kernel_accept(self.as_ptr(), &mut socket, flags as c_int) })?;
        // INVARIANT: The socket was just created.
        let socket = Self(NonNull::new(socket).ok_or(EAGAIN)?);
        let addr = socket.addr(bindings::lkm_sock_accepted_from)?;
        Ok((socket, addr))
    }

    /// Receives into `buffer`. With `MSG_DONTWAIT` in `flags` it does not wait.
    pub(crate) fn receive(&self, buffer: &mut [u8], flags: u32) -> Result<usize> {
        // Do not wait if there is nothing to be received.
        if buffer.is_empty() {
            return Ok(0);
        }
        self.receive_message(buffer, &mut bindings::msghdr::default(), flags)
    }

    /// As [`receive`](Self::receive), also if the buffer is empty, with who has sent it.
    pub(crate) fn receive_from(
        &self,
        buffer: &mut [u8],
        flags: u32,
    ) -> Result<(usize, SocketAddr)> {
        let mut addr = bindings::__kernel_sockaddr_storage::default();
        let mut message = bindings::msghdr {
            msg_name: (&raw mut addr).cast(),
            msg_namelen: size_of_val(&addr) as c_int,
            ..Default::default()
        };
        let received = self.receive_message(buffer, &mut message, flags)?;
        Ok((received, from_c(&addr)?))
    }

    fn receive_message(
        &self,
        buffer: &mut [u8],
        message: &mut bindings::msghdr,
        flags: u32,
    ) -> Result<usize> {
        let mut vec = vec(buffer.as_mut_ptr(), buffer.len());
        // SAFETY: By the type invariants. There is one buffer. It can be
        // written to and has the length that `vec` says. So has the name, if there is one.
        let received = unsafe {
            bindings::kernel_recvmsg(
                self.as_ptr(),
                message,
                &mut vec,
                1,
                vec.iov_len,
                flags as c_int,
            )
        };
        to_result(received.min(0)).map(|()| received as usize)
    }

    /// Sends as much of `data` as fits. With `MSG_DONTWAIT` in `flags` it does
    /// not wait.
    pub(crate) fn send(&self, data: &[u8], flags: u32) -> Result<usize> {
        self.send_message(data, bindings::msghdr::default(), flags)
    }

    /// Sends `data` to `addr`, as one message.
    pub(crate) fn send_to(&self, data: &[u8], addr: SocketAddr, flags: u32) -> Result<usize> {
        let (mut addr, len) = to_c(addr);
        let message = bindings::msghdr {
            msg_name: (&raw mut addr).cast(),
            msg_namelen: len as c_int,
            ..Default::default()
        };
        self.send_message(data, message, flags)
    }

    fn send_message(
        &self,
        data: &[u8],
        mut message: bindings::msghdr,
        flags: u32,
    ) -> Result<usize> {
        // No caller gets a signal.
        message.msg_flags = flags | bindings::MSG_NOSIGNAL;
        let mut vec = vec(data.as_ptr().cast_mut(), data.len());
        // SAFETY: By the type invariants. There is one buffer. It is only read
        // and has the length that `vec` says. So has the name, if there is one.
        let sent = unsafe {
            bindings::kernel_sendmsg(self.as_ptr(), &mut message, &mut vec, 1, vec.iov_len)
        };
        to_result(sent.min(0)).map(|()| sent as usize)
    }

    /// Lets waits of `receive` and `accept`, or of `send` and `connect`, end after
    /// `timeout`.
    fn set_timeout(&self, write: bool, timeout: Option<Delta>) -> Result {
        let jiffies = match timeout {
            Some(timeout) if timeout <= Delta::ZERO => return Err(EINVAL),
            Some(timeout) => jiffies(timeout),
            None => MAX_SCHEDULE_TIMEOUT,
        };
        // SAFETY: By the type invariants.
        unsafe { bindings::lkm_sock_set_timeout(self.as_ptr(), write, jiffies) };
        Ok(())
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> Result {
        let how = match how {
            Shutdown::Read => bindings::sock_shutdown_cmd_SHUT_RD,
            Shutdown::Write => bindings::sock_shutdown_cmd_SHUT_WR,
            Shutdown::Both => bindings::sock_shutdown_cmd_SHUT_RDWR,
        };
        // SAFETY: By the type invariants.
        to_result(unsafe { bindings::kernel_sock_shutdown(self.as_ptr(), how) })
    }

    /// Sets an option of the level `SOL_SOCKET`.
    pub(crate) fn set_option(&self, name: u32, value: c_int) -> Result {
        let level = bindings::SOL_SOCKET as c_int;
        // SAFETY: By the type invariants.
        to_result(unsafe {
            bindings::lkm_sock_setsockopt(self.as_ptr(), level, name as c_int, value)
        })
    }

    pub(crate) fn set_nodelay(&self, nodelay: bool) -> Result {
        // SAFETY: By the type invariants.
        to_result(unsafe { bindings::lkm_tcp_set_nodelay(self.as_ptr(), nodelay) })
    }

    pub(crate) fn nodelay(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { bindings::lkm_tcp_nodelay(self.as_ptr()) }
    }

    pub(crate) fn keepalive(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { bindings::lkm_sock_keepalive(self.as_ptr()) }
    }

    pub(crate) fn local_addr(&self) -> Result<SocketAddr> {
        self.addr(bindings::kernel_getsockname)
    }

    pub(crate) fn peer_addr(&self) -> Result<SocketAddr> {
        self.addr(bindings::kernel_getpeername)
    }

    fn addr(
        &self,
        get: unsafe extern "C" fn(*mut bindings::socket, *mut bindings::sockaddr) -> c_int,
    ) -> Result<SocketAddr> {
        let mut addr = bindings::__kernel_sockaddr_storage::default();
        // SAFETY: By the type invariants. Any address fits.
        let len = unsafe { get(self.as_ptr(), (&raw mut addr).cast()) };
        to_result(len.min(0))?;
        from_c(&addr)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: By the type invariants.
        // Unload rule, unregister waits: there is nothing to wait for. Only waits
        // have pointers into the module, and each of them borrows the socket.
        unsafe { bindings::sock_release(self.as_ptr()) };
    }
}

/// The one buffer of a message, cut so that an `int` can say how many bytes of it
/// were sent or received.
fn vec(base: *mut u8, len: usize) -> bindings::kvec {
    bindings::kvec {
        iov_base: base.cast(),
        iov_len: len.min(c_int::MAX as usize),
    }
}

/// C's `struct sockaddr_in`, from `include/uapi/linux/in.h`.
#[repr(C)]
struct SockaddrIn {
    family: u16,
    /// Big-endian, as is `addr`.
    port: u16,
    addr: [u8; 4],
    pad: [u8; 8],
}

/// `addr` in C's form, and its size in bytes.
fn to_c(addr: SocketAddr) -> (bindings::__kernel_sockaddr_storage, usize) {
    let mut storage = bindings::__kernel_sockaddr_storage::default();
    let into = &raw mut storage;
    let len = match addr {
        SocketAddr::V4(addr) => {
            let c = SockaddrIn {
                family: bindings::AF_INET as u16,
                port: addr.port().to_be(),
                addr: addr.ip().octets(),
                pad: [0; 8],
            };
            // SAFETY: Any address fits, and `storage` is aligned for each.
            unsafe { into.cast::<SockaddrIn>().write(c) };
            size_of::<SockaddrIn>()
        }
        SocketAddr::V6(addr) => {
            let c = bindings::sockaddr_in6 {
                sin6_family: bindings::AF_INET6 as u16,
                sin6_port: addr.port().to_be(),
                sin6_flowinfo: addr.flowinfo(),
                sin6_addr: bindings::in6_addr {
                    in6_u: bindings::in6_addr__bindgen_ty_1 {
                        u6_addr8: addr.ip().octets(),
                    },
                },
                sin6_scope_id: addr.scope_id(),
            };
            // SAFETY: As above.
            unsafe { into.cast::<bindings::sockaddr_in6>().write(c) };
            size_of::<bindings::sockaddr_in6>()
        }
    };
    (storage, len)
}

/// The address that C has written to `storage`.
fn from_c(storage: &bindings::__kernel_sockaddr_storage) -> Result<SocketAddr> {
    let from = &raw const *storage;
    // SAFETY: Each address begins with its family, and any bytes are a valid one.
    match u32::from(unsafe { from.cast::<u16>().read() }) {
        bindings::AF_INET => {
            // SAFETY: The family says that the address has this type, and any
            // bytes are a valid one.
            let c = unsafe { from.cast::<SockaddrIn>().read() };
            Ok(SocketAddrV4::new(Ipv4Addr::from(c.addr), u16::from_be(c.port)).into())
        }
        bindings::AF_INET6 => {
            // SAFETY: As above.
            let c = unsafe { from.cast::<bindings::sockaddr_in6>().read() };
            // SAFETY: Any bytes are a valid address.
            let ip = Ipv6Addr::from(unsafe { c.sin6_addr.in6_u.u6_addr8 });
            let port = u16::from_be(c.sin6_port);
            Ok(SocketAddrV6::new(ip, port, c.sin6_flowinfo, c.sin6_scope_id).into())
        }
        _ => Err(error(bindings::EAFNOSUPPORT)),
    }
}

/// The methods that a `TcpStream` here and one in `kasync::net` have in common:
/// none of them waits for the other side.
macro_rules! stream_methods {
    ($($socket:tt)+) => {
        /// Ends reading, writing or both, for all users of the stream. This ends
        /// their waits too. May sleep.
        ///
        /// # Errors
        ///
        /// - `ENOTCONN`: the connection is over.
        pub fn shutdown(&self, how: $crate::net::Shutdown) -> ::kernel::error::Result {
            self.$($socket).+.shutdown(how)
        }

        /// The address of this side. May sleep.
        ///
        /// # Errors
        ///
        /// None today: TCP always knows the local address.
        pub fn local_addr(&self) -> ::kernel::error::Result<::core::net::SocketAddr> {
            self.$($socket).+.local_addr()
        }

        /// The address of the other side. May sleep.
        ///
        /// # Errors
        ///
        /// - `ENOTCONN`: the connection is over.
        pub fn peer_addr(&self) -> ::kernel::error::Result<::core::net::SocketAddr> {
            self.$($socket).+.peer_addr()
        }

        /// Sets `TCP_NODELAY`: whether small writes are sent at once or collected
        /// first. May sleep.
        ///
        /// # Errors
        ///
        /// Only those of a security module or a BPF program that forbids it.
        pub fn set_nodelay(&self, nodelay: bool) -> ::kernel::error::Result {
            self.$($socket).+.set_nodelay(nodelay)
        }

        /// Whether `TCP_NODELAY` is set. Can be called in any context.
        pub fn nodelay(&self) -> bool {
            self.$($socket).+.nodelay()
        }

        /// Sets `SO_KEEPALIVE`: whether TCP probes an idle connection. If the
        /// other side does not answer, the connection ends with `ETIMEDOUT`.
        /// May sleep.
        ///
        /// # Errors
        ///
        /// Only those of a security module or a BPF program that forbids it.
        pub fn set_keepalive(&self, keepalive: bool) -> ::kernel::error::Result {
            let name = $crate::bindings::SO_KEEPALIVE;
            self.$($socket).+.set_option(name, keepalive.into())
        }

        /// Whether `SO_KEEPALIVE` is set. Can be called in any context.
        pub fn keepalive(&self) -> bool {
            self.$($socket).+.keepalive()
        }
    };
}
pub(crate) use stream_methods;

/// The methods that a `TcpListener` here and one in `kasync::net` have in common.
macro_rules! listener_methods {
    ($($socket:tt)+) => {
        /// Listens no more. This ends the waits of all who accept, with `EINVAL`, and
        /// closes the connections that were not accepted. May sleep.
        ///
        /// # Errors
        ///
        /// - `ENOTCONN`: it does not listen any more.
        pub fn shutdown(&self) -> ::kernel::error::Result {
            self.$($socket).+.shutdown($crate::net::Shutdown::Both)
        }

        /// The address at which the socket listens. May sleep.
        ///
        /// # Errors
        ///
        /// None today: TCP always knows the local address.
        pub fn local_addr(&self) -> ::kernel::error::Result<::core::net::SocketAddr> {
            self.$($socket).+.local_addr()
        }
    };
}
pub(crate) use listener_methods;

/// A socket that listens for connections.
///
/// # Unloading
///
/// *Unregister waits*, but there is nothing to wait for: such a socket has no
/// pointer into the module, and a thread that waits borrows the listener. That
/// thread has to end first: [`KThread::stop`] ends its wait. Dropping the
/// listener closes the connections that were not accepted. That may sleep.
///
/// [`KThread::stop`]: crate::kthread::KThread::stop
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use core::net::Ipv4Addr;
/// use lkm::net::TcpListener;
///
/// let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080).into(), 128)?;
/// let (stream, addr) = listener.accept()?;
/// stream.write_all(b"hello\n")?;
/// pr_info!("{addr:?} was here\n");
/// # Ok::<(), Error>(())
/// ```
pub struct TcpListener(Socket);

impl TcpListener {
    /// Listens at `addr`. Up to `backlog` + 1 connections wait to be accepted.
    /// May sleep.
    ///
    /// Port 0 stands for any free port. The IP address `UNSPECIFIED` stands for
    /// all addresses of the machine. That of IPv6 includes the addresses of
    /// IPv4, unless the sysctl `net.ipv6.bindv6only` is set.
    ///
    /// The option `SO_REUSEADDR` is set: connections of an earlier listener
    /// that are still closing do not make this fail.
    ///
    /// # Errors
    ///
    /// - `EADDRINUSE`: another socket listens there;
    /// - `EADDRNOTAVAIL`: the machine does not have the address;
    /// - `EAFNOSUPPORT`: the kernel has no IPv6;
    /// - `ENOMEM`: no memory;
    /// - other errors of the network.
    pub fn bind(addr: SocketAddr, backlog: u32) -> Result<Self> {
        Socket::listen(addr, backlog).map(Self)
    }

    /// Waits for a connection and accepts it. Returns it with the address of the other
    /// side. May sleep.
    ///
    /// # Errors
    ///
    /// - `ERESTARTSYS`: a signal arrived, or the kernel thread is asked to stop;
    /// - `EINVAL`: the listener was [shut down](Self::shutdown);
    /// - `ENOMEM`: no memory; the connection still waits to be accepted.
    pub fn accept(&self) -> Result<(TcpStream, SocketAddr)> {
        let (socket, addr) = self.0.accept(0)?;
        Ok((TcpStream(socket), addr))
    }

    listener_methods!(0);
}

/// A connection.
///
/// Several threads may share it, for instance one that reads and one that writes.
///
/// Dropping it ends the connection. This does not wait for the other side: what
/// was written is still sent, and sent again if it is lost, even after the
/// module was unloaded. If received data was not read, the other side gets
/// `ECONNRESET`. Dropping may sleep.
///
/// # Unloading
///
/// *Unregister waits*, as for a [`TcpListener`].
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::net::TcpStream;
///
/// fn echo(stream: &TcpStream) -> Result {
///     let mut buffer = [0; 128];
///     loop {
///         let n = stream.read(&mut buffer)?;
///         if n == 0 {
///             return Ok(());
///         }
///         stream.write_all(&buffer[..n])?;
///     }
/// }
/// ```
pub struct TcpStream(Socket);

impl TcpStream {
    /// Connects with `addr`. Waits until the other side has answered. May sleep.
    ///
    /// # Errors
    ///
    /// - `ECONNREFUSED`: nobody listens there;
    /// - `ETIMEDOUT`: nobody answers; that takes about two minutes;
    /// - `ENETUNREACH`, `EHOSTUNREACH`: there is no way there;
    /// - `ERESTARTSYS`: a signal arrived, or the kernel thread is asked to stop;
    /// - `EAFNOSUPPORT`: the kernel has no IPv6;
    /// - `ENOMEM`: no memory;
    /// - other errors of the network.
    pub fn connect(addr: SocketAddr) -> Result<Self> {
        let socket = Socket::stream(addr)?;
        socket.connect(addr, 0)?;
        Ok(Self(socket))
    }

    /// As [`connect`](Self::connect), but waits for `timeout`, at the longest. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect), and:
    ///
    /// - `ETIMEDOUT`: `timeout` is over;
    /// - `EINTR`, in place of `ERESTARTSYS`;
    /// - `EINVAL`: `timeout` is zero or negative.
    pub fn connect_timeout(addr: SocketAddr, timeout: Delta) -> Result<Self> {
        let socket = Socket::stream(addr)?;
        socket.set_timeout(true, Some(timeout))?;
        match socket.connect(addr, 0) {
            Err(failed) if failed == error(bindings::EINPROGRESS) => return Err(ETIMEDOUT),
            result => result?,
        }
        socket.set_timeout(true, None)?;
        Ok(Self(socket))
    }

    /// Has [`read`](Self::read) and [`peek`](Self::peek) fail with `EAGAIN` when there is
    /// no data for `timeout`; with [`None`] they wait for ever. Can be called in any
    /// context, and does not change waits that have begun. With a `timeout`, a signal or
    /// a stop gives `EINTR`, not `ERESTARTSYS`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `timeout` is zero or negative.
    pub fn set_read_timeout(&self, timeout: Option<Delta>) -> Result {
        self.0.set_timeout(false, timeout)
    }

    /// Has [`write`](Self::write) fail with `EAGAIN` when nothing fits for `timeout`; with
    /// [`None`] it waits for ever. Can be called in any context, and does not change waits
    /// that have begun. With a `timeout`, a signal or
    /// a stop gives `EINTR`, not `ERESTARTSYS`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `timeout` is zero or negative.
    pub fn set_write_timeout(&self, timeout: Option<Delta>) -> Result {
        self.0.set_timeout(true, timeout)
    }

    /// As [`read`](Self::read), but what it gives stays there to be read. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    pub fn peek(&self, buffer: &mut [u8]) -> Result<usize> {
        self.0.receive(buffer, bindings::MSG_PEEK)
    }

    /// Waits until there is data, and reads at least one byte of it into
    /// `buffer`. Returns the number of bytes. 0 means the end: the other side
    /// writes no more, or `buffer` is empty. May sleep.
    ///
    /// # Errors
    ///
    /// - `ERESTARTSYS`: a signal arrived, or the kernel thread is asked to stop;
    /// - `EAGAIN`: the time that was set for it is over;
    /// - `ECONNRESET`: the other side has reset the connection;
    /// - `ETIMEDOUT`: the other side does not answer any more;
    /// - other errors of the network.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        self.0.receive(buffer, 0)
    }

    /// Writes `data` to the send buffer, and waits until all of it fits.
    /// Returns the number of bytes, which is less if a signal or an error ended
    /// the wait after a part was written. One call writes at most [`i32::MAX`]
    /// bytes. May sleep.
    ///
    /// # Errors
    ///
    /// - `EPIPE`: the connection is over, or writing is
    ///   [shut down](Self::shutdown);
    /// - those of [`read`](Self::read).
    pub fn write(&self, data: &[u8]) -> Result<usize> {
        self.0.send(data, 0)
    }

    /// Writes all of `data`. After an error a part of it may have been written.
    /// May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Self::write).
    pub fn write_all(&self, mut data: &[u8]) -> Result {
        while !data.is_empty() {
            let written = self.write(data)?;
            data = &data[written..];
        }
        Ok(())
    }

    stream_methods!(0);
}

/// A UDP socket.
///
/// # Unloading
///
/// *Unregister waits*, as for a [`TcpListener`].
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use core::net::Ipv4Addr;
/// use lkm::net::UdpSocket;
///
/// fn echo() -> Result {
///     let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 7).into())?;
///     let mut buffer = KVec::from_elem(0, 1500, GFP_KERNEL)?;
///     loop {
///         let (n, addr) = socket.recv_from(&mut buffer)?;
///         socket.send_to(&buffer[..n], addr)?;
///     }
/// }
/// ```
pub struct UdpSocket(Socket);

impl UdpSocket {
    /// Creates a socket with the address `addr`. May sleep.
    ///
    /// Port 0 stands for any free port, and the IP address `UNSPECIFIED` for all addresses
    /// of the machine.
    ///
    /// # Errors
    ///
    /// Those of [`TcpListener::bind`].
    pub fn bind(addr: SocketAddr) -> Result<Self> {
        Socket::datagram(addr).map(Self)
    }

    /// Waits for a message and reads it into `buffer`; what does not fit is lost. Returns
    /// the number of bytes, which can be 0, and who has sent it. May sleep.
    ///
    /// # Errors
    ///
    /// - `ERESTARTSYS`: a signal arrived, or the kernel thread is asked to stop;
    /// - `EAGAIN`: the time that was set for it is over.
    pub fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
        self.0.receive_from(buffer, 0)
    }

    /// Sends `data` to `addr` as one message. It may get lost. May sleep.
    ///
    /// # Errors
    ///
    /// - `EMSGSIZE`: it is too long for a message: more than 65,507 bytes with IPv4;
    /// - `EACCES`: `addr` is a broadcast address;
    /// - `EAFNOSUPPORT`: `addr` is IPv6, and the socket is not;
    /// - `ENETUNREACH`, `EHOSTUNREACH`: there is no way there;
    /// - `ENOMEM`: no memory;
    /// - other errors of the network.
    pub fn send_to(&self, data: &[u8], addr: SocketAddr) -> Result {
        self.0.send_to(data, addr, 0).map(drop)
    }

    /// Has [`recv_from`](Self::recv_from) fail with `EAGAIN` when there is no message for
    /// `timeout`; with [`None`] it waits for ever. Can be called in any context. With
    /// a `timeout`, a signal or a stop gives `EINTR`, not `ERESTARTSYS`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `timeout` is zero or negative.
    pub fn set_read_timeout(&self, timeout: Option<Delta>) -> Result {
        self.0.set_timeout(false, timeout)
    }

    /// The address of this side. May sleep.
    ///
    /// # Errors
    ///
    /// None today: UDP always knows the local address.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.0.local_addr()
    }
}
