// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the disks of `lkm::block`.

use core::{
    ffi::CStr,
    ops::Range, //
};
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
    block::{
        Disk,
        Registration, //
    },
    file::{
        mode,
        Argument,
        Opened,
        Operations,
        Reader,
        SharedPages,
        Writer, //
    },
    procfs,
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
    tasklet::{
        self,
        Tasklet, //
    },
};

mod commands;

use commands::*;

module! {
    type: Disks,
    name: "disks",
    authors: ["lkmpg-rs"],
    description: "Test only: the disks of lkm::block",
    license: "GPL",
}

lkm::params! {
    early: bool { default: false, mode: 0, description: "Whether init makes a disk" },
    wait: bool { default: false, mode: 0o644, description: "Whether init waits after that" },
    forget: bool { default: false, mode: 0, description: "Whether init loses its handle" },
    fail: bool { default: false, mode: 0, description: "Whether init fails then" },
}

/// The kinds of disks; the last of them is this.
const KINDS: usize = GREEDY + 1;

// A disk of size 0 has nowhere else to count.
static READS: Atomic<u32> = Atomic::new(0);
static WRITES: Atomic<u32> = Atomic::new(0);
static DISCARDS: Atomic<u32> = Atomic::new(0);
static ZEROES: Atomic<u32> = Atomic::new(0);
static RUNNING: Atomic<u32> = Atomic::new(0);
static LIVING: Atomic<u32> = Atomic::new(0);
static ERRORS: Atomic<u32> = Atomic::new(0);
static FAILING: Atomic<u32> = Atomic::new(0);
static FAIL_RANGE: [Atomic<u64>; 2] = [Atomic::new(0), Atomic::new(u64::MAX)];
static HOLDING: Atomic<u32> = Atomic::new(0);
static MADE: Atomic<u32> = Atomic::new(0);
static ARMED: Atomic<u32> = Atomic::new(0);
static LAST: [Atomic<u64>; 2] = [Atomic::new(0), Atomic::new(0)];

fn must(is_so: bool) {
    if !is_so {
        ERRORS.fetch_add(1, Relaxed);
    }
}

/// A method runs, as long as this lives.
struct Run;

impl Run {
    fn begin(count: &Atomic<u32>, pos: u64) -> Result<Self> {
        count.fetch_add(1, Relaxed);
        RUNNING.fetch_add(1, Relaxed);
        let run = Self;
        while HOLDING.load(Relaxed) != 0 {
            fsleep(Delta::from_millis(1));
        }
        let [from, to] = &FAIL_RANGE;
        match FAILING.load(Relaxed) {
            0 => Ok(run),
            _ if !(from.load(Relaxed)..to.load(Relaxed)).contains(&pos) => Ok(run),
            errno => Err(Error::from_errno(-(errno as i32))),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        RUNNING.fetch_add(u32::MAX, Relaxed);
    }
}

/// Something that there is as long as its disk.
struct Living;

impl Living {
    fn new() -> Self {
        LIVING.fetch_add(1, Relaxed);
        Self
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        LIVING.fetch_add(u32::MAX, Relaxed);
    }
}

/// What most disks store: all of them the same bytes.
struct Store {
    pages: SharedPages,
    _living: Living,
}

impl Store {
    fn read(&self, pos: u64, dst: &mut Writer) -> Result {
        let _run = Run::begin(&READS, pos)?;
        let len = dst.len();
        dst.write_pages(&self.pages, pos as usize, len)
    }

    fn write(&self, pos: u64, src: &mut Reader) -> Result {
        let _run = Run::begin(&WRITES, pos)?;
        let len = src.len();
        src.read_pages(&self.pages, pos as usize, len)
    }

    fn clear(&self, range: Range<u64>) -> Result {
        let len = range.end - range.start;
        self.pages.clear(range.start as usize, len as usize)
    }
}

type Shared = Arc<Store>;

/// A range that a method was called for.
fn note<const N: usize>(range: &Range<u64>) {
    must(range.start % N as u64 == 0 && range.end % N as u64 == 0 && !range.is_empty());
    LAST[0].store(range.start / N as u64, Relaxed);
    LAST[1].store((range.end - range.start) / N as u64, Relaxed);
}

struct All<const N: usize>(Shared, Living);

#[vtable]
impl<const N: usize> Disk for All<N> {
    const BLOCK_SIZE: usize = N;

    fn read(&self, pos: u64, dst: &mut Writer) -> Result {
        must(pos % N as u64 == 0 && dst.len() % N == 0 && !dst.is_empty());
        let _living = &self.1;
        self.0.read(pos, dst)
    }

    fn write(&self, pos: u64, src: &mut Reader) -> Result {
        must(pos % N as u64 == 0 && src.len() % N == 0 && !src.is_empty());
        self.0.write(pos, src)
    }

    fn discard(&self, range: Range<u64>) -> Result {
        let _run = Run::begin(&DISCARDS, range.start)?;
        note::<N>(&range);
        self.0.clear(range)
    }

