// SPDX-License-Identifier: GPL-2.0-only

//! Test only: GPIO controllers of each `kind`.

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
    gpio::{
        chip::{
            Chip,
            Registration, //
        },
        Gpio, //
    },
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
};
use pin_init::init_zeroed;

mod commands;

use commands::*;

module! {
    type: Module,
    name: "gpio-chip",
    authors: ["lkmpg-rs"],
    description: "Test only: GPIO controllers",
    license: "GPL",
}

lkm::params! {
    kind: &CStr { default: c"memory", mode: 0, description: "Which controller" },
    errno: u32 { default: 0, mode: 0o600, description: "What methods fail with" },
    fail: bool { default: false, mode: 0, description: "Whether init fails in the end" },
    wait: bool { default: false, mode: 0, description: "Whether init waits for a method" },
}

const LABEL: &CStr = c"gpio-chip";
const LABEL_2: &CStr = c"gpio-chip-2";

/// How often a method was called.
static COUNT: Atomic<u32> = Atomic::new(0);

/// A method was called. It fails if it is to fail.
fn called() -> Result {
    COUNT.fetch_add(1, Relaxed);
    match errno.get() {
        0 => Ok(()),
        number => Err(Error::from_errno(-(number as i32))),
    }
}

fn pause() {
    fsleep(Delta::from_millis(1));
}

/// Waits until methods were called so often. Not for ever.
fn wait_for_calls(number: u32) {
    for _ in 0..60_000 {
        if COUNT.load(Relaxed) >= number {
            return;
        }
        pause();
    }
    pr_err!("nobody came\n");
}

/// The levels of lines, as bits.
struct Levels(Atomic<u32>);

impl Levels {
    const fn new() -> Self {
        Self(Atomic::new(0))
    }

    fn get(&self, line: u32) -> Result<bool> {
        called()?;
        Ok(self.0.load(Relaxed) & 1 << line != 0)
    }

    /// Each line has one user, so only other bits change meanwhile.
    fn set(&self, line: u32, level: bool) -> Result {
        called()?;
        let is_high = self.0.load(Relaxed) & 1 << line != 0;
        match (is_high, level) {
            (false, true) => self.0.add(1_u32 << line, Relaxed),
            (true, false) => self.0.add((1_u32 << line).wrapping_neg(), Relaxed),
            _ => {}
        }
        Ok(())
    }
}

/// Lines in memory.
struct Memory<const SLEEPS: bool>(Levels);

impl<const SLEEPS: bool> Memory<SLEEPS> {
    fn sleep(&self) {
        if SLEEPS {
            fsleep(Delta::from_micros(10));
        }
    }
}

impl<const SLEEPS: bool> Chip for Memory<SLEEPS> {
    const CAN_SLEEP: bool = SLEEPS;

    fn direction_input(&self, _line: u32) -> Result {
        self.sleep();
        called()
    }

    fn direction_output(&self, line: u32, level: bool) -> Result {
        self.sleep();
        self.0.set(line, level)
    }

    fn get(&self, line: u32) -> Result<bool> {
        self.sleep();
        self.0.get(line)
    }

    fn set(&self, line: u32, level: bool) -> Result {
        self.sleep();
        self.0.set(line, level)
    }
}

/// No memory at all: what is set is in a static.
struct Nothing;

static NOTHING: Levels = Levels::new();

impl Chip for Nothing {
    fn direction_input(&self, _line: u32) -> Result {
        called()
    }

    fn direction_output(&self, line: u32, level: bool) -> Result {
        NOTHING.set(line, level)
    }

    fn get(&self, line: u32) -> Result<bool> {
        NOTHING.get(line)
    }

    fn set(&self, line: u32, level: bool) -> Result {
        NOTHING.set(line, level)
    }
}

/// A page, aligned more than memory is by itself.
#[repr(align(64))]
struct Aligned {
    zeros: [u8; 4096],
    levels: Levels,
}

impl Aligned {
    fn check(&self) -> Result {
        let is_aligned = core::ptr::from_ref(self).addr() % 64 == 0;
        match is_aligned && self.zeros.iter().all(|byte| *byte == 0) {
            true => Ok(()),
            false => Err(EFAULT),
        }
    }
}

impl Chip for Aligned {
    fn direction_input(&self, _line: u32) -> Result {
        self.check()?;
        called()
    }

    fn direction_output(&self, line: u32, level: bool) -> Result {
        self.check()?;
        self.levels.set(line, level)
    }

    fn get(&self, line: u32) -> Result<bool> {
        self.check()?;
        self.levels.get(line)
    }

    fn set(&self, line: u32, level: bool) -> Result {
        self.check()?;
        self.levels.set(line, level)
    }
}

