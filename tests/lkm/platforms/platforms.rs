// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the drivers and devices of `lkm::platform`.

use core::ffi::CStr;
use kernel::{
    new_mutex,
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
    file::{
        mode,
        Argument,
        Opened,
        Operations, //
    },
    kthread::KThread,
    platform::{
        Device,
        Driver,
        OwnDevice,
        Property,
        Registration, //
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
use pin_init::init_zeroed;

mod commands;

use commands::*;

module! {
    type: Platforms,
    name: "platforms",
    authors: ["lkmpg-rs"],
    description: "Test only: the drivers and devices of lkm::platform",
    license: "GPL",
}

lkm::params! {
    early: bool { default: false, mode: 0, description: "Whether init makes a driver and its device" },
    forget: bool { default: false, mode: 0, description: "Whether init loses its handles" },
    fail: bool { default: false, mode: 0, description: "Whether init fails then" },
}

// What has no bytes has nowhere else to count.
/// One more than the last method, and than the last thing.
const METHODS: usize = RESUME + 1;
const THINGS: usize = SWAPPED + 1;

static CALLS: [Atomic<u32>; METHODS] = [
    Atomic::new(0),
    Atomic::new(0),
    Atomic::new(0),
    Atomic::new(0),
    Atomic::new(0),
];
static RUNNING: Atomic<u32> = Atomic::new(0);
static DRIVERS: Atomic<u32> = Atomic::new(0);
static BOUND: Atomic<u32> = Atomic::new(0);
static ERRORS: Atomic<u32> = Atomic::new(0);
static MADE: Atomic<u32> = Atomic::new(0);
static ARMED: Atomic<u32> = Atomic::new(0);
static FAILING: Atomic<u32> = Atomic::new(0);
static HOLDING: Atomic<u32> = Atomic::new(0);
/// A thread is to drop something while a suspend waits for it to begin.
static LATER: Atomic<u32> = Atomic::new(0);
const WAITS_FOR_SUSPEND: u32 = 1;
const SUSPEND_WAITS: u32 = 2;
const BEGINS: u32 = 3;

fn must(is_so: bool) {
    if !is_so {
        ERRORS.fetch_add(1, Relaxed);
    }
}

fn pause() {
    fsleep(Delta::from_millis(1));
}

fn errno(result: Result) -> u32 {
    result.map_or_else(|error| error.to_errno().unsigned_abs(), |()| 0)
}

/// Something that there is, and that is counted.
struct Living(&'static Atomic<u32>);

impl Living {
    fn new(count: &'static Atomic<u32>) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.0.fetch_add(u32::MAX, Relaxed);
    }
}

/// A method is called: returns whether it is to fail.
fn begin(method: usize) -> Result<Living> {
    CALLS[method].fetch_add(1, Relaxed);
    let running = Living::new(&RUNNING);
    while HOLDING.load(Relaxed) == method as u32 {
        pause();
    }
    match FAILING.load(Relaxed) {
        failing if failing & 0xff == method as u32 => {
            Err(Error::from_errno(-((failing >> 8) as i32)))
        }
        _ => Ok(running),
    }
}

/// A handle, whatever it is of.
trait Handle: Send + Sync {}

impl<T: Driver> Handle for Registration<T> {}

impl Handle for OwnDevice {}

type Place = Arc<IrqSpinLock<Option<KBox<dyn Handle>>>>;

fn take(place: &Place) {
    let handle = place.lock().take();
    drop(handle);
}

/// All things, by number.
struct Things(KVec<Place>);

impl Things {
    fn place(&self, thing: usize) -> Result<&Place> {
        self.0.get(thing).ok_or(EDOM)
    }

    /// A method drops what it is to.
    fn called(&self, method: usize) -> Result {
        let result = begin(method);
        let armed = ARMED.load(Relaxed);
        if armed & 0xff == method as u32 {
            let is_doomed = |n: &usize| (armed >> 8) & (1 << *n) != 0;
            for n in (0..self.0.len()).filter(is_doomed) {
                take(&self.0[n]);
            }
        }
        result.map(drop)
    }
}

/// A driver that does what it is told.
struct Obedient {
    things: Arc<Things>,
    _living: Living,
}

/// What it has for a device: both of them.
struct Both<'bound> {
    driver: &'bound Obedient,
    device: &'bound Device,
    _living: Living,
}

impl Both<'_> {
    fn check(&self) {
        must(self.device.name().to_bytes().starts_with(b"platforms-"));
        must(self.device.node_name().is_none());
        must(self.device.memory(0).is_none());
    }
}

impl Drop for Both<'_> {
    fn drop(&mut self) {
        self.check();
        let result = self.driver.things.called(REMOVE);
        must(result.is_ok());
        // It is there as long as this is.
        self.check();
    }
}

