// SPDX-License-Identifier: GPL-2.0-only

//! Generic netlink: commands that come over a socket, with answers, and news for all who
//! listen.
//!
//! C headers: [`include/net/genetlink.h`](srctree/include/net/genetlink.h),
//! [`include/net/netlink.h`](srctree/include/net/netlink.h)
//!
//! Reference: <https://docs.kernel.org/userspace-api/netlink/intro.html>
//!
//! The `kernel` crate has no netlink.
//!
//! # Families
//!
//! A *family* has a name, by which user space asks the kernel for its number. A message to
//! it says which command it is for, and has *attributes*: numbered values, each with a length.
//! So a later version can add some, and both sides know what they have got. A family can
//! also have *groups*: who has joined one gets what is [sent](Family::multicast) to it.
//!
//! It is there in the initial network namespace only.
//!
//! # What is not here
//!
//! - *Dumps*, which are answers in many parts. User space reads them as it likes, and the kernel
//!   has pointers to the family meanwhile, of which it does not think when the family goes.
//! - For the same reason user space cannot ask what attributes there are: see
//!   `helpers/genl.c`. Messages are checked all the same.

use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    callers::Callers,
    calls::Calls,
    compat::CStrExt,
    errno::{
        error,
        to_netlink, //
    },
};
use core::{
    ffi::CStr,
    marker::PhantomPinned,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::{
        self,
        NonNull, //
    },
    slice,
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// The highest number of a [`Command`]. That of the first is 1.
pub const LAST_COMMAND: u8 = 254;

/// The highest number of an [`Attribute`] that a command understands. That of the first is 1.
pub const LAST_ATTRIBUTE: u8 = bindings::lkm_genl_limit_LKM_GENL_MOST_ATTRIBUTES as u8;

/// The longest name of a family or a group, in bytes.
const LONGEST_NAME: usize = 15;

/// Families of the kernel with these names have numbers of their own. For one with another
/// number of groups than they have it stops.
const RESERVED: [&CStr; 3] = [c"NET_DM", c"VFS_DQUOT", c"pmcraid"];

/// A command of a family.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    number: u8,
    admin: bool,
}

impl Command {
    /// The command with this number, for everybody.
    pub const fn new(number: u8) -> Self {
        Self {
            number,
            admin: false,
        }
    }

    /// The same, for those only who have `CAP_NET_ADMIN`. Others get `EPERM`.
    pub const fn admin(self) -> Self {
        Self {
            admin: true,
            ..self
        }
    }
}

/// An attribute that a request can have.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    number: u8,
    kind: bindings::lkm_genl_kind,
    most: u16,
}

impl Attribute {
    /// A number of 32 bits.
    pub const fn u32(number: u8) -> Self {
        Self {
            number,
            kind: bindings::lkm_genl_kind_LKM_GENL_U32,
            most: 4,
        }
    }

    /// A text with a NUL at its end, and up to `most` bytes before that.
    pub const fn string(number: u8, most: u16) -> Self {
        Self {
            number,
            kind: bindings::lkm_genl_kind_LKM_GENL_STRING,
            most,
        }
    }

    /// Up to `most` bytes.
    pub const fn bytes(number: u8, most: u16) -> Self {
        Self {
            number,
            kind: bindings::lkm_genl_kind_LKM_GENL_BYTES,
            most,
        }
    }
}

/// Whether each has a number that there is, and none has that of another.
const fn are_commands(commands: &[Command]) -> bool {
    let mut n = 0;
    while n < commands.len() {
        let number = commands[n].number;
        if number == 0 || number > LAST_COMMAND {
            return false;
        }
        let mut before = 0;
        while before < n {
            if commands[before].number == number {
                return false;
            }
            before += 1;
        }
        n += 1;
    }
    true
}

/// The same for attributes, which have room for something, too.
const fn are_attributes(attributes: &[Attribute]) -> bool {
    let mut n = 0;
    while n < attributes.len() {
        let number = attributes[n].number;
        if number == 0 || number > LAST_ATTRIBUTE || attributes[n].most == 0 {
            return false;
        }
        let mut before = 0;
        while before < n {
            if attributes[before].number == number {
                return false;
            }
            before += 1;
        }
        n += 1;
    }
    true
}

/// Whether each has a name that is neither empty nor too long.
const fn are_groups(groups: &[&CStr]) -> bool {
    let mut n = 0;
    while n < groups.len() {
        let len = groups[n].to_bytes().len();
        if len == 0 || len > LONGEST_NAME {
            return false;
        }
        n += 1;
    }
    groups.len() <= u8::MAX as usize
}

