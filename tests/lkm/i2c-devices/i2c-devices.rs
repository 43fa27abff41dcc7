// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the drivers and adapters of `lkm::i2c`.

use core::ffi::CStr;
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
    i2c::{
        self,
        adapter::{
            self,
            Adapter, //
        },
        Client,
        Driver, //
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
    type: Module,
    name: "i2c-devices",
    authors: ["lkmpg-rs"],
    description: "Test only: the drivers and adapters of lkm::i2c",
    license: "GPL",
}

lkm::params! {
    hold: bool { default: false, mode: 0o644, description: "Whether methods wait" },
    early: bool { default: false, mode: 0, description: "Whether init makes both" },
    wait: bool { default: false, mode: 0o644, description: "Whether init waits after that" },
    forget: bool { default: false, mode: 0, description: "Whether init loses their handles" },
    fail: bool { default: false, mode: 0, description: "Whether init fails then" },
}

// What is of size 0 has nowhere else to count.
static METHOD_COUNT: Atomic<u32> = Atomic::new(0);
static PROBE_COUNT: Atomic<u32> = Atomic::new(0);
static REMOVE_COUNT: Atomic<u32> = Atomic::new(0);
static RUNNING_COUNT: Atomic<u32> = Atomic::new(0);
static LIVING_COUNT: Atomic<u32> = Atomic::new(0);
static WRONG_COUNT: Atomic<u32> = Atomic::new(0);
static ADDRESS_SEEN: Atomic<u32> = Atomic::new(0);
static INFO_SEEN: Atomic<u32> = Atomic::new(0);
static METHOD_ERRNO: Atomic<u32> = Atomic::new(0);
static PROBE_ERRNO: Atomic<u32> = Atomic::new(0);
static AT_STAGE: Atomic<u32> = Atomic::new(0);
static TO_DROP: Atomic<u32> = Atomic::new(KINDS as u32);
static TO_MAKE: Atomic<u32> = Atomic::new(0);
static MADE_ERRNO: Atomic<u32> = Atomic::new(0);
static TO_USE: Atomic<u32> = Atomic::new(0);
/// No error at first.
static USED_ERRNO: Atomic<u32> = Atomic::new(4096);

/// The registers of all devices: those of a byte, and those of two.
static BYTES: [Atomic<u32>; 256] = [const { Atomic::new(0) }; 256];
static WORDS: [Atomic<u32>; 256] = [const { Atomic::new(0) }; 256];

fn must(is_so: bool) {
    if !is_so {
        WRONG_COUNT.fetch_add(1, Relaxed);
    }
}

fn result_of(errno: &Atomic<u32>) -> Result {
    match errno.load(Relaxed) {
        0 => Ok(()),
        number => Err(Error::from_errno(-(number as i32))),
    }
}

fn errno_of<T>(result: Result<T>) -> u32 {
    result.map_or_else(|error| -error.to_errno() as u32, |_| 0)
}

/// A method runs, as long as this lives.
struct Run;

impl Run {
    fn begin(address: u16) -> Result<Self> {
        METHOD_COUNT.fetch_add(1, Relaxed);
        RUNNING_COUNT.fetch_add(1, Relaxed);
        let run = Self;
        ADDRESS_SEEN.store(address.into(), Relaxed);
        while hold.get() {
            fsleep(Delta::from_millis(1));
        }
        result_of(&METHOD_ERRNO).map(|()| run)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        RUNNING_COUNT.fetch_add(u32::MAX, Relaxed);
    }
}

/// A handle, whatever it is of.
trait Handle: Send + Sync {}

impl<T: Adapter> Handle for adapter::Registration<T> {}
impl<T: Driver> Handle for i2c::Registration<T> {}

type Place = Arc<IrqSpinLock<Option<KBox<dyn Handle>>>>;

fn place() -> Result<Place> {
    Arc::pin_init(new_irq_spinlock!(None), GFP_KERNEL)
}

