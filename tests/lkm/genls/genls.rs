// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the families of `lkm::genl`.

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
    genl::{
        Attribute,
        Command,
        Family,
        Handler,
        Message,
        Request, //
    },
    procfs,
    sync::{
        new_irq_spinlock,
        Completion,
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
    type: Genls,
    name: "genls",
    authors: ["lkmpg-rs"],
    description: "Test only: the families of lkm::genl",
    license: "GPL",
}

lkm::params! {
    hold: bool { default: false, mode: 0o644, description: "Whether commands wait that do" },
    early: bool { default: false, mode: 0, description: "Whether init makes a family" },
    wait: bool { default: false, mode: 0o644, description: "Whether init waits after that" },
    forget: bool { default: false, mode: 0, description: "Whether init loses its handle" },
    fail: bool { default: false, mode: 0, description: "Whether init fails then" },
}

// A family of size 0 has nowhere else to count.
static RUNS: Atomic<u32> = Atomic::new(0);
static ALIVE: Atomic<u32> = Atomic::new(0);
static ERRORS: Atomic<u32> = Atomic::new(0);

fn must(is_so: bool) {
    if !is_so {
        ERRORS.fetch_add(1, Relaxed);
    }
}

fn pause() {
    fsleep(Delta::from_millis(10));
}

fn wait_while_held() {
    if hold.get() {
        pr_info!("waits\n");
    }
    while hold.get() {
        pause();
    }
}

/// A command runs, as long as this lives.
struct Run;

impl Run {
    fn begin() -> Self {
        RUNS.fetch_add(1, Relaxed);
        Self
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        RUNS.fetch_add(u32::MAX, Relaxed);
    }
}

/// Something that there is as long as its family.
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

/// A handle, whatever its family.
trait Handle: Send + Sync {
    fn send(&self, group: u8) -> Result<bool>;
}

impl<T: Handler> Handle for Family<T> {
    fn send(&self, group: u8) -> Result<bool> {
        self.multicast(group, DO_SEND, |message| message.u32(NUMBER, group.into()))
    }
}

struct Held(KBox<dyn Handle>);

type Place = Arc<IrqSpinLock<Option<Arc<Held>>>>;

fn take(place: &Place) {
    let handle = place.lock().take();
    drop(handle);
}

/// Families by their kinds. They have it, too: a command may drop some.
type Places = Arc<KVec<Place>>;

fn place(places: &Places, kind: usize) -> Result<&Place> {
    places.get(kind).ok_or(EDOM)
}

fn number(request: &Request) -> Result<u32> {
    request.u32(NUMBER).ok_or(EINVAL)
}

/// Adds all attributes that the request has.
fn echo(request: &Request, message: &mut Message) -> Result {
    if let Some(text) = request.string(TEXT) {
        message.string(TEXT, text)?;
    }
    if let Some(bytes) = request.bytes(BYTES) {
        message.bytes(BYTES, bytes)?;
    }
    for number in [NUMBER, LAST] {
        if let Some(value) = request.u32(number) {
            message.u32(number, value)?;
        }
    }
    // There is none with such a number.
    for number in [0, 4, 30, 32, u8::MAX] {
        must(request.bytes(number).is_none());
    }
    Ok(())
}

#[pin_data]
struct All {
    places: Places,
    #[pin]
    never: Completion,
    _living: Living,
}

impl All {
    fn refuse(request: &Request) -> Result {
        let text = request.bytes(BYTES).ok_or(EINVAL)?;
        let text = core::str::from_utf8(text).map_err(|_| EINVAL)?;
        Err(request.refuse(text, EPERM))
    }

    fn send(request: &Request) -> Result {
        let group = u8::try_from(number(request)?).map_err(|_| EDOM)?;
        let got = request.multicast(group, DO_SEND, |message| message.u32(NUMBER, group.into()))?;
        request.reply(DO_SEND, |message| message.u32(NUMBER, got.into()))
    }

    fn make(request: &Request) -> Result {
        let made = Family::register(c"genls-made", Bare);
        let errno = made.map_or_else(|error| -error.to_errno(), |_| 0);
        request.reply(DO_MAKE, |message| message.u32(NUMBER, errno as u32))
    }

