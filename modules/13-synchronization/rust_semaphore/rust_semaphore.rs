// SPDX-License-Identifier: GPL-2.0-only

//! A semaphore as a device: each byte written is a permit, each read takes one.
//!
//! Write-up: Semaphore

use kernel::prelude::*;
use lkm::{
    file::{
        nonblocking,
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    miscdevice,
    sync::Semaphore, //
};

module! {
    type: RustSemaphore,
    name: "rust_semaphore",
    authors: ["lkmpg-rs"],
    description: "Rust semaphore sample: /dev/rust_semaphore",
    license: "GPL",
}

/// How many permits one write gives at most.
const LIMIT: usize = 4096;

#[pin_data]
struct Permits {
    #[pin]
    semaphore: Semaphore,
}

#[vtable]
impl Operations for Permits {
    type Private = ();

    /// Waits for a permit, and is at the end of the file then, so that `cat`
    /// takes one.
    fn read(&self, file: &Opened<Self>, _pos: &mut Offset, _dst: &mut Writer) -> Result<usize> {
        let permit = if nonblocking(file) {
            self.semaphore.try_down().ok_or(EAGAIN)?
        } else {
            self.semaphore.down_interruptible()?
        };
        // Who has taken it need not be who gives it back.
        permit.forget();
        Ok(0)
    }

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let permits = src.len().min(LIMIT);
        for _ in 0..permits {
            self.semaphore.up();
        }
        Ok(permits)
    }
}

struct RustSemaphore {
    _device: miscdevice::Registration<Permits>,
}

impl kernel::Module for RustSemaphore {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let permits = pin_init!(Permits { semaphore <- Semaphore::new(0) });
        Ok(Self {
            _device: miscdevice::Registration::new(c"rust_semaphore", permits)?,
        })
    }
}
