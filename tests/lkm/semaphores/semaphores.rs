// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the semaphore of `lkm::sync`.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};
use lkm::{
    file::{
        mode,
        Argument,
        Opened,
        Operations, //
    },
    procfs,
    sync::{
        Permit,
        Semaphore, //
    },
};

mod commands;

use commands::*;

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

/// How many may be waiting when the module is unloaded.
const WAITERS: usize = 10;

#[pin_data]
struct Place {
    #[pin]
    semaphore: Semaphore,
    inside: Atomic<u32>,
    most: Atomic<u32>,
}

#[vtable]
impl Operations for Place {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let semaphore = &self.semaphore;
        match cmd {
            DOWN => semaphore.down().forget(),
            DOWN_INTERRUPTIBLE => semaphore.down_interruptible()?.forget(),
            DOWN_KILLABLE => semaphore.down_killable()?.forget(),
            DOWN_TIMEOUT => {
                let timeout = Delta::from_millis(arg.number() as i64);
                semaphore.down_timeout(timeout)?.forget();
            }
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

    fn hang_up(&self) {
        for _ in 0..WAITERS {
            self.semaphore.up();
        }
    }
}

#[pin_data]
struct Semaphores {
    #[pin]
    entry: procfs::Entry<Place>,
}

impl kernel::InPlaceModule for Semaphores {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let place = pin_init!(Place {
            semaphore <- Semaphore::new(permits.get()),
            inside: Atomic::new(0),
            most: Atomic::new(0),
        });
        try_pin_init!(Self {
            entry <- procfs::Entry::new(c"semaphores", mode!(0o600), place),
        })
    }
}
