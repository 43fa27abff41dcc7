// SPDX-License-Identifier: GPL-2.0-only

//! TCP for the kernel itself: sockets that are no files of any process.
//!
//! C header: [`include/linux/net.h`](srctree/include/linux/net.h)
//!
//! Reference: <https://docs.kernel.org/networking/kapi.html>
//!
//! What takes its time here waits in the thread that called it. In
//! [`kasync::net`](crate::kasync::net) are the same types for tasks, which wait
//! without a thread.
//!
//! All sockets are in the network namespace that the kernel boots with.

use crate::bindings;
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
    },
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// What [`TcpStream::shutdown`] ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Reading: nothing more is received.
    Read,
    /// Writing: the other side reads what was written, and then the end.
    Write,
    /// Both.
    Both,
}

/// A TCP socket.
///
/// # Invariants
///
/// It is a TCP socket of the kernel's, which nobody else releases.
pub(crate) struct Socket(NonNull<bindings::socket>);

// SAFETY: A socket may be used and released in any thread that may sleep.
unsafe impl Send for Socket {}

// SAFETY: It has a lock of its own.
unsafe impl Sync for Socket {}

impl Socket {
    /// A socket that listens at `addr`, for [`TcpListener::bind`] and its fellow.
    pub(crate) fn listen(addr: SocketAddr, backlog: u32) -> Result<Self> {
        let family = match addr {
            SocketAddr::V4(_) => bindings::AF_INET,
            SocketAddr::V6(_) => bindings::AF_INET6,
        };
        let mut socket = ptr::null_mut();
        // SAFETY: The namespace is there for as long as the kernel runs, and so
        // when the socket does not hold it yet; `socket` can be written to.
        to_result(unsafe {
            bindings::sock_create_kern(
                &raw mut bindings::init_net,
                family as c_int,
                bindings::sock_type_SOCK_STREAM as c_int,
                // The protocol that such sockets have: TCP.
                0,
                &mut socket,
            )
        })?;
        // INVARIANT: It was created just now.
        let socket = Self(NonNull::new(socket).ok_or(ENOMEM)?);
        // What was lost of the last words of a socket that does not hold its
        // namespace is never sent again, and it stays for good: for the sake of
        // namespaces that end, tcp_close() stops its timers.
        // SAFETY: By the type invariants, and it does not hold it yet. What it
        // accepts holds it as it does.
        // Unload rule, unregister waits: for nothing. The timers are TCP's own.
        unsafe { bindings::lkm_sock_hold_net(socket.as_ptr()) };
        socket.set_option(bindings::SO_REUSEADDR, 1)?;
        let (mut addr, len) = to_c(addr);
        // SAFETY: By the type invariants. The address is as long as it says, and
        // is copied.
        unsafe {
            to_result(bindings::kernel_bind(
                socket.as_ptr(),
                (&raw mut addr).cast(),
                len as c_int,
            ))?;
            let backlog = backlog.min(c_int::MAX as u32) as c_int;
            to_result(bindings::kernel_listen(socket.as_ptr(), backlog))?;
        }
        Ok(socket)
    }

    pub(crate) fn as_ptr(&self) -> *mut bindings::socket {
        self.0.as_ptr()
    }

    /// Accepts a connection: with `O_NONBLOCK` in `flags` at once or not at all.
    pub(crate) fn accept(&self, flags: u32) -> Result<Self> {
        let mut socket = ptr::null_mut();
        // SAFETY: By the type invariants; `socket` can be written to.
        to_result(unsafe { bindings::kernel_accept(self.as_ptr(), &mut socket, flags as c_int) })?;
        // INVARIANT: It was created just now.
        Ok(Self(NonNull::new(socket).ok_or(EAGAIN)?))
    }

    /// Receives into `buffer`: with `MSG_DONTWAIT` in `flags` at once or not at
    /// all.
    pub(crate) fn receive(&self, buffer: &mut [u8], flags: u32) -> Result<usize> {
        // Nothing is not worth waiting for.
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut message = bindings::msghdr::default();
        let mut vec = vec(buffer.as_mut_ptr(), buffer.len());
        // SAFETY: By the type invariants. There is one buffer, which can be
        // written to and is as long as it says.
        let received = unsafe {
            bindings::kernel_recvmsg(
                self.as_ptr(),
                &mut message,
                &mut vec,
                1,
                vec.iov_len,
                flags as c_int,
            )
        };
        to_result(received.min(0)).map(|()| received as usize)
    }