/// Setting a line drops the controller.
#[pin_data]
struct Itself {
    #[pin]
    itself: IrqSpinLock<Option<Arc<Registration<Itself>>>>,
}

impl Chip for Itself {
    fn direction_input(&self, _line: u32) -> Result {
        Ok(())
    }

    fn direction_output(&self, _line: u32, _level: bool) -> Result {
        Ok(())
    }

    fn get(&self, _line: u32) -> Result<bool> {
        Ok(false)
    }

    fn set(&self, _line: u32, _level: bool) -> Result {
        let itself = self.itself.lock().take();
        drop(itself);
        // It is there as long as this runs.
        pr_info!("dropped itself: {}\n", self.itself.lock().is_none());
        Ok(())
    }
}

fn itself() -> Result {
    let itself = pin_init!(Itself { itself <- new_irq_spinlock!(None) });
    let chip = Arc::new(Registration::new(LABEL, 1, itself)?, GFP_KERNEL)?;
    *chip.itself.lock() = Some(chip.clone());
    Ok(())
}

/// Setting a line drops another controller, when somebody sets a line of that, too.
#[pin_data]
struct Other {
    #[pin]
    other: Mutex<Option<Arc<Registration<Other>>>>,
}

impl Chip for Other {
    const CAN_SLEEP: bool = true;

    fn direction_input(&self, _line: u32) -> Result {
        Ok(())
    }

    fn direction_output(&self, _line: u32, _level: bool) -> Result {
        Ok(())
    }

    fn get(&self, _line: u32) -> Result<bool> {
        Ok(false)
    }

    fn set(&self, _line: u32, _level: bool) -> Result {
        called()?;
        wait_for_calls(2);
        let other = self.other.lock().take();
        drop(other);
        pr_info!("dropped the other\n");
        Ok(())
    }
}

fn other(label: &'static CStr) -> Result<Arc<Registration<Other>>> {
    let other = pin_init!(Other { other <- new_mutex!(None) });
    Ok(Arc::new(Registration::new(label, 1, other)?, GFP_KERNEL)?)
}

fn each_other() -> Result {
    let (one, two) = (other(LABEL)?, other(LABEL_2)?);
    *one.other.lock() = Some(two.clone());
    *two.other.lock() = Some(one.clone());
    Ok(())
}

/// A controller that somebody may drop.
type Slot = Arc<IrqSpinLock<Option<Registration<Memory<false>>>>>;

/// The interrupt of a line drops the controller of the line: in its thread, or before.
struct Ender {
    slot: Slot,
    when_hard: bool,
}

impl Ender {
    fn end(&self) {
        let chip = self.slot.lock().take();
        if chip.is_some() {
            drop(chip);
            pr_info!("dropped by its interrupt\n");
        }
    }
}

#[vtable]
impl irq::Handler for Ender {
    fn hard(&self) -> Reply {
        if self.when_hard {
            self.end();
        }
        Reply::WakeThread
    }

    fn thread(&self, _source: &Source) {
        self.end();
    }
}

/// A controller, and the interrupt that drops it.
struct Ended {
    slot: Slot,
    _irq: Irq<Ender>,
}

impl Ended {
    fn new(when_hard: bool) -> Result<Self> {
        let memory = Memory::<false>(Levels::new());
        let chip = Registration::new(LABEL, LINES, memory)?;
        let slot: Slot = Arc::pin_init(new_irq_spinlock!(Some(chip)), GFP_KERNEL)?;
        let source = Gpio::get(LABEL, 0, LABEL)?.into_input()?.irq()?;
        let ender = Ender {
            slot: slot.clone(),
            when_hard,
        };
        let irq = Irq::new(source, Trigger::Rising, LABEL, ender)?;
        Ok(Self { slot, _irq: irq })
    }

    /// The interrupt comes when the lock is released.
    fn edge(&self, line: u32, level: bool) -> Result {
        let chip = self.slot.lock();
        match &*chip {
            Some(chip) => chip.edge(line, level),
            None => Err(ENODEV),
        }
    }
}

enum Handle {
    Memory(Registration<Memory<false>>),
    Sleeping(Registration<Memory<true>>),
    Nothing(Registration<Nothing>),
    Aligned(Registration<Aligned>),
    Ended(Ended),
}

impl Handle {
    fn edge(&self, line: u32, level: bool) -> Result {
        match self {
            Self::Memory(chip) => chip.edge(line, level),
            Self::Sleeping(chip) => chip.edge(line, level),
            Self::Nothing(chip) => chip.edge(line, level),
            Self::Aligned(chip) => chip.edge(line, level),
            Self::Ended(ended) => ended.edge(line, level),
        }
    }
}

