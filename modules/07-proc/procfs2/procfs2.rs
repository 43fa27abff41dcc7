// SPDX-License-Identifier: GPL-2.0-only

//! A file in /proc that can be written, and read again.
//!
//! Book: 7.2 Read and Write a /proc File

use kernel::{
    new_mutex,
    prelude::*,
    str::BStr,
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
    procfs,
    OnDrop, //
};

module! {
    type: Procfs2,
    name: "procfs2",
    authors: ["lkmpg-rs"],
    description: "A file that can be written: /proc/buffer1k",
    license: "GPL",
}

/// In bytes. The last byte is not used.
const PROCFS_MAX_SIZE: usize = 1024;

// A mutex must never move, as those who wait for it are linked to it. `#[pin]` says so, and
// `#[pin_data]` lets the struct be initialised where it stays.
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
        if read > 0 {
            pr_info!("procfile read buffer1k\n");
        }
        Ok(read)
    }

    fn write(&self, _file: &Opened<Self>, pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        if src.is_empty() {
            return Ok(0);
        }
        let text = src.take(PROCFS_MAX_SIZE - 1)?;
        pr_info!("procfile write {}\n", BStr::from_bytes(&text));
        let len = text.len();
        *self.text.lock() = text;
        *pos += len as Offset;
        Ok(len)
    }
}

struct Procfs2 {
    _entry: procfs::Entry<Buffer>,
    // Dropped last, when the file is gone.
    _removed: OnDrop,
}

impl kernel::Module for Procfs2 {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // This is not a buffer yet, but an initialiser. It runs where the buffer stays. `<-`
        // runs the initialiser of a field.
        let buffer = pin_init!(Buffer { text <- new_mutex!(KVec::new()) });
        let entry = procfs::Entry::new(c"buffer1k", mode!(0o644), buffer)?;
        pr_info!("/proc/buffer1k created\n");
        Ok(Self {
            _entry: entry,
            _removed: OnDrop(|| pr_info!("/proc/buffer1k removed\n")),
        })
    }
}
