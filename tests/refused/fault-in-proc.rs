// SPDX-License-Identifier: GPL-2.0-only

//! A mapping would not keep the file, as `/proc` removes it while it is open.

use kernel::prelude::*;
use lkm::{
    file::{
        mode,
        MappedPage,
        Opened,
        Operations,
        SharedPages, //
    },
    procfs::Entry, //
};

pub struct Fault;

#[vtable]
impl Operations for Fault {
    type Private = ();

    fn fault(&self, _file: &Opened<Self>, index: usize) -> Result<MappedPage> {
        SharedPages::new(1)?.page(index)
    }
}

pub fn misuse() -> Result<KBox<Entry<Fault>>> {
    KBox::init(Entry::new(c"fault", mode!(0o600), Fault), GFP_KERNEL)
} //~ files in /proc and debugfs have no `flush`, `fsync`, `fasync`, `mmap` and `fault`
