// SPDX-License-Identifier: GPL-2.0-only

//! C calls it for files of devices only.

use kernel::prelude::*;
use lkm::{
    file::{
        mode,
        Opened,
        Operations, //
    },
    procfs::Entry, //
};

pub struct Flushed;

#[vtable]
impl Operations for Flushed {
    type Private = ();

    fn flush(&self, _file: &Opened<Self>) -> Result {
        Ok(())
    }
}

pub fn misuse() -> Result<KBox<Entry<Flushed>>> {
    KBox::init(Entry::new(c"flushed", mode!(0o600), Flushed), GFP_KERNEL)
} //~ files in /proc and debugfs have no `flush`, `fsync`, `fasync`, `mmap` and `fault`
