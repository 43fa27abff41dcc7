// SPDX-License-Identifier: GPL-2.0-only

//! A generic netlink family: it sends back what it is told, and tells all who listen.

use core::ffi::CStr;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use lkm::genl::{
    Attribute,
    Command,
    Family,
    Handler,
    Message,
    Request, //
};

module! {
    type: Module,
    name: "rust_genl",
    authors: ["lkmpg-rs"],
    description: "A generic netlink family with a command and a group",
    license: "GPL",
}

/// The command.
const ECHO: u8 = 1;

/// The attributes: of a request the first, of what comes back both.
const TEXT: u8 = 1;
const COUNT: u8 = 2;

/// The longest text, in bytes.
const LONGEST: u16 = 63;

/// The place of the group.
const EVENTS: u8 = 0;

struct Echo {
    /// How many texts there were.
    count: Atomic<u32>,
}

impl Handler for Echo {
    const COMMANDS: &'static [Command] = &[Command::new(ECHO)];
    const ATTRIBUTES: &'static [Attribute] = &[Attribute::string(TEXT, LONGEST)];
    const GROUPS: &'static [&'static CStr] = &[c"events"];

    // Runs in the process that sends, and at the same time for others. What is no text, or too
    // long, does not get here. But the attribute can be missing: anybody can send anything.
    fn handle(&self, request: &Request) -> Result {
        let Some(text) = request.string(TEXT) else {
            return Err(request.refuse("there is no text (attribute 1)", EINVAL));
        };
        let count = self.count.fetch_add(1, Relaxed).wrapping_add(1);
        let fill = |message: &mut Message| {
            message.string(TEXT, text)?;
            message.u32(COUNT, count)
        };
        request.reply(ECHO, fill)?;
        // It is no error when nobody listens. Nor is it one when somebody has no room for more:
        // who listens can ask that senders get `ENOBUFS` then, and not read.
        let _ = request.multicast(EVENTS, ECHO, fill);
        Ok(())
    }
}

struct Module {
    _family: Family<Echo>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let echo = Echo {
            count: Atomic::new(0),
        };
        Ok(Self {
            _family: Family::register(c"rust_genl", echo)?,
        })
    }
}
