// SPDX-License-Identifier: GPL-2.0-only

//! A branch that costs nothing while it is not taken, switched through /dev/key_state.
//!
//! A command is a whole word here: what only begins with one, as `enabler`, the
//! book takes for it.
//!
//! Book: 31.2 Static keys

use core::ffi::CStr;
use kernel::{
    prelude::*,
    str::BStr, //
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
    static_branch_unlikely,
    static_key::StaticKey,
    sync::Gate, //
};

module! {
    type: Module,
    name: "static_key",
    authors: ["lkmpg-rs"],
    description: "A static key that is switched through /dev/key_state",
    license: "GPL",
}

const NAME: &CStr = c"key_state";

/// A command is no longer than that.
const COMMAND_LEN: usize = 10;

static FKEY: StaticKey = StaticKey::new();

/// The device, which one process at a time may have open.
struct KeyState {
    gate: Gate,
}

#[vtable]
impl Operations for KeyState {
    /// Whether the key was on when the device was opened.
    type Private = bool;

    fn open(&self, _file: &File) -> impl PinInit<bool, Error> {
        self.gate.enter()?;
        let enabled = FKEY.is_enabled();
        pr_info!("fastpath 1\n");
        if static_branch_unlikely!(FKEY) {
            pr_alert!("do unlikely thing\n");
        }
        pr_info!("fastpath 2\n");
        Ok(enabled)
    }

    fn release(&self, _file: &Opened<Self>) {
        self.gate.leave();
    }

    fn read(&self, file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let state: &[u8] = match *file.private() {
            true => b"enabled\n",
            false => b"disabled\n",
        };
        dst.write_slice_file(state, pos)
    }

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        if src.len() > COMMAND_LEN {
            pr_err!("command exceeded {COMMAND_LEN} char\n");
            return Err(EINVAL);
        }
        let command = src.take(COMMAND_LEN)?;
        match command.trim_ascii_end() {
            b"enable" => FKEY.enable(),
            b"disable" => FKEY.disable(),
            other => {
                pr_err!("Invalid command: {}\n", BStr::from_bytes(other));
                return Err(EINVAL);
            }
        }
        Ok(command.len())
    }
}

struct Module {
    _device: chrdev::Registration<KeyState>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let gate = Gate::new();
        let device = chrdev::Registration::new(NAME, KeyState { gate })?;
        pr_info!("I was assigned major number {}\n", device.major());
        pr_info!("Device created on /dev/key_state\n");
        Ok(Module { _device: device })
    }
}
