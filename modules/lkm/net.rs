// SPDX-License-Identifier: GPL-2.0-only

//! TCP for the kernel itself: sockets that are not files of a process.
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
    errno::error, //
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
    },
};
use kernel::{
    error::to_result,
    prelude::*, //
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

/// A TCP socket.
///
/// # Invariants
///
/// The pointer is that of a TCP socket of the kernel, which only this value
/// releases.
pub(crate) struct Socket(NonNull<bindings::socket>);

// SAFETY: A socket may be used and released in any thread that may sleep.
unsafe impl Send for Socket {}

// SAFETY: A socket has a lock of its own.
unsafe impl Sync for Socket {}

impl Socket {
    /// Creates a socket that listens at `addr`, for [`TcpListener::bind`] here
    /// and in `kasync::net`.
    pub(crate) fn listen(addr: SocketAddr, backlog: u32) -> Result<Self> {
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
                bindings::sock_type_SOCK_STREAM as c_int,
                // The default protocol of such sockets: TCP.
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
        socket.set_option(bindings::SO_REUSEADDR, 1)?;
        let (mut addr, len) = to_c(addr);
        // SAFETY: By the type invariants. The address has the length `len`, and
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

    /// Accepts a connection. With `O_NONBLOCK` in `flags` it does not wait for
    /// one.
    pub(crate) fn accept(&self, flags: u32) -> Result<Self> {
        let mut socket = ptr::null_mut();
        // SAFETY: By the type invariants; `socket` can be written to.
        to_result(unsafe { bindings::kernel_accept(self.as_ptr(), &mut socket, flags as c_int) })?;
        // INVARIANT: The socket was just created.
        Ok(Self(NonNull::new(socket).ok_or(EAGAIN)?))
    }

    /// Receives into `buffer`. With `MSG_DONTWAIT` in `flags` it does not wait.
    pub(crate) fn receive(&self, buffer: &mut [u8], flags: u32) -> Result<usize> {
        // Do not wait if there is nothing to be received.
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut message = bindings::msghdr::default();
        let mut vec = vec(buffer.as_mut_ptr(), buffer.len());
        // SAFETY: By the type invariants. There is one buffer. It can be
        // written to and has the length that `vec` says.
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

    /// Sends as much of `data` as fits. With `MSG_DONTWAIT` in `flags` it does
    /// not wait.
    pub(crate) fn send(&self, data: &[u8], flags: u32) -> Result<usize> {
        let mut message = bindings::msghdr {
            // No caller gets a signal.
            msg_flags: flags | bindings::MSG_NOSIGNAL,
            ..Default::default()
        };
        let mut vec = vec(data.as_ptr().cast_mut(), data.len());
        // SAFETY: By the type invariants. There is one buffer. It is only read
        // and has the length that `vec` says.
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
/// let stream = listener.accept()?;
/// pr_info!("{:?} is here\n", stream.peer_addr()?);
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

    /// Waits for a connection and accepts it. May sleep.
    ///
    /// # Errors
    ///
    /// - `ERESTARTSYS`: a signal arrived, or the kernel thread is asked to stop;
    /// - `ENOMEM`: no memory; the connection still waits to be accepted.
    pub fn accept(&self) -> Result<TcpStream> {
        self.0.accept(0).map(TcpStream)
    }

    /// The address at which the socket listens. May sleep.
    ///
    /// # Errors
    ///
    /// None today: TCP always knows the local address.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.0.local_addr()
    }
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
    /// Waits until there is data, and reads at least one byte of it into
    /// `buffer`. Returns the number of bytes. 0 means the end: the other side
    /// writes no more, or `buffer` is empty. May sleep.
    ///
    /// # Errors
    ///
    /// - `ERESTARTSYS`: a signal arrived, or the kernel thread is asked to stop;
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
