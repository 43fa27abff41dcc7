// SPDX-License-Identifier: GPL-2.0-only

//! Several processes read the files of an item at the same time.

use core::cell::Cell;
use kernel::prelude::*;
use lkm::configfs::Item;

pub struct Count(Cell<u32>);

#[vtable]
impl Item for Count {
    //~ `Cell<u32>` cannot be shared between threads safely
    type Child = ();
}