    /// Sends what fits of `data`: with `MSG_DONTWAIT` in `flags` at once or not
    /// at all.
    pub(crate) fn send(&self, data: &[u8], flags: u32) -> Result<usize> {
        let mut message = bindings::msghdr {
            // No signal, whoever the caller is.
            msg_flags: flags | bindings::MSG_NOSIGNAL,
            ..Default::default()
        };
        let mut vec = vec(data.as_ptr().cast_mut(), data.len());
        // SAFETY: By the type invariants. There is one buffer, which is as long
        // as it says and is only read.
        let sent = unsafe {
            bindings::kernel_sendmsg(self.as_ptr(), &mut message, &mut vec, 1, vec.iov_len)
        };
        to_result(sent.min(0)).map(|()| sent as usize)
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

    /// Sets an option that any socket has.
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
        // SAFETY: By the type invariants; there is room for any address.
        let len = unsafe { get(self.as_ptr(), (&raw mut addr).cast()) };
        to_result(len.min(0))?;
        from_c(&addr)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: By the type invariants. For text and data of the module there
        // is nothing to wait for: the socket has no pointer to either, but for
        // those that wait for it, and they borrow it.
        unsafe { bindings::sock_release(self.as_ptr()) };
    }
}

/// The one buffer of a message. An `int` says how many bytes of it were sent or
/// received.
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
    /// Big-endian, as the address is.
    port: u16,
    addr: [u8; 4],
    pad: [u8; 8],
}

/// `addr` as C has it, and how many bytes that takes.
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
            // SAFETY: There is room for any address, aligned for each.
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
    // SAFETY: Each address begins with its family; any bytes are one.
    match u32::from(unsafe { from.cast::<u16>().read() }) {
        bindings::AF_INET => {
            // SAFETY: By its family it is of this type; any bytes are one.
            let c = unsafe { from.cast::<SockaddrIn>().read() };
            Ok(SocketAddrV4::new(Ipv4Addr::from(c.addr), u16::from_be(c.port)).into())
        }
        bindings::AF_INET6 => {
            // SAFETY: As above.
            let c = unsafe { from.cast::<bindings::sockaddr_in6>().read() };
            // SAFETY: Any bytes are an address.
            let ip = Ipv6Addr::from(unsafe { c.sin6_addr.in6_u.u6_addr8 });
            let port = u16::from_be(c.sin6_port);
            Ok(SocketAddrV6::new(ip, port, c.sin6_flowinfo, c.sin6_scope_id).into())
        }
        _ => Err(Error::from_errno(-(bindings::EAFNOSUPPORT as c_int))),
    }
}

/// What a `TcpStream` can do without waiting, here and in `kasync::net`.
macro_rules! stream_methods {
    ($($socket:tt)+) => {
        /// Ends reading, writing or both, for all who have the stream. Who
        /// waits for what is ended does not any more. May sleep.
        ///
        /// # Errors
        ///
        /// `ENOTCONN`: there is no connection any more.
        pub fn shutdown(&self, how: $crate::net::Shutdown) -> ::kernel::error::Result {
            self.$($socket).+.shutdown(how)
        }

        /// The address of this side. May sleep.
        pub fn local_addr(&self) -> ::kernel::error::Result<::core::net::SocketAddr> {
            self.$($socket).+.local_addr()
        }

        /// The address of the other side. May sleep.
        ///
        /// # Errors
        ///
        /// `ENOTCONN`: there is no connection any more.
        pub fn peer_addr(&self) -> ::kernel::error::Result<::core::net::SocketAddr> {
            self.$($socket).+.peer_addr()
        }

        /// Says whether what is written is sent at once, `TCP_NODELAY`, or small
        /// pieces wait for one another. May sleep.
        pub fn set_nodelay(&self, nodelay: bool) -> ::kernel::error::Result {
            self.$($socket).+.set_nodelay(nodelay)
        }

        /// Whether what is written is sent at once.
        pub fn nodelay(&self) -> bool {
            self.$($socket).+.nodelay()
        }

        /// Says whether a connection on which nothing happens is looked after,
        /// `SO_KEEPALIVE`: if the other side is gone without a word, it ends with
        /// `ETIMEDOUT`. May sleep.
        pub fn set_keepalive(&self, keepalive: bool) -> ::kernel::error::Result {
            let name = $crate::bindings::SO_KEEPALIVE;
            self.$($socket).+.set_option(name, keepalive.into())
        }

        /// Whether a connection on which nothing happens is looked after.
        pub fn keepalive(&self) -> bool {
            self.$($socket).+.keepalive()
        }
    };
}
pub(crate) use stream_methods;

