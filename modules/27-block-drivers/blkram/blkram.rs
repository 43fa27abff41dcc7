// SPDX-License-Identifier: GPL-2.0-only

//! A disk in memory: /dev/blkram0.
//!
//! Book: 27 Block Drivers

use core::ops::Range;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};
use lkm::{
    block::{
        self,
        Disk, //
    },
    file::{
        Reader,
        SharedPages,
        Writer, //
    },
    memory,
};

module! {
    type: Module,
    name: "blkram",
    authors: ["lkmpg-rs"],
    description: "A disk in memory",
    license: "GPL",
}

lkm::params! {
    blkram_mb: usize { default: 8, mode: 0o444, description: "Size of the RAM disk in MiB" },
}

const MIB: usize = 1 << 20;

/// What is on the disk. Many can read and write at the same time, also the same bytes: so they
/// are only copied, and nobody has a reference to them.
struct Blkram {
    pages: SharedPages,
}

impl Blkram {
    fn new(size: usize) -> Result<Self> {
        // The kernel would end processes to get that much.
        if size as u64 > memory::total() / 2 {
            return Err(ENOMEM);
        }
        Ok(Self {
            pages: SharedPages::new(size / PAGE_SIZE)?,
        })
    }

    fn clear(&self, range: Range<u64>) -> Result {
        let len = range.end - range.start;
        // CAST: All of it is within the pages.
        self.pages.clear(range.start as usize, len as usize)
    }
}

#[vtable]
impl Disk for Blkram {
    // Whoever reads `/dev/blkram0`, or a file in a file system on it, has pages of memory to be
    // filled, which the kernel keeps for the next one. That is why there are fewer calls than
    // reads, and why a write comes seconds later.
    fn read(&self, pos: u64, dst: &mut Writer) -> Result {
        let len = dst.len();
        dst.write_pages(&self.pages, pos as usize, len)
    }

    fn write(&self, pos: u64, src: &mut Reader) -> Result {
        let len = src.len();
        src.read_pages(&self.pages, pos as usize, len)
    }

    /// A file was deleted, say.
    fn discard(&self, range: Range<u64>) -> Result {
        self.clear(range)
    }

    fn write_zeroes(&self, range: Range<u64>) -> Result {
        self.clear(range)
    }
}

struct Module {
    _disk: block::Registration<Blkram>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let mib = blkram_mb.get();
        let size = mib.checked_mul(MIB).ok_or(ENOMEM)?;
        let disk = block::Registration::new(c"blkram0", size as u64, Blkram::new(size)?)?;
        pr_info!("registered /dev/blkram0 ({mib} MiB)\n");
        Ok(Self { _disk: disk })
    }
}
