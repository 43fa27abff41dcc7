// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the USB drivers of `lkm::usb`.

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
    tasklet::{
        self,
        Tasklet, //
    },
    usb::{
        Driver,
        Endpoint,
        Id,
        Interface,
        Kind,
        Registration,
        Request, //
    },
};
use pin_init::init_zeroed;

mod commands;

use commands::*;

module! {
    type: Usbs,
    name: "usbs",
    authors: ["lkmpg-rs"],
    description: "Test only: the USB drivers of lkm::usb",
    license: "GPL",
}

lkm::params! {
    early: bool { default: false, mode: 0, description: "Whether init makes a driver" },
    forget: bool { default: false, mode: 0, description: "Whether init loses its handle" },
    fail: bool { default: false, mode: 0, description: "Whether init fails then" },
}

// A driver of size 0 has nowhere else to count.
static PROBED: Atomic<u32> = Atomic::new(0);
static DISCONNECTED: Atomic<u32> = Atomic::new(0);
static METHODS: Atomic<u32> = Atomic::new(0);
static LIVES: Atomic<u32> = Atomic::new(0);
static ERRORS: Atomic<u32> = Atomic::new(0);
static HOLDING: Atomic<u32> = Atomic::new(0);
static MADE: Atomic<u32> = Atomic::new(0);
static PROBE_ERRNO: Atomic<u32> = Atomic::new(0);

fn must(is_so: bool) {
    if !is_so {
        ERRORS.fetch_add(1, Relaxed);
    }
}

/// A method runs, as long as this lives.
struct Run;

impl Run {
    fn begin(count: &Atomic<u32>) -> Self {
        METHODS.fetch_add(1, Relaxed);
        count.fetch_add(1, Relaxed);
        while HOLDING.load(Relaxed) != 0 {
            fsleep(Delta::from_millis(1));
        }
        Self
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        METHODS.fetch_add(u32::MAX, Relaxed);
    }
}

/// Something that there is as long as its driver, or as the driver is bound to something.
struct Living;

impl Living {
    fn new() -> Self {
        LIVES.fetch_add(1, Relaxed);
        Self
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        LIVES.fetch_add(u32::MAX, Relaxed);
    }
}

/// A handle, whatever its driver.
trait Handle: Send + Sync {}

impl<T: Driver> Handle for Registration<T> {}

type Place = Arc<IrqSpinLock<Option<KBox<dyn Handle>>>>;

fn place() -> Result<Place> {
    Arc::pin_init(new_irq_spinlock!(None), GFP_KERNEL)
}

fn take(place: &Place) {
    let handle = place.lock().take();
    drop(handle);
}

/// The interfaces that drivers were last bound to. They stay when they are gone.
#[pin_data]
struct State {
    #[pin]
    keyboard: Mutex<Option<Arc<Interface>>>,
    #[pin]
    reader: Mutex<Option<Arc<Interface>>>,
}

impl State {
    fn place(&self, of_reader: bool) -> &Mutex<Option<Arc<Interface>>> {
        match of_reader {
            true => &self.reader,
            false => &self.keyboard,
        }
    }

    fn remember(&self, interface: &Arc<Interface>) {
        let place = self.place(interface.class()[0] == READER_CLASS);
        let before = place.lock().replace(interface.clone());
        drop(before);
    }
}

const READER_CLASS: u8 = 0x0b;
static KEYBOARD_IDS: [Id; 1] = [Id::interface(3, 1, 1)];
static READER_IDS: [Id; 1] = [Id::device(0x08e6, 0x4433)];
static NO_IDS: [Id; 0] = [];
/// The first means none that there is. C knows the end of such a list by zeroes.
static BOTH_IDS: [Id; 3] = [
    Id::interface(0, 0, 0),
    Id::device(0x08e6, 0x4433),
    Id::interface(3, 1, 1),
];

/// Longer than a machine stands still.
const LONG: Delta = Delta::from_secs(300);

fn hid(keyboard: &Interface, number: u8, value: u16) -> Request {
    Request {
        kind: Request::CLASS | Request::TO_INTERFACE,
        number,
        value,
        index: keyboard.number().into(),
    }
}

fn set_idle(keyboard: &Interface, idle: u16) -> Result {
    keyboard.control_out(hid(keyboard, 10, idle << 8), &[], LONG)
}

fn find(interface: &Interface, kind: Kind, is_in: bool) -> Result<Endpoint> {
    let mut endpoints = interface.endpoints();
    let found = endpoints.find(|it| it.kind() == kind && it.is_in() == is_in);
    found.ok_or(ENOENT)
}

fn report(keyboard: &Interface, timeout: Option<Delta>) -> Result<u32> {
    let mut report = [0xff_u8; 8];
    let endpoint = find(keyboard, Kind::Interrupt, true)?;
    let len = keyboard.read(endpoint, &mut report, timeout)?;
    // No key is down.
    must(len == 8 && report == [0; 8]);
    Ok(len as u32)
}

