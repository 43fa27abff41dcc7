// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the interrupts of `lkm::irq`.

use core::mem;
use kernel::{
    new_mutex,
    prelude::*,
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
    context::Context,
    file::{
        mode,
        Argument,
        Opened,
        Operations, //
    },
    gpio::Gpio,
    irq::{
        self,
        Irq,
        Reply,
        Source,
        Trigger, //
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
    type: Interrupts,
    name: "interrupts",
    authors: ["lkmpg-rs"],
    description: "Test only: the interrupts of lkm::irq",
    license: "GPL",
}

lkm::params! {
    hold: bool { default: false, mode: 0o644, description: "Whether threads wait until this is false" },
}

// Handlers of size 0 have nowhere else to count.
static HARD_RUNS: Atomic<u32> = Atomic::new(0);
static THREAD_RUNS: Atomic<u32> = Atomic::new(0);
static ERRORS: Atomic<u32> = Atomic::new(0);
static ACTIVE: Atomic<u32> = Atomic::new(0);
static HANDLERS: Atomic<u32> = Atomic::new(0);
static OWN_SYNC: Atomic<u32> = Atomic::new(0);
static RIVALS_RUNNING: Atomic<u32> = Atomic::new(0);

fn less(count: &Atomic<u32>) {
    count.fetch_add(u32::MAX, Relaxed);
}

/// Counts an error if something is not so.
fn must(is_so: bool) {
    if !is_so {
        ERRORS.fetch_add(1, Relaxed);
    }
}

/// A handler's `hard`.
fn in_hard() -> Reply {
    // One that came while nobody had the interrupt comes again, in a softirq.
    must(Context::current() != Context::Process);
    HARD_RUNS.fetch_add(1, Relaxed);
    Reply::WakeThread
}

/// A handler's `thread`.
fn in_thread(source: &Source) {
    must(Context::current() == Context::Process);
    must(source.number() != 0);
    ACTIVE.fetch_add(1, Relaxed);
    // It may sleep.
    fsleep(Delta::from_micros(100));
    while hold.get() {
        fsleep(Delta::from_millis(1));
    }
    THREAD_RUNS.fetch_add(1, Relaxed);
    less(&ACTIVE);
}

/// Something that there is as long as its handler.
struct Living;

impl Living {
    fn new() -> Self {
        HANDLERS.fetch_add(1, Relaxed);
        Self
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        less(&HANDLERS);
    }
}

/// Handlers that have no bytes.
macro_rules! handlers {
    ($($name:ident),*) => {$(
        struct $name {
            _living: Living,
        }

        impl $name {
            fn new() -> Self {
                Self {
                    _living: Living::new(),
                }
            }
        }
    )*};
}

handlers!(Threaded, HardOnly, Both);

#[vtable]
impl irq::Handler for Threaded {
    fn thread(&self, source: &Source) {
        in_thread(source);
    }
}

#[vtable]
impl irq::Handler for HardOnly {
    fn hard(&self) -> Reply {
        in_hard()
    }
}

#[vtable]
impl irq::Handler for Both {
    fn hard(&self) -> Reply {
        in_hard()
    }

    fn thread(&self, source: &Source) {
        in_thread(source);
    }
}

#[repr(align(64))]
struct Big {
    zeroes: [u8; 4096],
    _living: Living,
}

impl Big {
    fn check(&self) {
        must((&raw const *self).addr() % 64 == 0);
        must(self.zeroes.iter().all(|byte| *byte == 0));
    }
}

#[vtable]
impl irq::Handler for Big {
    fn hard(&self) -> Reply {
        self.check();
        in_hard()
    }

    fn thread(&self, source: &Source) {
        in_thread(source);
        self.check();
    }
}

/// Drops its own handle.
struct Selfish {
    itself: Arc<IrqSpinLock<Option<Irq<Selfish>>>>,
    when_hard: bool,
    living: Living,
}

impl Selfish {
    fn drop_itself(&self) {
        let itself = self.itself.lock().take();
        if let (Some(itself), false) = (&itself, self.when_hard) {
            let errno = itself.sync().map_or_else(|error| -error.to_errno(), |()| 0);
            OWN_SYNC.store(errno as u32, Relaxed);
        }
        drop(itself);
        // It is there as long as it runs.
        let _living = &self.living;
        must(self.itself.lock().is_none());
    }
}

#[vtable]
impl irq::Handler for Selfish {
    fn hard(&self) -> Reply {
        if self.when_hard {
            self.drop_itself();
        }
        in_hard()
    }

    fn thread(&self, source: &Source) {
        if !self.when_hard {
            self.drop_itself();
        }
        in_thread(source);
    }
}

/// Drops the handle of another one, which drops that of this one.
struct Rival {
    other: Arc<IrqSpinLock<Option<Irq<Rival>>>>,
    _living: Living,
}

#[vtable]
impl irq::Handler for Rival {
    fn thread(&self, source: &Source) {
        RIVALS_RUNNING.fetch_add(1, Relaxed);
        while RIVALS_RUNNING.load(Relaxed) < 2 {
            fsleep(Delta::from_millis(1));
        }
        let other = self.other.lock().take();
        drop(other);
        in_thread(source);
    }
}

/// A handle, whatever its handler.
trait Handle: Send + Sync {
    fn source(&self) -> &Source;
    fn sync(&self) -> Result;
}

impl<T: irq::Handler> Handle for Irq<T> {
    fn source(&self) -> &Source {
        Irq::source(self)
    }

    fn sync(&self) -> Result {
        Irq::sync(self)
    }
}

type Place = Option<KBox<dyn Handle>>;

/// Drops a handle where it must not sleep.
#[pin_data]
struct Dropper {
    #[pin]
    handle: IrqSpinLock<Place>,
}

impl tasklet::Handler for Dropper {
    fn run(&self) {
        let handle = self.handle.lock().take();
        drop(handle);
    }
}

/// Where the interrupt of a line of the chip comes from.
fn source(line: u32) -> Result<Source> {
    Gpio::get(c"lkmpg", line, c"interrupts")?
        .into_input()?
        .irq()
}

/// Has `handler` answer an interrupt.
fn request<T: irq::Handler, E>(
    source: Source,
    trigger: Trigger,
    handler: impl PinInit<T, E>,
) -> Result<KBox<dyn Handle>>
where
    Error: From<E>,
{
    let irq = Irq::new(source, trigger, c"lkm-irqs", handler)?;
    let handle: KBox<dyn Handle> = KBox::new(irq, GFP_KERNEL)?;
    Ok(handle)
}

/// Requests an interrupt whose handler drops its handle.
fn request_selfish(source: Source, trigger: Trigger, when_hard: bool) -> Result {
    let itself = Arc::pin_init(new_irq_spinlock!(None::<Irq<Selfish>>), GFP_KERNEL)?;
    let selfish = Selfish {
        itself: itself.clone(),
        when_hard,
        living: Living::new(),
    };
    let irq = Irq::new(source, trigger, c"lkm-irqs", selfish)?;
    *itself.lock() = Some(irq);
    Ok(())
}

fn request_rivals(lines: [u32; 2]) -> Result {
    RIVALS_RUNNING.store(0, Relaxed);
    let first = Arc::pin_init(new_irq_spinlock!(None::<Irq<Rival>>), GFP_KERNEL)?;
    let second = Arc::pin_init(new_irq_spinlock!(None::<Irq<Rival>>), GFP_KERNEL)?;
    for (line, itself, other) in [(lines[0], &first, &second), (lines[1], &second, &first)] {
        let rival = Rival {
            other: other.clone(),
            _living: Living::new(),
        };
        let irq = Irq::new(source(line)?, Trigger::Rising, c"lkm-irqs", rival)?;
        *itself.lock() = Some(irq);
    }
    Ok(())
}

/// How many names are taken that are no file names.
fn bad_names() -> Result<u32> {
    let mut taken = 0;
    for name in [c"", c".", c"..", c"a/b", c"/"] {
        let handler = Threaded::new();
        match Irq::new(source(16)?, Trigger::Rising, name, handler) {
            Err(EINVAL) => {}
            _ => taken += 1,
        }
    }
    Ok(taken)
}

/// The level of the line that the interrupt comes from.
fn level(handle: &dyn Handle) -> Result<u32> {
    let input = handle.source().input().ok_or(EBADF)?;
    Ok(input.get()?.into())
}

#[pin_data]
struct Control {
    #[pin]
    places: Mutex<[Place; 4]>,
    #[pin]
    shared: Mutex<Option<Arc<Irq<Both>>>>,
    dropper: Tasklet<Dropper>,
}

impl Control {
    fn new() -> Result<impl PinInit<Self>> {
        let dropper = Tasklet::new(pin_init!(Dropper {
            handle <- new_irq_spinlock!(None),
        }))?;
        Ok(pin_init!(Self {
            places <- new_mutex!([const { None }; 4]),
            shared <- new_mutex!(None),
            dropper,
        }))
    }

    /// What was in that place comes back, to be dropped when nothing is locked.
    fn replace(&self, place: usize, new: Place) -> Result<Place> {
        let mut places = self.places.lock();
        let place = places.get_mut(place).ok_or(EINVAL)?;
        Ok(mem::replace(place, new))
    }

    fn with<R>(&self, place: usize, f: impl FnOnce(&dyn Handle) -> Result<R>) -> Result<R> {
        match self.places.lock().get(place) {
            Some(Some(handle)) => f(&**handle),
            _ => Err(EBADF),
        }
    }

    fn request(&self, arg: usize) -> Result {
        let [place, line, kind, trigger] = [0, 8, 16, 24].map(|shift| (arg >> shift) & 0xff);
        let trigger = match trigger {
            UNCHANGED => Trigger::Unchanged,
            RISING => Trigger::Rising,
            FALLING => Trigger::Falling,
            EDGES => Trigger::BothEdges,
            HIGH => Trigger::High,
            LOW => Trigger::Low,
            _ => return Err(EINVAL),
        };
        let source = source(line as u32)?;
        let handle = match kind {
            THREADED => request(source, trigger, Threaded::new())?,
            HARD_ONLY => request(source, trigger, HardOnly::new())?,
            BOTH => request(source, trigger, Both::new())?,
            BIG => {
                let big = try_init!(Big {
                    zeroes <- init_zeroed(),
                    _living: Living::new(),
                });
                request(source, trigger, big)?
            }
            SELFISH => return request_selfish(source, trigger, false),
            SELFISH_HARD => return request_selfish(source, trigger, true),
            _ => return Err(EINVAL),
        };
        self.replace(place, Some(handle)).map(drop)
    }

    fn share(&self, line: u32) -> Result {
        let both = Both::new();
        let irq = Irq::new(source(line)?, Trigger::Rising, c"lkm-irqs", both)?;
        let irq = Arc::new(irq, GFP_KERNEL)?;
        let before = self.shared.lock().replace(irq);
        drop(before);
        Ok(())
    }

    fn sync_shared(&self) -> Result {
        let irq = self.shared.lock().clone();
        irq.ok_or(EBADF)?.sync()
    }

    /// Drops a handle in a tasklet. One that waits there is dropped here.
    fn drop_in_softirq(&self, place: usize) -> Result {
        let handle = self.replace(place, None)?;
        let before = mem::replace(&mut *self.dropper.handle.lock(), handle);
        self.dropper.schedule();
        drop(before);
        Ok(())
    }
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let (place, rest) = (arg.number() & 0xff, arg.number() >> 8);
        match cmd {
            REQUEST => self.request(arg.number())?,
            REQUEST_NUMBER => {
                let source = Source::from_number(rest as u32);
                let handle = request(source, Trigger::Rising, Both::new())?;
                drop(self.replace(place, Some(handle))?);
            }
            NUMBER => return self.with(place, |handle| Ok(handle.source().number())),
            LEVEL => return self.with(place, level),
            SYNC => self.with(place, |handle| handle.sync())?,
            DROP => drop(self.replace(place, None)?),
            DROP_IN_SOFTIRQ => self.drop_in_softirq(place)?,
            HARD => return Ok(HARD_RUNS.load(Relaxed)),
            THREADS => return Ok(THREAD_RUNS.load(Relaxed)),
            WRONG => return Ok(ERRORS.load(Relaxed)),
            RUNNING => return Ok(ACTIVE.load(Relaxed)),
            LIVING => return Ok(HANDLERS.load(Relaxed)),
            RIVALS => request_rivals([place, rest].map(|line| line as u32))?,
            BAD_NAMES => return bad_names(),
            SYNCED => return Ok(OWN_SYNC.load(Relaxed)),
            SHARE => self.share(arg.number() as u32)?,
            SYNC_SHARED => self.sync_shared()?,
            DROP_SHARED => {
                let irq = self.shared.lock().take();
                drop(irq);
            }
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

struct Interrupts {
    _entry: procfs::Entry<Control>,
}

impl kernel::Module for Interrupts {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _entry: procfs::Entry::new(c"interrupts-control", mode!(0o600), Control::new()?)?,
        })
    }
}
