// SPDX-License-Identifier: GPL-2.0-only

//! Test only: directories in debugfs, and values of each type.

use core::ffi::CStr;
use kernel::{
    new_mutex,
    prelude::*,
    str::{
        BStr,
        CString, //
    },
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    },
};
use lkm::{
    debugfs::Dir,
    file::{
        mode,
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    procfs, //
};

module! {
    type: DebugfsDirs,
    name: "debugfs-dirs",
    authors: ["lkmpg-rs"],
    description: "Test only: directories in debugfs",
    license: "GPL",
}

lkm::params! {
    lose: bool { default: false, mode: 0, description: "Whether init forgets the directories" },
    number: i16 { default: -1, mode: 0o600, description: "Is in debugfs, too" },
}

static U32: Atomic<u32> = Atomic::new(u32::MAX);
static U64: Atomic<u64> = Atomic::new(u64::MAX);
static USIZE: Atomic<usize> = Atomic::new(usize::MAX);
static I32: Atomic<i32> = Atomic::new(i32::MIN);
static I64: Atomic<i64> = Atomic::new(i64::MIN);
static ISIZE: Atomic<isize> = Atomic::new(isize::MIN);

#[cfg(not(linux_6_18))]
static I8: Atomic<i8> = Atomic::new(i8::MIN);
#[cfg(not(linux_6_18))]
static I16: Atomic<i16> = Atomic::new(i16::MIN);
#[cfg(not(linux_6_18))]
static BOOL: Atomic<bool> = Atomic::new(true);

// Linux 6.18 has no atomics of these types, but parameters can have them.
#[cfg(linux_6_18)]
lkm::params! {
    I8: i8 { default: i8::MIN, mode: 0, description: "Is in debugfs, too" },
    I16: i16 { default: i16::MIN, mode: 0, description: "Is in debugfs, too" },
    BOOL: bool { default: true, mode: 0, description: "Is in debugfs, too" },
}

/// `debugfs-dirs` with the values, `sub` in it with a text, and `deep` in that with
/// values that cannot be read or cannot be written.
fn directories() -> Result<[Option<Dir>; 3]> {
    let top = Dir::new(c"debugfs-dirs")?;
    top.value(c"u32", mode!(0o600), &U32)?;
    top.value(c"u64", mode!(0o600), &U64)?;
    top.value(c"usize", mode!(0o600), &USIZE)?;
    top.value(c"i8", mode!(0o600), &I8)?;
    top.value(c"i16", mode!(0o600), &I16)?;
    top.value(c"i32", mode!(0o600), &I32)?;
    top.value(c"i64", mode!(0o600), &I64)?;
    top.value(c"isize", mode!(0o600), &ISIZE)?;
    top.value(c"bool", mode!(0o600), &BOOL)?;
    top.value(c"param", mode!(0o600), &number)?;

    let sub = top.subdir(c"sub")?;
    sub.blob(c"text", mode!(0o444), b"text\n")?;

    let deep = sub.subdir(c"deep")?;
    deep.value(c"read-u32", mode!(0o400), &U32)?;
    deep.value(c"read-i32", mode!(0o400), &I32)?;
    deep.value(c"write-u32", mode!(0o200), &U32)?;
    deep.value(c"write-i32", mode!(0o200), &I32)?;

    if lose.get() {
        core::mem::forget((top, sub, deep));
        return Ok([None, None, None]);
    }
    Ok([Some(top), Some(sub), Some(deep)])
}

/// Makes what is there already.
fn again(top: &Dir) -> Result {
    let other = Dir::new(c"debugfs-dirs")?;
    other.value(c"more", mode!(0o600), &I32)?;
    other
        .subdir(c"more")?
        .blob(c"more", mode!(0o400), b"more")?;
    top.subdir(c"sub")?.value(c"more", mode!(0o600), &U32)?;
    top.subdir(c"u32")?.value(c"more", mode!(0o600), &U32)?;
    top.value(c"i8", mode!(0o600), &I64)?;
    top.value(c"u64", mode!(0o600), &BOOL)?;
    top.blob(c"sub", mode!(0o400), b"more")
}

fn refused<T>(result: Result<T>) -> Result {
    match result {
        Err(error) if error == EINVAL => Ok(()),
        _ => Err(EIO),
    }
}

fn bad(top: &Dir) -> Result {
    for name in [c"", c".", c"..", c"a/b"] {
        refused(Dir::new(name))?;
        refused(top.subdir(name))?;
        refused(top.value(name, mode!(0o400), &U32))?;
        refused(top.value(name, mode!(0o400), &I32))?;
        refused(top.value(name, mode!(0o400), &number))?;
        refused(top.blob(name, mode!(0o400), b""))?;
    }
    Ok(())
}

/// Reading it shows the values as the module has them.
#[pin_data]
struct Control {
    #[pin]
    dirs: Mutex<[Option<Dir>; 3]>,
}

impl Control {
    fn top(&self) -> Result<Dir> {
        self.dirs.lock()[0].clone().ok_or(ENOENT)
    }

    fn drop_handle(&self, place: usize) {
        let dir = self.dirs.lock()[place].take();
        drop(dir);
    }

    fn add(&self, name: &[u8]) -> Result {
        let name = CString::try_from_fmt(fmt!("{}", BStr::from_bytes(name)))?;
        let name = CStr::from_bytes_with_nul(name.to_bytes_with_nul()).map_err(|_| EINVAL)?;
        self.top()?.blob(name, mode!(0o400), b"added\n")
    }
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        #[cfg(not(linux_6_18))]
        let (i8, i16, bool) = (I8.load(Relaxed), I16.load(Relaxed), BOOL.load(Relaxed));
        #[cfg(linux_6_18)]
        let (i8, i16, bool) = (I8.get(), I16.get(), BOOL.get());
        let values = CString::try_from_fmt(fmt!(
            "{} {} {} {i8} {i16} {} {} {} {bool}\n",
            U32.load(Relaxed),
            U64.load(Relaxed),
            USIZE.load(Relaxed),
            I32.load(Relaxed),
            I64.load(Relaxed),
            ISIZE.load(Relaxed)
        ))?;
        dst.write_slice_file(values.to_bytes(), pos)
    }

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let command = src.take(100)?;
        match &command[..] {
            b"drop top" => self.drop_handle(0),
            b"drop sub" => self.drop_handle(1),
            b"drop deep" => self.drop_handle(2),
            b"again" => again(&self.top()?)?,
            b"bad" => bad(&self.top()?)?,
            command => self.add(command.strip_prefix(b"add ").ok_or(EINVAL)?)?,
        }
        Ok(command.len())
    }
}

struct DebugfsDirs {
    _control: procfs::Entry<Control>,
}

impl kernel::Module for DebugfsDirs {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let control = try_pin_init!(Control { dirs <- new_mutex!(directories()?) });
        Ok(Self {
            _control: procfs::Entry::new(c"debugfs-dirs", mode!(0o600), control)?,
        })
    }
}