/// A socket that listens for connections.
///
/// # Unloading
///
/// *Unregister waits*, for nobody: for a socket of its own the kernel has no
/// pointer into the module, and who waits for one borrows it. A thread that does
/// has to end first: [`KThread::stop`] ends its wait. Dropping the listener closes
/// the connections that nobody has accepted.
///
/// [`KThread::stop`]: crate::kthread::KThread::stop
///
/// # Examples
///
/// ```ignore
/// let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080).into(), 128)?;
/// let stream = listener.accept()?;
/// pr_info!("{} is here\n", stream.peer_addr()?);
/// ```
pub struct TcpListener(Socket);

impl TcpListener {
    /// Listens at `addr`, where up to `backlog` connections, and one more, wait
    /// to be accepted. May sleep.
    ///
    /// Port 0 stands for any that is free. An address of `UNSPECIFIED` stands
    /// for all of the machine's, and that of IPv6 for those of IPv4, too, unless
    /// the administrator has said otherwise.
    ///
    /// With `SO_REUSEADDR`: connections of an earlier listener which are not
    /// quite over yet are no hindrance.
    ///
    /// # Errors
    ///
    /// - `EADDRINUSE`: somebody else listens there;
    /// - `EADDRNOTAVAIL`: the address is not one of the machine's;
    /// - `EAFNOSUPPORT`: the kernel has no IPv6;
    /// - `ENOMEM` and others.
    pub fn bind(addr: SocketAddr, backlog: u32) -> Result<Self> {
        Socket::listen(addr, backlog).map(Self)
    }

    /// Waits for a connection, and accepts it. May sleep.
    ///
    /// # Errors
    ///
    /// - `ERESTARTSYS`: there was a signal, or the kernel thread is to stop;
    /// - `ENOMEM`: the connection still waits to be accepted.
    pub fn accept(&self) -> Result<TcpStream> {
        self.0.accept(0).map(TcpStream)
    }

    /// The address at which it listens. May sleep.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A connection.
///
/// Several threads may have it, for instance one that reads and one that
/// writes.
///
/// Dropping it ends the connection and does not wait: what was written is still
/// sent, and again when it is lost, even when the module is gone. If something was
/// received that nobody has read, the other side is told so: it gets `ECONNRESET`.
///
/// # Unloading
///
/// As for a [`TcpListener`].
///
/// # Examples
///
/// ```ignore
/// let mut buffer = [0; 128];
/// loop {
///     let n = stream.read(&mut buffer)?;
///     if n == 0 {
///         break;
///     }
///     stream.write_all(&buffer[..n])?;
/// }
/// ```
pub struct TcpStream(Socket);

impl TcpStream {
    /// Waits for something to be received, and reads at least one byte of it. 0
    /// is the end: the other side writes no more. May sleep.
    ///
    /// # Errors
    ///
    /// - `ERESTARTSYS`: there was a signal, or the kernel thread is to stop;
    /// - `ECONNRESET`: the other side is gone;
    /// - `ETIMEDOUT` and others.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        self.0.receive(buffer, 0)
    }

    /// Writes as much of `data` as there is room for, which this waits for.
    /// Returns how many bytes that were. May sleep.
    ///
    /// # Errors
    ///
    /// - `EPIPE`: the connection is over, or writing is
    ///   [shut down](Self::shutdown);
    /// - those of [`read`](Self::read).
    pub fn write(&self, data: &[u8]) -> Result<usize> {
        self.0.send(data, 0)
    }

    /// Writes all of `data`. After an error nobody knows how much of it was
    /// written. May sleep.
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