    fn swap(request: &Request) -> Result {
        request.reply(DO_SWAP, |outer| {
            request.reply(DO_ECHO, |inner| {
                core::mem::swap(outer, inner);
                inner.u32(NUMBER, 1)
            })?;
            outer.u32(NUMBER, 2)
        })
    }
}

impl Handler for All {
    const VERSION: u8 = VERSION;
    const COMMANDS: &'static [Command] = &[
        Command::new(DO_ECHO),
        Command::new(DO_FAIL),
        Command::new(DO_REFUSE),
        Command::new(DO_WAIT),
        Command::new(DO_SLEEP),
        Command::new(DO_BIG),
        Command::new(DO_SEND),
        Command::new(DO_TWO),
        Command::new(DO_DROP),
        Command::new(DO_MAKE),
        Command::new(DO_SWAP),
        Command::new(DO_ADMIN).admin(),
        Command::new(DO_LAST),
    ];
    const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::u32(LAST),
        Attribute::string(TEXT, MOST_TEXT),
        Attribute::u32(NUMBER),
        Attribute::bytes(BYTES, MOST_BYTES),
    ];
    const GROUPS: &'static [&'static CStr] = &GROUPS;

    fn handle(&self, request: &Request) -> Result {
        let _run = Run::begin();
        let command = request.command();
        match command {
            DO_ECHO | DO_ADMIN | DO_LAST => {
                request.reply(command, |message| echo(request, message))
            }
            DO_FAIL => Err(Error::from_errno(-(number(request)? as i32))),
            DO_REFUSE => Self::refuse(request),
            DO_WAIT => {
                wait_while_held();
                Ok(())
            }
            DO_SLEEP => self.never.wait_interruptible(),
            DO_BIG => request.reply(command, |message| loop {
                message.bytes(BYTES, &[1; 100])?;
            }),
            DO_SEND => Self::send(request),
            DO_TWO => {
                request.reply(command, |message| message.u32(NUMBER, 1))?;
                request.reply(command, |message| message.u32(NUMBER, 2))
            }
            DO_DROP => {
                take(place(&self.places, number(request)? as usize)?);
                // Both are there as long as this runs.
                request.reply(command, |message| echo(request, message))
            }
            DO_MAKE => Self::make(request),
            DO_SWAP => Self::swap(request),
            _ => {
                must(false);
                Err(EIO)
            }
        }
    }
}

struct Bare;

impl Handler for Bare {
    const COMMANDS: &'static [Command] = &[Command::new(DO_LAST)];
    const ATTRIBUTES: &'static [Attribute] = &[];

    fn handle(&self, request: &Request) -> Result {
        must(request.command() == DO_LAST && request.bytes(TEXT).is_none());
        request.reply(DO_LAST, |_| Ok(()))
    }
}

/// What the kernel stops for if it has certain names.
struct Two;

impl Handler for Two {
    const COMMANDS: &'static [Command] = &[];
    const ATTRIBUTES: &'static [Attribute] = &[];
    const GROUPS: &'static [&'static CStr] = &GROUPS;

    fn handle(&self, _request: &Request) -> Result {
        Err(EIO)
    }
}

/// The kernel tells of no family with more.
struct Many;

impl Handler for Many {
    const COMMANDS: &'static [Command] = &[Command::new(DO_LAST)];
    const ATTRIBUTES: &'static [Attribute] = &[];
    const GROUPS: &'static [&'static CStr] = &MANY_GROUPS;

    fn handle(&self, request: &Request) -> Result {
        let _run = Run::begin();
        wait_while_held();
        let group = MANY_GROUPS.len() as u8 - 1;
        request.multicast(group, DO_SEND, |message| message.u32(NUMBER, group.into()))?;
        request.reply(DO_LAST, |_| Ok(()))
    }
}

#[repr(align(64))]
struct Wide {
    zeroes: [u8; 4096],
    _living: Living,
}

impl Handler for Wide {
    const COMMANDS: &'static [Command] = &[Command::new(DO_LAST)];
    const ATTRIBUTES: &'static [Attribute] = &[Attribute::u32(NUMBER)];

    fn handle(&self, request: &Request) -> Result {
        must((&raw const *self).addr() % 64 == 0);
        must(self.zeroes.iter().all(|byte| *byte == 0));
        request.reply(DO_LAST, |message| echo(request, message))
    }
}

