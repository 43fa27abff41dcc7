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
        Reader,
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
///     file::{File, Offset, Opened, Operations, PollTable, Reader, Writer},
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
///         self.notice.write(src, 80)
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

    /// Takes the bytes of `src`, but at most `limit` of them, as the new message, and
    /// returns how many. When there are none, the message stays. This is for
    /// [`Operations::write`](crate::file::Operations::write).
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`Reader::take`]. Then the message stays, too.
    pub fn write(&self, src: &mut Reader, limit: usize) -> Result<usize> {
        match src.is_empty() {
            true => Ok(0),
            false => Ok(self.set(src.take(limit)?)),
        }
    }

    /// Copies the message to user space, as [`Text::show`] does. This is for
    /// [`Operations::read`](crate::file::Operations::read).
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`Text::show`].
    pub fn read(&self, seen: &Seen, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let message = self.lock();
        message.show(&message, seen, pos, dst)
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
        match self.latest.lock().number == seen.whole.load(Relaxed) {
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
    /// Copies `output`, which was made of this message, from `pos` on to user space,
    /// advances `pos`, and returns the number of bytes; 0 at the end. Once all of it was
    /// read, `seen` has seen the message.
    ///
    /// A file that was reading another message begins with this one at its beginning:
    /// the position at which it stopped belongs to the other. Any other position, from
    /// `lseek(2)` or `pread(2)`, is one in this message.
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: a bad address. The bytes before it may have been written.
    pub fn show(
        &self,
        output: &[u8],
        seen: &Seen,
        pos: &mut Offset,
        dst: &mut Writer,
    ) -> Result<usize> {
        let number = self.0.number;
        if seen.at.load(Relaxed) != number && *pos == seen.end.load(Relaxed) {
            *pos = 0;
        }
        let read = dst.write_slice_file(output, pos)?;
        seen.at.store(number, Relaxed);
        seen.end.store(*pos, Relaxed);
        if *pos >= output.len() as Offset {
            seen.whole.store(number, Relaxed);
        }
        Ok(read)
    }
}

impl Deref for Text<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.text
    }
}

/// What an open file has read of a [`Message`]; at first nothing. It is the
/// [`Private`](crate::file::Operations::Private) of each open file.
// It changes under the message's lock.
pub struct Seen {
    /// The latest message that was read to its end.
    whole: Atomic<u64>,
    /// The message of which something was read last, and where that stopped.
    at: Atomic<u64>,
    end: Atomic<i64>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            whole: Atomic::new(0),
            at: Atomic::new(0),
            end: Atomic::new(0),
        }
    }
}
