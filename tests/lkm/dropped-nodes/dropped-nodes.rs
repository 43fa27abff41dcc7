// SPDX-License-Identifier: GPL-2.0-only

//! Test only: a device and files in debugfs that are dropped while they are
//! open, as what is written to `/proc/dropped-nodes` says.

use core::ffi::CStr;
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
    chrdev, debugfs,
    file::{
        self,
        mode,
        File,
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    kthread::KThread,
    procfs,
    workqueue::{
        Flags,
        OwnedQueue, //
    },
};

module! {
    type: DroppedNodes,
    name: "dropped-nodes",
    authors: ["lkmpg-rs"],
    description: "Test only: nodes that are dropped while they are open",
    license: "GPL",
}

lkm::params! {
    early: bool {
        default: false,
        mode: 0,
        description: "Makes a device before init",
        set: make_early,
    },
    fail: bool { default: false, mode: 0, description: "Whether init fails in the end" },
    lose: bool { default: false, mode: 0, description: "Whether init forgets the device" },
    major: u32 { default: 0, mode: 0, description: "The device's major number" },
    taken: bool {
        default: false,
        mode: 0,
        description: "Whether the name of the device's class is taken: init fails",
    },
    wait: bool { default: false, mode: 0, description: "Whether init waits until a node is opened" },
}

const NAME: &CStr = c"dropped-nodes";

static VALUE: Atomic<u32> = Atomic::new(42);

/// How often a node was opened.
static OPENED: Atomic<u32> = Atomic::new(0);

/// What is behind a node. It says what happens to it.
struct Node(&'static str);

impl Drop for Node {
    fn drop(&mut self) {
        pr_info!("{} is gone\n", self.0);
    }
}

#[vtable]
impl Operations for Node {
    type Private = ();

    fn open(&self, file: &File) -> impl PinInit<(), Error> {
        if file::nonblocking(file) {
            return Err(EBUSY);
        }
        pr_info!("{} opened\n", self.0);
        OPENED.fetch_add(1, Relaxed);
        Ok(())
    }

    fn release(&self, _file: &Opened<Self>) {
        pr_info!("{} released\n", self.0);
    }

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        dst.write_slice_file(self.0.as_bytes(), pos)
    }
}

/// The module is not yet what a device needs when the loader sets parameters.
fn make_early(_: bool) -> Result {
    let results = [
        debugfs::Dir::new(NAME).map(drop),
        KThread::spawn(NAME, |_| Ok(())).map(drop),
        OwnedQueue::new(NAME, Flags::UNBOUND, 0).map(drop),
    ];
    for refused in results {
        if refused != Err(EPERM) {
            return Ok(());
        }
    }
    chrdev::Registration::new(NAME, Node("early")).map(drop)
}

/// A directory with a file of each kind.
fn directory() -> Result<debugfs::Dir> {
    let dir = debugfs::Dir::new(NAME)?;
    dir.value(c"value", mode!(0o600), &VALUE)?;
    dir.blob(c"blob", mode!(0o444), b"blob")?;
    dir.file(c"file", mode!(0o600), Node("file"))?;
    Ok(dir)
}

/// Nothing but `EINVAL` for names that no file can have, and for modes that are
/// more than permissions.
fn bad_names() -> Result {
    let long = c"0123456789012345678901234567890123456789012345678901234567890123";
    let refused = |result: Result| match result {
        Err(error) if error == EINVAL => Ok(()),
        _ => Err(EIO),
    };
    for name in [c"", c".", c"..", c"a/b", long] {
        refused(chrdev::Registration::new(name, Node("refused")).map(|_| ()))?;
    }
    for name in [c"", c".", c"..", c"a/b"] {
        refused(debugfs::Dir::new(name).map(|_| ()))?;
    }
    let dir = debugfs::Dir::new(c"dropped-nodes-2")?;
    refused(dir.value(c"a/b", mode!(0o600), &VALUE))?;
    refused(dir.blob(c"", mode!(0o400), b""))?;
    refused(dir.file(c"..", mode!(0o600), Node("refused")))
}

#[pin_data]
struct Control {
    #[pin]
    device: Mutex<Option<chrdev::Registration<Node>>>,
    #[pin]
    dir: Mutex<Option<debugfs::Dir>>,
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let command = src.take(100)?;
        match &command[..] {
            b"drop device" => {
                let device = self.device.lock().take();
                drop(device);
            }
            b"drop directory" => {
                let dir = self.dir.lock().take();
                drop(dir);
            }
            b"again" => drop(directory()?),
            b"bad" => bad_names()?,
            _ => return Err(EINVAL),
        }
        Ok(command.len())
    }
}

/// Waits until a node was opened, for a minute.
fn wait_for_openers() -> Result {
    for _ in 0..60_000 {
        if OPENED.load(Relaxed) > 0 {
            return Ok(());
        }
        fsleep(Delta::from_millis(1));
    }
    Err(ETIMEDOUT)
}

#[pin_data]
struct DroppedNodes {
    #[pin]
    control: procfs::Entry<Control>,
}

impl kernel::InPlaceModule for DroppedNodes {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let name = if taken.get() { c"misc" } else { NAME };
        let device = chrdev::Registration::with_major(major.get(), name, Node("device"));
        let nodes = try_pin_init!(Control {
            device <- new_mutex!(Some(device?)),
            dir <- new_mutex!(Some(directory()?)),
        }? Error);
        try_pin_init!(Self {
            control <- procfs::Entry::new(NAME, mode!(0o600), nodes),
            _: {
                if wait.get() {
                    wait_for_openers()?;
                }
                if lose.get() {
                    core::mem::forget(control.data().device.lock().take());
                }
                if fail.get() {
                    return Err(ENODEV);
                }
            },
        })
    }
}
