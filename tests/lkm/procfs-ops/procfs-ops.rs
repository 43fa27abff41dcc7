// SPDX-License-Identifier: GPL-2.0-only

//! Test only: every operation of `lkm::procfs`.

use kernel::{
    new_mutex,
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
        self,
        mode,
        Argument,
        File,
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    procfs, //
};

module! {
    type: ProcfsOps,
    name: "procfs-ops",
    authors: ["lkmpg-rs"],
    description: "Test only: every operation of lkm::procfs",
    license: "GPL",
}

/// How much `/proc/procfs-ops` keeps, in bytes.
const LIMIT: usize = 64;

/// Keeps what was written last. Cannot be opened with `O_NONBLOCK`.
#[pin_data]
struct Note {
    #[pin]
    text: Mutex<KVec<u8>>,
}

#[vtable]
impl Operations for Note {
    type Private = ();

    fn open(&self, file: &File) -> impl PinInit<(), Error> {
        if file::nonblocking(file) {
            return Err(EBUSY);
        }
        pr_info!("opened\n");
        Ok(())
    }

    fn release(&self, _file: &Opened<Self>) {
        pr_info!("released\n");
    }

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        dst.write_slice_file(&self.text.lock(), pos)
    }

    fn write(&self, _file: &Opened<Self>, pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let len = src.len();
        if len > LIMIT {
            return Err(ENOSPC);
        }
        let mut text = KVec::from_elem(0, len, GFP_KERNEL)?;
        src.read_slice(&mut text)?;
        *self.text.lock() = text;
        *pos += len as Offset;
        Ok(len)
    }
}

/// Not 0 when the exit function has begun.
static LEAVING: Atomic<u32> = Atomic::new(0);

/// A read of it takes until the exit function has begun.
struct Slow;

#[vtable]
impl Operations for Slow {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        pr_info!("slow read begins\n");
        // Not for ever.
        for _ in 0..10_000 {
            if LEAVING.load(Relaxed) != 0 {
                break;
            }
            fsleep(Delta::from_millis(10));
        }
        fsleep(Delta::from_millis(100));
        let read = dst.write_slice_file(b"slow\n", pos);
        pr_info!("slow read ends\n");
        read
    }
}

/// Takes all of a write.
struct All;

#[vtable]
impl Operations for All {
    type Private = ();

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        Ok(src.take(usize::MAX)?.len())
    }

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        Ok(arg.read_string(cmd as usize)?.len() as u32)
    }
}

#[pin_data(PinnedDrop)]
struct ProcfsOps {
    #[pin]
    note: procfs::Entry<Note>,
    #[pin]
    slow: procfs::Entry<Slow>,
    #[pin]
    all: procfs::Entry<All>,
}

impl kernel::InPlaceModule for ProcfsOps {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        for name in [c"", c".", c"..", c"a/b", c"12"] {
            let entry = procfs::Entry::new(name, mode!(0o444), Slow);
            if entry.map(drop) != Err(EINVAL) {
                pr_err!("{name:?} is taken for a name\n");
            }
        }
        try_pin_init!(Self {
            note <- procfs::Entry::new(
                c"procfs-ops",
                mode!(0o600),
                pin_init!(Note { text <- new_mutex!(KVec::new()) }),
            ),
            slow <- procfs::Entry::new(c"procfs-ops-slow", mode!(0o400), Slow),
            all <- procfs::Entry::new(c"procfs-ops-all", mode!(0o200), All),
        })
    }
}

#[pinned_drop]
impl PinnedDrop for ProcfsOps {
    fn drop(self: Pin<&mut Self>) {
        pr_info!("exit begins\n");
        LEAVING.store(1, Relaxed);
    }
}
