// SPDX-License-Identifier: GPL-2.0-only

//! Test only: pages that processes have in their memory.

use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};
use lkm::{
    file::{
        Argument,
        File,
        Mappable,
        Offset,
        Opened,
        Operations,
        Reader,
        SharedPages,
        Writer, //
    },
    miscdevice,
};

mod commands;

use commands::*;

module! {
    type: Mmaps,
    name: "mmaps",
    authors: ["lkmpg-rs"],
    description: "Test only: lkm::file::SharedPages",
    license: "GPL",
}

lkm::params! {
    pages: usize { default: 3, mode: 0, description: "How many pages each device has" },
}

/// A device whose pages are its contents. A write begins at its position.
struct Memory {
    pages: SharedPages,
    writable: bool,
}

impl Memory {
    fn new(writable: bool) -> Result<Self> {
        Ok(Self {
            pages: SharedPages::new(pages.get())?,
            writable,
        })
    }
}

#[vtable]
impl Operations for Memory {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let mut bytes = [0; 64];
        let bytes = &mut bytes[..dst.len().min(64)];
        self.pages.read_slice(usize::try_from(*pos)?, bytes)?;
        dst.write_slice(bytes)?;
        *pos += bytes.len() as Offset;
        Ok(bytes.len())
    }

    fn write(&self, _file: &Opened<Self>, pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let bytes = src.take(64)?;
        self.pages.write_slice(usize::try_from(*pos)?, &bytes)?;
        *pos += bytes.len() as Offset;
        Ok(bytes.len())
    }

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        match cmd {
            SIZE => Ok(self.pages.size() as u32),
            ADD => Ok(self.pages.atomic_u32(arg.number())?.fetch_add(1, Relaxed)),
            MAKE => Ok(SharedPages::new(arg.number())?.size() as u32),
            COPY_IN | COPY_OUT | CLEAR => self.copy(cmd, arg),
            _ => Err(ENOTTY),
        }
    }

    fn mmap<'a>(&'a self, _file: &'a Opened<Self>) -> Result<Mappable<'a>> {
        Ok(match self.writable {
            true => self.pages.writable(),
            false => self.pages.read_only(),
        })
    }
}

impl Memory {
    fn copy(&self, cmd: u32, arg: Argument) -> Result<u32> {
        const HEADER: usize = 16;
        let mut header = arg.reader(HEADER);
        let (offset, len) = (header.read::<usize>()?, header.read::<usize>()?);
        let all = HEADER.saturating_add(len);
        match cmd {
            COPY_IN => {
                let mut bytes = arg.reader(all);
                bytes.skip(HEADER)?;
                bytes.read_pages(&self.pages, offset, len)?;
            }
            COPY_OUT => {
                let mut bytes = arg.writer(all);
                bytes.write(&offset)?;
                bytes.write(&len)?;
                bytes.write_pages(&self.pages, offset, len)?;
            }
            _ => self.pages.clear(offset, len)?,
        }
        Ok(0)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        pr_info!("the pages are gone\n");
    }
}

/// A device whose openings have a page each.
struct Own;

#[vtable]
impl Operations for Own {
    type Private = SharedPages;

    fn open(&self, _file: &File) -> impl PinInit<SharedPages, Error> {
        SharedPages::new(1)
    }

    fn mmap<'a>(&'a self, file: &'a Opened<Self>) -> Result<Mappable<'a>> {
        Ok(file.private().writable())
    }
}

/// A device that refuses.
struct Busy;

#[vtable]
impl Operations for Busy {
    type Private = ();

    fn mmap<'a>(&'a self, _file: &'a Opened<Self>) -> Result<Mappable<'a>> {
        Err(EBUSY)
    }
}

/// A device that has none.
struct Without;

#[vtable]
impl Operations for Without {
    type Private = ();
}

struct Mmaps {
    _memory: miscdevice::Registration<Memory>,
    _read_only: miscdevice::Registration<Memory>,
    _own: miscdevice::Registration<Own>,
    _busy: miscdevice::Registration<Busy>,
    _without: miscdevice::Registration<Without>,
}

impl kernel::Module for Mmaps {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _memory: miscdevice::Registration::new(c"mmaps", Memory::new(true)?)?,
            _read_only: miscdevice::Registration::new(c"mmaps-read-only", Memory::new(false)?)?,
            _own: miscdevice::Registration::new(c"mmaps-own", Own)?,
            _busy: miscdevice::Registration::new(c"mmaps-busy", Busy)?,
            _without: miscdevice::Registration::new(c"mmaps-without", Without)?,
        })
    }
}
