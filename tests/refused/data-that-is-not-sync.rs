// SPDX-License-Identifier: GPL-2.0-only

//! Several processes have the same device open.

use core::cell::Cell;
use kernel::prelude::*;
use lkm::file::Operations;

pub struct Count(Cell<u32>);

#[vtable]
impl Operations for Count {
    //~ `Cell<u32>` cannot be shared between threads safely
    type Private = ();
}
