// SPDX-License-Identifier: GPL-2.0-only

//! Generic netlink as user space has it: sockets, requests and what comes back.
//!
//! Reference: `include/uapi/linux/netlink.h` and `genetlink.h`.

use std::{
    cell::Cell,
    fmt, mem,
    os::fd::{AsRawFd, OwnedFd},
};

use libc::{SYS_recvfrom, SYS_sendto, c_int, c_long, c_void, socklen_t};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send,
        socket_with,
        sockopt::{Timeout, set_socket_recv_buffer_size, set_socket_timeout},
    },
};

use crate::{eventually::TIMEOUT, syscalls::result as of_libc};

/// A flag of a [`Request`] that wants an answer in many parts.
pub const DUMP: u16 = 0x300;

/// The system call of [`Netlink::send`], for [`Waiter::is_in`](crate::Waiter::is_in).
pub const SEND: &[c_long] = &[SYS_sendto];

/// That of [`Netlink::next`].
pub const RECEIVE: &[c_long] = &[SYS_recvfrom];

const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_ACK_TLVS: u16 = 0x200;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

const NLMSGERR_ATTR_MSG: u16 = 1;
const NLMSGERR_ATTR_OFFS: u16 = 2;

const SOL_NETLINK: c_int = 270;
const NETLINK_ADD_MEMBERSHIP: c_int = 1;
const NETLINK_DROP_MEMBERSHIP: c_int = 2;
const NETLINK_BROADCAST_ERROR: c_int = 4;
const NETLINK_CAP_ACK: c_int = 10;
const NETLINK_EXT_ACK: c_int = 11;

/// The family that knows all families.
pub const CONTROLLER: u16 = 16;
/// Its command that tells who has joined its group of a new one, ...
pub const NEWFAMILY: u8 = 1;
/// ... and the one that tells of the policies of one.
pub const GETPOLICY: u8 = 10;
const GETFAMILY: u8 = 3;
/// Its attribute with the number of a family.
pub const FAMILY_ID: u16 = 1;
/// And that with the name.
pub const FAMILY_NAME: u16 = 2;
const VERSION: u16 = 3;
const MCAST_GROUPS: u16 = 7;
const MCAST_GRP_NAME: u16 = 1;
const MCAST_GRP_ID: u16 = 2;

/// The bytes of a message's header, and of what generic netlink adds to that.
const HEADER: usize = 16;
const GENERIC: usize = 4;

/// A family, as the kernel tells of it.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its number.
    pub id: u16,
    /// Its version.
    pub version: u32,
    /// The names and numbers of its groups.
    pub groups: Vec<(String, u32)>,
}

/// What is asked of a family.
#[derive(Clone, Debug)]
pub struct Request {
    family: u16,
    command: u8,
    /// Besides the flag that it is a request: at first, that there is to be an answer.
    pub flags: u16,
    /// A field of the header that is 0.
    pub reserved: u16,
    attributes: Vec<u8>,
}

impl Request {
    /// A request without attributes.
    #[must_use]
    pub fn new(family: u16, command: u8) -> Self {
        Self {
            family,
            command,
            flags: NLM_F_ACK,
            reserved: 0,
            attributes: Vec::new(),
        }
    }

    /// The same with one more attribute.
    #[must_use]
    pub fn bytes(mut self, number: impl Into<u16>, bytes: &[u8]) -> Self {
        let len = u16::try_from(GENERIC + bytes.len()).expect("a short attribute");
        self.attributes.extend(len.to_ne_bytes());
        let number: u16 = number.into();
        self.attributes.extend(number.to_ne_bytes());
        self.attributes.extend(bytes);
        let aligned = self.attributes.len().next_multiple_of(4);
        self.attributes.resize(aligned, 0);
        self
    }

    /// With a text, and a NUL at its end.
    #[must_use]
    pub fn string(self, number: impl Into<u16>, text: &str) -> Self {
        self.bytes(number, &[text.as_bytes(), b"\0"].concat())
    }

    /// With a number.
    #[must_use]
    pub fn u32(self, number: impl Into<u16>, value: u32) -> Self {
        self.bytes(number, &value.to_ne_bytes())
    }