impl Obedient {
    fn bind<'bound>(&'bound self, device: &'bound Device) -> Result<Both<'bound>> {
        self.things.called(PROBE)?;
        Ok(Both {
            driver: self,
            device,
            _living: Living::new(&BOUND),
        })
    }
}

#[vtable]
impl Driver for Obedient {
    type Private<'bound> = Both<'bound>;

    fn probe<'bound>(
        &'bound self,
        device: &'bound Device,
    ) -> impl PinInit<Both<'bound>, Error> + 'bound {
        self.bind(device)
    }

    fn suspend(both: Pin<&Both<'_>>) -> Result {
        both.check();
        if LATER.load(Relaxed) == WAITS_FOR_SUSPEND {
            LATER.store(SUSPEND_WAITS, Relaxed);
            while LATER.load(Relaxed) == SUSPEND_WAITS {
                pause();
            }
        }
        both.driver.things.called(SUSPEND)
    }

    fn resume(both: Pin<&Both<'_>>) -> Result {
        both.check();
        both.driver.things.called(RESUME)
    }
}

/// No bytes, here and there.
struct Empty;

struct EmptyToo;

impl Drop for EmptyToo {
    fn drop(&mut self) {
        must(begin(REMOVE).is_ok());
    }
}

#[vtable]
impl Driver for Empty {
    type Private<'bound> = EmptyToo;

    fn probe<'bound>(
        &'bound self,
        _device: &'bound Device,
    ) -> impl PinInit<EmptyToo, Error> + 'bound {
        begin(PROBE).map(|_| EmptyToo)
    }
}

#[repr(align(64))]
struct Wide {
    zeros: [u8; 4096],
    method: usize,
    _living: Living,
}

impl Wide {
    fn check(&self) {
        must((&raw const *self).addr() % 64 == 0);
        must(self.zeros.iter().all(|byte| *byte == 0));
    }

    fn new(method: usize, count: &'static Atomic<u32>) -> impl Init<Self, Error> {
        try_init!(Wide {
            zeros <- init_zeroed(),
            method,
            _living: Living::new(count),
        })
    }
}

impl Drop for Wide {
    fn drop(&mut self) {
        self.check();
        if self.method != 0 {
            must(begin(self.method).is_ok());
        }
    }
}

#[vtable]
impl Driver for Wide {
    type Private<'bound> = Wide;

    fn probe<'bound>(&'bound self, _device: &'bound Device) -> impl PinInit<Wide, Error> + 'bound {
        self.check();
        must(begin(PROBE).is_ok());
        Wide::new(REMOVE, &BOUND)
    }

    fn suspend(wide: Pin<&Wide>) -> Result {
        wide.check();
        begin(SUSPEND).map(drop)
    }
}

const LONG: &CStr = c"a text of more letters than those that fit into one word of the CPU, or two";

/// What the devices know, by the names that the reader knows it by.
const KNOWN: [(&CStr, Property<'static>); 7] = [
    (c"flag", Property::Flag),
    (c"zero", Property::U32(0)),
    (c"number", Property::U32(7)),
    (c"most", Property::U32(u32::MAX)),
    (c"empty", Property::Text(c"")),
    (c"text", Property::Text(LONG)),
    (c"", Property::Text(c"of no name")),
];

/// The same names, for something else. A number that somebody takes for an address would be
/// one that is not there.
const SWAPPED_KNOWN: [(&CStr, Property<'static>); 7] = [
    (c"swapped", Property::Flag),
    (c"flag", Property::U32(1)),
    (c"zero", Property::Text(c"0")),
    (c"number", Property::Text(c"7777")),
    (c"most", Property::Flag),
    (c"empty", Property::Flag),
    (c"text", Property::U32(8)),
];

fn is_text(text: Result<CString>, expected: &CStr) -> bool {
    text.is_ok_and(|text| text.to_bytes() == expected.to_bytes())
}

/// It looks at all that it knows.
struct Reader;

impl Reader {
    fn read(device: &Device) -> Result {
        must(device.has(c"flag"));
        must(!device.has(c"nothing"));
        must(device.u32(c"nothing") == Err(ENOENT));
        must(device.text(c"nothing").is_err_and(|error| error == ENOENT));
        if device.has(c"swapped") {
            for name in [c"zero", c"number", c"most", c"empty"] {
                must(device.has(name));
                must(device.u32(name) == Err(EINVAL));
            }
            for name in [c"flag", c"most", c"empty", c"text"] {
                must(device.text(name).is_err_and(|error| error == EINVAL));
            }
            must(device.u32(c"flag") == Ok(1));
            must(is_text(device.text(c"number"), c"7777"));
            return Ok(());
        }
        for (name, number) in [(c"zero", 0), (c"number", 7), (c"most", u32::MAX)] {
            must(device.u32(name) == Ok(number));
            must(device.text(name).is_err_and(|error| error == EINVAL));
        }
        must(is_text(device.text(c"empty"), c""));
        must(is_text(device.text(c"text"), LONG));
        must(is_text(device.text(c""), c"of no name"));
        for name in [c"flag", c"empty", c"text"] {
            must(device.u32(name) == Err(EINVAL));
        }
        Ok(())
    }
}

#[vtable]
impl Driver for Reader {
    type Private<'bound> = EmptyToo;

    fn probe<'bound>(
        &'bound self,
        device: &'bound Device,
    ) -> impl PinInit<EmptyToo, Error> + 'bound {
        if !device.has(c"flag") {
            return Err(ENODEV);
        }
        begin(PROBE).and_then(|_| Self::read(device).map(|()| EmptyToo))
    }
}

