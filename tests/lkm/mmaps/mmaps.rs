// SPDX-License-Identifier: GPL-2.0-only

//! Test only: pages that processes have in their memory.

use core::ffi::CStr;
use kernel::{
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};
use lkm::{
    file::{
        mode,
        Argument,
        File,
        Mappable,
        MappedPage,
        Offset,
        Opened,
        Operations,
        Reader,
        SharedPages,
        Writer, //
    },
    miscdevice,
    procfs, //
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
    hold: bool { default: false, mode: 0o644, description: "Whether who touches a page waits" },
    wait: bool { default: false, mode: 0o644, description: "Whether init waits in the end" },
    fail: bool { default: false, mode: 0, description: "Whether init fails then" },
}

/// How a process gets pages.
#[derive(Clone, Copy)]
enum How {
    Writable,
    ReadOnly,
    OnDemand,
    OnDemandReadOnly,
}

/// A device whose pages are its contents. A write begins at its position.
struct Memory {
    pages: SharedPages,
    how: How,
    faults: Atomic<u32>,
}

impl Memory {
    fn new(how: How) -> Result<Self> {
        Ok(Self {
            pages: SharedPages::new(pages.get())?,
            how,
            faults: Atomic::new(0),
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
            FAULTS => Ok(self.faults.load(Relaxed)),
            _ => Err(ENOTTY),
        }
    }

    fn mmap<'a>(&'a self, _file: &'a Opened<Self>) -> Result<Mappable<'a>> {
        let on_demand = Mappable::on_demand(self.pages.size() / PAGE_SIZE + TOO_MANY);
        Ok(match self.how {
            How::Writable => self.pages.writable(),
            How::ReadOnly => self.pages.read_only(),
            How::OnDemand => on_demand,
            How::OnDemandReadOnly => on_demand.read_only(),
        })
    }

    fn fault(&self, _file: &Opened<Self>, index: usize) -> Result<MappedPage> {
        self.faults.fetch_add(1, Relaxed);
        if hold.get() {
            pr_info!("somebody waits for a page\n");
        }
        while hold.get() {
            fsleep(Delta::from_millis(1));
        }
        self.pages.page(index)
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

/// A device that has a new page for who touches one, and does not keep it.
struct Fresh;

#[vtable]
impl Operations for Fresh {
    type Private = ();

    fn mmap<'a>(&'a self, _file: &'a Opened<Self>) -> Result<Mappable<'a>> {
        Ok(Mappable::on_demand(usize::MAX))
    }

    fn fault(&self, _file: &Opened<Self>, index: usize) -> Result<MappedPage> {
        let fresh = SharedPages::new(1)?;
        fresh.write_slice(0, &index.to_ne_bytes())?;
        // Nobody gets this one.
        drop(fresh.page(0)?);
        fresh.page(0)
    }
}

/// What a file in `/proc` says.
struct Text;

#[vtable]
impl Operations for Text {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        dst.write_slice_file(b"text", pos)
    }
}

/// A device that drops that file when somebody maps it, or touches a page, and makes another
/// device.
#[pin_data]
struct Odd {
    #[pin]
    file: Mutex<Option<procfs::Entry<Text>>>,
    /// The error of the last.
    made: Atomic<u32>,
}

impl Odd {
    fn new(file: procfs::Entry<Text>) -> impl PinInit<Self> {
        pin_init!(Self {
            file <- new_mutex!(Some(file)),
            made: Atomic::new(0),
        })
    }

    fn try_to_make(&self) {
        let made = miscdevice::Registration::new(c"mmaps-made", Busy);
        let errno = made.map_or_else(|error| error.to_errno().unsigned_abs(), |_| 0);
        self.made.store(errno, Relaxed);
    }
}

#[vtable]
impl Operations for Odd {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, _arg: Argument) -> Result<u32> {
        match cmd {
            MADE => Ok(self.made.xchg(0, Relaxed)),
            _ => Err(ENOTTY),
        }
    }

    fn mmap<'a>(&'a self, _file: &'a Opened<Self>) -> Result<Mappable<'a>> {
        self.try_to_make();
        Ok(Mappable::on_demand(1))
    }

    fn fault(&self, _file: &Opened<Self>, _index: usize) -> Result<MappedPage> {
        self.try_to_make();
        let file = self.file.lock().take();
        drop(file);
        SharedPages::new(1)?.page(0)
    }
}

/// A device that has nobody to ask for pages.
struct Careless;

#[vtable]
impl Operations for Careless {
    type Private = ();

    fn mmap<'a>(&'a self, _file: &'a Opened<Self>) -> Result<Mappable<'a>> {
        Ok(Mappable::on_demand(1))
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
    _on_demand: miscdevice::Registration<Memory>,
    _on_demand_read_only: miscdevice::Registration<Memory>,
    _fresh: miscdevice::Registration<Fresh>,
    _own: miscdevice::Registration<Own>,
    _odd: miscdevice::Registration<Odd>,
    _careless: miscdevice::Registration<Careless>,
    _busy: miscdevice::Registration<Busy>,
    _without: miscdevice::Registration<Without>,
}

fn memory(name: &'static CStr, how: How) -> Result<miscdevice::Registration<Memory>> {
    miscdevice::Registration::new(name, Memory::new(how)?)
}

impl kernel::Module for Mmaps {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let it = Self {
            _memory: memory(c"mmaps", How::Writable)?,
            _read_only: memory(c"mmaps-read-only", How::ReadOnly)?,
            _on_demand: memory(c"mmaps-demand", How::OnDemand)?,
            _on_demand_read_only: memory(c"mmaps-demand-read-only", How::OnDemandReadOnly)?,
            _fresh: miscdevice::Registration::new(c"mmaps-fresh", Fresh)?,
            _own: miscdevice::Registration::new(c"mmaps-own", Own)?,
            _odd: miscdevice::Registration::new(
                c"mmaps-odd",
                Odd::new(procfs::Entry::new(c"mmaps", mode!(0o444), Text)?),
            )?,
            _careless: miscdevice::Registration::new(c"mmaps-careless", Careless)?,
            _busy: miscdevice::Registration::new(c"mmaps-busy", Busy)?,
            _without: miscdevice::Registration::new(c"mmaps-without", Without)?,
        };
        while wait.get() {
            fsleep(Delta::from_millis(1));
        }
        match fail.get() {
            true => Err(ENODEV),
            false => Ok(it),
        }
    }
}
