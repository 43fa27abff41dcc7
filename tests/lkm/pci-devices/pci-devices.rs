// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the PCI devices of `lkm::pci`. They are QEMU's `edu`.

use core::{
    ffi::CStr,
    mem, //
};
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
    irq::{
        self,
        Irq,
        Reply,
        Source,
        Trigger, //
    },
    pci::{
        Bar,
        Coherent,
        Device,
        Driver,
        Id,
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

mod commands;

use commands::*;

module! {
    type: PciDevices,
    name: "pci-devices",
    authors: ["lkmpg-rs"],
    description: "Test only: the PCI devices of lkm::pci",
    license: "GPL",
}

lkm::params! {
    hold: bool { default: false, mode: 0o644, description: "Whether threads wait until this is false" },
    early: bool { default: false, mode: 0, description: "Whether init registers the driver" },
    forget: bool { default: false, mode: 0, description: "Whether init loses its handle" },
    fail: bool { default: false, mode: 0, description: "Whether init fails then" },
}

const NAME: &CStr = c"pci-devices";

/// Registers of `edu`.
const IRQ_STATUS: usize = 0x24;
const IRQ_RAISE: usize = 0x60;
const IRQ_ACKNOWLEDGE: usize = 0x64;

static ALL_PROBES: Atomic<u32> = Atomic::new(0);
static ALL_REMOVES: Atomic<u32> = Atomic::new(0);
static HARD_RUNS: Atomic<u32> = Atomic::new(0);
static THREAD_RUNS: Atomic<u32> = Atomic::new(0);
static ACTIVE: Atomic<u32> = Atomic::new(0);
static VALUES: Atomic<u32> = Atomic::new(0);
static ERRORS: Atomic<u32> = Atomic::new(0);
static ANOTHER: Atomic<u32> = Atomic::new(0);

fn less(count: &Atomic<u32>) {
    count.fetch_add(u32::MAX, Relaxed);
}

fn must(is_so: bool) {
    if !is_so {
        ERRORS.fetch_add(1, Relaxed);
    }
}

/// Something that is to be dropped.
struct Living;

impl Living {
    fn new() -> Self {
        VALUES.fetch_add(1, Relaxed);
        Self
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        less(&VALUES);
    }
}

/// A handle of any type.
trait Handle: Send + Sync {}

impl<T: Send + Sync> Handle for T {}

/// What can be asked of a handle of an interrupt.
trait AnyIrq: Handle {
    fn sync(&self) -> Result;
}

impl<T: irq::Handler> AnyIrq for Irq<T> {
    fn sync(&self) -> Result {
        Irq::sync(self)
    }
}

/// What the driver makes, and what the test uses.
#[derive(Default)]
struct Things {
    bar: Option<Arc<Bar>>,
    memory: Option<Coherent>,
    source: Option<Source>,
    irq: Option<KBox<dyn AnyIrq>>,
    device: Option<Device>,
}

#[pin_data]
struct Shared {
    what: Atomic<u32>,
    /// No driver is dropped with this locked.
    #[pin]
    driver: IrqSpinLock<Option<Registration<Tested>>>,
    #[pin]
    devices: Mutex<KVec<Device>>,
    #[pin]
    things: Mutex<Things>,
}

impl Shared {
    fn drop_driver(&self) {
        let driver = self.driver.lock().take();
        drop(driver);
    }

    /// Makes one of each.
    fn make(&self, device: &Device) -> Result<Things> {
        let bar = Arc::new(device.bar(0)?, GFP_KERNEL)?;
        let memory = device.coherent(100)?;
        device.set_master()?;
        let irq = request(device.msi()?, Acknowledging::new(&bar))?;
        Ok(Things {
            bar: Some(bar),
            memory: Some(memory),
            source: None,
            irq: Some(irq),
            device: Some(device.clone()),
        })
    }
}

fn lose(things: Things) {
    // The count of the handler's is lost with that.
    mem::forget(things);
}

/// Tells the device that its interrupt was heard.
struct Acknowledging {
    bar: Arc<Bar>,
    _living: Living,
}

impl Acknowledging {
    fn new(bar: &Arc<Bar>) -> Self {
        Self {
            bar: bar.clone(),
            _living: Living::new(),
        }
    }

    fn acknowledge(&self) -> bool {
        let causes = match self.bar.read32(IRQ_STATUS) {
            Ok(causes) if causes != 0 => causes,
            _ => return false,
        };
        HARD_RUNS.fetch_add(1, Relaxed);
        self.bar.write32(IRQ_ACKNOWLEDGE, causes).is_ok()
    }
}

#[vtable]
impl irq::Handler for Acknowledging {
    fn hard(&self) -> Reply {
        match self.acknowledge() {
            true => Reply::Done,
            false => Reply::NotMine,
        }
    }
}

/// Does so, and has a thread, which may drop the driver.
struct Both {
    inner: Acknowledging,
    unkind: Option<Arc<Shared>>,
}

#[vtable]
impl irq::Handler for Both {
    fn hard(&self) -> Reply {
        match self.inner.acknowledge() {
            true => Reply::WakeThread,
            false => Reply::NotMine,
        }
    }

    fn thread(&self, _source: &Source) {
        ACTIVE.fetch_add(1, Relaxed);
        if let Some(shared) = &self.unkind {
            shared.drop_driver();
        }
        while hold.get() {
            fsleep(Delta::from_millis(1));
        }
        THREAD_RUNS.fetch_add(1, Relaxed);
        less(&ACTIVE);
    }
}

/// Has a thread that registers another driver.
struct Registering {
    inner: Acknowledging,
    shared: Arc<Shared>,
}

#[vtable]
impl irq::Handler for Registering {
    fn hard(&self) -> Reply {
        match self.inner.acknowledge() {
            true => Reply::WakeThread,
            false => Reply::NotMine,
        }
    }

    fn thread(&self, _source: &Source) {
        register_another(&self.shared);
        THREAD_RUNS.fetch_add(1, Relaxed);
    }
}

/// A handler that owns the driver whose device it is for.
struct Owner {
    inner: Acknowledging,
    _driver: Registration<Tested>,
}

#[vtable]
impl irq::Handler for Owner {
    fn hard(&self) -> Reply {
        irq::Handler::hard(&self.inner)
    }
}

fn request<T: irq::Handler, E>(
    source: Source,
    handler: impl PinInit<T, E>,
) -> Result<KBox<dyn AnyIrq>>
where
    Error: From<E>,
{
    let irq = Irq::new(source, Trigger::Unchanged, NAME, handler)?;
    let irq: KBox<dyn AnyIrq> = KBox::new(irq, GFP_KERNEL)?;
    Ok(irq)
}

/// Where it is called, that would wait for the caller.
fn register_another(shared: &Arc<Shared>) {
    let another = Registration::new(c"pci-another", tested(shared));
    let errno = another.map_or_else(|error| -error.to_errno(), |_| 0);
    ANOTHER.store(errno as u32, Relaxed);
}

struct Tested {
    shared: Arc<Shared>,
}

/// What the driver has of a device.
struct Held {
    what: usize,
    _living: Living,
}

impl Driver for Tested {
    type Data = Held;

    const IDS: &'static [Id] = &[Id::new(1, 2), Id::new(0x1234, 0x11e8)];

    const DMA_BITS: u32 = 28;

    fn probe(&self, device: &Device) -> Result<Held> {
        ALL_PROBES.fetch_add(1, Relaxed);
        let shared = &self.shared;
        shared.devices.lock().push(device.clone(), GFP_KERNEL)?;
        let what = shared.what.load(Relaxed) as usize;
        match what {
            MAKE | MAKE_AND_FAIL => {
                let made = shared.make(device)?;
                let before = mem::replace(&mut *shared.things.lock(), made);
                drop(before);
            }
            MAKE_AND_LOSE | LOSE_AND_FAIL => lose(shared.make(device)?),
            DROP_IN_PROBE => shared.drop_driver(),
            REGISTER_ANOTHER => register_another(shared),
            _ => {}
        }
        match what {
            MAKE_AND_FAIL | LOSE_AND_FAIL => Err(EIO),
            FAIL.. => Err(Error::from_errno(-((what - FAIL) as i32))),
            _ => Ok(Held {
                what,
                _living: Living::new(),
            }),
        }
    }

    fn remove(&self, data: Held) {
        ALL_REMOVES.fetch_add(1, Relaxed);
        if data.what == DROP_IN_REMOVE {
            self.shared.drop_driver();
        }
        // What there is can still be used.
        if let Some(bar) = &self.shared.things.lock().bar {
            match bar.read32(0) {
                Ok(id) => must(id & 0xff == 0xed),
                // It is another device's, which has gone.
                Err(error) => must(error == ENODEV),
            }
        }
    }
}

/// A driver of devices that have one address line.
struct Narrow;

impl Driver for Narrow {
    type Data = ();

    const IDS: &'static [Id] = Tested::IDS;

    const DMA_BITS: u32 = 1;

    fn probe(&self, _device: &Device) -> Result {
        must(false);
        Err(EIO)
    }
}

/// Drops a handle where it must not sleep.
struct Dropper {
    doomed: Arc<IrqSpinLock<Option<KBox<dyn Handle>>>>,
}

impl tasklet::Handler for Dropper {
    fn run(&self) {
        let handle = self.doomed.lock().take();
        drop(handle);
    }
}

struct Control {
    shared: Arc<Shared>,
    dropper: Tasklet<Dropper>,
}

const BAD_NAMES: [&CStr; NAMES] = [c"", c".", c"..", c"a/b", c"/"];

impl Control {
    fn register(&self) -> Result {
        let shared = &self.shared;
        shared.devices.lock().clear();
        let driver = Registration::new(NAME, tested(shared))?;
        let before = shared.driver.lock().replace(driver);
        drop(before);
        Ok(())
    }

    fn try_name(&self, index: usize) -> Result {
        let name = *BAD_NAMES.get(index).unwrap_or(&NAME);
        Registration::new(name, tested(&self.shared)).map(drop)
    }

    fn choose(&self, index: usize) -> Result {
        let device = self.shared.devices.lock().get(index).cloned();
        let before = self
            .shared
            .things
            .lock()
            .device
            .replace(device.ok_or(EDOM)?);
        drop(before);
        Ok(())
    }

    /// The things are not locked while somebody waits, so that those who drop one can.
    fn device(&self) -> Result<Device> {
        self.shared.things.lock().device.clone().ok_or(EBADF)
    }

    fn bar(&self) -> Result<Arc<Bar>> {
        self.shared.things.lock().bar.clone().ok_or(EBADF)
    }

    fn memory<R>(&self, f: impl FnOnce(&Coherent) -> Result<R>) -> Result<R> {
        f(self.shared.things.lock().memory.as_ref().ok_or(EBADF)?)
    }

    /// The number that the device's address ends with.
    fn place(&self) -> Result<u32> {
        let device = self.device()?;
        let text = CString::try_from_fmt(fmt!("{device}"))?;
        // Such as 0000:00:02.0
        let digits = text.to_bytes().iter().rev();
        let digits = digits.filter_map(|digit| (*digit as char).to_digit(16));
        Ok(digits.zip(0..4).map(|(digit, n)| digit << (4 * n)).sum())
    }

    fn source(&self, is_msi: bool) -> Result {
        let device = self.device()?;
        let source = match is_msi {
            true => device.msi()?,
            false => device.intx()?,
        };
        let before = self.shared.things.lock().source.replace(source);
        drop(before);
        Ok(())
    }

    fn request(&self, kind: usize) -> Result {
        let shared = &self.shared;
        let inner = Acknowledging::new(&self.bar()?);
        let source = shared.things.lock().source.take().ok_or(EBADF)?;
        let unkind = Some(shared.clone());
        let irq = match kind {
            HARD_ONLY => request(source, inner)?,
            BOTH => request(
                source,
                Both {
                    inner,
                    unkind: None,
                },
            )?,
            UNKIND => request(source, Both { inner, unkind })?,
            UNKIND_AT_FIRST => {
                let both = try_init!(Both {
                    inner: {
                        shared.drop_driver();
                        inner
                    },
                    unkind: None,
                }? Error);
                request(source, both)?
            }
            OWNER => {
                let driver = shared.driver.lock().take();
                let _driver = driver.ok_or(EBADF)?;
                request(source, Owner { inner, _driver })?
            }
            REGISTERING => {
                let shared = shared.clone();
                request(source, Registering { inner, shared })?
            }
            _ => return Err(EDOM),
        };
        let before = shared.things.lock().irq.replace(irq);
        drop(before);
        Ok(())
    }

    fn try_number(&self) -> Result {
        let things = self.shared.things.lock();
        let number = things.source.as_ref().ok_or(EBADF)?.number();
        drop(things);
        let inner = Acknowledging::new(&self.bar()?);
        request(Source::from_number(number), inner).map(drop)
    }

    fn take(&self, thing: usize) -> Result<Option<KBox<dyn Handle>>> {
        fn boxed<T: Handle + 'static>(it: Option<T>) -> Result<Option<KBox<dyn Handle>>> {
            let Some(it) = it else { return Ok(None) };
            let it: KBox<dyn Handle> = KBox::new(it, GFP_KERNEL)?;
            Ok(Some(it))
        }
        let mut things = self.shared.things.lock();
        match thing {
            BAR => boxed(things.bar.take()),
            MEMORY => boxed(things.memory.take()),
            SOURCE => boxed(things.source.take()),
            IRQ => boxed(things.irq.take()),
            DEVICE => boxed(things.device.take()),
            _ => Err(EDOM),
        }
    }

    fn drop_in_softirq(&self, handle: Option<KBox<dyn Handle>>) {
        let before = mem::replace(&mut *self.dropper.doomed.lock(), handle);
        drop(before);
        self.dropper.schedule();
    }

    fn unregister_in_softirq(&self) -> Result {
        let driver = self.shared.driver.lock().take().ok_or(EBADF)?;
        let driver: KBox<dyn Handle> = KBox::new(driver, GFP_KERNEL)?;
        self.drop_in_softirq(Some(driver));
        Ok(())
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.shared.drop_driver();
        // A handler may own what owns it.
        let things = mem::take(&mut *self.shared.things.lock());
        drop(things);
    }
}

