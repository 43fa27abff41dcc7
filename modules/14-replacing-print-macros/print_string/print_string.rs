// SPDX-License-Identifier: GPL-2.0-only

//! Says hello on the terminal of who loads the module.
//!
//! Book: 14.1 Replacement

use kernel::prelude::*;
use lkm::tty::CurrentTty;

module! {
    type: PrintString,
    name: "print_string",
    authors: ["lkmpg-rs"],
    description: "Writes to the terminal of who loads it",
    license: "GPL",
}

/// Writes to the terminal of the current process: that of `insmod` in init, and that of
/// `rmmod` in exit.
fn print_string(text: &str) -> Result<usize> {
    // A module should not wait for a person, who may have stopped the terminal by Ctrl-S.
    let tty = CurrentTty::get_nonblocking()?;
    tty.write(text.as_bytes())
}

struct PrintString;

impl kernel::Module for PrintString {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // A daemon has no terminal. One that is full takes a part, or nothing. No reason to fail.
        //
        // To go to the beginning of the next line, a terminal needs a carriage return, too.
        // It adds that itself, unless it was told not to.
        let _ = print_string("The module has been inserted.  Hello world!\n");
        Ok(Self)
    }
}

impl Drop for PrintString {
    fn drop(&mut self) {
        let _ = print_string("The module has been removed.  Farewell world!\n");
    }
}
