// SPDX-License-Identifier: GPL-2.0-only

//! A message in debugfs that user space can read and write, and a blob to read.
//!
//! Book: 9 debugfs: Flexible debugging interfaces

use core::ffi::CStr;
use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex, //
};
use lkm::{
    debugfs,
    file::{
        mode,
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    OnDrop, //
};

module! {
    type: HelloDebugfsFile,
    name: "hello-debugfs-file",
    authors: ["lkmpg-rs"],
    description: "Custom debugfs file and blob examples",
    license: "GPL",
}

const DIR: &CStr = c"lkmpg_debugfs_file";

/// A message is no longer than that, in bytes.
const MESSAGE_MAX_LEN: usize = 127;

const HELLO: &[u8] = b"debugfs says hello\n";
const BLOB: &[u8] = b"This blob is read-only and exported with debugfs_create_blob().\n";

#[pin_data]
struct Message {
    #[pin]
    text: Mutex<KVec<u8>>,
}

#[vtable]
impl Operations for Message {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        dst.write_slice_file(&self.text.lock(), pos)
    }

    /// Takes a message as a whole or not at all.
    fn write(&self, _file: &Opened<Self>, pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        if src.is_empty() {
            return Ok(0);
        }
        if *pos != 0 {
            return Err(EINVAL);
        }
        if src.len() > MESSAGE_MAX_LEN {
            return Err(EFBIG);
        }
        let message = src.take(MESSAGE_MAX_LEN)?;
        let len = message.len();
        *self.text.lock() = message;
        *pos += len as Offset;
        Ok(len)
    }
}

struct HelloDebugfsFile {
    _dir: debugfs::Dir,
    // Dropped last, when the directory is gone.
    _removed: OnDrop,
}

impl kernel::Module for HelloDebugfsFile {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let mut hello = KVec::new();
        hello.extend_from_slice(HELLO, GFP_KERNEL)?;
        let dir = debugfs::Dir::new(DIR)?;
        dir.blob(c"blob", mode!(0o400), BLOB)?;
        let message = try_pin_init!(Message { text <- new_mutex!(hello) }? Error);
        dir.file(c"message", mode!(0o600), message)?;
        pr_info!("debugfs file example registered under /sys/kernel/debug/lkmpg_debugfs_file\n");
        Ok(Self {
            _dir: dir,
            _removed: OnDrop(removed),
        })
    }
}

fn removed() {
    pr_info!("debugfs file example removed\n");
}
