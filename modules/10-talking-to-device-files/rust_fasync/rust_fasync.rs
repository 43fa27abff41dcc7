// SPDX-License-Identifier: GPL-2.0-only

//! A doorbell: who asks for it gets a signal when somebody rings.
//!
//! Book: 10.2 Asynchronous notification

use kernel::{
    prelude::*,
    str::CString,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use lkm::{
    file::{
        events::{
            EPOLLIN,
            EPOLLOUT, //
        },
        Band,
        FasyncQueue,
        Offset,
        Opened,
        Operations,
        PollTable,
        Reader,
        Writer, //
    },
    miscdevice,
    sync::{
        new_wait_queue,
        WaitQueue, //
    },
};

module! {
    type: Module,
    name: "rust_fasync",
    authors: ["lkmpg-rs"],
    description: "A device that sends SIGIO to who asks for it",
    license: "GPL",
}

/// As many bytes as a number and its newline can have.
const LONGEST: usize = 11;

/// Each write rings once. A read takes all rings that nobody has taken, and returns their
/// number as text.
#[pin_data]
struct Doorbell {
    rings: Atomic<u32>,
    /// Those who wait in `read(2)` or `poll(2)`.
    #[pin]
    rung: WaitQueue,
    /// Those who do something else, and want a signal.
    listeners: FasyncQueue,
}

impl Doorbell {
    fn take(&self) -> Option<u32> {
        match self.rings.xchg(0, Relaxed) {
            0 => None,
            rings => Some(rings),
        }
    }

    fn ring(&self, times: u32) {
        // The event comes first, then the news of it: those who look again find it.
        self.rings.fetch_add(times, Relaxed);
        self.rung.wake_up_all();
        self.listeners.kill_fasync(Band::In);
    }
}

#[vtable]
impl Operations for Doorbell {
    type Private = ();

    fn read(&self, file: &Opened<Self>, _pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        if dst.len() < LONGEST {
            return Err(EINVAL);
        }
        let rings = self.rung.wait_unless_nonblocking(file, || self.take())?;
        let text = CString::try_from_fmt(fmt!("{rings}\n"));
        let written = text.and_then(|text| {
            let text = text.to_bytes();
            dst.write_slice(text)?;
            Ok(text.len())
        });
        // Nobody has heard them then.
        written.inspect_err(|_| self.ring(rings))
    }

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        self.ring(1);
        Ok(src.len())
    }

    fn poll<'a>(&'a self, _file: &'a Opened<Self>, table: &PollTable<'a>) -> u32 {
        table.wait(&self.rung);
        match self.rings.load(Relaxed) {
            0 => EPOLLOUT,
            _ => EPOLLIN | EPOLLOUT,
        }
    }

    /// Only says where the file belongs. Who gets a signal, and which, is between the process
    /// and the kernel.
    fn fasync<'a>(&'a self, _file: &'a Opened<Self>) -> &'a FasyncQueue {
        &self.listeners
    }
}

struct Module {
    _doorbell: miscdevice::Registration<Doorbell>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let doorbell = pin_init!(Doorbell {
            rings: Atomic::new(0),
            rung <- new_wait_queue!(),
            listeners: FasyncQueue::new(),
        });
        Ok(Self {
            _doorbell: miscdevice::Registration::new(c"rust_fasync", doorbell)?,
        })
    }
}
