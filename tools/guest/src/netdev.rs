// SPDX-License-Identifier: GPL-2.0-only

//! Net devices as user space has them: `/sys/class/net/NAME`, and frames.
//!
//! Reference: netdevice(7), packet(7)

use std::{
    fs,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::net::UnixDatagram,
    },
    path::Path,
    ptr,
};

use anyhow::{Context, Result};
use libc::{c_int, sockaddr_ll, socklen_t, timeval};
use rustix::io::Errno;

use crate::{
    eventually::TIMEOUT,
    syscalls::{Argument, ioctl, result},
};

/// An address of Ethernet.
pub type Mac = [u8; 6];

/// The address of everybody.
pub const EVERYBODY: Mac = [0xff; 6];

/// What a frame is that nobody but a test knows.
pub const OF_A_TEST: u16 = 0x88b5;
/// What one with IPv4 is.
pub const OF_IPV4: u16 = 0x0800;

/// The bytes of a header.
pub const HEADER: usize = 14;

/// For whom a frame was, as [`PacketSocket::receive`] says: this machine, ...
pub const HOST: u8 = 0;
/// ... everybody, ...
pub const BROADCAST: u8 = 1;
/// ... a group, ...
pub const MULTICAST: u8 = 2;
/// ... or another machine.
pub const OTHER_HOST: u8 = 3;
/// This machine has sent it.
pub const OUTGOING: u8 = 4;

/// Where the devices are.
const DEVICES: &str = "/sys/class/net";

const SIOCGIFFLAGS: u32 = 0x8913;
const SIOCSIFFLAGS: u32 = 0x8914;
const SIOCSIFMTU: u32 = 0x8922;
const SIOCSIFNAME: u32 = 0x8923;
const SIOCSIFHWADDR: u32 = 0x8924;
const SIOCGIFINDEX: u32 = 0x8933;
const SIOCETHTOOL: u32 = 0x8946;

/// `struct ifreq`: a name, and then what it is about.
const REQUEST_SIZE: usize = 40;
const ABOUT: usize = 16;

const IFF_UP: u8 = 1;
const ARPHRD_ETHER: u16 = 1;

/// `struct ethtool_drvinfo`: the command, and then the driver's name.
const DRVINFO_SIZE: usize = 196;
const ETHTOOL_GDRVINFO: u32 = 3;

/// What a device has counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Frames that it has received.
    pub rx_packets: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Frames that it has received, and that nobody wanted.
    pub rx_dropped: u64,
    /// Frames that it has sent.
    pub tx_packets: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Frames that it has not sent.
    pub tx_dropped: u64,
}

/// A net device. What it is asked by a file in `/sys` is about those of the machine's first
/// network; the rest is about the network of who has opened it.
#[derive(Debug)]
pub struct NetDevice {
    name: String,
    /// Any socket will do.
    socket: UnixDatagram,
}

