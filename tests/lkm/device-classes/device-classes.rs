// SPDX-License-Identifier: GPL-2.0-only

//! Test only: a device class whose devices come and go, as what is written to its
//! attributes says.

use kernel::{
    prelude::*,
    str::CString,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};
use lkm::{
    chrdev,
    file::{
        mode,
        DeviceNode,
        Offset,
        Opened,
        Operations,
        Writer, //
    },
    sysfs::{
        self,
        Attribute,
        Page, //
    },
    OnDrop, //
};

module! {
    type: DeviceClasses,
    name: "device-classes",
    authors: ["lkmpg-rs"],
    description: "Test only: a device class whose devices come and go",
    license: "GPL",
}

lkm::params! {
    fail: bool { default: false, mode: 0, description: "Whether init fails in the end" },
    readers: u32 { default: 0, mode: 0, description: "How many reads init waits for before it fails" },
}

/// How many devices there can be.
const COUNT: u32 = 4;

/// How many devices have data.
static LEFT: Atomic<u32> = Atomic::new(0);

/// How many reads wait.
static READING: Atomic<u32> = Atomic::new(0);

/// A device that says its minor number, and whether it was told to hang up.
struct Numbered(u32, Atomic<u32>);

impl Numbered {
    fn new(minor: u32) -> Self {
        LEFT.fetch_add(1, Relaxed);
        Self(minor, Atomic::new(0))
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        LEFT.fetch_add(u32::MAX, Relaxed);
    }
}

#[vtable]
impl Operations for Numbered {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        if readers.get() > 0 {
            READING.fetch_add(1, Relaxed);
            // Not for ever.
            for _ in 0..10_000 {
                if self.1.load(Relaxed) != 0 {
                    return Err(EIO);
                }
                fsleep(Delta::from_millis(10));
            }
            pr_err!("nobody hangs up\n");
        }
        let text = CString::try_from_fmt(fmt!("{}", self.0))?;
        dst.write_slice_file(text.to_bytes(), pos)
    }

    fn hang_up(&self) {
        self.1.store(1, Relaxed);
    }
}

/// The number that was added last.
struct Last(Atomic<u32>);

type Class = chrdev::Class<Numbered, Last>;

static ATTRIBUTES: [Attribute<Class>; 8] = [
    Attribute::write_only(c"add", mode!(0o200), add),
    Attribute::write_only(c"add-two", mode!(0o200), add_two),
    Attribute::write_only(c"clash", mode!(0o200), clash),
    Attribute::read_only(c"last", mode!(0o444), show_last),
    Attribute::read_only(c"left", mode!(0o444), show_left),
    Attribute::read_only(c"list", mode!(0o440), show_list),
    Attribute::write_only(c"remove", mode!(0o200), remove),
    Attribute::read_write(c"slow", mode!(0o644), show_slowly, store_slowly),
];

static SAME_NAMES: [Attribute<Class>; 2] = [
    Attribute::read_only(c"one", mode!(0o444), show_last),
    Attribute::write_only(c"one", mode!(0o200), add),
];

/// Where a device will be.
static TAKEN: [Attribute<Class>; 1] = [Attribute::read_only(c"clash0", mode!(0o444), show_last)];

/// Adds a device. Its data can fail.
fn add(class: &Class, text: &[u8]) -> Result {
    let minor = class.add(|minor| match text {
        b"fail" => Err(EDOM),
        _ => Ok(Numbered::new(minor)),
    })?;
    class.data().0.store(minor, Relaxed);
    Ok(())
}

/// Adds a device while another is being added, which cannot be removed then.
fn add_two(class: &Class, _text: &[u8]) -> Result {
    let outer = class.add(|minor| {
        if class.get(minor).is_some() || class.remove(minor).map(drop) != Err(ENODEV) {
            return Err(EIO);
        }
        let inner = class.add(Numbered::new)?;
        match inner == minor || class.get(inner).is_none() {
            true => Err(EIO),
            false => Ok(Numbered::new(minor)),
        }
    })?;
    class.data().0.store(outer, Relaxed);
    Ok(())
}

/// Makes a class in which an attribute has the name that a device is to have.
fn clash(_class: &Class, _text: &[u8]) -> Result {
    let class = Class::new(1, c"clash", &TAKEN, Last(Atomic::new(0)))?;
    let added = class.add(Numbered::new).map(drop);
    match class.get(0) {
        Some(_) => Err(EIO),
        None => added,
    }
}

fn remove(class: &Class, text: &[u8]) -> Result {
    class.remove(sysfs::parse(text)?).map(drop)
}

fn show_last(class: &Class, page: &mut Page<'_>) -> Result {
    writeln!(page, "{}", class.data().0.load(Relaxed))
}

fn show_left(_class: &Class, page: &mut Page<'_>) -> Result {
    writeln!(page, "{}", LEFT.load(Relaxed))
}

/// The numbers that there are, each with a blank before it.
fn show_list(class: &Class, page: &mut Page<'_>) -> Result {
    for minor in 0..=COUNT {
        if let Some(device) = class.get(minor) {
            write!(page, " {}", device.0)?;
        }
    }
    Ok(())
}

fn show_slowly(class: &Class, page: &mut Page<'_>) -> Result {
    pr_info!("slow show begins\n");
    until_exit();
    write!(page, "slow {}", class.data().0.load(Relaxed))?;
    pr_info!("slow show ends\n");
    Ok(())
}

/// Adds a device when the class is going, if that can still be.
fn store_slowly(class: &Class, text: &[u8]) -> Result {
    pr_info!("slow store begins\n");
    until_exit();
    let added = add(class, text);
    pr_info!("slow store ends: {added:?}\n");
    Ok(())
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

fn expect(what: &str, result: Result<Class>, expected: Error) {
    let result = result.map(drop);
    if result != Err(expected) {
        pr_err!("{what} is {result:?}\n");
    }
}

fn refuses_what_cannot_be() {
    let last = || Last(Atomic::new(0));
    for count in [0, 257] {
        let class = Class::new(count, c"refused", &ATTRIBUTES, last());
        expect("a bad count", class, EINVAL);
    }
    for name in [c"", c".", c"a/b", c"a!b"] {
        let class = Class::new(1, name, &ATTRIBUTES, last());
        expect("a bad name", class, EINVAL);
    }
    let class = Class::new(1, c"refused", &SAME_NAMES, last());
    expect("two attributes with one name", class, EEXIST);
    let class = Class::new::<Error>(1, c"refused", &ATTRIBUTES, Err(EDOM));
    expect("data that fails", class, EDOM);
}

struct DeviceClasses {
    class: Class,
    // Dropped last, when the class is gone.
    _exit: OnDrop,
}

impl kernel::Module for DeviceClasses {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        refuses_what_cannot_be();
        let node = DeviceNode::new(c"device-classes")
            .path(c"device-classes/n")
            .mode(mode!(0o444));
        let class = Class::new(COUNT, node, &ATTRIBUTES, Last(Atomic::new(0)))?;
        if fail.get() {
            class.add(Numbered::new)?;
            class.add(Numbered::new)?;
            while READING.load(Relaxed) < readers.get() {
                fsleep(Delta::from_millis(1));
            }
            class.remove(0)?;
            return Err(ENODEV);
        }
        Ok(Self {
            class,
            _exit: OnDrop(|| pr_info!("{} are left\n", LEFT.load(Relaxed))),
        })
    }
}

impl Drop for DeviceClasses {
    fn drop(&mut self) {
        pr_info!("exit begins, major {}\n", self.class.major());
        LEAVING.store(1, Relaxed);
    }
}
