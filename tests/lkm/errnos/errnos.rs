// SPDX-License-Identifier: GPL-2.0-only

//! Test only: any error number from any function that user space waits for.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use lkm::{
    debugfs,
    file::{
        mode,
        Argument,
        File,
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    miscdevice, procfs,
    seq_file::{
        Seq,
        SeqFile,
        Sequence, //
    },
    sysfs,
};

mod commands;

use commands::PLACES;

module! {
    type: Errnos,
    name: "errnos",
    authors: ["lkmpg-rs"],
    description: "Test only: error numbers that mean something to C",
    license: "GPL",
}

lkm::params! {
    errno: u32 { default: 0, mode: 0o600, description: "The error number" },
    place: u32 { default: 0, mode: 0o600, description: "Which function fails" },
    refused: u32 { default: 0, mode: 0o600, description: "Fails like a function", set: refuse },
}

/// How often a function has failed.
static FAILURES: Atomic<u32> = Atomic::new(0);

fn refuse(_value: u32) -> Result {
    fail("set")
}

/// Fails if the function in this place is to fail.
fn fail(here: &str) -> Result {
    if PLACES.get(place.get() as usize) != Some(&here) {
        return Ok(());
    }
    FAILURES.fetch_add(1, Relaxed);
    Err(Error::from_errno(-(errno.get() as i32)))
}

struct Ops;

#[vtable]
impl Operations for Ops {
    type Private = ();

    fn open(&self, _file: &File) -> impl PinInit<(), Error> {
        fail("open")
    }

    fn read(&self, _file: &Opened<Self>, _pos: &mut Offset, _dst: &mut Writer) -> Result<usize> {
        fail("read").map(|()| 0)
    }

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        fail("write").map(|()| src.len())
    }

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, _arg: Argument) -> Result<u32> {
        fail("ioctl").map(|()| cmd)
    }
}

struct Items;

impl Sequence for Items {
    type Cursor<'a> = ();

    fn start(&self, pos: Offset) -> Result<Option<()>> {
        fail("start").map(|()| (pos == 0).then_some(()))
    }

    fn next((): &mut ()) -> bool {
        false
    }

    fn show((): &(), text: &mut SeqFile) -> Result {
        lkm::seq_file::seq_print!(text, "item\n");
        fail("show")
    }
}

static ATTRIBUTES: [sysfs::Attribute<()>; 2] = [
    sysfs::Attribute::read_write(
        c"attribute",
        mode!(0o600),
        |(), _page| fail("sysfs show"),
        |(), _text| fail("sysfs store"),
    ),
    sysfs::Attribute::read_only(c"failures", mode!(0o400), |(), page| {
        writeln!(page, "{}", FAILURES.load(Relaxed))
    }),
];

#[pin_data]
struct Errnos {
    _debugfs: debugfs::Dir,
    #[pin]
    device: miscdevice::Registration<Ops>,
    #[pin]
    ops: procfs::Entry<Ops>,
    #[pin]
    items: procfs::Entry<Seq<Items>>,
    #[pin]
    attributes: sysfs::Dir<()>,
}

impl kernel::InPlaceModule for Errnos {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _debugfs: {
                let dir = debugfs::Dir::new(c"errnos")?;
                dir.file(c"ops", mode!(0o600), Ops)?;
                dir
            },
            device <- miscdevice::Registration::new(c"errnos", Ops),
            ops <- procfs::Entry::new(c"errnos-ops", mode!(0o600), Ops),
            items <- procfs::Entry::new(c"errnos-items", mode!(0o400), Seq::new(Items)),
            attributes <- sysfs::Dir::new(c"errnos", &ATTRIBUTES, ()),
        })
    }
}
