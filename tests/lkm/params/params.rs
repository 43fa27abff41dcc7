// SPDX-License-Identifier: GPL-2.0-only

//! Test only: every kind of `lkm::params`.

use kernel::{
    prelude::*,
    str::{
        CStr,
        CString, //
    },
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
    file::{
        mode,
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    params::Param,
    procfs, //
};

module! {
    type: Params,
    name: "params",
    authors: ["lkmpg-rs"],
    description: "Test only: every kind of lkm::params",
    license: "GPL",
}

lkm::params! {
    flag: bool { default: true, mode: 0o600, description: "bool" },
    byte: u8 { default: u8::MAX, mode: 0o600, description: "byte" },
    short: i16 { default: i16::MIN, mode: 0o600, description: "short" },
    ushort: u16 { default: u16::MAX, mode: 0o600, description: "ushort" },
    int: i32 { default: i32::MIN, mode: 0o600, description: "int" },
    uint: u32 { default: u32::MAX, mode: 0o600, description: "uint" },
    long: isize { default: isize::MIN, mode: 0o600, description: "long" },
    ulong: usize { default: usize::MAX, mode: 0o600, description: "ulong" },
    ullong: u64 { default: u64::MAX, mode: 0o600, description: "ullong" },
    tiny: i8 { default: i8::MIN, mode: 0o600, description: "i8" },
    huge: i64 { default: i64::MIN, mode: 0o600, description: "i64" },

    /// An attribute and a doc comment are taken.
    #[allow(dead_code)]
    text: &CStr { default: c"default", mode: 0o644, description: "charp" },
    bytes: [u8; 3] { default: [7; 3], mode: 0o600, description: "array of byte" },
    flags: [bool; 2] { default: [true, false], mode: 0o600, description: "array of bool" },
    tinies: [i8; 4] { default: [0; 4], mode: 0o600, description: "array of i8" },
    names: [&CStr; 3] {
        default: [c"one", c"two", c"three"],
        mode: 0o600,
        description: "array of charp",
    },
    /// As many as there may be, of the longest that there are.
    longs: [isize; 195] { default: [0; 195], mode: 0o600, description: "array of long" },

    even: u16 { default: 2, mode: 0o600, description: "Even", set: set_even },
    noted: bool {
        default: false,
        mode: 0o600,
        description: "Logs what is set and read",
        set: |value| {
            pr_info!("noted is set to {value}\n");
            Ok(())
        },
        get: |value| pr_info!("noted is read: {value}\n"),
    },
    slow: u32 { default: 5, mode: 0o600, description: "Is read until exit", get: get_slowly },
    init_until: u16 { default: 2, mode: 0, description: "What even is when init ends" },
}

fn set_even(value: u16) -> Result {
    if value % 2 != 0 {
        return Err(EDOM);
    }
    pr_info!("even is set to {value}, was {}\n", even.get());
    Ok(())
}

fn get_slowly(value: u32) {
    pr_info!("slow read of {value} begins\n");
    wait_until(|| LEAVING.load(Relaxed) != 0);
    fsleep(Delta::from_millis(100));
    pr_info!("slow read ends\n");
}

/// Not 0 when the exit function has begun.
static LEAVING: Atomic<u32> = Atomic::new(0);

/// Waits until `condition` holds, but not for ever.
fn wait_until(condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        fsleep(Delta::from_millis(10));
    }
}