/// The beginning of what one says to a reader of cards.
fn ask(reader: &Interface, number: u8) -> Result {
    const GET_SLOT_STATUS: u8 = 0x65;
    let question = [GET_SLOT_STATUS, 0, 0, 0, 0, 0, number, 0, 0, 0];
    reader.write(find(reader, Kind::Bulk, false)?, &question, Some(LONG))
}

fn answer(reader: &Interface, timeout: Option<Delta>) -> Result<u32> {
    let mut answer = [0_u8; 64];
    let endpoint = find(reader, Kind::Bulk, true)?;
    let len = reader.read(endpoint, &mut answer, timeout)?;
    Ok((u32::from(answer[0]) << 16) | (u32::from(answer[6]) << 8) | len as u32)
}

fn card(reader: &Interface) -> Result<u32> {
    let endpoint = find(reader, Kind::Interrupt, true)?;
    Ok(reader.read(endpoint, &mut [0; 64], None)? as u32)
}

/// What a driver does besides.
#[derive(Clone, Copy, PartialEq)]
enum Plan {
    Nothing,
    Lose,
    Choose,
    Wait,
    Make,
    DropInProbe,
    DropInDisconnect,
    DropInDrop,
}

/// Most drivers.
struct Plain {
    state: Arc<State>,
    plan: Plan,
    doomed: Option<Place>,
    _living: Living,
}

/// What it has for an interface.
struct Thing {
    doomed: Option<Place>,
    _living: Living,
}

impl Drop for Thing {
    fn drop(&mut self) {
        if let Some(place) = &self.doomed {
            take(place);
        }
    }
}

impl Plain {
    fn doomed_if(&self, plan: Plan) -> Option<&Place> {
        self.doomed.as_ref().filter(|_| self.plan == plan)
    }

    fn bind(&self, interface: &Arc<Interface>) -> Result<Thing> {
        let _run = Run::begin(&PROBED);
        self.state.remember(interface);
        match PROBE_ERRNO.load(Relaxed) {
            0 => {}
            errno => return Err(Error::from_errno(-(errno as i32))),
        }
        match self.plan {
            Plan::Lose => core::mem::forget(interface.clone()),
            Plan::Choose => {
                set_idle(interface, 0)?;
                return Err(ENXIO);
            }
            Plan::Wait => {
                report(interface, None)?;
            }
            Plan::Make => {
                let made = Registration::new(c"usbs-made", &[], Empty);
                let errno = made.map_or_else(|error| -error.to_errno(), |_| 0);
                MADE.store(errno as u32, Relaxed);
            }
            _ => {}
        }
        if let Some(place) = self.doomed_if(Plan::DropInProbe) {
            take(place);
        }
        Ok(Thing {
            doomed: self.doomed_if(Plan::DropInDrop).cloned(),
            _living: Living::new(),
        })
    }
}

impl Driver for Plain {
    type Device = Thing;

    fn probe(&self, interface: &Arc<Interface>) -> impl PinInit<Thing, Error> {
        self.bind(interface)
    }

    fn disconnect(&self, _thing: &Thing) {
        let _run = Run::begin(&DISCONNECTED);
        if let Some(place) = self.doomed_if(Plan::DropInDisconnect) {
            take(place);
        }
    }
}

struct Wide(Arc<State>);

#[repr(align(64))]
struct WideThing {
    zeroes: [u8; 4096],
    _living: Living,
}

impl Driver for Wide {
    type Device = WideThing;

    fn probe(&self, interface: &Arc<Interface>) -> impl PinInit<WideThing, Error> {
        let _run = Run::begin(&PROBED);
        self.0.remember(interface);
        try_init!(WideThing {
            zeroes <- init_zeroed(),
            _living: Living::new(),
        })
    }

    fn disconnect(&self, thing: &WideThing) {
        let _run = Run::begin(&DISCONNECTED);
        must((&raw const *thing).addr() % 64 == 0);
        must(thing.zeroes.iter().all(|byte| *byte == 0));
    }
}

struct Empty;

impl Driver for Empty {
    type Device = ();

    fn probe(&self, _interface: &Arc<Interface>) -> impl PinInit<(), Error> {
        let _run = Run::begin(&PROBED);
        Ok::<(), Error>(())
    }

    fn disconnect(&self, _nothing: &()) {
        let _run = Run::begin(&DISCONNECTED);
    }
}

fn register<T: Driver>(kind: usize, ids: &[Id], driver: T) -> Result<KBox<dyn Handle>> {
    let name = *DRIVERS.get(kind).ok_or(EDOM)?;
    let driver = Registration::<T>::new(name, ids, driver)?;
    let handle: KBox<dyn Handle> = KBox::new(driver, GFP_KERNEL)?;
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
    state: Arc<State>,
    places: KVec<Place>,
    doomed: Place,
    dropper: Tasklet<Dropper>,
    #[pin]
    making: Mutex<()>,
}

