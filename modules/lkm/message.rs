// SPDX-License-Identifier: GPL-2.0-only

//! A message for all who have a file open.
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

/// Creates an initialiser of a [`Message`](crate::message::Message), whose locks
/// have classes of their own.
#[macro_export]
macro_rules! new_message {
    () => {
        $crate::message::Message::new(
            ::kernel::new_mutex!($crate::message::Latest::default(), "Message::latest"),
            $crate::new_wait_queue!("Message::arrived"),
        )
    };
}

/// The latest message: bytes that are replaced as a whole, and read by any
/// number of openings of a file. To each of them a new message is news until it
/// has [`Seen`] it, for which it can wait by `poll(2)`, `select(2)` and
/// `epoll(7)`.
///
/// At first the message is empty, and news to nobody.
///
/// Its methods are for process context, and may sleep.
///
/// # Unloading
///
/// *We wait*, as a [`WaitQueue`] does: dropping the message waits until nobody
/// waits for one. For a file in `/proc` call [`close`](Self::close) before the
/// file goes, so that they leave. A device keeps the module while one is open.
///
/// # Examples
///
/// ```ignore
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
///     fn poll(&self, file: &Opened<Self>, table: &PollTable) -> u32 {
///         self.notice.poll(file.private(), table)
///     }
/// }
///
/// let board = pin_init!(Board { notice <- new_message!() });
/// let device = chrdev::Registration::new(c"board", board)?;
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
    /// How many there have been.
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

    /// Makes `text` the message, wakes all who wait for one, and returns its
    /// length.
    pub fn set(&self, text: KVec<u8>) -> usize {
        let len = text.len();
        let mut latest = self.latest.lock();
        latest.text = text;
        latest.number += 1;
        self.arrived.wake_up_all();
        len
    }

    /// Copies the message from `pos` on to user space, moves `pos`, and returns
    /// how many bytes that were; 0 at its end. When all was read that there is,
    /// the message is no news to `seen` any more. For
    /// [`Operations::read`](crate::file::Operations::read).
    ///
    /// # Errors
    ///
    /// `EFAULT`: a bad address; bytes before it may have been written.
    pub fn read(&self, seen: &Seen, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let message = self.lock();
        let read = dst.write_slice_file(&message, pos)?;
        if *pos >= message.len() as Offset {
            message.seen_by(seen);
        }
        Ok(read)
    }

    /// The message, which stays as it is until what this returns is dropped.
    pub fn lock(&self) -> Text<'_> {
        Text(self.latest.lock())
    }

    /// What `poll(2)` and the like are told: that the file can be written, and
    /// read when the message is news. For
    /// [`Operations::poll`](crate::file::Operations::poll).
    pub fn poll(&self, seen: &Seen, table: &PollTable) -> u32 {
        table.wait(&self.arrived);
        match self.latest.lock().number == seen.0.load(Relaxed) {
            true => EPOLLOUT,
            false => EPOLLIN | EPOLLOUT,
        }
    }

    /// Ends all waits for a message, as [`WaitQueue::close`] does, and with the
    /// same conditions.
    pub fn close(&self) {
        self.arrived.close();
    }
}

/// What [`Message::lock`] returns: the bytes of the message.
pub struct Text<'a>(MutexGuard<'a, Latest>);

impl Text<'_> {
    /// The message is no news to `seen` any more.
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

/// Which [`Message`] was seen last; at first none. For each opening of a file:
/// its [`Private`](crate::file::Operations::Private).
pub struct Seen(Atomic<u64>);

impl Default for Seen {
    fn default() -> Self {
        Self(Atomic::new(0))
    }
}
