// SPDX-License-Identifier: GPL-2.0-only

//! Memory that a device and processes share: /dev/rust_mmap. None of its pages is there until
//! somebody touches it.
//!
//! Book: 19 DMA and mmap

use kernel::{
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    },
};
use lkm::{
    file::{
        Mappable,
        MappedPage,
        Offset,
        Opened,
        Operations,
        SharedPages,
        Writer, //
    },
    miscdevice,
};

module! {
    type: RustMmap,
    name: "rust_mmap",
    authors: ["lkmpg-rs"],
    description: "Pages that are made when a process touches them",
    license: "GPL",
}

/// How many pages can be touched.
const PAGES: usize = 64;

#[pin_data]
struct Memory {
    /// The pages that somebody has touched.
    #[pin]
    pages: Mutex<KVec<Option<SharedPages>>>,
    /// How often somebody was given one.
    faults: Atomic<u32>,
}

impl Memory {
    fn new() -> Result<impl PinInit<Self>> {
        let mut pages = KVec::with_capacity(PAGES, GFP_KERNEL)?;
        for _ in 0..PAGES {
            pages.push(None, GFP_KERNEL)?;
        }
        Ok(pin_init!(Self {
            pages <- new_mutex!(pages),
            faults: Atomic::new(0),
        }))
    }

    /// A new page, with its number at the beginning. The rest is zero.
    fn make(index: usize) -> Result<SharedPages> {
        let page = SharedPages::new(1)?;
        let text = CString::try_from_fmt(fmt!("page {index}\n"))?;
        page.write_slice(0, text.to_bytes())?;
        Ok(page)
    }
}

#[vtable]
impl Operations for Memory {
    type Private = ();

    /// Says how much there is.
    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let made = self.pages.lock().iter().filter(|it| it.is_some()).count();
        let faults = self.faults.load(Relaxed);
        let text = CString::try_from_fmt(fmt!("{made} of {PAGES} pages, {faults} faults\n"))?;
        // The lock is free again. The reader may want the text in one of these pages, and not
        // have touched it: then the kernel calls `fault` in here.
        dst.write_slice_file(text.to_bytes(), pos)
    }

    /// Called once for each mapping. The process gets no page yet.
    fn mmap<'a>(&'a self, _file: &'a Opened<Self>) -> Result<Mappable<'a>> {
        Ok(Mappable::on_demand(PAGES))
    }

    /// Called when a process touches a page of its mapping, and does not have it.
    fn fault(&self, _file: &Opened<Self>, index: usize) -> Result<MappedPage> {
        self.faults.fetch_add(1, Relaxed);
        // Of two who touch the same page, one makes it, and both get that.
        let mut pages = self.pages.lock();
        let place = pages.get_mut(index).ok_or(EINVAL)?;
        if place.is_none() {
            *place = Some(Self::make(index)?);
        }
        place.as_ref().ok_or(ENOMEM)?.page(0)
    }
}

struct RustMmap {
    _device: miscdevice::Registration<Memory>,
}

impl kernel::Module for RustMmap {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _device: miscdevice::Registration::new(c"rust_mmap", Memory::new()?)?,
        })
    }
}
