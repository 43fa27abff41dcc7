// SPDX-License-Identifier: GPL-2.0-only

//! A family with so many groups that the kernel cannot tell of it.

use core::ffi::CStr;
use kernel::prelude::*;
use lkm::genl::{
    Attribute,
    Command,
    Family,
    Handler,
    Request, //
};

pub struct Unknown;

impl Handler for Unknown {
    const COMMANDS: &'static [Command] = &[Command::new(1)];
    const ATTRIBUTES: &'static [Attribute] = &[];
    // One less would fit.
    const GROUPS: &'static [&'static CStr] = &[c"all"; 149];

    fn handle(&self, _request: &Request) -> Result {
        Ok(())
    }
}

pub fn misuse() -> Result<Family<Unknown>> {
    Family::register(c"unknown", Unknown)
} //~ commands and groups fit into the message in which the kernel tells of them