    fn write_zeroes(&self, range: Range<u64>) -> Result {
        let _run = Run::begin(&ZEROES, range.start)?;
        note::<N>(&range);
        self.0.clear(range)
    }
}

struct Plain(Shared);

#[vtable]
impl Disk for Plain {
    fn read(&self, pos: u64, dst: &mut Writer) -> Result {
        self.0.read(pos, dst)
    }

    fn write(&self, pos: u64, src: &mut Reader) -> Result {
        self.0.write(pos, src)
    }
}

/// It has no bytes, and leaves all out.
struct Empty;

#[vtable]
impl Disk for Empty {
    fn read(&self, pos: u64, _dst: &mut Writer) -> Result {
        let _run = Run::begin(&READS, pos)?;
        Ok(())
    }
}

struct Half(Living);

#[vtable]
impl Disk for Half {
    fn read(&self, pos: u64, dst: &mut Writer) -> Result {
        let _run = Run::begin(&READS, pos)?;
        let _living = &self.0;
        for _ in 0..dst.len() / 2 {
            dst.write_slice(&[HALF_BYTE])?;
        }
        Ok(())
    }
}

struct Sparse(Living);

#[vtable]
impl Disk for Sparse {
    fn read(&self, pos: u64, dst: &mut Writer) -> Result {
        let _run = Run::begin(&READS, pos)?;
        let _living = &self.0;
        let mut at = pos;
        while !dst.is_empty() {
            dst.write(&at)?;
            at += 8;
        }
        must(at <= SPARSE_SIZE);
        Ok(())
    }

    fn write(&self, pos: u64, src: &mut Reader) -> Result {
        let _run = Run::begin(&WRITES, pos)?;
        let mut at = pos;
        while !src.is_empty() {
            must(src.read::<u64>()? == at);
            at += 8;
        }
        Ok(())
    }

    fn discard(&self, range: Range<u64>) -> Result {
        let _run = Run::begin(&DISCARDS, range.start)?;
        note::<512>(&range);
        Ok(())
    }
}

#[repr(align(64))]
struct Wide {
    zeroes: [u8; 4096],
    shared: Shared,
}

impl Wide {
    fn check(&self) {
        must((&raw const *self).addr() % 64 == 0);
        must(self.zeroes.iter().all(|byte| *byte == 0));
    }
}

#[vtable]
impl Disk for Wide {
    fn read(&self, pos: u64, dst: &mut Writer) -> Result {
        self.check();
        self.shared.read(pos, dst)
    }

    fn write(&self, pos: u64, src: &mut Reader) -> Result {
        self.check();
        self.shared.write(pos, src)
    }
}

/// A handle, whatever its disk.
trait Handle: Send + Sync {}

impl<T: Disk> Handle for Registration<T> {}

type Place = Arc<IrqSpinLock<Option<KBox<dyn Handle>>>>;

fn take(place: &Place) {
    let handle = place.lock().take();
    drop(handle);
}

/// Drops the disk in a place, in each method.
struct Dropping {
    shared: Shared,
    place: Place,
    _living: Living,
}

impl Dropping {
    fn take(&self) {
        if ARMED.load(Relaxed) != 0 {
            take(&self.place);
        }
    }
}

#[vtable]
impl Disk for Dropping {
    fn read(&self, pos: u64, dst: &mut Writer) -> Result {
        self.take();
        // It is there as long as it runs.
        self.shared.read(pos, dst)
    }

    fn write(&self, pos: u64, src: &mut Reader) -> Result {
        self.take();
        self.shared.write(pos, src)
    }

    fn discard(&self, range: Range<u64>) -> Result {
        let _run = Run::begin(&DISCARDS, range.start)?;
        self.take();
        Ok(())
    }
}

struct Maker(Shared);

#[vtable]
impl Disk for Maker {
    fn read(&self, pos: u64, dst: &mut Writer) -> Result {
        let made = Registration::new(c"disks-made", SIZE as u64, Plain(self.0.clone()));
        let errno = made.map_or_else(|error| -error.to_errno(), |_| 0);
        MADE.store(errno as u32, Relaxed);
        self.0.read(pos, dst)
    }
}

struct Greedy(Shared);

impl Greedy {
    fn eat() -> Result {
        let bytes = VVec::from_elem(1_u8, SIZE, GFP_KERNEL)?;
        must(bytes[SIZE - 1] == 1);
        Ok(())
    }
}

#[vtable]
impl Disk for Greedy {
    fn read(&self, pos: u64, dst: &mut Writer) -> Result {
        Self::eat()?;
        self.0.read(pos, dst)
    }