// A parameter can be lent for ever as an atomic variable.
const _: fn(&'static Param<u32>) -> &'static Atomic<u32> = Param::as_atomic;

/// Shows what the module sees; changes all numbers when written to.
struct Values;

#[vtable]
impl Operations for Values {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let numbers = CString::try_from_fmt(fmt!(
            "{} {} {} {} {} {} {} {} {} {} {}\n",
            flag.get(),
            byte.get(),
            short.get(),
            ushort.get(),
            int.get(),
            uint.get(),
            long.get(),
            ulong.get(),
            ullong.get(),
            tiny.get(),
            huge.get()
        ))?;
        dst.write_slice_file(numbers.to_bytes(), pos)
    }

    fn write(&self, _file: &Opened<Self>, pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        flag.set(false);
        byte.set(u8::MIN);
        short.set(i16::MAX);
        ushort.set(u16::MIN);
        int.set(i32::MAX);
        // What is added to the atomic variable is the parameter's.
        uint.as_atomic().fetch_add(2u32, Relaxed);
        long.set(isize::MAX);
        ulong.set(usize::MIN);
        ullong.set(u64::MIN);
        tiny.set(i8::MAX);
        huge.as_atomic().xchg(i64::MAX, Relaxed);
        *pos += src.len() as Offset;
        Ok(src.len())
    }
}

/// Shows the arrays: how many elements were given, and all of them.
struct Arrays;

#[vtable]
impl Operations for Arrays {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        if bytes.get(2) != bytes.iter().nth(2) || bytes.get(3).is_some() {
            return Err(EDOM);
        }
        let shown = CString::try_from_fmt(fmt!(
            "{} {:?} {:?} {:?}\n{} {:?} {:?}\n{} {}\n",
            bytes.given(),
            bytes.get(0),
            bytes.get(1),
            bytes.get(2),
            flags.given(),
            flags.get(0),
            flags.get(1),
            longs.given(),
            longs.iter().count()
        ))?;
        dst.write_slice_file(shown.to_bytes(), pos)
    }
}

/// Shows the string as it was at first and a while later.
struct Text;

impl Text {
    fn copy(string: &CStr) -> Result<KVec<u8>> {
        let mut copy = KVec::new();
        copy.extend_from_slice(string.to_bytes(), GFP_KERNEL)?;
        Ok(copy)
    }
}

#[vtable]
impl Operations for Text {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let shown = text.with(|string| -> Result<_> {
            let mut shown = Self::copy(string)?;
            fsleep(Delta::from_millis(1));
            shown.extend_from_slice(&Self::copy(string)?, GFP_KERNEL)?;
            Ok(shown)
        })?;
        dst.write_slice_file(&shown, pos)
    }
}

/// Shows the array of strings: how many were given, and all of them.
struct Names;

#[vtable]
impl Operations for Names {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let shown = names.with(|strings| -> Result<_> {
            let show = || -> Result<_> {
                let mut shown = KVec::from_elem(b'0' + strings.given() as u8, 1, GFP_KERNEL)?;
                for string in strings.iter() {
                    shown.push(b' ', GFP_KERNEL)?;
                    shown.extend_from_slice(string.to_bytes(), GFP_KERNEL)?;
                }
                Ok(shown)
            };
            let shown = show()?;
            fsleep(Delta::from_millis(1));
            if show()?[..] != shown[..] || strings.get(3).is_some() {
                return Err(EDOM);
            }
            Ok(shown)
        })?;
        dst.write_slice_file(&shown, pos)
    }
}

#[pin_data(PinnedDrop)]
struct Params {
    #[pin]
    values: procfs::Entry<Values>,
    #[pin]
    arrays: procfs::Entry<Arrays>,
    #[pin]
    string: procfs::Entry<Text>,
    #[pin]
    strings: procfs::Entry<Names>,
}

impl kernel::InPlaceModule for Params {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pr_info!("init begins\n");
        wait_until(|| even.get() >= init_until.get());
        pr_info!("init ends\n");
        try_pin_init!(Self {
            values <- procfs::Entry::new(c"params-values", mode!(0o600), Values),
            arrays <- procfs::Entry::new(c"params-arrays", mode!(0o400), Arrays),
            string <- procfs::Entry::new(c"params-text", mode!(0o400), Text),
            strings <- procfs::Entry::new(c"params-names", mode!(0o400), Names),
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Params {
    fn drop(self: Pin<&mut Self>) {
        pr_info!("exit, even is {}\n", even.get());
        LEAVING.store(1, Relaxed);
    }
}
