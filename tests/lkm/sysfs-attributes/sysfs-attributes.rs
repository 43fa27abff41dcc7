// SPDX-License-Identifier: GPL-2.0-only

//! Test only: everything that `lkm::sysfs` does.

use core::{
    ffi::CStr,
    fmt::Debug, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    str::BStr,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};
use lkm::{
    file::mode,
    sysfs::{
        self,
        Attribute,
        Dir,
        Page, //
    },
};

module! {
    type: SysfsAttributes,
    name: "sysfs-attributes",
    authors: ["lkmpg-rs"],
    description: "Test only: everything that lkm::sysfs does",
    license: "GPL",
}

/// What the attributes of a directory share.
struct Data {
    length: Atomic<u32>,
    dropped: Arc<Atomic<u32>>,
}

impl Data {
    fn new(dropped: &Arc<Atomic<u32>>) -> Self {
        Self {
            length: Atomic::new(0),
            dropped: dropped.clone(),
        }
    }

    fn show_length(&self, page: &mut Page<'_>) -> Result {
        writeln!(page, "{}", self.length.load(Relaxed))
    }

    fn store_length(&self, text: &[u8]) -> Result {
        self.length.store(text.len() as u32, Relaxed);
        Ok(())
    }

    /// As much as fits: a page without its last byte.
    fn show_full(&self, page: &mut Page<'_>) -> Result {
        write!(page, "{:x>1$}", "", PAGE_SIZE - 1)
    }

    /// Makes an error of its own of that.
    fn show_too_much(&self, page: &mut Page<'_>) -> Result {
        if write!(page, "{:x>1$}", "", PAGE_SIZE) != Err(EOVERFLOW) {
            pr_err!("a whole page is taken\n");
        }
        Err(EBUSY)
    }

    /// Goes on when the page is full, as if it were not.
    fn show_far_too_much(&self, page: &mut Page<'_>) -> Result {
        for _ in 0..PAGE_SIZE {
            let _ = writeln!(page, "line after line");
        }
        Ok(())
    }

    fn show_error(&self, page: &mut Page<'_>) -> Result {
        write!(page, "not seen")?;
        Err(EBUSY)
    }

    fn store_error(&self, _text: &[u8]) -> Result {
        Err(ENOSPC)
    }

    fn show_slowly(&self, page: &mut Page<'_>) -> Result {
        pr_info!("slow show begins\n");
        until_exit();
        write!(page, "slow")?;
        pr_info!("slow show ends\n");
        Ok(())
    }

    fn store_slowly(&self, _text: &[u8]) -> Result {
        pr_info!("slow store begins\n");
        until_exit();
        pr_info!("slow store ends\n");
        Ok(())
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

impl Drop for Data {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Relaxed);
    }
}

static ATTRIBUTES: [Attribute<Data>; 7] = [
    Attribute::read_only(c"length", mode!(0o444), Data::show_length),
    Attribute::write_only(c"text", mode!(0o200), Data::store_length),
    Attribute::read_only(c"full", mode!(0o400), Data::show_full),
    Attribute::read_only(c"too-much", mode!(0o440), Data::show_too_much),
    Attribute::read_only(c"far-too-much", mode!(0o444), Data::show_far_too_much),
    Attribute::read_write(c"error", mode!(0o664), Data::show_error, Data::store_error),
    Attribute::read_write(c"slow", mode!(0o644), Data::show_slowly, Data::store_slowly),
];

static SAME_NAMES: [Attribute<Data>; 3] = [
    Attribute::read_only(c"one", mode!(0o444), Data::show_length),
    Attribute::read_only(c"two", mode!(0o444), Data::show_length),
    Attribute::write_only(c"one", mode!(0o200), Data::store_length),
];

#[pin_data(PinnedDrop)]
struct SysfsAttributes {
    #[pin]
    one: Dir<Data>,
    #[pin]
    two: Dir<Data>,
}

impl kernel::InPlaceModule for SysfsAttributes {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _: { refuses_what_cannot_be()? },
            one <- Dir::new(c"sysfs-attributes", &ATTRIBUTES, counted()?),
            // Another with the same attributes, and data of its own.
            two <- Dir::new(c"sysfs-attributes-2", &ATTRIBUTES, counted()?),
            _: {
                if try_new(c"sysfs-attributes", &ATTRIBUTES, &counter()?) != Err(EEXIST) {
                    pr_err!("two directories with one name are taken\n");
                }
            },
        })
    }
}