fn take(place: &Place) {
    let handle = place.lock().take();
    drop(handle);
}

/// What all parts of the module have.
struct Common {
    places: KVec<Place>,
    /// The device that was probed last.
    client: Arc<Mutex<Option<Client>>>,
}

impl Common {
    fn new() -> Result<Arc<Self>> {
        let mut places = KVec::new();
        for _ in 0..KINDS {
            places.push(place()?, GFP_KERNEL)?;
        }
        let client = Arc::pin_init(new_mutex!(None), GFP_KERNEL)?;
        Ok(Arc::new(Self { places, client }, GFP_KERNEL)?)
    }

    fn place(&self, kind: usize) -> Result<&Place> {
        self.places.get(kind).ok_or(EDOM)
    }

    fn client(&self) -> Result<Client> {
        self.client.lock().clone().ok_or(ENOENT)
    }

    /// Does what is to be done at that stage.
    fn at(&self, stage: usize) {
        if AT_STAGE.load(Relaxed) as usize != stage {
            return;
        }
        if let Ok(place) = self.place(TO_DROP.load(Relaxed) as usize) {
            take(place);
        }
        if TO_MAKE.load(Relaxed) != 0 {
            let one = adapter::Registration::new(NAMES[EMPTY_BUS], Empty).map(drop);
            let other = i2c::Registration::new(NAMES[EMPTY_DRIVER], Empty).map(drop);
            must(one == other);
            MADE_ERRNO.store(errno_of(other), Relaxed);
        }
        if TO_USE.load(Relaxed) != 0 {
            let used = self.client().and_then(|client| client.read_byte_data(0));
            USED_ERRNO.store(errno_of(used), Relaxed);
        }
    }
}

/// An adapter, and a driver, that do what they are told.
struct Plain(Arc<Common>);

impl Plain {
    fn begin(&self, address: u16) -> Result<Run> {
        self.0.at(IN_METHOD);
        Run::begin(address)
    }
}

struct Empty;

impl Empty {
    fn begin(&self, address: u16) -> Result<Run> {
        Run::begin(address)
    }
}

/// Also what there is of a device.
#[repr(align(64))]
struct Wide {
    zeroes: [u8; 4096],
}

impl Wide {
    fn new() -> impl Init<Self, Error> {
        try_init!(Self {
            zeroes <- init_zeroed(),
        })
    }

    fn check(&self) {
        must((&raw const *self).addr() % 64 == 0);
        must(self.zeroes.iter().all(|byte| *byte == 0));
    }

    fn begin(&self, address: u16) -> Result<Run> {
        self.check();
        Run::begin(address)
    }
}

/// All of them store what is written, in the same registers.
macro_rules! impl_adapter {
    ($($type:ty),*) => {$(
        impl Adapter for $type {
            fn read_byte_data(&self, address: u16, register: u8) -> Result<u8> {
                let _run = self.begin(address)?;
                Ok(BYTES[usize::from(register)].load(Relaxed) as u8)
            }

            fn write_byte_data(&self, address: u16, register: u8, value: u8) -> Result {
                let _run = self.begin(address)?;
                BYTES[usize::from(register)].store(value.into(), Relaxed);
                Ok(())
            }

            fn read_word_data(&self, address: u16, register: u8) -> Result<u16> {
                let _run = self.begin(address)?;
                Ok(WORDS[usize::from(register)].load(Relaxed) as u16)
            }

            fn write_word_data(&self, address: u16, register: u8, value: u16) -> Result {
                let _run = self.begin(address)?;
                WORDS[usize::from(register)].store(value.into(), Relaxed);
                Ok(())
            }
        }
    )*};
}

impl_adapter!(Plain, Empty, Wide);

/// What there is of a device.
struct Device {
    common: Arc<Common>,
    client: Client,
}

