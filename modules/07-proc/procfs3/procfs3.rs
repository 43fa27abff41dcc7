// SPDX-License-Identifier: GPL-2.0-only

//! A file in /proc with a size and an owner of its own, which any number of
//! processes may read and write at once.
//!
//! The size is the book's, and a lesson: `ls -l` shows the 80 bytes that were
//! said, not how long the text is, and nobody is kept from writing more. What
//! the module says it says with `pr_debug!`, which prints only where the kernel
//! was built with debug assertions.
//!
//! Book: 7.3 Manage /proc file metadata and access hooks

use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex, //
};
use lkm::{
    file::{
        mode,
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    procfs::{
        self,
        Attributes, //
    },
    OnDrop, //
};

module! {
    type: Procfs3,
    name: "procfs3",
    authors: ["lkmpg-rs"],
    description: "A file with a size and an owner: /proc/buffer2k",
    license: "GPL",
}

/// In bytes.
const PROCFS_MAX_SIZE: usize = 2048;

const ROOT: u32 = 0;

#[pin_data]
struct Buffer {
    #[pin]
    text: Mutex<KVec<u8>>,
}

#[vtable]
impl Operations for Buffer {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let read = dst.write_slice_file(&self.text.lock(), pos)?;
        if read == 0 {
            pr_debug!("procfs_read: END\n");
        } else {
            pr_debug!("procfs_read: read {read} bytes\n");
        }
        Ok(read)
    }

    fn write(&self, _file: &Opened<Self>, pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        if src.is_empty() {
            return Ok(0);
        }
        let text = src.take(PROCFS_MAX_SIZE)?;
        let len = text.len();
        *self.text.lock() = text;
        *pos += len as Offset;
        pr_debug!("procfs_write: write {len} bytes\n");
        Ok(len)
    }
}

struct Procfs3 {
    _entry: procfs::Entry<Buffer>,
    // Dropped last, when the file is gone.
    _removed: OnDrop,
}

impl kernel::Module for Procfs3 {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let attributes = Attributes::from(mode!(0o644)).size(80).owner(ROOT, ROOT);
        let buffer = pin_init!(Buffer { text <- new_mutex!(KVec::new()) });
        let entry = procfs::Entry::new(c"buffer2k", attributes, buffer)?;
        pr_debug!("/proc/buffer2k created\n");
        Ok(Self {
            _entry: entry,
            _removed: OnDrop(|| pr_debug!("/proc/buffer2k removed\n")),
        })
    }
}