fn counter() -> Result<Arc<Atomic<u32>>> {
    Ok(Arc::new(Atomic::new(0), GFP_KERNEL)?)
}

fn counted() -> Result<Data> {
    Ok(Data::new(&counter()?))
}

/// Makes a directory and drops it.
fn try_new(
    name: &'static CStr,
    attributes: &'static [Attribute<Data>],
    dropped: &Arc<Atomic<u32>>,
) -> Result {
    Dir::new(name, attributes, Data::new(dropped)).map(drop)
}

fn refuses_what_cannot_be() -> Result {
    const NAME: &CStr = c"sysfs-attributes";

    let dropped = counter()?;
    let mut made = 0;
    let mut expect = |what: &str, result: Result, expected: Result| {
        made += 1;
        if result != expected {
            pr_err!("{what} is {result:?}\n");
        }
        if dropped.load(Relaxed) != made {
            pr_err!("{what}: the data is not dropped once\n");
        }
    };
    for name in [c"", c".", c"..", c"a/b", LONG] {
        expect(
            "a bad name",
            try_new(name, &ATTRIBUTES, &dropped),
            Err(EINVAL),
        );
    }
    // There on every kernel.
    let result = try_new(c"notes", &ATTRIBUTES, &dropped);
    expect("the name of a file", result, Err(EEXIST));
    let result = try_new(c"slab", &ATTRIBUTES, &dropped);
    expect("the name of a directory", result, Err(EEXIST));
    let result = try_new(NAME, &SAME_NAMES, &dropped);
    expect("two attributes with one name", result, Err(EEXIST));
    expect("no attribute", try_new(NAME, &[], &dropped), Ok(()));
    expect("a good name", try_new(NAME, &ATTRIBUTES, &dropped), Ok(()));

    // Nothing is left of a directory whose data fails.
    let fails = Dir::new::<Error>(NAME, &ATTRIBUTES, Err(EDOM));
    if fails.map(drop) != Err(EDOM) {
        pr_err!("the data's error is lost\n");
    }

    parses::<i32>(b"-7\n", Ok(-7));
    parses::<i32>(b"+7", Ok(7));
    parses::<i32>(b"-0", Ok(0));
    for bad in ["0x10", "", "-\n", "+-7", " 7", "7 ", "7\n\n", "7\0"] {
        parses::<i32>(bad.as_bytes(), Err(EINVAL));
    }
    parses::<u8>(b"255", Ok(255));
    parses::<u8>(b"256", Err(EINVAL));
    parses::<u8>(b"-1", Err(EINVAL));
    parses::<i64>(b"-9223372036854775808", Ok(i64::MIN));
    parses::<i64>(b"-9223372036854775809", Err(EINVAL));
    parses::<u64>(b"0000000000018446744073709551615", Ok(u64::MAX));
    parses::<u64>(b"18446744073709551616", Err(EINVAL));
    parses::<u64>(&[b'9'; 100], Err(EINVAL));
    Ok(())
}

fn parses<N: TryFrom<i128> + PartialEq + Debug>(text: &[u8], expected: Result<N>) {
    let number = sysfs::parse(text);
    if number != expected {
        pr_err!("{} is {number:?}\n", BStr::from_bytes(text));
    }
}

/// One byte too long for a name.
const LONG: &CStr = {
    const BYTES: [u8; 257] = {
        let mut bytes = [b'x'; 257];
        bytes[256] = 0;
        bytes
    };
    match CStr::from_bytes_with_nul(&BYTES) {
        Ok(name) => name,
        Err(_) => unreachable!(),
    }
};

#[pinned_drop]
impl PinnedDrop for SysfsAttributes {
    fn drop(self: Pin<&mut Self>) {
        pr_info!(
            "exit begins: {} {}\n",
            self.one.data().length.load(Relaxed),
            self.two.data().length.load(Relaxed)
        );
        LEAVING.store(1, Relaxed);
    }
}
