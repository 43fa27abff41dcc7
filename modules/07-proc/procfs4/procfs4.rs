// SPDX-License-Identifier: GPL-2.0-only

//! A file in /proc that is made item by item: a counter of its own passes.
//!
//! Book: 7.4 Manage /proc file with seq_file

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use lkm::{
    file::{
        mode,
        Offset, //
    },
    procfs,
    seq_file::{
        seq_print,
        Seq,
        SeqFile,
        Sequence, //
    },
    OnDrop, //
};

module! {
    type: Procfs4,
    name: "procfs4",
    authors: ["lkmpg-rs"],
    description: "A file that is made item by item: /proc/iter",
    license: "GPL",
}

struct Counter(Atomic<u64>);

impl Sequence for Counter {
    /// What the counter was when the pass began.
    type Cursor<'a> = u64;

    /// There is one item, number 0.
    fn start(&self, pos: Offset) -> Result<Option<u64>> {
        Ok((pos == 0).then(|| self.0.fetch_add(1, Relaxed)))
    }

    fn next(_count: &mut u64) -> bool {
        false
    }

    fn show(count: &u64, text: &mut SeqFile) -> Result {
        seq_print!(text, "{count}\n");
        Ok(())
    }
}

struct Procfs4 {
    _entry: procfs::Entry<Seq<Counter>>,
    // Dropped last, when the file is gone.
    _removed: OnDrop,
}

impl kernel::Module for Procfs4 {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let counter = Seq::new(Counter(Atomic::new(0)));
        Ok(Self {
            _entry: procfs::Entry::new(c"iter", mode!(0o444), counter)?,
            _removed: OnDrop(|| pr_debug!("/proc/iter removed\n")),
        })
    }
}