fn tested(shared: &Arc<Shared>) -> Tested {
    Tested {
        shared: shared.clone(),
    }
}

/// What an ioctl returns is positive.
fn positive(number: u32) -> u32 {
    number & i32::MAX as u32
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let number = arg.number();
        match cmd {
            SET => self.shared.what.store(number as u32, Relaxed),
            REGISTER => self.register()?,
            UNREGISTER => self.shared.drop_driver(),
            UNREGISTER_IN_SOFTIRQ => self.unregister_in_softirq()?,
            TRY_NAME => self.try_name(number)?,
            TRY_NARROW => drop(Registration::new(c"pci-narrow", Narrow)?),
            USE => self.choose(number)?,
            PLACE => return self.place(),
            MASTER => self.device()?.set_master()?,
            MAP => {
                let bar = Arc::new(self.device()?.bar(number as u32)?, GFP_KERNEL)?;
                let before = self.shared.things.lock().bar.replace(bar);
                drop(before);
            }
            BAR_SIZE => return Ok(self.bar()?.size() as u32),
            READ => return self.bar()?.read32(number).map(positive),
            WRITE => self.bar()?.write32(number >> 32, number as u32)?,
            ALLOCATE => {
                let memory = self.device()?.coherent(number)?;
                let before = self.shared.things.lock().memory.replace(memory);
                drop(before);
            }
            MEMORY_SIZE => return self.memory(|it| Ok(it.size() as u32)),
            ADDRESS_BITS => return self.memory(|it| Ok(64 - it.address().leading_zeros())),
            ALIGNMENT_BITS => return self.memory(|it| Ok(it.address().trailing_zeros())),
            PEEK => {
                let mut byte = [0];
                self.memory(|it| it.read_slice(number, &mut byte))?;
                return Ok(byte[0].into());
            }
            POKE => self.memory(|it| it.write_slice(number >> 8, &[number as u8]))?,
            MSI => self.source(true)?,
            INTX => self.source(false)?,
            REQUEST => self.request(number)?,
            TRY_NUMBER => self.try_number()?,
            RAISE => self.bar()?.write32(IRQ_RAISE, 1)?,
            SYNC => {
                let things = self.shared.things.lock();
                things.irq.as_ref().ok_or(EBADF)?.sync()?;
            }
            DROP => drop(self.take(number)?),
            DROP_IN_SOFTIRQ => self.drop_in_softirq(self.take(number)?),
            LOSE => mem::forget(self.take(number)?),
            _ => {
                let count = match cmd {
                    PROBES => &ALL_PROBES,
                    REMOVES => &ALL_REMOVES,
                    HARD => &HARD_RUNS,
                    THREADS => &THREAD_RUNS,
                    RUNNING => &ACTIVE,
                    LIVING => &VALUES,
                    WRONG => &ERRORS,
                    REGISTERED => &ANOTHER,
                    _ => return Err(ENOTTY),
                };
                return Ok(count.load(Relaxed));
            }
        }
        Ok(0)
    }
}

struct PciDevices {
    _entry: procfs::Entry<Control>,
}

impl kernel::Module for PciDevices {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let shared = pin_init!(Shared {
            what: Atomic::new(TAKE as u32),
            driver <- new_irq_spinlock!(None),
            devices <- new_mutex!(KVec::new()),
            things <- new_mutex!(Things::default()),
        });
        let shared = Arc::pin_init(shared, GFP_KERNEL)?;
        if early.get() {
            shared.what.store(MAKE as u32, Relaxed);
            let driver = Registration::new(NAME, tested(&shared))?;
            if forget.get() {
                mem::forget(driver);
            } else {
                let before = shared.driver.lock().replace(driver);
                drop(before);
            }
        }
        if fail.get() {
            shared.drop_driver();
            return Err(ENODEV);
        }
        let doomed = Arc::pin_init(new_irq_spinlock!(None), GFP_KERNEL)?;
        let control = Control {
            shared,
            dropper: Tasklet::new(Dropper { doomed })?,
        };
        Ok(Self {
            _entry: procfs::Entry::new(c"pci-devices", mode!(0o600), control)?,
        })
    }
}
