// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the items of `lkm::configfs`.

use core::ffi::CStr;
use kernel::{
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
};
use lkm::{
    configfs::{
        Item,
        Subsystem, //
    },
    file::{
        mode,
        Argument,
        Opened,
        Operations, //
    },
    procfs,
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
    sysfs::{
        self,
        Attribute,
        Page, //
    },
    tasklet::{
        self,
        Tasklet, //
    },
};

mod commands;

use commands::*;

module! {
    type: ConfigItems,
    name: "config-items",
    authors: ["lkmpg-rs"],
    description: "Test only: the items of lkm::configfs",
    license: "GPL",
}

lkm::params! {
    early: bool { default: false, mode: 0, description: "Whether init makes a subsystem" },
    wait: bool { default: false, mode: 0o644, description: "Whether init waits after that" },
    forget: bool { default: false, mode: 0, description: "Whether init loses its handle" },
    fail: bool { default: false, mode: 0, description: "Whether init fails then" },
}

// An item of size 0 has nowhere else to count.
static SHOWN: Atomic<u32> = Atomic::new(0);
static STORED: Atomic<u32> = Atomic::new(0);
static MADE: Atomic<u32> = Atomic::new(0);
static DROPPED: Atomic<u32> = Atomic::new(0);
static RUNS: Atomic<u32> = Atomic::new(0);
static ALIVE: Atomic<u32> = Atomic::new(0);
static ERRORS: Atomic<u32> = Atomic::new(0);
static FAILING: Atomic<u32> = Atomic::new(0);
static HOLDING: Atomic<u32> = Atomic::new(0);
static ARMED: Atomic<u32> = Atomic::new(0);
static WITHIN: Atomic<u32> = Atomic::new(0);

fn must(is_so: bool) {
    if !is_so {
        ERRORS.fetch_add(1, Relaxed);
    }
}

/// A function runs, as long as this lives.
struct Run;

impl Run {
    fn begin(count: &Atomic<u32>) -> Result<Self> {
        count.fetch_add(1, Relaxed);
        RUNS.fetch_add(1, Relaxed);
        let run = Self;
        while HOLDING.load(Relaxed) != 0 {
            // Many may be waiting here.
            fsleep(Delta::from_millis(10));
        }
        match FAILING.load(Relaxed) {
            0 => Ok(run),
            errno => Err(Error::from_errno(-(errno as i32))),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        RUNS.fetch_add(u32::MAX, Relaxed);
    }
}

/// Something that there is as long as its item.
struct Living;

impl Living {
    fn new() -> Self {
        ALIVE.fetch_add(1, Relaxed);
        Self
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        ALIVE.fetch_add(u32::MAX, Relaxed);
    }
}

/// A number. Nothing else is in it, and any bytes are one.
struct Number {
    number: Atomic<u64>,
    _living: Living,
}

static NUMBER_FILES: [Attribute<Number>; 1] = [Attribute::read_write(
    c"number",
    mode!(0o600),
    |it, page| writeln!(page, "{}", it.number.load(Relaxed)),
    |it, text| {
        it.number.store(sysfs::parse(text)?, Relaxed);
        Ok(())
    },
)];

impl Number {
    fn new() -> Self {
        Self {
            number: Atomic::new(0),
            _living: Living::new(),
        }
    }
}

#[vtable]
impl Item for Number {
    type Child = Self;

    fn attributes() -> &'static [Attribute<Self>] {
        &NUMBER_FILES
    }

    fn make(&self, _name: &CStr) -> impl PinInit<Self, Error> {
        Ok(Self::new())
    }
}

/// A number and a name.
struct All {
    name: KVec<u8>,
    number: Number,
    is_child: bool,
}

static ALL_FILES: [Attribute<All>; 5] = [
    Attribute::read_write(
        c"number",
        mode!(0o644),
        |it, page| {
            let _run = Run::begin(&SHOWN)?;
            writeln!(page, "{}", it.number.number.load(Relaxed))
        },
        |it, text| {
            let _run = Run::begin(&STORED)?;
            it.number.number.store(sysfs::parse(text)?, Relaxed);
            Ok(())
        },
    ),
    // The length of the name, and the sum of its bytes.
    Attribute::read_only(c"name", mode!(0o444), |it, page| {
        let sum: u32 = it.name.iter().map(|byte| u32::from(*byte)).sum();
        writeln!(page, "{} {sum}", it.name.len())
    }),
    Attribute::read_only(c"long", mode!(0o444), |_it, page| {
        write!(page, "{:x>1$}", "", PAGE_SIZE - 1)
    }),
    Attribute::read_only(c"too-long", mode!(0o444), |_it, page| {
        let _ = write!(page, "{:x>1$}", "", PAGE_SIZE);
        Ok(())
    }),
    // The number becomes the length of the text.
    Attribute::write_only(c"length", mode!(0o200), |it, text| {
        it.number.number.store(text.len() as u64, Relaxed);
        Ok(())
    }),
];