/// How many bytes commands and groups can take in what the kernel tells of a family. It has
/// room for a little less than a page, which depends on its options.
const MOST_TOLD: usize = 3072;

/// How many bytes that takes, with the longest name of a family.
const fn told(commands: &[Command], groups: &[&CStr]) -> usize {
    let mut bytes = 80 + 20 * commands.len();
    let mut n = 0;
    while n < groups.len() {
        let name = groups[n].to_bytes().len() + 1;
        bytes += 16 + name.next_multiple_of(4);
        n += 1;
    }
    bytes
}

/// What a family understands, and what it does.
///
/// The kernel tells of a family in one message, and who asks for one that does not fit gets
/// no answer but `EMSGSIZE`. So there is a limit, which is checked when the module is compiled:
/// each command takes 20 bytes, each group from 20 to 32, by its name, and all together may
/// take 2992. That is 149 commands without a group, or 92 groups with long names and 2 commands.
pub trait Handler: Send + Sync + 'static {
    /// The family's version, for user space to read.
    const VERSION: u8 = 1;

    /// The commands, each with another number from 1 to [`LAST_COMMAND`]. A request for another
    /// one is answered with `EOPNOTSUPP`. So is one for an answer in many parts (`NLM_F_DUMP`).
    /// One with any other flag than `NLM_F_REQUEST`, `NLM_F_ACK` and `NLM_F_ECHO`, such as
    /// `NLM_F_CREATE`, is answered with `EINVAL`.
    const COMMANDS: &'static [Command];

    /// The attributes that requests can have, each with another number from 1 to
    /// [`LAST_ATTRIBUTE`]. A request with any other, or one that is too long, is answered
    /// with an error, and does not get to [`handle`](Self::handle). They can be missing.
    const ATTRIBUTES: &'static [Attribute];

    /// The groups: names of 1 to 15 bytes. A group's place here is its number.
    ///
    /// The kernel has numbers of its own for them. It gives those above 64 out only once: no
    /// other family gets them when this one goes.
    const GROUPS: &'static [&'static CStr] = &[];

    /// Does what a request is for. The result is what the process gets, if it wants to know
    /// or if it is an error: besides a [reply](Request::reply).
    ///
    /// # Context
    ///
    /// In the task that has sent the request, which may sleep here. It runs at the same time as
    /// others, also of the same process. It must end soon: as long as it runs, no family in the
    /// kernel can come or go, and when one is to, all others wait.
    ///
    /// So to make a [`Family`] here fails with `EDEADLK`, and one that is dropped here goes a
    /// little later. That holds within one module. A handler must not have another module make
    /// or drop a family, or wait for a thread that does. It must not do what may load a module,
    /// either, such as making the first socket of IPv6: a module that registers a family would
    /// wait for this handler, and this handler for the module.
    ///
    /// # Errors
    ///
    /// Any. For what would be `EINTR`, of which netlink tells nobody, the process gets
    /// `EAGAIN`. For numbers from 512 on see [`Operations`](crate::file::Operations).
    fn handle(&self, request: &Request) -> Result;
}

/// A family that is registered. It dereferences to its [`Handler`].
///
/// # Unloading
///
/// *Unregister waits*: dropping this waits until no command runs, of any family in the
/// kernel, and none of this one can begin. *We wait* before that for those who send to a group.
/// Sockets do not keep the module: neither those that have joined a group, nor those with
/// unread answers. A request to a family that is gone is answered with `ENOENT`.
///
/// A handler may drop families, which then go a little later. When more than 64 tasks are in
/// handlers, nobody knows who drops one: then dropping it elsewhere does not wait, either, and
/// it goes later. The end of the module waits for that.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::genl::{Attribute, Command, Family, Handler, Request};
///
/// const DOUBLE: u8 = 1;
/// const NUMBER: u8 = 1;
///
/// struct Doubler;
///
/// impl Handler for Doubler {
///     const COMMANDS: &'static [Command] = &[Command::new(DOUBLE)];
///     const ATTRIBUTES: &'static [Attribute] = &[Attribute::u32(NUMBER)];
///
///     fn handle(&self, request: &Request) -> Result {
///         let number = request.u32(NUMBER).ok_or(EINVAL)?;
///         request.reply(DOUBLE, |message| message.u32(NUMBER, number.wrapping_mul(2)))
///     }
/// }
///
/// let family = Family::register(c"doubler", Doubler)?;
/// # drop(family);
/// # Ok::<(), Error>(())
/// ```
pub struct Family<T: Handler>(Alive<Inner<T>>);

