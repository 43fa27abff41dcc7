// SPDX-License-Identifier: GPL-2.0-only

//! The program that the test VM's init starts, and that tests modules on NixOS.

use std::process::ExitCode;

fn main() -> ExitCode {
    lkmpg_guest::main()
}
