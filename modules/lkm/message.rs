// SPDX-License-Identifier: GPL-2.0-only

//! A message that several files share.
//!
//! This is a pattern of this crate, not kernel API. It combines a mutex with a wait
//! queue.
//!
//! C headers: [`include/linux/mutex.h`](srctree/include/linux/mutex.h),
//! [`include/linux/wait.h`](srctree/include/linux/wait.h)

use crate::{
    file::{
        events::{
            EPOLLIN,
            EPOLLOUT, //
        },
        Offset,
        PollTable,
        Writer, //
    },
    sync::WaitQueue, //
};
use core::ops::Deref;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex,
        MutexGuard, //
    },
};

/// Creates an initialiser of a [`Message`](crate::message::Message) with lock
/// classes of its own.
#[macro_export]
macro_rules! new_message {
    () => {
        $crate::message::Message::new(
            ::kernel::new_mutex!($crate::message::Latest::default(), "Message::latest"),
            $crate::new_wait_queue!("Message::arrived"),
        )
    };
}

pub use crate::new_message;

/// The latest message: bytes that are replaced as a whole, and that any number of
/// open files read. A new message is news to each open file until that file has
/// [`Seen`] it. A process can wait for news with `poll(2)`, `select(2)` and
/// `epoll(7)`.
///
/// At first the message is empty, and news to no file.
///
/// # Unloading
///
/// *We wait*, as a [`WaitQueue`] does: dropping the message waits until no process
/// polls it. So call [`close`](Self::close) in
/// [`Operations::hang_up`](crate::file::Operations::hang_up): the processes leave.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{
///     chrdev,
///     file::{self, File, Offset, Opened, Operations, PollTable, Reader, Writer},
///     message::{new_message, Message, Seen},
/// };
///
/// #[pin_data]
/// struct Board {
///     #[pin]
///     notice: Message,
/// }
///
/// #[vtable]
/// impl Operations for Board {
///     type Private = Seen;
///
///     fn open(&self, _file: &File) -> impl PinInit<Seen, Error> {
///         Ok(Seen::default())
///     }
///
///     fn read(&self, file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
///         self.notice.read(file.private(), pos, dst)
///     }
///
///     fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
///         Ok(self.notice.set(file::take(src, 80)?))
///     }
///
///     fn poll<'a>(&'a self, file: &'a Opened<Self>, table: &PollTable<'a>) -> u32 {
///         self.notice.poll(file.private(), table)
///     }
/// }
///
/// let board = pin_init!(Board { notice <- new_message!() });
/// let device = chrdev::Registration::new(c"board", board)?;
/// # Ok::<(), Error>(())
/// ```
#[pin_data]
pub struct Message {
    #[pin]
    latest: Mutex<Latest>,
    #[pin]
    arrived: WaitQueue,
}

/// For [`new_message!`](macro@crate::new_message).
#[derive(Default)]
pub struct Latest {
    text: KVec<u8>,
    /// The number of messages so far.
    number: u64,
}

impl Message {
    /// For [`new_message!`](macro@crate::new_message).
    pub fn new(
        latest: impl PinInit<Mutex<Latest>>,
        arrived: impl PinInit<WaitQueue>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            latest <- latest,
            arrived <- arrived,
        })
    }

    /// Replaces the message by `text`, wakes all processes that wait for one, and
    /// returns its length. May sleep.
    pub fn set(&self, text: KVec<u8>) -> usize {
        let len = text.len();
        let mut latest = self.latest.lock();
        latest.text = text;
        latest.number += 1;
        self.arrived.wake_up_all();
        len
    }

    /// Copies the message from `pos` on to user space, advances `pos`, and returns
    /// the number of bytes; 0 at the end of the message. Once the whole message was
    /// read, `seen` has seen it. This is for
    /// [`Operations::read`](crate::file::Operations::read).
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: a bad address. The bytes before it may have been written.
    pub fn read(&self, seen: &Seen, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let message = self.lock();
        let read = dst.write_slice_file(&message, pos)?;
        if *pos >= message.len() as Offset {
            message.seen_by(seen);
        }
        Ok(read)
    }

    /// Locks the message and returns it. It does not change until the result is
    /// dropped. May sleep.
    pub fn lock(&self) -> Text<'_> {
        Text(self.latest.lock())
    }

    /// Returns the events for `poll(2)` and the like: the file can always be
    /// written, and it can be read when the message is news to `seen`. This is for
    /// [`Operations::poll`](crate::file::Operations::poll).
    ///
    /// May sleep.
    pub fn poll<'a>(&'a self, seen: &Seen, table: &PollTable<'a>) -> u32 {
        table.wait(&self.arrived);
        match self.latest.lock().number == seen.0.load(Relaxed) {
            true => EPOLLOUT,
            false => EPOLLIN | EPOLLOUT,
        }
    }

    /// Ends all waits for a message, as [`WaitQueue::close`] does, and under the
    /// same conditions. May sleep.
    pub fn close(&self) {
        self.arrived.close();
    }
}

/// The bytes of a locked message, which [`Message::lock`] returns.
pub struct Text<'a>(MutexGuard<'a, Latest>);

impl Text<'_> {
    /// Records that `seen` has seen the message. Can be called in any context.
    pub fn seen_by(&self, seen: &Seen) {
        seen.0.store(self.0.number, Relaxed);
    }
}

impl Deref for Text<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.text
    }
}

/// The latest [`Message`] that an open file has seen; at first none. It is the
/// [`Private`](crate::file::Operations::Private) of each open file.
pub struct Seen(Atomic<u64>);

impl Default for Seen {
    fn default() -> Self {
        Self(Atomic::new(0))
    }
}