    /// With bytes that are no attribute.
    #[must_use]
    pub fn garbage(mut self, bytes: &[u8]) -> Self {
        self.attributes.extend(bytes);
        self
    }

    fn to_bytes(&self, sequence: u32) -> Vec<u8> {
        let len = (HEADER + GENERIC + self.attributes.len()) as u32;
        let flags = NLM_F_REQUEST | self.flags;
        let mut bytes = Vec::new();
        bytes.extend(len.to_ne_bytes());
        bytes.extend(self.family.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        // To the kernel, from whom it knows.
        bytes.extend([0_u8; 4]);
        // The command, and a version that nobody reads.
        bytes.extend([self.command, 1]);
        bytes.extend(self.reserved.to_ne_bytes());
        bytes.extend(&self.attributes);
        bytes
    }
}

/// A message of a family.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// The family's number.
    pub family: u16,
    /// The number of the request, or 0.
    pub sequence: u32,
    /// The number of a command.
    pub command: u8,
    /// The numbers of its attributes, and their bytes.
    pub attributes: Vec<(u16, Vec<u8>)>,
}

impl Message {
    /// The bytes of an attribute.
    #[must_use]
    pub fn bytes(&self, number: impl Into<u16>) -> Option<&[u8]> {
        let number: u16 = number.into();
        let mut all = self.attributes.iter();
        let (_, bytes) = all.find(|(it, _)| *it == number)?;
        Some(bytes)
    }

    /// The text of an attribute, which has a NUL at its end.
    #[must_use]
    pub fn text(&self, number: impl Into<u16>) -> Option<&str> {
        let bytes = self.bytes(number)?.strip_suffix(b"\0")?;
        std::str::from_utf8(bytes).ok()
    }

    /// The number in an attribute.
    #[must_use]
    pub fn u32(&self, number: impl Into<u16>) -> Option<u32> {
        Some(u32::from_ne_bytes(self.bytes(number)?.try_into().ok()?))
    }
}

/// Why a request was refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The error number.
    pub errno: Errno,
    /// What the kernel says of it.
    pub text: Option<String>,
    /// Where in the request the bad attribute begins.
    pub at: Option<u32>,
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self {
            errno,
            text: None,
            at: None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "{text} ({})", self.errno),
            None => write!(f, "{}", self.errno),
        }
    }
}

impl std::error::Error for Refusal {}

/// What comes from the kernel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Received {
    /// A message of a family.
    Message(Message),
    /// What has become of the request with this number.
    Answer(u32, Result<(), Refusal>),
}

/// A socket of generic netlink.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: Cell<u32>,
}