impl All {
    fn new(name: &CStr) -> Result<Self> {
        let mut copy = KVec::new();
        copy.extend_from_slice(name.to_bytes(), GFP_KERNEL)?;
        Ok(Self {
            name: copy,
            number: Number::new(),
            is_child: false,
        })
    }

    fn child(name: &CStr) -> Result<Self> {
        let _run = Run::begin(&MADE)?;
        let mut child = Self::new(name)?;
        child.is_child = true;
        Ok(child)
    }
}

impl Drop for All {
    fn drop(&mut self) {
        if self.is_child {
            drop(Run::begin(&DROPPED));
        }
    }
}

#[vtable]
impl Item for All {
    type Child = Self;

    fn attributes() -> &'static [Attribute<Self>] {
        &ALL_FILES
    }

    fn make(&self, name: &CStr) -> impl PinInit<Self, Error> {
        Self::child(name)
    }
}

#[repr(align(64))]
struct Wide {
    zeroes: [u8; 4096],
    _living: Living,
}

static WIDE_FILES: [Attribute<Wide>; 1] =
    [Attribute::read_only(c"number", mode!(0o444), |it, page| {
        must((&raw const *it).addr() % 64 == 0);
        must(it.zeroes.iter().all(|byte| *byte == 0));
        writeln!(page, "0")
    })];

fn wide() -> impl Init<Wide, Error> {
    try_init!(Wide {
        zeroes: [0; 4096],
        _living: Living::new(),
    }? Error)
}

#[vtable]
impl Item for Wide {
    type Child = Self;

    fn attributes() -> &'static [Attribute<Self>] {
        &WIDE_FILES
    }

    fn make(&self, _name: &CStr) -> impl PinInit<Self, Error> {
        wide()
    }
}

/// Says which of its files was shown.
struct Many;

macro_rules! number {
    ($name:literal, $number:literal) => {
        Attribute::read_write(
            $name,
            mode!(0o600),
            |_it, page| {
                let number: u32 = $number;
                writeln!(page, "{number}")
            },
            |_it, text| match sysfs::parse::<u32>(text)? {
                $number => Ok(()),
                _ => Err(EDOM),
            },
        )
    };
}

static MANY_FILES: [Attribute<Many>; MOST_FILES + 1] = [
    number!(c"0", 0),
    number!(c"1", 1),
    number!(c"2", 2),
    number!(c"3", 3),
    number!(c"4", 4),
    number!(c"5", 5),
    number!(c"6", 6),
    number!(c"7", 7),
    number!(c"8", 8),
    number!(c"9", 9),
    number!(c"10", 10),
    number!(c"11", 11),
    number!(c"12", 12),
    number!(c"13", 13),
    number!(c"14", 14),
    number!(c"15", 15),
    // One too many.
    number!(c"16", 16),
];

#[vtable]
impl Item for Many {
    type Child = ();

    fn attributes() -> &'static [Attribute<Self>] {
        &MANY_FILES[..MOST_FILES]
    }
}

/// It has too many.
struct TooMany {
    _living: Living,
}

impl TooMany {
    fn new() -> Self {
        Self {
            _living: Living::new(),
        }
    }
}

fn show_none<T>(_it: &T, _page: &mut Page<'_>) -> Result {
    Ok(())
}

static TOO_MANY_FILES: [Attribute<TooMany>; MOST_FILES + 1] = [
    Attribute::read_only(c"0", mode!(0o444), show_none),
    Attribute::read_only(c"1", mode!(0o444), show_none),
    Attribute::read_only(c"2", mode!(0o444), show_none),
    Attribute::read_only(c"3", mode!(0o444), show_none),
    Attribute::read_only(c"4", mode!(0o444), show_none),
    Attribute::read_only(c"5", mode!(0o444), show_none),
    Attribute::read_only(c"6", mode!(0o444), show_none),
    Attribute::read_only(c"7", mode!(0o444), show_none),
    Attribute::read_only(c"8", mode!(0o444), show_none),
    Attribute::read_only(c"9", mode!(0o444), show_none),
    Attribute::read_only(c"10", mode!(0o444), show_none),
    Attribute::read_only(c"11", mode!(0o444), show_none),
    Attribute::read_only(c"12", mode!(0o444), show_none),
    Attribute::read_only(c"13", mode!(0o444), show_none),
    Attribute::read_only(c"14", mode!(0o444), show_none),
    Attribute::read_only(c"15", mode!(0o444), show_none),
    Attribute::read_only(c"16", mode!(0o444), show_none),
];

