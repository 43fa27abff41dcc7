// SPDX-License-Identifier: GPL-2.0-only

//! A file in /proc that one at a time may open: all others sleep until it is
//! their turn.
//!
//! Book: 12.1 Sleep

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Relaxed, Release},
        Mutex,
    },
};
use lkm::{
    file::{self, events::*, File, Offset, Opened, Operations, PollTable, Reader, Writer},
    new_wait_queue,
    procfs::{self, Attributes},
    sync::WaitQueue,
};

module! {
    type: Module,
    name: "sleep",
    authors: ["lkmpg-rs"],
    description: "A file in /proc that lets one in at a time: /proc/sleep",
    license: "GPL",
}

/// How much of its input the file keeps, in bytes.
const LIMIT: usize = 79;

const ROOT: u32 = 0;

#[derive(Default)]
struct Input {
    text: KVec<u8>,
    /// How many there have been.
    number: u64,
}

#[pin_data]
struct Sleep {
    already_open: Atomic<bool>,
    #[pin]
    input: Mutex<Input>,
    /// Those who wait for their turn, or for input.
    #[pin]
    waitq: WaitQueue,
}

#[vtable]
impl Operations for Sleep {
    /// The number of the input that was read to its end.
    type Private = Atomic<u64>;

    fn open(&self, file: &File) -> impl PinInit<Atomic<u64>, Error> {
        let try_open = || self.already_open.cmpxchg(false, true, Acquire).ok();
        if file::nonblocking(file) {
            try_open().ok_or(EAGAIN)?;
        } else {
            self.waitq.wait_interruptible(try_open)?;
        }
        Ok(Atomic::new(0))
    }

    fn release(&self, _file: &Opened<Self>) {
        self.already_open.store(false, Release);
        self.waitq.wake_up_all();
    }

    fn read(&self, file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let input = self.input.lock();
        let mut output = KVec::new();
        for part in [b"Last input:", &input.text[..], b"\n"] {
            output.extend_from_slice(part, GFP_KERNEL)?;
        }
        let read = dst.write_slice_file(&output, pos)?;
        if *pos >= output.len() as Offset {
            file.private().store(input.number, Relaxed);
        }
        Ok(read)
    }

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let text = file::take(src, LIMIT)?;
        let len = text.len();
        let mut input = self.input.lock();
        input.text = text;
        input.number += 1;
        self.waitq.wake_up_all();
        Ok(len)
    }

    fn poll(&self, file: &Opened<Self>, table: &PollTable) -> u32 {
        table.wait(&self.waitq);
        match self.input.lock().number == file.private().load(Relaxed) {
            true => EPOLLOUT,
            false => EPOLLIN | EPOLLOUT,
        }
    }
}

#[pin_data(PinnedDrop)]
struct Module {
    #[pin]
    entry: procfs::Entry<Sleep>,
}

impl kernel::InPlaceModule for Module {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let sleep = pin_init!(Sleep {
            already_open: Atomic::new(false),
            input <- new_mutex!(Input::default()),
            waitq <- new_wait_queue!(),
        });
        let attributes = Attributes::from(0o644).size(80).owner(ROOT, ROOT);
        try_pin_init!(Self {
            entry <- procfs::Entry::new(c"sleep", attributes, sleep),
            _: { pr_info!("/proc/sleep created\n") },
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Module {
    fn drop(self: Pin<&mut Self>) {
        // Nobody sleeps in the module when its file goes.
        self.entry.data().waitq.close();
        pr_debug!("/proc/sleep removed\n");
    }
}
