// SPDX-License-Identifier: GPL-2.0-only

//! A character device, whose node appears by itself.
//!
//! Write-up: Character Device
//! Book: 5 Preliminaries

use core::ffi::CStr;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};
use lkm::{
    chrdev,
    file::{
        File,
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    OnDrop, //
};

module! {
    type: RustChrdev,
    name: "rust_chrdev",
    authors: ["lkmpg-rs"],
    description: "Rust character device sample",
    license: "GPL",
}

const NAME: &CStr = c"rust_chrdev";

struct RustFile;

#[vtable]
impl Operations for RustFile {
    type Private = ();

    fn open(&self, _file: &File) -> impl PinInit<(), Error> {
        pr_info!("File opened\n");
        Ok(())
    }

    fn read(&self, _file: &Opened<Self>, _pos: &mut Offset, _dst: &mut Writer) -> Result<usize> {
        pr_info!("File read\n");
        Ok(0)
    }

    /// Takes what there is: who is told that nothing was written tries again.
    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        pr_info!("File write\n");
        Ok(src.take(PAGE_SIZE)?.len())
    }
}

struct RustChrdev {
    _dev: chrdev::Registration<RustFile>,
    // Dropped last, when the device is gone.
    _exit: OnDrop,
}

impl kernel::Module for RustChrdev {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("Rust character device sample (init) rust_chrdev\n");
        Ok(Self {
            _dev: chrdev::Registration::new(NAME, RustFile)?,
            _exit: OnDrop(|| pr_info!("Rust character device sample (exit)\n")),
        })
    }
}