impl Control {
    fn new(state: Arc<State>) -> Result<impl PinInit<Self>> {
        let mut places = KVec::new();
        for _ in 0..KINDS {
            places.push(place()?, GFP_KERNEL)?;
        }
        let doomed = place()?;
        let dropper = Tasklet::new(Dropper {
            place: doomed.clone(),
        })?;
        Ok(pin_init!(Self {
            state,
            places,
            doomed,
            dropper,
            making <- new_mutex!(()),
        }))
    }

    fn place(&self, kind: usize) -> Result<&Place> {
        self.places.get(kind).ok_or(EDOM)
    }

    fn plain(&self, plan: Plan, doomed: Option<usize>) -> Result<Plain> {
        let doomed = doomed.map(|kind| self.place(kind)).transpose()?;
        Ok(Plain {
            state: self.state.clone(),
            plan,
            doomed: doomed.cloned(),
            _living: Living::new(),
        })
    }

    fn handle(&self, kind: usize) -> Result<KBox<dyn Handle>> {
        let (ids, plan, doomed) = match kind {
            KEYBOARDS => (&KEYBOARD_IDS[..], Plan::Nothing, None),
            READERS => (&READER_IDS[..], Plan::Nothing, None),
            BOTH => (&BOTH_IDS[..], Plan::Nothing, None),
            NONE => (&NO_IDS[..], Plan::Nothing, None),
            LOSER => (&KEYBOARD_IDS[..], Plan::Lose, None),
            WIDE => return register(kind, &KEYBOARD_IDS, Wide(self.state.clone())),
            EMPTY => return register(kind, &KEYBOARD_IDS, Empty),
            CHOOSY => (&KEYBOARD_IDS[..], Plan::Choose, None),
            PATIENT => (&KEYBOARD_IDS[..], Plan::Wait, None),
            MAKERS => (&KEYBOARD_IDS[..], Plan::Make, None),
            _ if kind == SELFISH[0] => (&KEYBOARD_IDS[..], Plan::DropInProbe, Some(kind)),
            _ if kind == SELFISH[1] => (&KEYBOARD_IDS[..], Plan::DropInDisconnect, Some(kind)),
            _ if kind == SELFISH[2] => (&KEYBOARD_IDS[..], Plan::DropInDrop, Some(kind)),
            UNKIND => (&READER_IDS[..], Plan::DropInDisconnect, Some(KEYBOARDS)),
            _ if kind == RIVALS[0] => (&READER_IDS[..], Plan::DropInDisconnect, Some(RIVALS[1])),
            _ if kind == RIVALS[1] => (&KEYBOARD_IDS[..], Plan::DropInDisconnect, Some(RIVALS[0])),
            _ => return Err(EDOM),
        };
        register(kind, ids, self.plain(plan, doomed)?)
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
        let name = *NAMES.get(index).ok_or(EDOM)?;
        Registration::new(name, &[], Empty).map(drop)
    }

    /// The interface that a command is about.
    fn interface(&self, number: usize) -> Result<Arc<Interface>> {
        let found = self.state.place(number & OF_READER != 0).lock().clone();
        found.ok_or(ENXIO)
    }

    fn keyboard(&self) -> Result<Arc<Interface>> {
        self.interface(0)
    }

    fn reader(&self) -> Result<Arc<Interface>> {
        self.interface(OF_READER)
    }

    fn about(&self, cmd: u32, number: usize) -> Result<u32> {
        let interface = self.interface(number)?;
        let index = number & !OF_READER;
        Ok(match cmd {
            NAME => u32::from(interface.name().as_bytes().get(index).copied().unwrap_or(0)),
            VENDOR => interface.vendor().into(),
            PRODUCT => interface.product().into(),
            CLASS => {
                let [class, subclass, protocol] = interface.class();
                u32::from_be_bytes([0, class, subclass, protocol])
            }
            ENDPOINTS => interface.endpoints().count() as u32,
            _ => {
                let endpoint = interface.endpoints().nth(index).ok_or(EDOM)?;
                let size = endpoint.packet_size() as u32;
                (size << 16) | ((endpoint.kind() as u32) << 8) | u32::from(endpoint.address())
            }
        })
    }

    fn descriptor(&self, index: usize) -> Result<u32> {
        let request = Request {
            kind: Request::STANDARD | Request::TO_DEVICE,
            number: 6,
            value: 1 << 8,
            index: 0,
        };
        let mut descriptor = [0_u8; 18];
        let keyboard = self.keyboard()?;
        must(keyboard.control_in(request, &mut descriptor, LONG)? == descriptor.len());
        Ok(descriptor.get(index).copied().ok_or(EDOM)?.into())
    }