impl Netlink {
    /// Opens one. A read from it does not wait for ever, but fails with `AGAIN`.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn open() -> Result<Self, Errno> {
        let protocol = Some(netlink::GENERIC);
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(TIMEOUT))?;
        let this = Self {
            socket,
            sequence: Cell::new(0),
        };
        // Answers say what is wrong, and do not repeat the request.
        this.set_option(NETLINK_CAP_ACK, 1)?;
        this.set_option(NETLINK_EXT_ACK, 1)?;
        this.bind()?;
        Ok(this)
    }

    /// Gets an address from the kernel. What it tells groups does not come to a socket without
    /// one.
    fn bind(&self) -> Result<(), Errno> {
        // SAFETY: These are numbers.
        let mut address: libc::sockaddr_nl = unsafe { mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        let len = size_of_val(&address) as socklen_t;
        // SAFETY: The address is as long as that.
        let result =
            unsafe { libc::bind(self.socket.as_raw_fd(), (&raw const address).cast(), len) };
        of_libc(result as isize).map(|_| ())
    }

    fn set_option(&self, option: c_int, value: u32) -> Result<(), Errno> {
        let value = (&raw const value).cast::<c_void>();
        let len = size_of::<u32>() as socklen_t;
        let socket = self.socket.as_raw_fd();
        // SAFETY: the kernel only reads so many bytes, which are there.
        let result = unsafe { libc::setsockopt(socket, SOL_NETLINK, option, value, len) };
        of_libc(result as isize).map(|_| ())
    }

    /// Makes the room for what is not read yet as small as the kernel lets it be.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn have_little_room(&self) -> Result<(), Errno> {
        set_socket_recv_buffer_size(&self.socket, 1)
    }

    /// From now on a read waits for ever.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn wait_for_ever(&self) -> Result<(), Errno> {
        set_socket_timeout(&self.socket, Timeout::Recv, None)
    }

    /// From now on who sends to a group that this has joined gets an error when there is no
    /// room for it here.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn have_senders_know(&self) -> Result<(), Errno> {
        self.set_option(NETLINK_BROADCAST_ERROR, 1)
    }

    /// Joins the group with this number.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn join(&self, group: u32) -> Result<(), Errno> {
        self.set_option(NETLINK_ADD_MEMBERSHIP, group)
    }

    /// Leaves it.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn leave(&self, group: u32) -> Result<(), Errno> {
        self.set_option(NETLINK_DROP_MEMBERSHIP, group)
    }

    /// Sends a request and returns its number. The kernel handles it meanwhile.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn send(&self, request: &Request) -> Result<u32, Errno> {
        let sequence = self.sequence.get() + 1;
        self.sequence.set(sequence);
        let bytes = request.to_bytes(sequence);
        let sent = send(&self.socket, &bytes, SendFlags::empty())?;
        assert_eq!(sent, bytes.len());
        Ok(sequence)
    }

    /// What comes next; several things can come at a time.
    ///
    /// # Errors
    ///
    /// The kernel's error number: `NOBUFS` when something is lost.
    pub fn receive(&self) -> Result<Vec<Received>, Errno> {
        self.receive_with(RecvFlags::empty())
    }

    /// The same, without waiting.
    ///
    /// # Errors
    ///
    /// As above, and `AGAIN` when there is nothing.
    pub fn try_receive(&self) -> Result<Vec<Received>, Errno> {
        self.receive_with(RecvFlags::DONTWAIT)
    }

    fn receive_with(&self, flags: RecvFlags) -> Result<Vec<Received>, Errno> {
        let mut bytes = vec![0_u8; 1 << 16];
        let (len, _) = recv(&self.socket, &mut bytes[..], flags)?;
        Ok(parse(&bytes[..len]))
    }

    /// The next message, for who has joined a group and asks nothing.
    ///
    /// # Errors
    ///
    /// As for [`receive`](Self::receive).
    pub fn next(&self) -> Result<Message, Errno> {
        loop {
            for received in self.receive()? {
                if let Received::Message(message) = received {
                    return Ok(message);
                }
            }
        }
    }

    /// Sends a request, which wants an answer, and waits for that. Returns the messages
    /// that have come for it before.
    ///
    /// # Errors
    ///
    /// Why it was refused.
    pub fn call(&self, request: &Request) -> Result<Vec<Message>, Refusal> {
        let number = self.send(request)?;
        let mut messages = Vec::new();
        loop {
            for received in self.receive()? {
                match received {
                    Received::Answer(sequence, result) if sequence == number => {
                        return result.map(|()| messages);
                    }
                    Received::Message(message) if message.sequence == number => {
                        messages.push(message);
                    }
                    _ => {}
                }
            }
        }
    }

    /// The family of that name.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn family(&self, name: &str) -> Result<Family, Refusal> {
        let request = Request::new(CONTROLLER, GETFAMILY).string(FAMILY_NAME, name);
        let messages = self.call(&request)?;
        family(messages.first()).ok_or_else(|| Errno::PROTO.into())
    }
}

