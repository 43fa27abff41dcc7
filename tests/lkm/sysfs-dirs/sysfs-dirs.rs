// SPDX-License-Identifier: GPL-2.0-only

//! Test only: directories in sysfs that are in others, and binary files.

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
        mode,
        Offset,
        Opened,
        Operations,
        Reader, //
    },
    procfs,
    sysfs::{
        Attribute,
        BinAttribute,
        BinFile,
        Dir, //
    },
};

module! {
    type: SysfsDirs,
    name: "sysfs-dirs",
    authors: ["lkmpg-rs"],
    description: "Test only: directories and binary files in sysfs",
    license: "GPL",
}

lkm::params! {
    lose: bool { default: false, mode: 0o444, description: "Whether the handles are lost" },
    fail: bool { default: false, mode: 0o444, description: "Whether init fails in the end" },
}

/// The data of a directory that shows its name.
struct Named(&'static str);

impl Drop for Named {
    fn drop(&mut self) {
        pr_info!("{} is gone\n", self.0);
    }
}

static NAMED: [Attribute<Named>; 1] = [Attribute::read_only(
    c"name",
    mode!(0o444),
    |named, page| write!(page, "{}", named.0),
)];

const SIZE: usize = 16;

/// The data of a directory with binary files.
#[pin_data(PinnedDrop)]
struct Device {
    #[pin]
    memory: Mutex<[u8; SIZE]>,
}

impl Device {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self { memory <- new_mutex!(*b"0123456789abcdef") })
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let memory = self.memory.lock();
        let rest = memory.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        let mut memory = self.memory.lock();
        let rest = memory.get_mut(offset as usize..).ok_or(ENOSPC)?;
        let len = rest.len().min(bytes.len());
        rest[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn read_slowly(&self, buffer: &mut [u8], _offset: u64) -> Result<usize> {
        pr_info!("slow read begins\n");
        until_exit();
        buffer[0] = b'x';
        pr_info!("slow read ends\n");
        Ok(1)
    }
}

#[pinned_drop]
impl PinnedDrop for Device {
    fn drop(self: Pin<&mut Self>) {
        pr_info!("device is gone\n");
    }
}

/// Not 0 when the exit function has begun.
static LEAVING: Atomic<u32> = Atomic::new(0);

/// Waits until the exit function has begun, and a little longer. Not for ever.
fn until_exit() {
    for _ in 0..10_000 {
        if LEAVING.load(Relaxed) != 0 {
            break;
        }
        fsleep(Delta::from_millis(10));
    }
    fsleep(Delta::from_millis(100));
}

/// The error with the number `offset`.
fn error(offset: u64) -> Error {
    Error::from_errno(-(offset as i32))
}

static DEVICE: [Attribute<Device>; 1] = [Attribute::read_only(
    c"first",
    mode!(0o444),
    |device, page| write!(page, "{}", char::from(device.memory.lock()[0])),
)];

static BINARIES: [BinAttribute<Device>; 6] = [
    BinAttribute::read_write(c"memory", mode!(0o600), SIZE, Device::read, Device::write),
    BinAttribute::read_write(c"no-size", mode!(0o644), 0, Device::read, Device::write),
    // Fills nothing.
    BinAttribute::read_only(c"silent", mode!(0o444), 0, |_, buffer, _| Ok(buffer.len())),
    BinAttribute::read_write(
        c"liar",
        mode!(0o644),
        0,
        |_, buffer, _| Ok(buffer.len() + 1),
        |_, _, _| Ok(usize::MAX),
    ),
    BinAttribute::read_write(
        c"errors",
        mode!(0o644),
        0,
        |_, _, offset| Err(error(offset)),
        |_, _, offset| Err(error(offset)),
    ),
    BinAttribute::read_only(c"slow", mode!(0o400), 0, Device::read_slowly),
];

/// `/sys/kernel/sysfs-dirs/device/bottom`, binary files in `device`, and two directories
/// in that of the module.
struct Tree {
    top: Option<Dir<Named>>,
    device: Option<Dir<Device>>,
    bottom: Option<Dir<Named>>,
    files: KVec<BinFile<Device>>,
    _own: [Dir<Named>; 2],
}

impl Tree {
    fn new() -> Result<Self> {
        let top = Dir::new(c"sysfs-dirs", &NAMED, Named("top"))?;
        let device = top.subdir(c"device", &DEVICE, Device::new())?;
        let bottom = device.subdir(c"bottom", &NAMED, Named("bottom"))?;
        let mut files = KVec::new();
        for attribute in &BINARIES {
            files.push(device.bin_file(attribute)?, GFP_KERNEL)?;
        }
        let own = Dir::in_module(c"own", &NAMED, Named("own"))?;
        let more = own.subdir(c"more", &NAMED, Named("more"))?;
        Ok(Self {
            top: Some(top),
            device: Some(device),
            bottom: Some(bottom),
            files,
            _own: [own, more],
        })
    }
}

static TEXT: [Attribute<()>; 1] = [Attribute::read_only(c"text", mode!(0o444), |(), page| {
    write!(page, "text")
})];

static BINARY: [BinAttribute<()>; 3] = [
    BinAttribute::write_only(c"binary", mode!(0o200), 4, ignore),
    BinAttribute::write_only(c"text", mode!(0o200), 4, ignore),
    BinAttribute::write_only(c"sub", mode!(0o200), 4, ignore),
];

fn ignore(_data: &(), bytes: &[u8], _offset: u64) -> Result<usize> {
    Ok(bytes.len())
}

fn expect(what: &str, result: Result, expected: Result) {
    if result != expected {
        pr_err!("{what} is {result:?}\n");
    }
}

fn refuses_what_cannot_be() -> Result {
    let dir = Dir::new(c"sysfs-dirs-refused", &TEXT, ())?;
    let binary = dir.bin_file(&BINARY[0])?;
    let sub = dir.subdir(c"sub", &TEXT, ())?;

    for name in [c"", c".", c"..", c"a/b"] {
        let result = dir.subdir(name, &TEXT, ());
        expect("a bad name", result.map(drop), Err(EINVAL));
        let result = Dir::in_module(name, &TEXT, ());
        expect("a bad name in the module", result.map(drop), Err(EINVAL));
    }
    for name in [c"binary", c"text", c"sub"] {
        let result = dir.subdir(name, &TEXT, ());
        expect("a name that is taken", result.map(drop), Err(EEXIST));
    }
    for attribute in &BINARY {
        let result = dir.bin_file(attribute);
        expect("a file's name that is taken", result.map(drop), Err(EEXIST));
    }
    // The first three are there on every kernel.
    for name in [c"parameters", c"holders", c"initstate", c"own"] {
        let result = Dir::in_module(name, &TEXT, ());
        expect("a name in the module", result.map(drop), Err(EEXIST));
    }
    let result = dir.subdir::<(), Error>(c"fails", &TEXT, Err(EDOM));
    expect("data that fails", result.map(drop), Err(EDOM));

    // What is dropped leaves its name.
    drop((binary, sub));
    for attribute in [&BINARY[0], &BINARY[2]] {
        let result = dir.bin_file(attribute);
        expect("a name that is free again", result.map(drop), Ok(()));
    }
    Ok(())
}

#[pin_data]
struct Control {
    #[pin]
    tree: Mutex<Option<Tree>>,
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let command = src.take(100)?;
        let mut tree = self.tree.lock();
        let tree = Option::as_mut(&mut *tree).ok_or(ENOENT)?;
        match &command[..] {
            b"drop top" => tree.top = None,
            b"drop device" => tree.device = None,
            b"drop bottom" => tree.bottom = None,
            b"drop files" => tree.files.clear(),
            _ => return Err(EINVAL),
        }
        Ok(command.len())
    }
}

fn new_tree() -> Result<Option<Tree>> {
    let tree = Tree::new()?;
    Ok(match lose.get() {
        true => {
            core::mem::forget(tree);
            None
        }
        false => Some(tree),
    })
}

fn fails() -> Result {
    match fail.get() {
        true => Err(ENODEV),
        false => Ok(()),
    }
}

struct SysfsDirs {
    _control: procfs::Entry<Control>,
}

impl kernel::Module for SysfsDirs {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let control = try_pin_init!(Control { tree <- new_mutex!(new_tree()?) });
        let control = procfs::Entry::new(c"sysfs-dirs-control", mode!(0o200), control)?;
        refuses_what_cannot_be()?;
        fails()?;
        Ok(Self { _control: control })
    }
}

impl Drop for SysfsDirs {
    fn drop(&mut self) {
        pr_info!("exit begins\n");
        LEAVING.store(1, Relaxed);
    }
}