impl Device {
    fn new(common: &Arc<Common>, client: &Client, info: u32) -> Result<Self> {
        PROBE_COUNT.fetch_add(1, Relaxed);
        INFO_SEEN.store(info, Relaxed);
        // Others have it before its driver does, and also when that fails.
        *common.client.lock() = Some(client.clone());
        common.at(IN_PROBE);
        let _ = client.read_byte_data(0);
        result_of(&PROBE_ERRNO)?;
        LIVING_COUNT.fetch_add(1, Relaxed);
        Ok(Self {
            common: common.clone(),
            client: client.clone(),
        })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        REMOVE_COUNT.fetch_add(1, Relaxed);
        self.common.at(IN_REMOVE);
        // Somebody may be holding the bus.
        if !hold.get() && METHOD_ERRNO.load(Relaxed) == 0 {
            must(self.client.write_byte_data(255, 1).is_ok());
        }
        LIVING_COUNT.fetch_add(u32::MAX, Relaxed);
    }
}

impl Driver for Plain {
    type Info = u32;
    type Device = Device;
    const IDS: &'static [(&'static CStr, u32)] =
        &[(c"i2c-plain", 1), (c"i2c-plain-of-19-let", 19), (c"p", 3)];

    fn probe(&self, client: &Client, info: &'static u32) -> impl PinInit<Device, Error> {
        Device::new(&self.0, client, *info)
    }
}

impl Driver for Empty {
    type Info = ();
    type Device = ();
    const IDS: &'static [(&'static CStr, ())] = &[(c"i2c-empty", ())];

    /// Loses the client.
    fn probe(&self, client: &Client, _info: &'static ()) -> impl PinInit<(), Error> {
        PROBE_COUNT.fetch_add(1, Relaxed);
        core::mem::forget(client.clone());
        client.read_word_data(0).map(drop)
    }
}

impl Driver for Wide {
    type Info = [u64; 64];
    type Device = Wide;
    const IDS: &'static [(&'static CStr, [u64; 64])] = &[(c"i2c-wide", [7; 64])];

    fn probe(&self, _client: &Client, info: &'static [u64; 64]) -> impl PinInit<Wide, Error> {
        PROBE_COUNT.fetch_add(1, Relaxed);
        self.check();
        must(info.iter().all(|number| *number == 7));
        Wide::new()
    }
}

/// Drops a handle where it must not sleep.
struct Dropper(Place);

impl tasklet::Handler for Dropper {
    fn run(&self) {
        take(&self.0);
    }
}

#[pin_data]
struct Control {
    common: Arc<Common>,
    doomed: Place,
    dropper: Tasklet<Dropper>,
    #[pin]
    making: Mutex<()>,
}

impl Control {
    fn new(common: Arc<Common>) -> Result<impl PinInit<Self>> {
        let doomed = place()?;
        let dropper = Tasklet::new(Dropper(doomed.clone()))?;
        Ok(pin_init!(Self {
            common,
            doomed,
            dropper,
            making <- new_mutex!(()),
        }))
    }

    fn make(&self, kind: usize) -> Result {
        let _making = self.making.lock();
        make(&self.common, kind)
    }

    fn drop_in_softirq(&self, kind: usize) -> Result {
        let handle = self.common.place(kind)?.lock().take();
        let before = core::mem::replace(&mut *self.doomed.lock(), handle);
        drop(before);
        self.dropper.schedule();
        Ok(())
    }

    fn transfer(&self, cmd: u32, argument: usize) -> Result<u32> {
        let client = self.common.client()?;
        let register = argument as u8;
        let value = (argument >> 8) as u16;
        match cmd {
            READ_BYTE => client.read_byte_data(register).map(u32::from),
            WRITE_BYTE => client.write_byte_data(register, value as u8).map(|()| 0),
            READ_WORD => client.read_word_data(register).map(u32::from),
            _ => client.write_word_data(register, value).map(|()| 0),
        }
    }
}

fn boxed(handle: impl Handle + 'static) -> Result<KBox<dyn Handle>> {
    let handle: KBox<dyn Handle> = KBox::new(handle, GFP_KERNEL)?;
    Ok(handle)
}

