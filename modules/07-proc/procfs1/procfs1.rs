// SPDX-License-Identifier: GPL-2.0-only

//! A file in /proc that says HelloWorld! to whoever reads it.
//!
//! Book: 7 The /proc Filesystem

use kernel::prelude::*;
use lkm::{
    file::{
        mode,
        Offset,
        Opened,
        Operations,
        Writer, //
    },
    procfs,
    OnDrop, //
};

module! {
    type: Procfs1,
    name: "procfs1",
    authors: ["lkmpg-rs"],
    description: "A file in /proc: /proc/helloworld",
    license: "GPL",
}

struct HelloWorld;

#[vtable]
impl Operations for HelloWorld {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let read = dst.write_slice_file(b"HelloWorld!\n", pos)?;
        if read > 0 {
            pr_info!("procfile read helloworld\n");
        }
        Ok(read)
    }
}

struct Procfs1 {
    _entry: procfs::Entry<HelloWorld>,
    // Dropped last, when the file is gone.
    _removed: OnDrop,
}

impl kernel::Module for Procfs1 {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let entry = procfs::Entry::new(c"helloworld", mode!(0o644), HelloWorld)?;
        pr_info!("/proc/helloworld created\n");
        Ok(Self {
            _entry: entry,
            _removed: OnDrop(|| pr_info!("/proc/helloworld removed\n")),
        })
    }
}
