// SPDX-License-Identifier: GPL-2.0-only

//! A miscellaneous device: no major number of its own, and less to do.
//!
//! Write-up: Misc Device
//! Book: 20 Modern Interface Choices for Linux 5.10 and Later

use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};
use lkm::{
    file::{
        File,
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    miscdevice, //
};

module! {
    type: Misc,
    name: "rust_miscdev",
    authors: ["lkmpg-rs"],
    description: "Rust miscellaneous device sample",
    license: "GPL",
}

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

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        pr_info!("File written\n");
        Ok(src.take(PAGE_SIZE)?.len())
    }
}

struct Misc {
    _dev: miscdevice::Registration<RustFile>,
}

impl kernel::Module for Misc {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("Hello world!\n");
        Ok(Self {
            _dev: miscdevice::Registration::new(c"Misc", RustFile)?,
        })
    }
}
