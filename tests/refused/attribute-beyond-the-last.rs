// SPDX-License-Identifier: GPL-2.0-only

//! An attribute with a number for which there is no room.

use kernel::prelude::*;
use lkm::genl::{
    Attribute,
    Command,
    Family,
    Handler,
    Request, //
};

pub struct Far;

impl Handler for Far {
    const COMMANDS: &'static [Command] = &[Command::new(1)];
    const ATTRIBUTES: &'static [Attribute] = &[Attribute::u32(32)];

    fn handle(&self, _request: &Request) -> Result {
        Ok(())
    }
}

pub fn misuse() -> Result<Family<Far>> {
    Family::register(c"far", Far)
} //~ each attribute has another number, from 1 to 31, and room for something