impl NetDevice {
    /// The device of that name.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn open(name: &str) -> Result<Self> {
        let device = Self {
            name: name.to_owned(),
            socket: UnixDatagram::unbound()?,
        };
        device.index().with_context(|| name.to_owned())?;
        Ok(device)
    }

    /// Whether there is such a device.
    #[must_use]
    pub fn exists(name: &str) -> bool {
        Path::new(DEVICES).join(name).exists()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its file in `/sys` says.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn attribute(&self, attribute: &str) -> Result<String> {
        let path = format!("{DEVICES}/{}/{attribute}", self.name);
        let text = fs::read_to_string(&path).with_context(|| path)?;
        Ok(text.trim_end().to_owned())
    }

    /// Writes to its file in `/sys`.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn set_attribute(&self, attribute: &str, text: &str) -> Result<()> {
        let path = format!("{DEVICES}/{}/{attribute}", self.name);
        fs::write(&path, text).with_context(|| path)
    }

    /// The device's number.
    ///
    /// # Errors
    ///
    /// The kernel's error number: [`Errno::NODEV`] when it is gone.
    pub fn index(&self) -> Result<u32, Errno> {
        let mut request = self.request();
        let buffer = Argument::Buffer(&mut request);
        ioctl(&self.socket, SIOCGIFINDEX, buffer)?;
        let index = &request[ABOUT..ABOUT + 4];
        Ok(u32::from_ne_bytes(index.try_into().expect("four bytes")))
    }

    /// Has the kernel send nothing by it on its own account: so all frames are the test's.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn keep_quiet(&self) -> Result<()> {
        let path = format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", self.name);
        // A kernel without IPv6 has no such file, nor has a device that is too small for it.
        match Path::new(&path).exists() {
            true => fs::write(&path, "1").with_context(|| path),
            false => Ok(()),
        }
    }

    /// Brings it up or down.
    ///
    /// # Errors
    ///
    /// The kernel's error number, or the driver's.
    pub fn set_up(&self, up: bool) -> Result<(), Errno> {
        let mut request = self.request();
        let buffer = Argument::Buffer(&mut request);
        ioctl(&self.socket, SIOCGIFFLAGS, buffer)?;
        // The lowest bit is in the first byte here.
        match up {
            true => request[ABOUT] |= IFF_UP,
            false => request[ABOUT] &= !IFF_UP,
        }
        self.ask(SIOCSIFFLAGS, request)
    }

    /// Sets how long the content of a frame can be.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn set_mtu(&self, mtu: u32) -> Result<(), Errno> {
        let mut request = self.request();
        request[ABOUT..][..4].copy_from_slice(&mtu.to_ne_bytes());
        self.ask(SIOCSIFMTU, request)
    }

    /// Its address.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn mac(&self) -> Result<Mac> {
        let text = self.attribute("address")?;
        let bytes: Result<Vec<_>, _> = text
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16))
            .collect();
        let bytes = bytes.with_context(|| text.clone())?;
        <Mac>::try_from(bytes).ok().context(text)
    }

    /// Sets its address.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn set_mac(&self, mac: Mac) -> Result<(), Errno> {
        let mut request = self.request();
        request[ABOUT..][..2].copy_from_slice(&ARPHRD_ETHER.to_ne_bytes());
        request[ABOUT + 2..][..6].copy_from_slice(&mac);
        self.ask(SIOCSIFHWADDR, request)
    }

    /// Gives it another name.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn rename(&mut self, name: &str) -> Result<(), Errno> {
        let mut request = self.request();
        request[ABOUT..][..name.len()].copy_from_slice(name.as_bytes());
        self.ask(SIOCSIFNAME, request)?;
        name.clone_into(&mut self.name);
        Ok(())
    }

    /// The name of its driver, as ethtool(8) shows it.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn driver(&self) -> Result<String, Errno> {
        let mut info = [0_u8; DRVINFO_SIZE];
        info[..4].copy_from_slice(&ETHTOOL_GDRVINFO.to_ne_bytes());
        let mut request = self.request();
        let address = info.as_mut_ptr().expose_provenance();
        request[ABOUT..][..size_of::<usize>()].copy_from_slice(&address.to_ne_bytes());
        self.ask(SIOCETHTOOL, request)?;
        let name = info[4..36].split(|byte| *byte == 0).next();
        Ok(String::from_utf8_lossy(name.unwrap_or_default()).into_owned())
    }

    /// What it has counted.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn counts(&self) -> Result<Counts> {
        let count = |name: &str| -> Result<u64> {
            let text = self.attribute(&format!("statistics/{name}"))?;
            Ok(text.parse()?)
        };
        Ok(Counts {
            rx_packets: count("rx_packets")?,
            rx_bytes: count("rx_bytes")?,
            rx_dropped: count("rx_dropped")?,
            tx_packets: count("tx_packets")?,
            tx_bytes: count("tx_bytes")?,
            tx_dropped: count("tx_dropped")?,
        })
    }

    fn request(&self) -> [u8; REQUEST_SIZE] {
        let mut request = [0; REQUEST_SIZE];
        request[..self.name.len()].copy_from_slice(self.name.as_bytes());
        request
    }

    fn ask(&self, command: u32, mut request: [u8; REQUEST_SIZE]) -> Result<(), Errno> {
        ioctl(&self.socket, command, Argument::Buffer(&mut request)).map(drop)
    }
}

/// A frame.
#[must_use]
pub fn frame(to: Mac, from: Mac, kind: u16, content: &[u8]) -> Vec<u8> {
    [&to[..], &from, &kind.to_be_bytes(), content].concat()
}