    fn mistake(&self, index: usize) -> Result {
        let (keyboard, reader) = (self.keyboard()?, self.reader()?);
        let from = find(&reader, Kind::Bulk, true)?;
        let to = find(&reader, Kind::Bulk, false)?;
        let request = hid(&keyboard, 1, 0);
        let mut bytes = KVec::from_elem(0_u8, 1 << 16, GFP_KERNEL)?;
        match index {
            0 => reader.read(to, &mut bytes[..64], Some(LONG)).map(drop),
            1 => reader.write(from, &bytes[..64], Some(LONG)),
            2 => reader.read(from, &mut [], Some(LONG)).map(drop),
            // What the other device has.
            3 => keyboard.read(from, &mut bytes[..64], Some(LONG)).map(drop),
            4 => keyboard.write(to, &bytes[..64], Some(LONG)),
            5 => keyboard.control_in(request, &mut [], LONG).map(drop),
            6 => keyboard.control_in(request, &mut bytes, LONG).map(drop),
            7 => keyboard.control_out(request, &bytes, LONG),
            GREED => {
                let mut many = VVec::from_elem(0_u8, 8 << 20, GFP_KERNEL)?;
                reader.read(from, &mut many, Some(LONG)).map(drop)
            }
            _ => Err(EDOM),
        }
    }
}

/// So many milliseconds; for 0 there is no limit.
fn timeout(ms: usize) -> Option<Delta> {
    (ms != 0).then(|| Delta::from_millis(ms as i64))
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
            HOLD => HOLDING.store(number as u32, Relaxed),
            FAIL => PROBE_ERRNO.store(number as u32, Relaxed),
            TRY_NAME => self.try_name(number)?,
            MISTAKE => self.mistake(number)?,
            NAME | VENDOR | PRODUCT | CLASS | ENDPOINTS | ENDPOINT => {
                return self.about(cmd, number);
            }
            DESCRIPTOR => return self.descriptor(number),
            SET_IDLE => set_idle(&*self.keyboard()?, number as u16)?,
            GET_IDLE => {
                let keyboard = self.keyboard()?;
                let mut idle = [0_u8];
                must(keyboard.control_in(hid(&keyboard, 2, 0), &mut idle, LONG)? == 1);
                return Ok(idle[0].into());
            }
            FORGET => {
                let keyboard = self.keyboard()?;
                keyboard.control_in(hid(&keyboard, 1, 1 << 8), &mut [0; 8], LONG)?;
            }
            STALL => {
                let request = Request {
                    kind: Request::VENDOR | Request::TO_DEVICE,
                    number: 0x77,
                    value: 0,
                    index: 0,
                };
                self.keyboard()?.control_in(request, &mut [0; 8], LONG)?;
            }
            REPORT => return report(&*self.keyboard()?, timeout(number)),
            ASK => ask(&*self.reader()?, number as u8)?,
            ANSWER => return answer(&*self.reader()?, timeout(number)),
            CARD => return card(&*self.reader()?),
            _ => {
                let count = match cmd {
                    PROBES => &PROBED,
                    DISCONNECTS => &DISCONNECTED,
                    RUNNING => &METHODS,
                    LIVING => &LIVES,
                    WRONG => &ERRORS,
                    MADE_IN_METHOD => &MADE,
                    _ => return Err(ENOTTY),
                };
                return Ok(count.load(Relaxed));
            }
        }
        Ok(0)
    }

    /// Those who transfer are done then. A driver can be in a place that it has itself.
    fn hang_up(&self) {
        for place in &self.places {
            take(place);
        }
    }
}

struct Usbs {
    _early: Option<KBox<dyn Handle>>,
    _entry: procfs::Entry<Control>,
}

/// The driver of init.
fn make_early(state: &Arc<State>) -> Result<Option<KBox<dyn Handle>>> {
    if !early.get() {
        return Ok(None);
    }
    let driver = Plain {
        state: state.clone(),
        plan: Plan::Nothing,
        doomed: None,
        _living: Living::new(),
    };
    let handle = register(KEYBOARDS, &KEYBOARD_IDS, driver)?;
    if forget.get() {
        core::mem::forget(handle);
        return Ok(None);
    }
    Ok(Some(handle))
}

impl kernel::Module for Usbs {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let state = pin_init!(State {
            keyboard <- new_mutex!(None),
            reader <- new_mutex!(None),
        });
        let state = Arc::pin_init(state, GFP_KERNEL)?;
        let early_driver = make_early(&state)?;
        if fail.get() {
            return Err(ENODEV);
        }
        Ok(Self {
            _early: early_driver,
            _entry: procfs::Entry::new(c"usbs", mode!(0o600), Control::new(state)?)?,
        })
    }
}
