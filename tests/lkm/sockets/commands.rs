// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('s', number)`.
const fn command(number: u32) -> u32 {
    ((b's' as u32) << 8) | number
}

/// Listens at a port, which is returned, of this machine ...
pub(crate) const LISTEN: u32 = command(0);
/// ... by IPv6 ...
pub(crate) const LISTEN_V6: u32 = command(1);
/// ... by both ...
pub(crate) const LISTEN_ALL: u32 = command(2);
/// ... or of another one.
pub(crate) const LISTEN_ELSEWHERE: u32 = command(3);
/// Listens no more.
pub(crate) const CLOSE_LISTENER: u32 = command(4);
/// Waits for a connection, of which the file is one end from then on.
pub(crate) const ACCEPT: u32 = command(5);
pub(crate) const CLOSE: u32 = command(6);
/// Shuts down reading, writing or both.
pub(crate) const SHUTDOWN: u32 = command(7);
/// The ports of both sides, or 0 if the addresses are not of this machine.
pub(crate) const LOCAL_PORT: u32 = command(8);
pub(crate) const PEER_PORT: u32 = command(9);
pub(crate) const LISTENER_PORT: u32 = command(10);
pub(crate) const SET_NODELAY: u32 = command(11);
pub(crate) const NODELAY: u32 = command(12);
pub(crate) const SET_KEEPALIVE: u32 = command(13);
pub(crate) const KEEPALIVE: u32 = command(14);
/// Reads no bytes, and writes none.
pub(crate) const READ_NOTHING: u32 = command(15);
pub(crate) const WRITE_NOTHING: u32 = command(16);
/// Accepts, reads or writes without end in a thread, which is stopped some time
/// later, and returns the number of the error with which that ended.
pub(crate) const STOP_ACCEPT: u32 = command(17);
pub(crate) const STOP_READ: u32 = command(18);
pub(crate) const STOP_WRITE: u32 = command(19);
/// The port of who was accepted last, also when that is gone.
pub(crate) const FROM: u32 = command(20);
/// Listens no more, and lets nobody wait for that.
pub(crate) const SHUTDOWN_LISTENER: u32 = command(21);
/// Connects with a port of this machine. It waits as long as it takes ...
pub(crate) const CONNECT: u32 = command(22);
/// ... or for 50 ms.
pub(crate) const CONNECT_SOON: u32 = command(23);
/// How many milliseconds reads and writes wait.
pub(crate) const SET_TIMEOUTS: u32 = command(24);
/// The next byte, which stays there.
pub(crate) const PEEK: u32 = command(25);
/// A UDP socket at any port, which is returned.
pub(crate) const UDP_BIND: u32 = command(26);
/// Waits for a message, and sends it back.
pub(crate) const UDP_ECHO: u32 = command(27);
/// How many milliseconds that waits.
pub(crate) const UDP_SET_TIMEOUT: u32 = command(28);
/// Sends a message of so many bytes to itself.
pub(crate) const UDP_SEND: u32 = command(29);