/// # Invariants
///
/// `raw` is null, or `lkm_genl_new()` returned it for `handler`, with the function for `T`. If
/// `registered`, it is registered until `stop`; and so it is while calls can begin, and while
/// one runs.
#[pin_data]
struct Inner<T> {
    raw: *mut bindings::lkm_genl,
    registered: bool,
    calls: Calls,
    #[pin]
    handler: T,
    // C has a pointer to the handler.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Inner<T> where T);

// SAFETY: Any thread may unregister a family, and `T` is `Send`.
unsafe impl<T: Handler> Send for Inner<T> {}

// SAFETY: C only reads the family to send to a group, and `T` is `Sync`.
unsafe impl<T: Handler> Sync for Inner<T> {}

// SAFETY: When `stop` has returned, C does not know the family: no command of it runs or
// begins, and as it shows no policy, nobody has got a pointer to it. Nobody sends to a group.
// Until `give_back` messages can be made for it, which only read its number.
unsafe impl<T: Handler> Stop for Inner<T> {
    const NAME: &'static CStr = c"generic netlink families";

    fn stop(&self) {
        if self.registered {
            self.calls.close();
            // SAFETY: By the type invariants, and this may sleep.
            unsafe { bindings::lkm_genl_unregister(self.raw) };
        }
    }

    /// The lock that C has for a command is one that unregistering this takes.
    fn is_within(&self) -> bool {
        Callers::GENL.may_have_current()
    }

    fn give_back(&self) {
        if !self.raw.is_null() {
            // SAFETY: By the type invariants. C does not know it any more, and nobody uses it.
            unsafe { bindings::lkm_genl_free(self.raw) };
        }
    }
}

impl<T: Handler> Family<T> {
    /// Registers a family of that name. Commands can run before this has returned. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the name is empty, has more than 15 bytes, or is one of those with which the
    ///   kernel does something special: `NET_DM`, `VFS_DQUOT` and `pmcraid`;
    /// - `EEXIST`: there is a family of that name;
    /// - `ENOSPC`: there is no number left;
    /// - `EDEADLK`: the caller is a [`Handler`], or opens or stops a
    ///   [net device](crate::netdev), or more than 64 tasks are in those, and nobody knows who;
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `handler`.
    pub fn register<E>(name: &CStr, handler: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        const {
            assert!(
                are_commands(T::COMMANDS),
                "each command has another number, from 1 to 254"
            );
            assert!(
                are_attributes(T::ATTRIBUTES),
                "each attribute has another number, from 1 to 31, and room for something"
            );
            assert!(
                are_groups(T::GROUPS),
                "the name of a group has 1 to 15 bytes, and there are up to 255"
            );
            assert!(
                told(T::COMMANDS, T::GROUPS) <= MOST_TOLD,
                "commands and groups fit into the message in which the kernel tells of them"
            );
        };
        let text = name.to_bytes();
        if text.is_empty() || text.len() > LONGEST_NAME || RESERVED.contains(&name) {
            return Err(EINVAL);
        }
        if Callers::GENL.may_have_current() {
            return Err(error(bindings::EDEADLK));
        }
        let inner = try_pin_init!(Inner {
            raw: ptr::null_mut(),
            registered: false,
            calls: Calls::closed(),
            handler <- handler,
            _pin: PhantomPinned,
        }? Error);
        let inner = Alive::new(inner, |inner| {
            // SAFETY: Nothing is moved.
            unsafe { inner.get_unchecked_mut() }.register(name)
        })?;
        Ok(Self(inner))
    }

    /// Sends a message to all who have joined the group with this number: its place in
    /// [`Handler::GROUPS`]. `fill` adds the attributes. `command` is any number, which tells
    /// them what it is about.
    ///
    /// Returns whether anybody has got it. Who has no room for it does not: the kernel
    /// tells that to him, with `ENOBUFS` the next time that he reads.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there is no such group;
    /// - `ENODEV`: the family was unregistered;
    /// - `ENOBUFS`: somebody who has no room for it wants the sender to know
    ///   (`NETLINK_BROADCAST_ERROR`). Others may have got it. Any process can have it come to
    ///   this: nothing else should fail for it;
    /// - `ENOMEM`;
    /// - that of `fill`.
    pub fn multicast(
        &self,
        group: u8,
        command: u8,
        fill: impl FnOnce(&mut Message) -> Result,
    ) -> Result<bool> {
        // SAFETY: By the type invariants it is there as long as `self`.
        let mut message = unsafe { Message::to_group(self.0.raw, command) }?;
        fill(&mut message)?;
        // Not around `fill`, for which `stop` would wait.
        let _running = self.0.calls.begin().ok_or(ENODEV)?;
        // SAFETY: By the type invariants it is registered as long as the call runs.
        unsafe { message.multicast(self.0.raw, group) }
    }
}

impl<T: Handler> Deref for Family<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.handler
    }
}