    fn write(&self, pos: u64, src: &mut Reader) -> Result {
        Self::eat()?;
        self.0.write(pos, src)
    }
}

fn register<T: Disk, E>(
    kind: usize,
    size: u64,
    disk: impl PinInit<T, E>,
) -> Result<KBox<dyn Handle>>
where
    Error: From<E>,
{
    let name = CString::try_from_fmt(fmt!("disks-{kind}"))?;
    // Linux 6.18 has a type of its own for that.
    let name = CStr::from_bytes_with_nul(name.to_bytes_with_nul()).map_err(|_| EINVAL)?;
    let disk = Registration::new(name, size, disk)?;
    let handle: KBox<dyn Handle> = KBox::new(disk, GFP_KERNEL)?;
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
    store: Shared,
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
    fn new(store: Shared) -> Result<impl PinInit<Self>> {
        let mut places = KVec::new();
        for _ in 0..KINDS {
            places.push(place()?, GFP_KERNEL)?;
        }
        let doomed = place()?;
        let dropper = Tasklet::new(Dropper {
            place: doomed.clone(),
        })?;
        Ok(pin_init!(Self {
            store,
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
        let shared = || self.store.clone();
        let dropping = |place: usize| -> Result<Dropping> {
            Ok(Dropping {
                shared: self.store.clone(),
                place: self.place(place)?.clone(),
                _living: Living::new(),
            })
        };
        let size = SIZE as u64;
        match kind {
            ALL => register(kind, size, All::<512>(shared(), Living::new())),
            BLOCKS_1024 => register(kind, size, All::<1024>(shared(), Living::new())),
            BLOCKS_4096 => register(kind, size, All::<4096>(shared(), Living::new())),
            PLAIN => register(kind, size, Plain(shared())),
            EMPTY => register(kind, size, Empty),
            HALF => register(kind, size, Half(Living::new())),
            SPARSE => register(kind, SPARSE_SIZE, Sparse(Living::new())),
            WIDE => {
                let wide = try_init!(Wide {
                    zeroes: [0; 4096],
                    shared: shared(),
                });
                register(kind, size, wide)
            }
            SELFISH => register(kind, size, dropping(SELFISH)?),
            UNKIND => register(kind, size, dropping(ALL)?),
            RIVAL => register(kind, size, dropping(OTHER_RIVAL)?),
            OTHER_RIVAL => register(kind, size, dropping(RIVAL)?),
            MAKER => register(kind, size, Maker(shared())),
            GREEDY => register(kind, size, Greedy(shared())),
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

    fn try_name(&self, index: usize) -> Result {
        let name = NAMES.get(index).ok_or(EDOM)?;
        Registration::new(name, SIZE as u64, Plain(self.store.clone())).map(drop)
    }

    fn try_size(&self, index: usize) -> Result {
        let size = SIZES.get(index).ok_or(EDOM)?;
        Registration::new(c"disks-size", *size, Plain(self.store.clone())).map(drop)
    }
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
            STORED => {
                let mut byte = [0];
                self.store.pages.read_slice(number, &mut byte)?;
                return Ok(byte[0].into());
            }
            FAIL => FAILING.store(number as u32, Relaxed),
            FAIL_FROM | FAIL_TO => {
                FAIL_RANGE[(cmd - FAIL_FROM) as usize].store(number as u64, Relaxed);
            }
            ARM => ARMED.store(1, Relaxed),
            HOLD => HOLDING.store(number as u32, Relaxed),
            TRY_NAME => self.try_name(number)?,
            TRY_SIZE => self.try_size(number)?,
            LAST_BLOCK | LAST_BLOCKS => {
                let last = LAST[(cmd - LAST_BLOCK) as usize].load(Relaxed);
                return Ok((last >> number) as u32 & i32::MAX as u32);
            }
            _ => {
                let count = match cmd {
                    commands::READS => &READS,
                    commands::WRITES => &WRITES,
                    commands::DISCARDS => &DISCARDS,
                    commands::ZEROES => &ZEROES,
                    commands::RUNNING => &RUNNING,
                    // The store is alive, too.
                    commands::LIVING => &LIVING,
                    WRONG => &ERRORS,
                    MADE_IN_METHOD => &MADE,
                    _ => return Err(ENOTTY),
                };
                return Ok(count.load(Relaxed));
            }
        }
        Ok(0)
    }
}

struct Disks {
    _early: Option<KBox<dyn Handle>>,
    _entry: procfs::Entry<Control>,
}

/// The disk of init.
fn make_early(store: &Shared) -> Result<Option<KBox<dyn Handle>>> {
    if !early.get() {
        return Ok(None);
    }
    let handle = register(ALL, SIZE as u64, All::<512>(store.clone(), Living::new()))?;
    while wait.get() {
        fsleep(Delta::from_millis(1));
    }
    if forget.get() {
        core::mem::forget(handle);
        return Ok(None);
    }
    Ok(Some(handle))
}

impl kernel::Module for Disks {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let store = Store {
            pages: SharedPages::new(SIZE / PAGE_SIZE)?,
            _living: Living::new(),
        };
        let store = Arc::new(store, GFP_KERNEL)?;
        let early_disk = make_early(&store)?;
        if fail.get() {
            return Err(ENODEV);
        }
        Ok(Self {
            _early: early_disk,
            _entry: procfs::Entry::new(c"disks", mode!(0o600), Control::new(store)?)?,
        })
    }
}