/// It makes a driver and a device, which it cannot.
struct Maker;

#[vtable]
impl Driver for Maker {
    type Private<'bound> = EmptyToo;

    fn probe<'bound>(
        &'bound self,
        _device: &'bound Device,
    ) -> impl PinInit<EmptyToo, Error> + 'bound {
        let driver = errno(Registration::new(c"platforms-made", Empty).map(drop));
        let device = errno(OwnDevice::new(c"platforms-made", &[]).map(drop));
        MADE.store((driver << 16) | device, Relaxed);
        begin(PROBE).map(|_| EmptyToo)
    }
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
    things: Arc<Things>,
    doomed: Place,
    dropper: Tasklet<Dropper>,
    #[pin]
    thread: Mutex<Option<KThread>>,
    #[pin]
    making: Mutex<()>,
    #[pin]
    crowd: Mutex<KVec<OwnDevice>>,
}

fn place() -> Result<Place> {
    Arc::pin_init(new_irq_spinlock!(None), GFP_KERNEL)
}

fn things() -> Result<Arc<Things>> {
    let mut things = KVec::new();
    for _ in 0..THINGS {
        things.push(place()?, GFP_KERNEL)?;
    }
    Ok(Arc::new(Things(things), GFP_KERNEL)?)
}

/// A driver and a device for it have the same name.
fn with_name<T>(thing: usize, make: impl FnOnce(&CStr) -> Result<T>) -> Result<T> {
    let name = CString::try_from_fmt(fmt!("platforms-{}", thing % DEVICE))?;
    // Linux 6.18 has a type of its own for that.
    make(CStr::from_bytes_with_nul(name.to_bytes_with_nul()).map_err(|_| EINVAL)?)
}

fn driver<T: Driver, E>(thing: usize, driver: impl PinInit<T, E>) -> Result<KBox<dyn Handle>>
where
    Error: From<E>,
{
    let driver = with_name(thing, |name| Registration::new(name, driver))?;
    let handle: KBox<dyn Handle> = KBox::new(driver, GFP_KERNEL)?;
    Ok(handle)
}

fn handle(things: &Arc<Things>, thing: usize) -> Result<KBox<dyn Handle>> {
    let obedient = || Obedient {
        things: things.clone(),
        _living: Living::new(&DRIVERS),
    };
    match thing {
        DRIVER | OTHER_DRIVER => driver(thing, obedient()),
        EMPTY => driver(thing, Empty),
        WIDE => driver(thing, Wide::new(0, &DRIVERS)),
        READER => driver(thing, Reader),
        MAKER => driver(thing, Maker),
        DEVICE..THINGS => {
            let known: &[_] = match thing - DEVICE {
                READER => &KNOWN,
                _ if thing == SWAPPED => &SWAPPED_KNOWN,
                _ => &[],
            };
            let device = with_name(thing, |name| OwnDevice::new(name, known))?;
            let handle: KBox<dyn Handle> = KBox::new(device, GFP_KERNEL)?;
            Ok(handle)
        }
        _ => Err(EDOM),
    }
}

