// SPDX-License-Identifier: GPL-2.0-only

//! A file in /proc that one at a time may open: all others sleep until it is
//! their turn.
//!
//! Book: 12.1 Sleep

use kernel::prelude::*;
use lkm::{
    file::{
        mode,
        File,
        Offset,
        Opened,
        Operations,
        PollTable,
        Reader,
        Writer, //
    },
    message::{
        Message,
        Seen, //
    },
    new_message,
    new_wait_queue,
    procfs::{
        self,
        Attributes, //
    },
    sync::{
        Gate,
        WaitQueue, //
    },
    OnDrop, //
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

#[pin_data]
struct Sleep {
    /// One at a time has the file open.
    gate: Gate,
    #[pin]
    waitq: WaitQueue,
    #[pin]
    input: Message,
}

#[vtable]
impl Operations for Sleep {
    type Private = Seen;

    fn open(&self, file: &File) -> impl PinInit<Seen, Error> {
        let enter = || self.gate.enter().ok();
        self.waitq.wait_unless_nonblocking(file, enter)?;
        Ok(Seen::default())
    }

    fn release(&self, _file: &Opened<Self>) {
        self.gate.leave();
        self.waitq.wake_up_all();
    }

    fn read(&self, file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let input = self.input.lock();
        let mut output = KVec::new();
        for part in [b"Last input:", &input[..], b"\n"] {
            output.extend_from_slice(part, GFP_KERNEL)?;
        }
        input.show(&output, file.private(), pos, dst)
    }

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        self.input.write(src, LIMIT)
    }

    fn poll<'a>(&'a self, file: &'a Opened<Self>, table: &PollTable<'a>) -> u32 {
        self.input.poll(file.private(), table)
    }

    /// Nobody sleeps in the module when its file goes.
    fn hang_up(&self) {
        self.waitq.close();
        self.input.close();
    }
}

struct Module {
    _entry: procfs::Entry<Sleep>,
    // Dropped last, when the file is gone.
    _removed: OnDrop,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let sleep = pin_init!(Sleep {
            gate: Gate::new(),
            waitq <- new_wait_queue!(),
            input <- new_message!(),
        });
        let attributes = Attributes::from(mode!(0o644)).size(80).owner(0, 0);
        let entry = procfs::Entry::new(c"sleep", attributes, sleep)?;
        pr_info!("/proc/sleep created\n");
        Ok(Self {
            _entry: entry,
            _removed: OnDrop(|| pr_debug!("/proc/sleep removed\n")),
        })
    }
}
