// SPDX-License-Identifier: GPL-2.0-only

//! Test only: wait queues and completions of `lkm::sync`.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::Delta, //
};
use lkm::{
    file::{
        events::EPOLLIN,
        mode,
        Argument,
        Offset,
        Opened,
        Operations,
        PollTable,
        Reader, //
    },
    procfs,
    sync::{
        new_wait_queue,
        Completion,
        WaitQueue, //
    },
};

mod commands;

use commands::*;

module! {
    type: Waits,
    name: "waits",
    authors: ["lkmpg-rs"],
    description: "Test only: wait queues and completions of lkm::sync",
    license: "GPL",
}

/// Letters, each of which one caller takes. A write brings as many as it has
/// bytes.
#[pin_data]
struct Mailbox {
    letters: Atomic<usize>,
    #[pin]
    arrived: WaitQueue,
}

impl Mailbox {
    fn take(&self) -> Option<()> {
        let mut letters = self.letters.load(Relaxed);
        loop {
            let fewer = letters.checked_sub(1)?;
            match self.letters.cmpxchg(letters, fewer, Relaxed) {
                Ok(_) => return Some(()),
                Err(now) => letters = now,
            }
        }
    }
}

#[vtable]
impl Operations for Mailbox {
    type Private = ();

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        self.letters.fetch_add(src.len(), Relaxed);
        self.arrived.wake_up_all();
        Ok(src.len())
    }

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let timeout = Delta::from_millis(arg.number() as i64);
        match cmd {
            TAKE => self.arrived.wait_interruptible(|| self.take())?,
            TAKE_TIMEOUT => self
                .arrived
                .wait_interruptible_timeout(timeout, || self.take())?,
            CLOSE => self.arrived.close(),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }

    fn poll<'a>(&'a self, _file: &'a Opened<Self>, table: &PollTable<'a>) -> u32 {
        table.wait(&self.arrived);
        if self.letters.load(Relaxed) > 0 {
            EPOLLIN
        } else {
            0
        }
    }
}

/// A completion, by ioctl(2).
#[pin_data]
struct Event {
    #[pin]
    happened: Completion,
}

#[vtable]
impl Operations for Event {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let timeout = Delta::from_millis(arg.number() as i64);
        let happened = &self.happened;
        match cmd {
            COMPLETE => happened.complete(),
            COMPLETE_ALL => happened.complete_all(),
            WAIT => happened.wait(),
            WAIT_INTERRUPTIBLE => happened.wait_interruptible()?,
            WAIT_TIMEOUT => happened.wait_timeout(timeout)?,
            WAIT_INTERRUPTIBLE_TIMEOUT => happened.wait_interruptible_timeout(timeout)?,
            TRY_WAIT => return Ok(happened.try_wait().into()),
            IS_DONE => return Ok(happened.is_done().into()),
            REINIT => happened.reinit(),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

#[pin_data(PinnedDrop)]
struct Waits {
    #[pin]
    mailbox: procfs::Entry<Mailbox>,
    #[pin]
    event: procfs::Entry<Event>,
}

impl kernel::InPlaceModule for Waits {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            mailbox <- procfs::Entry::new(
                c"waits-mailbox",
                mode!(0o600),
                pin_init!(Mailbox { letters: Atomic::new(0), arrived <- new_wait_queue!() }),
            ),
            event <- procfs::Entry::new(
                c"waits-event",
                mode!(0o600),
                pin_init!(Event { happened <- Completion::new() }),
            ),
        })
    }
}

// The queue is not closed: that dropping it will do is what is tested.
#[pinned_drop]
impl PinnedDrop for Waits {
    fn drop(self: Pin<&mut Self>) {
        self.event.data().happened.complete_all();
    }
}