impl<T: Handler> Inner<T> {
    /// Registers the family. After an error `give_back` frees what there is.
    fn register(&mut self, name: &CStr) -> Result {
        // SAFETY: The name is short enough, and copied. The function is for a pointer to the
        // handler, which stays in place until `stop` has returned. This may sleep.
        // Unload rule, unregister waits: `stop` does it.
        let raw = unsafe {
            bindings::lkm_genl_new(
                name.as_char_ptr(),
                T::VERSION.into(),
                T::COMMANDS.len() as c_uint,
                T::GROUPS.len() as c_uint,
                Some(Self::handle),
                (&raw mut self.handler).cast(),
            )
        };
        if raw.is_null() {
            return Err(ENOMEM);
        }
        // INVARIANT: It was just made.
        self.raw = raw;
        // SAFETY: There is room for as many commands and groups, and for attributes of these
        // numbers: `Family::register` does not compile with others. Names are short enough, and
        // copied.
        unsafe {
            for (n, command) in (0..).zip(T::COMMANDS) {
                bindings::lkm_genl_set_command(raw, n, command.number, command.admin);
            }
            for attribute in T::ATTRIBUTES {
                let (number, kind) = (attribute.number, attribute.kind);
                bindings::lkm_genl_set_attribute(raw, number, kind, attribute.most);
            }
            for (n, group) in (0..).zip(T::GROUPS) {
                bindings::lkm_genl_set_group(raw, n, group.as_char_ptr());
            }
        }
        // SAFETY: All of it is set. No command runs in this task.
        to_result(unsafe { bindings::lkm_genl_register(raw) })?;
        // INVARIANT: It was just registered.
        self.registered = true;
        self.calls.open();
        Ok(())
    }

    /// # Safety
    ///
    /// Called by C's half only: `data` is the `T` of a family that is registered during the
    /// call, and the request is there as long.
    unsafe extern "C" fn handle(
        data: *mut c_void,
        request: *mut bindings::lkm_genl_request,
    ) -> c_int {
        // SAFETY: By this function's contract.
        let (handler, request) = unsafe {
            (
                &*data.cast::<T>(),
                // INVARIANT: It is there as long as this runs, and is only lent.
                Request(NonNull::new_unchecked(request)),
            )
        };
        let inside = Callers::GENL.begin();
        let result = handler.handle(&request);
        drop(inside);
        result.map_or_else(to_netlink, |()| 0)
    }
}

/// A request that is being [handled](Handler::handle). It cannot be kept, nor go to another
/// thread.
///
/// Attributes have been checked: each is what [`Handler::ATTRIBUTES`] says, or is missing.
///
/// # Invariants
///
/// It points to a request of a family that is registered. The task that has sent it is in its
/// handler, and is the current one.
pub struct Request(NonNull<bindings::lkm_genl_request>);

/// The longest text of [`Request::refuse`], in bytes.
const LONGEST_TEXT: usize = 79;

impl Request {
    /// The number of its command.
    pub fn command(&self) -> u8 {
        // SAFETY: By the type invariants.
        unsafe { bindings::lkm_genl_command(self.0.as_ptr()) }
    }

    /// The bytes of an attribute, whatever it is. `None` if it is missing.
    pub fn bytes(&self, number: u8) -> Option<&[u8]> {
        let mut len = 0;
        // SAFETY: By the type invariants.
        let data = unsafe { bindings::lkm_genl_attribute(self.0.as_ptr(), number, &raw mut len) };
        if data.is_null() {
            return None;
        }
        // SAFETY: There are so many, in memory of the kernel that nobody changes as long as
        // the request is there.
        Some(unsafe { slice::from_raw_parts(data.cast(), len) })
    }

    /// The text of an attribute. `None` if it is missing, or no text.
    pub fn string(&self, number: u8) -> Option<&CStr> {
        CStr::from_bytes_until_nul(self.bytes(number)?).ok()
    }

    /// The number in an attribute. `None` if it is missing, or no number.
    pub fn u32(&self, number: u8) -> Option<u32> {
        let bytes: [u8; 4] = self.bytes(number)?.try_into().ok()?;
        Some(u32::from_ne_bytes(bytes))
    }