/// Makes an adapter or a driver. The one before is dropped then.
fn make(common: &Arc<Common>, kind: usize) -> Result {
    let place = common.place(kind)?;
    let name = NAMES[kind];
    let plain = || Plain(common.clone());
    let handle = match kind {
        BUS => boxed(adapter::Registration::new(name, plain())?),
        EMPTY_BUS => boxed(adapter::Registration::new(name, Empty)?),
        WIDE_BUS => boxed(adapter::Registration::<Wide>::new(name, Wide::new())?),
        DRIVER => boxed(i2c::Registration::new(name, plain())?),
        EMPTY_DRIVER => boxed(i2c::Registration::new(name, Empty)?),
        WIDE_DRIVER => boxed(i2c::Registration::<Wide>::new(name, Wide::new())?),
        _ => Err(EDOM),
    }?;
    let before = place.lock().replace(handle);
    drop(before);
    Ok(())
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let number = arg.number();
        let setting = match cmd {
            FAIL => &METHOD_ERRNO,
            FAIL_PROBE => &PROBE_ERRNO,
            STAGE => &AT_STAGE,
            VICTIM => &TO_DROP,
            TRY_TO_MAKE => &TO_MAKE,
            TRY_TO_USE => &TO_USE,
            _ => return self.call(cmd, number),
        };
        setting.store(number as u32, Relaxed);
        Ok(0)
    }
}

impl Control {
    fn call(&self, cmd: u32, number: usize) -> Result<u32> {
        let count = match cmd {
            MAKE => return self.make(number).map(|()| 0),
            DROP => {
                take(self.common.place(number)?);
                return Ok(0);
            }
            DROP_IN_SOFTIRQ => return self.drop_in_softirq(number).map(|()| 0),
            READ_BYTE | WRITE_BYTE | READ_WORD | WRITE_WORD => return self.transfer(cmd, number),
            NAME_BYTE => {
                let client = self.common.client()?;
                let byte = client.name().to_bytes().get(number).copied();
                return byte.map(u32::from).ok_or(EDOM);
            }
            ADDRESS => return Ok(self.common.client()?.address().into()),
            TRY_ADAPTER_NAME => {
                let name = ADAPTER_NAMES.get(number).copied().ok_or(EDOM)?;
                return adapter::Registration::new(name, Empty).map(|_| 0);
            }
            TRY_DRIVER_NAME => {
                let name = DRIVER_NAMES.get(number).copied().ok_or(EDOM)?;
                return i2c::Registration::new(name, Empty).map(|_| 0);
            }
            METHODS => &METHOD_COUNT,
            PROBES => &PROBE_COUNT,
            REMOVES => &REMOVE_COUNT,
            RUNNING => &RUNNING_COUNT,
            LIVING => &LIVING_COUNT,
            WRONG => &WRONG_COUNT,
            LAST_ADDRESS => &ADDRESS_SEEN,
            LAST_INFO => &INFO_SEEN,
            MADE => &MADE_ERRNO,
            USED => &USED_ERRNO,
            _ => return Err(ENOTTY),
        };
        Ok(count.load(Relaxed))
    }
}

/// Drops all adapters and drivers, which have what has them.
struct All(Arc<Common>);

impl Drop for All {
    fn drop(&mut self) {
        if forget.get() {
            return;
        }
        self.0.places.iter().for_each(take);
    }
}

struct Module {
    _control: procfs::Entry<Control>,
    _all: All,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let all = All(Common::new()?);
        if early.get() {
            make(&all.0, BUS)?;
            make(&all.0, DRIVER)?;
        }
        while wait.get() {
            fsleep(Delta::from_millis(1));
        }
        if fail.get() {
            return Err(ENODEV);
        }
        let control = Control::new(all.0.clone())?;
        Ok(Self {
            _control: procfs::Entry::new(c"i2c-devices", mode!(0o600), control)?,
            _all: all,
        })
    }
}