#[vtable]
impl Item for TooMany {
    type Child = ();

    fn attributes() -> &'static [Attribute<Self>] {
        &TOO_MANY_FILES
    }
}

/// It has the same file twice.
struct Twice {
    _living: Living,
}

impl Twice {
    fn new() -> Self {
        Self {
            _living: Living::new(),
        }
    }
}

static TWICE_FILES: [Attribute<Twice>; 2] = [
    Attribute::read_only(c"twice", mode!(0o444), show_none),
    Attribute::read_only(c"twice", mode!(0o444), show_none),
];

#[vtable]
impl Item for Twice {
    type Child = ();

    fn attributes() -> &'static [Attribute<Self>] {
        &TWICE_FILES
    }
}

/// Its children cannot be.
struct BadTwice;

#[vtable]
impl Item for BadTwice {
    type Child = Twice;

    fn make(&self, _name: &CStr) -> impl PinInit<Twice, Error> {
        Ok(Twice::new())
    }
}

/// So cannot these.
struct BadMany;

#[vtable]
impl Item for BadMany {
    type Child = TooMany;

    fn make(&self, _name: &CStr) -> impl PinInit<TooMany, Error> {
        Ok(TooMany::new())
    }
}

/// A handle, whatever its items.
trait Handle: Send + Sync {}

impl<T: Item> Handle for Subsystem<T> {}

type Place = Arc<IrqSpinLock<Option<KBox<dyn Handle>>>>;

fn take(place: &Place) {
    let handle = place.lock().take();
    drop(handle);
}

/// Drops the subsystem in a place, in each function.
struct Dropping {
    place: Place,
    _living: Living,
}

static DROPPING_FILES: [Attribute<Dropping>; 1] = [Attribute::read_write(
    c"number",
    mode!(0o600),
    |it, page| {
        let _run = Run::begin(&SHOWN)?;
        it.take();
        // It is there as long as it runs.
        let number = u32::from(it.place.lock().is_some());
        writeln!(page, "{number}")
    },
    |it, _text| {
        let _run = Run::begin(&STORED)?;
        it.take();
        Ok(())
    },
)];

impl Dropping {
    fn new(place: &Place) -> Self {
        Self {
            place: place.clone(),
            _living: Living::new(),
        }
    }

    fn take(&self) {
        if ARMED.load(Relaxed) != 0 {
            take(&self.place);
        }
    }

    fn child(&self) -> Result<Leaf> {
        let _run = Run::begin(&MADE)?;
        self.take();
        Ok(Leaf(Self::new(&self.place)))
    }
}

#[vtable]
impl Item for Dropping {
    type Child = Leaf;

    fn attributes() -> &'static [Attribute<Self>] {
        &DROPPING_FILES
    }

    fn make(&self, _name: &CStr) -> impl PinInit<Leaf, Error> {
        self.child()
    }
}

/// Drops the subsystem in a place when it is dropped itself.
struct Leaf(Dropping);

impl Drop for Leaf {
    fn drop(&mut self) {
        self.0.take();
    }
}

#[vtable]
impl Item for Leaf {
    type Child = ();
}

/// Makes a subsystem in each function.
struct Maker;

fn make_within() {
    let made = Subsystem::new(c"config-items-made", ());
    let errno = made.map_or_else(|error| -error.to_errno(), |_| 0);
    WITHIN.store(errno as u32, Relaxed);
}

static MAKER_FILES: [Attribute<Maker>; 1] = [Attribute::read_write(
    c"number",
    mode!(0o600),
    |_it, page| {
        make_within();
        writeln!(page, "0")
    },
    |_it, _text| {
        make_within();
        Ok(())
    },
)];

#[vtable]
impl Item for Maker {
    type Child = MakerLeaf;

    fn attributes() -> &'static [Attribute<Self>] {
        &MAKER_FILES
    }

    fn make(&self, _name: &CStr) -> impl PinInit<MakerLeaf, Error> {
        make_within();
        Ok(MakerLeaf)
    }
}

struct MakerLeaf;

impl Drop for MakerLeaf {
    fn drop(&mut self) {
        make_within();
    }
}

#[vtable]
impl Item for MakerLeaf {
    type Child = ();
}

fn register<T: Item, E>(kind: usize, item: impl PinInit<T, E>) -> Result<KBox<dyn Handle>>
where
    Error: From<E>,
{
    let name = CString::try_from_fmt(fmt!("config-items-{kind}"))?;
    // Linux 6.18 has a type of its own for that.
    let name = CStr::from_bytes_with_nul(name.to_bytes_with_nul()).map_err(|_| EINVAL)?;
    let subsystem = Subsystem::new(name, item)?;
    let handle: KBox<dyn Handle> = KBox::new(subsystem, GFP_KERNEL)?;
    Ok(handle)
}

