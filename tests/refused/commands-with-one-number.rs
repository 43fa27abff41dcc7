// SPDX-License-Identifier: GPL-2.0-only

//! Two commands with the same number.

use kernel::prelude::*;
use lkm::genl::{
    Attribute,
    Command,
    Family,
    Handler,
    Request, //
};

pub struct Torn;

impl Handler for Torn {
    const COMMANDS: &'static [Command] = &[Command::new(1), Command::new(1).admin()];
    const ATTRIBUTES: &'static [Attribute] = &[];

    fn handle(&self, _request: &Request) -> Result {
        Ok(())
    }
}

pub fn misuse() -> Result<Family<Torn>> {
    Family::register(c"torn", Torn)
} //~ each command has another number, from 1 to 254