impl Control {
    fn new(things: Arc<Things>) -> Result<impl PinInit<Self>> {
        let doomed = place()?;
        let dropper = Tasklet::new(Dropper {
            place: doomed.clone(),
        })?;
        Ok(pin_init!(Self {
            things,
            doomed,
            dropper,
            thread <- new_mutex!(None),
            making <- new_mutex!(()),
            crowd <- new_mutex!(KVec::new()),
        }))
    }

    fn make(&self, thing: usize) -> Result {
        let place = self.things.place(thing)?;
        let _making = self.making.lock();
        let handle = handle(&self.things, thing)?;
        let before = place.lock().replace(handle);
        drop(before);
        Ok(())
    }

    fn drop_in_softirq(&self, thing: usize) -> Result {
        let handle = self.things.place(thing)?.lock().take();
        let before = core::mem::replace(&mut *self.doomed.lock(), handle);
        drop(before);
        self.dropper.schedule();
        Ok(())
    }

    fn crowd(&self, number: usize) -> Result {
        let mut crowd = KVec::new();
        let mut place = self.crowd.lock();
        place.clear();
        for n in 0..number {
            let name = CString::try_from_fmt(fmt!("platforms-crowd-{}", n))?;
            // Linux 6.18 has a type of its own for that.
            let name = CStr::from_bytes_with_nul(name.to_bytes_with_nul()).map_err(|_| EINVAL)?;
            crowd.push(OwnDevice::new(name, &[])?, GFP_KERNEL)?;
        }
        *place = crowd;
        Ok(())
    }

    /// The suspend waits until the thread begins, or, if `meanwhile`, until it is done.
    fn drop_later(&self, thing: usize, meanwhile: bool) -> Result {
        let place = self.things.place(thing)?.clone();
        LATER.store(WAITS_FOR_SUSPEND, Relaxed);
        let thread = KThread::spawn(c"platforms", move |this| {
            while LATER.load(Relaxed) == WAITS_FOR_SUSPEND {
                if this.should_stop() {
                    return Ok(());
                }
                pause();
            }
            if !meanwhile {
                LATER.store(BEGINS, Relaxed);
            }
            take(&place);
            if meanwhile {
                LATER.store(BEGINS, Relaxed);
            }
            Ok(())
        })?;
        let before = self.thread.lock().replace(thread);
        drop(before);
        Ok(())
    }
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let number = arg.number();
        let name = || NAMES.get(number).ok_or(EDOM);
        match cmd {
            MAKE => self.make(number)?,
            DROP => take(self.things.place(number)?),
            DROP_IN_SOFTIRQ => self.drop_in_softirq(number)?,
            DROP_LATER => self.drop_later(number, false)?,
            DROP_MEANWHILE => self.drop_later(number, true)?,
            CROWD => self.crowd(number)?,
            ARM => ARMED.store(number as u32, Relaxed),
            FAIL => FAILING.store(number as u32, Relaxed),
            HOLD => HOLDING.store(number as u32, Relaxed),
            TRY_DEVICE => OwnDevice::new(name()?, &[]).map(drop)?,
            TRY_DRIVER => Registration::new(name()?, Empty).map(drop)?,
            commands::CALLS => return Ok(CALLS.get(number).ok_or(EDOM)?.load(Relaxed)),
            _ => {
                let count = match cmd {
                    commands::RUNNING => &RUNNING,
                    commands::DRIVERS => &DRIVERS,
                    commands::BOUND => &BOUND,
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

struct Platforms {
    things: Arc<Things>,
    _early: KVec<KBox<dyn Handle>>,
    _entry: procfs::Entry<Control>,
}

/// What init makes: a driver, and the device that it then has.
fn make_early(things: &Arc<Things>) -> Result<KVec<KBox<dyn Handle>>> {
    let mut handles = KVec::new();
    if early.get() {
        for thing in [DRIVER, DEVICE] {
            let handle = handle(things, thing)?;
            match forget.get() {
                true => core::mem::forget(handle),
                false => handles.push(handle, GFP_KERNEL)?,
            }
        }
    }
    Ok(handles)
}

impl kernel::Module for Platforms {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let things = things()?;
        let early_things = make_early(&things)?;
        if fail.get() {
            return Err(ENODEV);
        }
        Ok(Self {
            _early: early_things,
            _entry: procfs::Entry::new(c"platforms", mode!(0o600), Control::new(things.clone())?)?,
            things,
        })
    }
}

impl Drop for Platforms {
    fn drop(&mut self) {
        // Drivers know all things, and are among them.
        self.things.0.iter().for_each(take);
    }
}
