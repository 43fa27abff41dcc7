// SPDX-License-Identifier: GPL-2.0-only

//! A miscellaneous device: no major number of its own, and less to do.
//!
//! Write-up: Misc Device

use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};
use lkm::{
    file::{
        self,
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
        Ok(file::take(src, PAGE_SIZE)?.len())
    }
}

// The kernel keeps a pointer to the device, so it must never move: `#[pin]` says so,
// and `#[pin_data]` lets the struct be initialised where it is to stay.
#[pin_data]
struct Misc {
    #[pin]
    _dev: miscdevice::Registration<RustFile>,
}

// Such a module is an `InPlaceModule`. Its init returns no value but an initialiser,
// which the kernel runs in place. `<-` runs the initialiser of a field.
impl kernel::InPlaceModule for Misc {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pr_info!("Hello world!\n");
        try_pin_init!(Self {
            _dev <- miscdevice::Registration::new(c"Misc", RustFile),
        })
    }
}
