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
        Arc, Mutex,
    },
};
use lkm::{
    file::{self, events::*, File, Offset, Opened, Operations, PollTable, Reader, Writer},
    procfs,
    sync::{new_wait_queue, WaitQueue},
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

/// The way into the file, for one at a time.
#[pin_data]
struct Door {
    taken: Atomic<bool>,
    #[pin]
    queue: WaitQueue,
}

/// The file is open by the one who has this.
struct Turn(Arc<Door>);

impl Turn {
    fn take(door: &Arc<Door>) -> Option<Self> {
        let free = door.taken.cmpxchg(false, true, Acquire).is_ok();
        free.then(|| Turn(door.clone()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.taken.store(false, Release);
        self.0.queue.wake_up_all();
    }
}

/// What one opening of the file has of its own.
struct Opening {
    _turn: Turn,
    /// The number of the input that was read to its end.
    seen: Atomic<u64>,
}

#[derive(Default)]
struct Input {
    text: KVec<u8>,
    number: u64,
}

#[pin_data]
struct Sleep {
    door: Arc<Door>,
    #[pin]
    input: Mutex<Input>,
    #[pin]
    arrived: WaitQueue,
}

impl Sleep {
    fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            door: Arc::pin_init(
                pin_init!(Door { taken: Atomic::new(false), queue <- new_wait_queue!() }),
                GFP_KERNEL,
            )?,
            input <- new_mutex!(Input::default()),
            arrived <- new_wait_queue!(),
        })
    }
}

#[vtable]
impl Operations for Sleep {
    type Private = Opening;

    fn open(&self, file: &File) -> impl PinInit<Opening, Error> {
        let turn = || Turn::take(&self.door);
        let turn = if file::nonblocking(file) {
            turn().ok_or(EAGAIN)
        } else {
            self.door.queue.wait_interruptible(turn)
        };
        turn.map(|_turn| Opening {
            _turn,
            seen: Atomic::new(0),
        })
    }

    fn read(&self, file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let input = self.input.lock();
        let mut output = KVec::with_capacity(LIMIT + 12, GFP_KERNEL)?;
        for part in [b"Last input:", &input.text[..], b"\n"] {
            output.extend_from_slice(part, GFP_KERNEL)?;
        }
        let read = dst.write_slice_file(&output, pos)?;
        if *pos >= output.len() as Offset {
            file.private().seen.store(input.number, Relaxed);
        }
        Ok(read)
    }

    /// What is written takes the place of what was there, wherever the position
    /// is, which stays there.
    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let len = src.len().min(LIMIT);
        let mut text = KVec::from_elem(0, len, GFP_KERNEL)?;
        src.read_slice(&mut text)?;
        let mut input = self.input.lock();
        input.text = text;
        input.number += 1;
        self.arrived.wake_up_all();
        Ok(len)
    }

    /// There is always room for input; there is something to read until the last
    /// input was read to its end.
    fn poll(&self, file: &Opened<Self>, table: &PollTable) -> u32 {
        table.wait(&self.arrived);
        let seen = file.private().seen.load(Relaxed);
        let ready = EPOLLOUT;
        if self.input.lock().number == seen {
            ready
        } else {
            ready | EPOLLIN
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
        try_pin_init!(Self {
            entry <- procfs::Entry::new(c"sleep", 0o644, Sleep::new()),
            _: { pr_info!("/proc/sleep created\n") },
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Module {
    fn drop(self: Pin<&mut Self>) {
        // Nobody sleeps in the module when its file goes.
        let sleep = self.entry.data();
        sleep.door.queue.close();
        sleep.arrived.close();
        pr_debug!("/proc/sleep removed\n");
    }
}