fn family(message: Option<&Message>) -> Option<Family> {
    let message = message?;
    let id: [u8; 2] = message.bytes(FAMILY_ID)?.try_into().ok()?;
    let groups = attributes(message.bytes(MCAST_GROUPS).unwrap_or(&[]));
    let groups = groups.into_iter().map(|(_, bytes)| {
        let group = Message {
            attributes: attributes(&bytes),
            ..message.clone()
        };
        Some((
            group.text(MCAST_GRP_NAME)?.to_owned(),
            group.u32(MCAST_GRP_ID)?,
        ))
    });
    Some(Family {
        id: u16::from_ne_bytes(id),
        version: message.u32(VERSION)?,
        groups: groups.collect::<Option<_>>()?,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// The attributes in `bytes`, as the kernel writes them.
fn attributes(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    /// Two flags are no part of the number.
    const NUMBER: u16 = 0x3fff;
    let mut attributes = Vec::new();
    while bytes.len() >= GENERIC {
        let len = usize::from(u16_at(bytes, 0));
        attributes.push((u16_at(bytes, 2) & NUMBER, bytes[GENERIC..len].to_vec()));
        bytes = &bytes[len.next_multiple_of(4).min(bytes.len())..];
    }
    attributes
}

/// The messages in what was received at a time.
fn parse(mut bytes: &[u8]) -> Vec<Received> {
    let mut all = Vec::new();
    while bytes.len() >= HEADER {
        let len = u32_at(bytes, 0) as usize;
        let (kind, flags, sequence) = (u16_at(bytes, 4), u16_at(bytes, 6), u32_at(bytes, 8));
        let rest = &bytes[HEADER..len];
        all.push(match kind {
            NLMSG_ERROR | NLMSG_DONE => Received::Answer(sequence, answer(kind, flags, rest)),
            _ => Received::Message(Message {
                family: kind,
                sequence,
                command: rest[0],
                attributes: attributes(&rest[GENERIC..]),
            }),
        });
        bytes = &bytes[len.next_multiple_of(4).min(bytes.len())..];
    }
    all
}

/// What an answer says: an error number, which can be 0, the request's header but at the end
/// of a dump, and perhaps attributes.
fn answer(kind: u16, flags: u16, rest: &[u8]) -> Result<(), Refusal> {
    let errno = i32_at(rest, 0);
    if errno == 0 {
        return Ok(());
    }
    let begin = if kind == NLMSG_ERROR { 4 + HEADER } else { 4 };
    let more = match flags & NLM_F_ACK_TLVS {
        0 => Vec::new(),
        _ => attributes(&rest[begin..]),
    };
    let of = |number: u16| {
        let found = more.iter().find(|(it, _)| *it == number);
        found.map(|(_, bytes)| bytes.as_slice())
    };
    Err(Refusal {
        errno: Errno::from_raw_os_error(-errno),
        text: of(NLMSGERR_ATTR_MSG).map(|bytes| {
            let text = bytes.strip_suffix(b"\0").unwrap_or(bytes);
            String::from_utf8_lossy(text).into_owned()
        }),
        at: of(NLMSGERR_ATTR_OFFS).map(|bytes| u32_at(bytes, 0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_aligned() {
        let request = Request::new(20, 7).string(1_u8, "four").u32(2_u8, 9);
        let request = request.bytes(3_u8, &[]);
        let bytes = request.to_bytes(5);
        assert_eq!(bytes.len(), HEADER + GENERIC + 12 + 8 + 4);
        assert_eq!(u32_at(&bytes, 0) as usize, bytes.len());
        let all = parse(&bytes);
        let [Received::Message(message)] = all.as_slice() else {
            panic!("{all:?}");
        };
        assert_eq!((message.family, message.command), (20, 7));
        assert_eq!(message.sequence, 5);
        assert_eq!(message.text(1_u8), Some("four"));
        assert_eq!(message.u32(2_u8), Some(9));
        assert_eq!(message.bytes(3_u8), Some(&[][..]));
        assert_eq!(message.bytes(4_u8), None);
    }

    #[test]
    fn an_answer_says_why() {
        let mut bytes = Request::new(NLMSG_ERROR, 0).to_bytes(3);
        // The error number is where a command would be.
        bytes[HEADER..].copy_from_slice(&(-22_i32).to_ne_bytes());
        bytes[6..8].copy_from_slice(&NLM_F_ACK_TLVS.to_ne_bytes());
        bytes.extend([0; HEADER]);
        let more = Request::new(0, 0)
            .string(NLMSGERR_ATTR_MSG, "no")
            .u32(NLMSGERR_ATTR_OFFS, 20);
        bytes.extend(more.attributes);
        let len = bytes.len() as u32;
        bytes[..4].copy_from_slice(&len.to_ne_bytes());
        let refusal = Refusal {
            errno: Errno::INVAL,
            text: Some("no".to_owned()),
            at: Some(20),
        };
        assert_eq!(refusal.to_string(), format!("no ({})", Errno::INVAL));
        assert_eq!(parse(&bytes), [Received::Answer(3, Err(refusal))]);
    }
}
