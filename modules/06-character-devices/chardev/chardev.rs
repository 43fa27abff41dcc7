// SPDX-License-Identifier: GPL-2.0-only

//! A device that says how often it was opened, to one process at a time.
//!
//! Book: 6.5 chardev.c

use core::ffi::CStr;
use kernel::{
    prelude::*,
    str::CString,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use lkm::{
    chrdev,
    file::{
        File,
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    sync::Gate, //
};

module! {
    type: Module,
    name: "chardev",
    authors: ["lkmpg-rs"],
    description: "A device that says how often it was opened",
    license: "GPL",
}

const NAME: &CStr = c"chardev";

/// The device, which one process at a time may have open.
struct Chardev {
    gate: Gate,
    counter: Atomic<i32>,
}

// `#[vtable]` notes which methods are here: the others are null pointers in C's
// struct file_operations.
#[vtable]
impl Operations for Chardev {
    /// How often the device had been opened before.
    type Private = i32;

    fn open(&self, _file: &File) -> impl PinInit<i32, Error> {
        self.gate.enter()?;
        Ok(self.counter.fetch_add(1, Relaxed))
    }

    fn release(&self, _file: &Opened<Self>) {
        self.gate.leave();
    }

    fn read(&self, file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let times = file.private();
        let msg = CString::try_from_fmt(fmt!("I already told you {times} times Hello world!\n"))?;
        dst.write_slice_file(msg.to_bytes(), pos)
    }

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, _src: &mut Reader) -> Result<usize> {
        pr_alert!("Sorry, this operation is not supported.\n");
        Err(EINVAL)
    }
}

struct Module {
    _device: chrdev::Registration<Chardev>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let chardev = Chardev {
            gate: Gate::new(),
            counter: Atomic::new(0),
        };
        let device = chrdev::Registration::new(NAME, chardev)?;
        pr_info!("I was assigned major number {}.\n", device.major());
        pr_info!("Device created on /dev/chardev\n");
        Ok(Self { _device: device })
    }
}