/// The sum that IP, UDP and ICMP have of these bytes: 0 if it is among them.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or_default();
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A socket for frames as they are.
#[derive(Debug)]
pub struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// One that receives nothing.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn new() -> Result<Self, Errno> {
        // SAFETY: this makes a descriptor, and nobody else has it.
        let socket = unsafe {
            let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
            let fd = result(libc::socket(libc::AF_PACKET, kind, 0) as isize)?;
            OwnedFd::from_raw_fd(fd as c_int)
        };
        Ok(Self(socket))
    }

    /// One that receives each frame of a device from now on, but for those that it has sent
    /// itself. It waits for one as long as it can take.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn of(index: u32) -> Result<Self, Errno> {
        let socket = Self::new()?;
        let timeout = timeval {
            tv_sec: TIMEOUT.as_secs() as _,
            tv_usec: 0,
        };
        // SAFETY: any bytes are good to be read.
        unsafe { socket.set(libc::SOL_SOCKET, libc::SO_RCVTIMEO, &timeout) }?;
        let address = address(index);
        let len = size_of::<sockaddr_ll>() as socklen_t;
        // SAFETY: the kernel reads the address, which has that length.
        let bound = unsafe {
            let fd = socket.0.as_raw_fd();
            libc::bind(fd, ptr::from_ref(&address).cast(), len)
        };
        result(bound as isize)?;
        Ok(socket)
    }

    /// Sets an option whose value is a number.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn set_option(&self, level: c_int, name: c_int, value: c_int) -> Result<(), Errno> {
        // SAFETY: any bytes are good to be read.
        unsafe { self.set(level, name, &value) }
    }

    /// # Safety
    ///
    /// The kernel may read the value.
    unsafe fn set<T>(&self, level: c_int, name: c_int, value: &T) -> Result<(), Errno> {
        let (value, len) = (ptr::from_ref(value).cast(), size_of::<T>() as socklen_t);
        // SAFETY: by this function's contract. The value has that length.
        let returned = unsafe { libc::setsockopt(self.0.as_raw_fd(), level, name, value, len) };
        result(returned as isize).map(drop)
    }

    /// Sends a frame by the device of [`of`](Self::of).
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn send(&self, frame: &[u8]) -> Result<usize, Errno> {
        let (begin, len) = (frame.as_ptr().cast(), frame.len());
        // SAFETY: the kernel reads so many bytes.
        result(unsafe { libc::send(self.0.as_raw_fd(), begin, len, 0) })
    }

    /// Sends a frame by the device with that number.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn send_by(&self, index: u32, frame: &[u8]) -> Result<usize, Errno> {
        let address = address(index);
        // SAFETY: the kernel reads so many bytes, and the address, which has that length.
        let sent = unsafe {
            libc::sendto(
                self.0.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                ptr::from_ref(&address).cast(),
                size_of::<sockaddr_ll>() as socklen_t,
            )
        };
        result(sent)
    }

    /// The next frame, and for whom it was. Waits as long as there is none.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn receive(&self) -> Result<(u8, Vec<u8>), Errno> {
        self.receive_with(0)
    }

    /// The next frame if it is here already.
    ///
    /// # Errors
    ///
    /// The kernel's error number: [`Errno::AGAIN`] for none.
    pub fn try_receive(&self) -> Result<(u8, Vec<u8>), Errno> {
        self.receive_with(libc::MSG_DONTWAIT)
    }

    fn receive_with(&self, flags: c_int) -> Result<(u8, Vec<u8>), Errno> {
        let mut frame = vec![0; 1 << 16];
        let mut from = address(0);
        let mut len = size_of::<sockaddr_ll>() as socklen_t;
        // SAFETY: the kernel writes no more bytes than there are, and an address of that
        // length.
        let received = unsafe {
            libc::recvfrom(
                self.0.as_raw_fd(),
                frame.as_mut_ptr().cast(),
                frame.len(),
                flags,
                ptr::from_mut(&mut from).cast(),
                &mut len,
            )
        };
        frame.truncate(result(received)?);
        Ok((from.sll_pkttype, frame))
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// All frames of a device.
fn address(index: u32) -> sockaddr_ll {
    sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        sll_ifindex: index as c_int,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    }
}

/// From now on this thread, and those that it begins, have a network of their own, with no
/// device but `lo`. It goes some time after the last of them.
///
/// # Errors
///
/// The kernel's error number.
pub fn leave_network() -> Result<(), Errno> {
    // SAFETY: no memory and no file is concerned.
    result(unsafe { libc::unshare(libc::CLONE_NEWNET) } as isize).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_begins_with_its_header() {
        let frame = frame(EVERYBODY, [2, 3, 4, 5, 6, 7], OF_A_TEST, b"hello");
        assert_eq!(frame.len(), HEADER + 5);
        let rest = [0xff_u8, 0xff, 2, 3, 4, 5, 6, 7, 0x88, 0xb5];
        assert_eq!(frame[4..HEADER], rest);
    }

    #[test]
    fn a_checksum_makes_the_sum_zero() {
        let mut bytes = *b"\x45\0\0\x54\0\0\x40\0\x40\x01\0\0\x0a\0\0\x01\x0a\0\0\x02";
        let sum = checksum(&bytes);
        assert_eq!(sum, 0x26a7);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(checksum(&bytes), 0);
        // An odd byte counts as the first of two.
        assert_eq!(checksum(&[0x12]), checksum(&[0x12, 0]));
    }
}