fn handle() -> Result<Option<Handle>> {
    let is = |name: &CStr| kind.with(|text| text.to_bytes() == name.to_bytes());
    if is(c"memory") {
        let chip = Registration::new(LABEL, LINES, Memory(Levels::new()))?;
        return Ok(Some(Handle::Memory(chip)));
    }
    if is(c"sleeping") {
        let chip = Registration::new(LABEL, LINES, Memory(Levels::new()))?;
        return Ok(Some(Handle::Sleeping(chip)));
    }
    if is(c"nothing") {
        let chip = Registration::new(LABEL, LINES, Nothing)?;
        return Ok(Some(Handle::Nothing(chip)));
    }
    if is(c"aligned") {
        let aligned = try_init!(Aligned {
            zeros <- init_zeroed(),
            levels: Levels::new(),
        });
        let chip = Registration::new(LABEL, LINES, aligned)?;
        return Ok(Some(Handle::Aligned(chip)));
    }
    if is(c"dropped by a thread") {
        return Ok(Some(Handle::Ended(Ended::new(false)?)));
    }
    if is(c"dropped by a handler") {
        return Ok(Some(Handle::Ended(Ended::new(true)?)));
    }
    if is(c"drops itself") {
        return itself().map(|()| None);
    }
    if is(c"drop each other") {
        return each_other().map(|()| None);
    }
    Err(EINVAL)
}

/// Controllers that there cannot be.
fn refused() -> Result {
    for (label, lines, error) in [
        (c"", 1, EINVAL),
        (LABEL_2, 0, EINVAL),
        (LABEL_2, 513, EINVAL),
        (LABEL_2, u32::MAX, EINVAL),
        (LABEL, 1, EEXIST),
    ] {
        if Registration::new(label, lines, Nothing).map(drop) != Err(error) {
            pr_err!("{lines} lines are not refused\n");
            return Err(EIO);
        }
    }
    let fails = try_init!(Levelled { levels: Err(EDOM)? });
    match Registration::<Levelled>::new(LABEL_2, 1, fails).map(drop) {
        Err(error) if error == EDOM => {}
        _ => return Err(EIO),
    }
    // As many as there can be.
    Registration::new(LABEL_2, 512, Nothing).map(drop)
}

/// For an initialiser that fails.
struct Levelled {
    levels: Levels,
}

impl Chip for Levelled {
    fn direction_input(&self, _line: u32) -> Result {
        Ok(())
    }

    fn direction_output(&self, line: u32, level: bool) -> Result {
        self.levels.set(line, level)
    }

    fn get(&self, line: u32) -> Result<bool> {
        self.levels.get(line)
    }

    fn set(&self, line: u32, level: bool) -> Result {
        self.levels.set(line, level)
    }
}

/// Does nothing.
struct Idle;

#[vtable]
impl irq::Handler for Idle {
    fn thread(&self, _source: &Source) {}
}

#[pin_data]
struct Control {
    #[pin]
    chip: Mutex<Option<Arc<Handle>>>,
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        match cmd {
            EDGE => {
                let chip = self.chip.lock().clone();
                let (line, high) = (arg.number() & !HIGH, arg.number() & HIGH != 0);
                chip.ok_or(ENODEV)?.edge(line as u32, high)?;
            }
            DROP => {
                let chip = self.chip.lock().take();
                drop(chip);
            }
            CALLS => return Ok(COUNT.load(Relaxed)),
            REFUSED => refused()?,
            IRQ => {
                let line = Gpio::get(LABEL, arg.number() as u32, LABEL)?;
                return Ok(line.into_input()?.irq()?.number());
            }
            REQUEST => {
                let source = Source::from_number(arg.number() as u32);
                Irq::new(source, Trigger::Rising, LABEL, Idle).map(drop)?;
            }
            READ_ATOMIC => {
                let line = Gpio::get(LABEL, arg.number() as u32, LABEL)?.into_input()?;
                let atomic = line.atomic()?;
                let level = atomic.get()?;
                let chip = self.chip.lock().take();
                drop(chip);
                return match atomic.get() {
                    Err(ENODEV) => Ok(level.into()),
                    _ => Err(EIO),
                };
            }
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

struct Module {
    // Dropped with the controller that it has.
    _control: procfs::Entry<Control>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let chip = match handle()? {
            Some(chip) => Some(Arc::new(chip, GFP_KERNEL)?),
            None => None,
        };
        if wait.get() {
            wait_for_calls(1);
        }
        if fail.get() {
            return Err(ENODEV);
        }
        let control = pin_init!(Control { chip <- new_mutex!(chip) });
        Ok(Self {
            _control: procfs::Entry::new(c"gpio-chip", mode!(0o600), control)?,
        })
    }
}
