// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the semaphore of `lkm::sync`.

use kernel::{
    ioctl::_IO,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::{
        delay::fsleep,
        Delta,
        Jiffies, //
    },
};
use lkm::{
    file::{Argument, Opened, Operations},
    procfs,
    sync::{
        Permit,
        Semaphore, //
    },
};

module! {
    type: Semaphores,
    name: "semaphores",
    authors: ["lkmpg-rs"],
    description: "Test only: the semaphore of lkm::sync",
    license: "GPL",
}

lkm::params! {
    permits: u32 { default: 2, mode: 0o444, description: "How many there are" },
}

// Each takes a permit and keeps it.
const DOWN: u32 = _IO(b's' as u32, 0);
const DOWN_INTERRUPTIBLE: u32 = _IO(b's' as u32, 1);
const DOWN_KILLABLE: u32 = _IO(b's' as u32, 2);
/// For no longer than the argument's number of jiffies.
const DOWN_TIMEOUT: u32 = _IO(b's' as u32, 3);
const TRY_DOWN: u32 = _IO(b's' as u32, 4);
const UP: u32 = _IO(b's' as u32, 5);
/// Has a permit for a millisecond.
const ENTER: u32 = _IO(b's' as u32, 6);
/// How many had one at the same time, at most.
const MOST: u32 = _IO(b's' as u32, 7);

/// How many may be waiting when the module is unloaded.
const WAITERS: usize = 10;

#[pin_data]
struct Room {
    #[pin]
    semaphore: Semaphore,
    inside: Atomic<u32>,
    most: Atomic<u32>,
}

#[vtable]
impl Operations for Room {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let semaphore = &self.semaphore;
        match cmd {
            DOWN => semaphore.down().forget(),
            DOWN_INTERRUPTIBLE => semaphore.down_interruptible()?.forget(),
            DOWN_KILLABLE => semaphore.down_killable()?.forget(),
            DOWN_TIMEOUT => semaphore.down_timeout(arg.number() as Jiffies)?.forget(),
            TRY_DOWN => semaphore.try_down().ok_or(EAGAIN)?.forget(),
            UP => semaphore.up(),
            ENTER => {
                let _permit: Permit<'_> = semaphore.down_interruptible()?;
                let inside = self.inside.fetch_add(1, Relaxed) + 1;
                let mut most = self.most.load(Relaxed);
                while inside > most {
                    most = match self.most.cmpxchg(most, inside, Relaxed) {
                        Ok(_) => inside,
                        Err(now) => now,
                    };
                }
                fsleep(Delta::from_millis(1));
                self.inside.fetch_add(u32::MAX, Relaxed);
            }
            MOST => return Ok(self.most.load(Relaxed)),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

#[pin_data(PinnedDrop)]
struct Semaphores {
    #[pin]
    entry: procfs::Entry<Room>,
}

impl kernel::InPlaceModule for Semaphores {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let room = pin_init!(Room {
            semaphore <- Semaphore::new(permits.get()),
            inside: Atomic::new(0),
            most: Atomic::new(0),
        });
        try_pin_init!(Self {
            entry <- procfs::Entry::new(c"semaphores", 0o600, room),
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Semaphores {
    fn drop(self: Pin<&mut Self>) {
        for _ in 0..WAITERS {
            self.entry.data().semaphore.up();
        }
    }
}
