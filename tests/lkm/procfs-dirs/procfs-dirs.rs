// SPDX-License-Identifier: GPL-2.0-only

//! Test only: directories in /proc, and what `stat(2)` says of files there.

use kernel::{
    new_mutex,
    prelude::*,
    str::BStr,
    sync::Mutex, //
};
use lkm::{
    file::{
        mode,
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    procfs::{
        self,
        Attributes,
        Dir,
        Entry, //
    },
};

module! {
    type: ProcfsDirs,
    name: "procfs-dirs",
    authors: ["lkmpg-rs"],
    description: "Test only: directories in /proc",
    license: "GPL",
}

struct Text(&'static [u8]);

#[vtable]
impl Operations for Text {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        dst.write_slice_file(self.0, pos)
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        pr_info!("{} is gone\n", BStr::from_bytes(self.0));
    }
}

/// `/proc/procfs-dirs`, with the files `one` and `42`, and the directory `sub`
/// with a file `two`.
struct Tree {
    dirs: Option<(Dir, Dir)>,
    files: KVec<Entry<Text>>,
}

impl Tree {
    fn new() -> Result<Self> {
        let top = Dir::new(c"procfs-dirs")?;
        let sub = top.subdir(c"sub")?;
        let attributes = Attributes::from(mode!(0o640)).size(1 << 20).owner(1, 2);
        let mut files = KVec::new();
        let entries = [
            top.file(c"one", attributes, Text(b"one"))?,
            top.file(c"42", mode!(0o400), Text(b"42"))?,
            sub.file(c"two", mode!(0), Text(b"two"))?,
        ];
        for entry in entries {
            files.push(entry, GFP_KERNEL)?;
        }
        Ok(Self {
            dirs: Some((top, sub)),
            files,
        })
    }
}

fn refused<T>(result: Result<T>) -> Result {
    match result {
        Err(error) if error == EINVAL => Ok(()),
        _ => Err(EIO),
    }
}

fn bad(top: &Dir) -> Result {
    let entry = |name, attributes: Attributes| top.file(name, attributes, Text(b"refused"));
    for name in [c"", c".", c"..", c"a/b"] {
        refused(Dir::new(name))?;
        refused(top.subdir(name))?;
        refused(entry(name, Attributes::from(mode!(0o444))))?;
    }
    // The number of a process.
    refused(Dir::new(c"42"))?;
    for attributes in [
        Attributes::from(mode!(0o444)).size(-1),
        Attributes::from(mode!(0o444)).owner(u32::MAX, 0),
        Attributes::from(mode!(0o444)).owner(0, u32::MAX),
    ] {
        refused(entry(c"refused", attributes))?;
    }
    Ok(())
}

#[pin_data]
struct Control {
    #[pin]
    tree: Mutex<Tree>,
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let command = src.take(100)?;
        let mut tree = self.tree.lock();
        match &command[..] {
            b"drop dirs" => drop(tree.dirs.take()),
            b"drop files" => tree.files.clear(),
            b"bad" => bad(&tree.dirs.as_ref().ok_or(ENOENT)?.0)?,
            _ => return Err(EINVAL),
        }
        Ok(command.len())
    }
}

#[pin_data]
struct ProcfsDirs {
    #[pin]
    control: procfs::Entry<Control>,
}

impl kernel::InPlaceModule for ProcfsDirs {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let control = try_pin_init!(Control { tree <- new_mutex!(Tree::new()?) });
        try_pin_init!(Self {
            control <- Entry::new(c"procfs-dirs-control", mode!(0o200), control),
        })
    }
}
