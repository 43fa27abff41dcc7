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
        self,
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

/// In bytes, of which the last is not used.
const PROCFS_MAX_SIZE: usize = 1024;

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
        let text = file::take(src, PROCFS_MAX_SIZE - 1)?;
        pr_info!("procfile write {}\n", BStr::from_bytes(&text));
        let len = text.len();
        *self.text.lock() = text;
        *pos += len as Offset;
        Ok(len)
    }
}

#[pin_data]
struct Procfs2 {
    #[pin]
    entry: procfs::Entry<Buffer>,
    // Dropped last, when the file is gone.
    _removed: OnDrop,
}

impl kernel::InPlaceModule for Procfs2 {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let buffer = pin_init!(Buffer { text <- new_mutex!(KVec::new()) });
        try_pin_init!(Self {
            entry <- procfs::Entry::new(c"buffer1k", mode!(0o644), buffer),
            _removed: OnDrop(|| pr_info!("/proc/buffer1k removed\n")),
            _: { pr_info!("/proc/buffer1k created\n") },
        })
    }
}