    /// Sends a message to the socket from which the request came. `fill` adds the attributes.
    /// There can be several. May sleep.
    ///
    /// # Errors
    ///
    /// - `EAGAIN`: the process has not read for so long that there is no room left. The
    ///   handler's own answer is lost, too: the process gets `ENOBUFS` when it reads;
    /// - `ECONNREFUSED`: the socket is connected, by connect(2), to somebody else than the
    ///   kernel;
    /// - `ENOMEM`;
    /// - that of `fill`.
    pub fn reply(&self, command: u8, fill: impl FnOnce(&mut Message) -> Result) -> Result {
        // SAFETY: By the type invariants. This may sleep, as a handler may.
        let raw = unsafe { bindings::lkm_genl_reply_new(self.0.as_ptr(), command) };
        let mut message = Message::new(raw)?;
        fill(&mut message)?;
        // SAFETY: By the type invariants. This takes the message.
        to_result(unsafe { bindings::lkm_genl_reply(self.0.as_ptr(), message.into_raw()) })
    }

    /// As [`Family::multicast`], for the family that the request is for. It is still there.
    ///
    /// # Errors
    ///
    /// Those of [`Family::multicast`].
    pub fn multicast(
        &self,
        group: u8,
        command: u8,
        fill: impl FnOnce(&mut Message) -> Result,
    ) -> Result<bool> {
        // SAFETY: By the type invariants.
        let family = unsafe { bindings::lkm_genl_of(self.0.as_ptr()) };
        // SAFETY: By the type invariants it is registered.
        let mut message = unsafe { Message::to_group(family, command) }?;
        fill(&mut message)?;
        // SAFETY: As above.
        unsafe { message.multicast(family, group) }
    }

    /// Has the answer say `text`, of which at most 79 bytes get there, to those who have asked
    /// for texts (`NETLINK_EXT_ACK`). Returns `error`, for the [handler](Handler::handle) to
    /// return.
    pub fn refuse(&self, text: &str, error: Error) -> Error {
        let mut len = text.len().min(LONGEST_TEXT);
        while !text.is_char_boundary(len) {
            len -= 1;
        }
        // SAFETY: By the type invariants. The text has so many bytes, and is copied.
        unsafe {
            bindings::lkm_genl_refuse(self.0.as_ptr(), text.as_ptr().cast(), len as c_int);
        }
        error
    }
}

/// A message that is being filled. There is room for about a page, of which each attribute
/// takes four bytes more than it has, and up to three more.
///
/// # Invariants
///
/// It is a message of C's half, with a header, that belongs to this value.
pub struct Message(NonNull<bindings::lkm_genl_message>);

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::lkm_genl_message_free(self.0.as_ptr()) };
    }
}

impl Message {
    fn new(raw: *mut bindings::lkm_genl_message) -> Result<Self> {
        // INVARIANT: The callers have just made it.
        NonNull::new(raw).map(Self).ok_or(ENOMEM)
    }

    /// # Safety
    ///
    /// The family is, or was, registered, and is not freed during the call.
    unsafe fn to_group(family: *const bindings::lkm_genl, command: u8) -> Result<Self> {
        // SAFETY: By this function's contract. This may sleep, as the callers may.
        let raw = unsafe { bindings::lkm_genl_message_new(family, command) };
        Self::new(raw)
    }

    fn into_raw(self) -> *mut bindings::lkm_genl_message {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// # Safety
    ///
    /// The family is registered during the call.
    unsafe fn multicast(self, family: *const bindings::lkm_genl, group: u8) -> Result<bool> {
        // SAFETY: By this function's contract. This takes the message, and may sleep.
        let result = unsafe { bindings::lkm_genl_multicast(family, group, self.into_raw()) };
        match to_result(result) {
            Ok(()) => Ok(true),
            Err(ESRCH) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Adds a number of 32 bits.
    ///
    /// # Errors
    ///
    /// `EMSGSIZE`: there is no room for it.
    pub fn u32(&mut self, number: u8, value: u32) -> Result {
        self.bytes(number, &value.to_ne_bytes())
    }

    /// Adds a text, with its NUL.
    ///
    /// # Errors
    ///
    /// `EMSGSIZE`: there is no room for it.
    pub fn string(&mut self, number: u8, text: &CStr) -> Result {
        self.bytes(number, text.to_bytes_with_nul())
    }

    /// Adds bytes.
    ///
    /// # Errors
    ///
    /// `EMSGSIZE`: there is no room for them.
    pub fn bytes(&mut self, number: u8, bytes: &[u8]) -> Result {
        const HEADER: usize = 4;
        if bytes.len() > u16::MAX as usize - HEADER {
            return Err(error(bindings::EMSGSIZE));
        }
        // SAFETY: By the type invariants. The bytes are copied.
        to_result(unsafe {
            bindings::lkm_genl_message_put(
                self.0.as_ptr(),
                number,
                bytes.as_ptr().cast(),
                bytes.len(),
            )
        })
    }
}