fn register<T: Handler, E>(kind: usize, handler: impl PinInit<T, E>) -> Result<Arc<Held>>
where
    Error: From<E>,
{
    let name = CString::try_from_fmt(fmt!("genls-{kind}"))?;
    // Linux 6.18 has a type of its own for that.
    let name = CStr::from_bytes_with_nul(name.to_bytes_with_nul()).map_err(|_| EINVAL)?;
    let family = Family::register(name, handler)?;
    let family: KBox<dyn Handle> = KBox::new(family, GFP_KERNEL)?;
    Ok(Arc::new(Held(family), GFP_KERNEL)?)
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

/// All families, which go with it.
struct Families(Places);

impl Families {
    fn new() -> Result<Self> {
        let mut places = KVec::new();
        for _ in ALL..=MORE {
            places.push(new_place()?, GFP_KERNEL)?;
        }
        Ok(Self(Arc::new(places, GFP_KERNEL)?))
    }

    fn make(&self, kind: usize) -> Result {
        let place = place(&self.0, kind)?;
        let handle = match kind {
            BARE => register(kind, Bare)?,
            MANY | MORE => register(kind, Many)?,
            WIDE => {
                let wide = try_init!(Wide {
                    zeroes: [0; 4096],
                    _living: Living::new(),
                });
                register(kind, wide)?
            }
            ALL | OTHER => {
                let all = pin_init!(All {
                    places: self.0.clone(),
                    never <- Completion::new(),
                    _living: Living::new(),
                });
                register(kind, all)?
            }
            _ => return Err(EDOM),
        };
        let before = place.lock().replace(handle);
        drop(before);
        Ok(())
    }
}

impl Drop for Families {
    fn drop(&mut self) {
        for place in self.0.iter() {
            take(place);
        }
    }
}

fn new_place() -> Result<Place> {
    Arc::pin_init(new_irq_spinlock!(None), GFP_KERNEL)
}

#[pin_data]
struct Control {
    families: Families,
    doomed: Place,
    dropper: Tasklet<Dropper>,
    #[pin]
    making: Mutex<()>,
}

impl Control {
    fn new(families: Families) -> Result<impl PinInit<Self>> {
        let doomed = new_place()?;
        let dropper = Tasklet::new(Dropper {
            place: doomed.clone(),
        })?;
        Ok(pin_init!(Self {
            families,
            doomed,
            dropper,
            making <- new_mutex!(()),
        }))
    }

    fn place(&self, kind: usize) -> Result<&Place> {
        place(&self.families.0, kind)
    }

    fn make(&self, kind: usize) -> Result {
        let _making = self.making.lock();
        self.families.make(kind)
    }

    fn drop_in_softirq(&self, kind: usize) -> Result {
        let handle = self.place(kind)?.lock().take();
        let before = core::mem::replace(&mut *self.doomed.lock(), handle);
        drop(before);
        self.dropper.schedule();
        Ok(())
    }

    fn send(&self, group: usize) -> Result<u32> {
        let group = u8::try_from(group).map_err(|_| EDOM)?;
        let family = self.place(ALL)?.lock().clone();
        Ok(family.ok_or(ENOENT)?.0.send(group)?.into())
    }

    fn try_name(index: usize) -> Result {
        let name = NAMES.get(index).ok_or(EDOM)?;
        Family::register(name, Two).map(drop)
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
            SEND => return self.send(number),
            TRY_NAME => Self::try_name(number)?,
            RUNNING => return Ok(RUNS.load(Relaxed)),
            LIVING => return Ok(ALIVE.load(Relaxed)),
            WRONG => return Ok(ERRORS.load(Relaxed)),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

struct Genls {
    _entry: procfs::Entry<Control>,
}

impl kernel::Module for Genls {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let families = Families::new()?;
        if early.get() {
            families.make(ALL)?;
            while wait.get() {
                pause();
            }
        }
        if forget.get() {
            let handle = place(&families.0, ALL)?.lock().take();
            core::mem::forget(handle);
        }
        if fail.get() {
            return Err(ENODEV);
        }
        let control = Control::new(families)?;
        Ok(Self {
            _entry: procfs::Entry::new(c"genls", mode!(0o600), control)?,
        })
    }
}