/// Drops a handle where it must not sleep.
struct Dropper {
    place: Place,
}

impl tasklet::Handler for Dropper {
    fn run(&self) {
        take(&self.place);
    }
}

#[pin_data]
struct Control {
    places: KVec<Place>,
    doomed: Place,
    dropper: Tasklet<Dropper>,
    #[pin]
    making: Mutex<()>,
}

fn place() -> Result<Place> {
    Arc::pin_init(new_irq_spinlock!(None), GFP_KERNEL)
}

impl Control {
    fn new() -> Result<impl PinInit<Self>> {
        let mut places = KVec::new();
        for _ in 0..KINDS {
            places.push(place()?, GFP_KERNEL)?;
        }
        let doomed = place()?;
        let dropper = Tasklet::new(Dropper {
            place: doomed.clone(),
        })?;
        Ok(pin_init!(Self {
            places,
            doomed,
            dropper,
            making <- new_mutex!(()),
        }))
    }

    fn place(&self, kind: usize) -> Result<&Place> {
        self.places.get(kind).ok_or(EDOM)
    }

    fn handle(&self, kind: usize) -> Result<KBox<dyn Handle>> {
        let dropping = |place: usize| -> Result<Dropping> { Ok(Dropping::new(self.place(place)?)) };
        match kind {
            ALL => register(kind, All::new(c"top")?),
            NUMBER => register(kind, Number::new()),
            NOTHING => register(kind, ()),
            WIDE => register(kind, wide()),
            MANY => register(kind, Many),
            SELFISH => register(kind, dropping(SELFISH)?),
            UNKIND => register(kind, dropping(ALL)?),
            RIVAL => register(kind, dropping(OTHER_RIVAL)?),
            OTHER_RIVAL => register(kind, dropping(RIVAL)?),
            MAKER => register(kind, Maker),
            BAD_TWICE => register(kind, BadTwice),
            BAD_MANY => register(kind, BadMany),
            _ => Err(EDOM),
        }
    }

    fn make(&self, kind: usize) -> Result {
        let place = self.place(kind)?;
        let _making = self.making.lock();
        let handle = self.handle(kind)?;
        let before = place.lock().replace(handle);
        drop(before);
        Ok(())
    }

    fn drop_in_softirq(&self, kind: usize) -> Result {
        let handle = self.place(kind)?.lock().take();
        let before = core::mem::replace(&mut *self.doomed.lock(), handle);
        drop(before);
        self.dropper.schedule();
        Ok(())
    }
}

fn try_name(index: usize) -> Result {
    let name = NAMES.get(index).ok_or(EDOM)?;
    Subsystem::new(name, Number::new()).map(drop)
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let number = arg.number();
        match cmd {
            MAKE => self.make(number)?,
            DROP => take(self.place(number)?),
            DROP_IN_SOFTIRQ => self.drop_in_softirq(number)?,
            FAIL => FAILING.store(number as u32, Relaxed),
            ARM => ARMED.store(number as u32, Relaxed),
            HOLD => HOLDING.store(number as u32, Relaxed),
            TRY_NAME => try_name(number)?,
            TRY_MANY => drop(Subsystem::new(c"config-items-many", TooMany::new())?),
            TRY_TWICE => drop(Subsystem::new(c"config-items-twice", Twice::new())?),
            MADE_WITHIN => return Ok(WITHIN.xchg(0, Relaxed)),
            _ => {
                let count = match cmd {
                    SHOWS => &SHOWN,
                    STORES => &STORED,
                    MAKES => &MADE,
                    DROPS => &DROPPED,
                    RUNNING => &RUNS,
                    LIVING => &ALIVE,
                    WRONG => &ERRORS,
                    _ => return Err(ENOTTY),
                };
                return Ok(count.load(Relaxed));
            }
        }
        Ok(0)
    }
}

struct ConfigItems {
    _early: Option<KBox<dyn Handle>>,
    _entry: procfs::Entry<Control>,
}

/// The subsystem of init.
fn make_early() -> Result<Option<KBox<dyn Handle>>> {
    if !early.get() {
        return Ok(None);
    }
    let handle = register(ALL, All::new(c"top")?)?;
    while wait.get() {
        fsleep(Delta::from_millis(1));
    }
    if forget.get() {
        core::mem::forget(handle);
        return Ok(None);
    }
    Ok(Some(handle))
}

impl kernel::Module for ConfigItems {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let early_one = make_early()?;
        if fail.get() {
            return Err(ENODEV);
        }
        Ok(Self {
            _early: early_one,
            _entry: procfs::Entry::new(c"config-items", mode!(0o600), Control::new()?)?,
        })
    }
}
