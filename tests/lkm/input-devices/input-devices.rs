// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the input devices of `lkm::input`, and what safe code can do with them.

use kernel::{
    prelude::*,
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
    file::{
        mode,
        Argument,
        Opened,
        Operations, //
    },
    input::{
        Builder,
        Capabilities,
        Device,
        Event,
        Handler,
        Id,
        BUS_VIRTUAL,
        EV_LED,
        KEY_MAX,
        LED_CAPSL,
        LED_MAX, //
    },
    kthread::KThread,
    procfs,
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
};

mod commands;

use commands::*;

module! {
    type: InputDevices,
    name: "input-devices",
    authors: ["lkmpg-rs"],
    description: "Test only: the input devices of lkm::input",
    license: "GPL",
}

lkm::params! {
    lose: bool {
        default: false,
        mode: 0,
        description: "Whether a device is lost that an older thread reports for",
    },
}

/// What the device and the test share.
#[pin_data]
struct Shared {
    /// An interrupt may be off where it is dropped.
    #[pin]
    device: IrqSpinLock<Option<Arc<Device<Buttons>>>>,
    #[pin]
    other: IrqSpinLock<Option<Device>>,
    opens: Atomic<u32>,
    closes: Atomic<u32>,
    events: Atomic<u32>,
    led: Atomic<u32>,
    to_do: Atomic<usize>,
    answer: Atomic<u32>,
}

fn number(error: Error) -> u32 {
    error.to_errno().unsigned_abs()
}

impl Shared {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            device <- new_irq_spinlock!(None),
            other <- new_irq_spinlock!(None),
            opens: Atomic::new(0),
            closes: Atomic::new(0),
            events: Atomic::new(0),
            led: Atomic::new(0),
            to_do: Atomic::new(NOTHING),
            answer: Atomic::new(0),
        })
    }

    fn make(self: &Arc<Self>, keyboard: bool) -> Result {
        let id = Id {
            bus: BUS_VIRTUAL,
            ..Id::default()
        };
        let mut can = Capabilities::new();
        for code in FIRST..=LAST {
            can.key(code);
        }
        if keyboard {
            can.key(KEY_A);
        }
        can.led(LED_CAPSL);
        can.repeat();
        let builder = Builder::new("input-devices", &can).id(id);
        let buttons = Buttons {
            shared: self.clone(),
            aligned: Aligned([7; 8]),
        };
        let device = Arc::new(builder.register(buttons)?, GFP_KERNEL)?;
        let before = self.device.lock().replace(device);
        drop(before);
        Ok(())
    }

    fn make_other(&self) -> Result {
        let device = make_plain("another")?;
        let before = self.other.lock().replace(device);
        drop(before);
        Ok(())
    }

    fn drop_other(&self) {
        let other = self.other.lock().take();
        drop(other);
    }

    /// Drops what may be the last reference.
    fn drop_device(&self) {
        let device = self.device.lock().take();
        drop(device);
    }

    fn report(&self, code: u16, pressed: bool) -> Result {
        let device = self.device.lock().clone();
        let device = device.ok_or(ENOENT)?;
        device.report_key(code, pressed)?;
        device.sync()
    }

    fn is_to(&self, what: usize) -> bool {
        self.to_do.load(Relaxed) == what
    }
}

/// A key that consoles want.
const KEY_A: u16 = 30;

/// Makes a device of this name that does nothing.
fn make_plain(name: &str) -> Result<Device> {
    let mut can = Capabilities::new();
    can.key(FIRST);
    Builder::new(name, &can).register(())
}

#[repr(align(64))]
struct Aligned([u64; 8]);

/// What the device does when it is used.
struct Buttons {
    shared: Arc<Shared>,
    aligned: Aligned,
}

impl Buttons {
    fn check(&self) {
        let aligned = &raw const self.aligned;
        if aligned.addr() % align_of::<Aligned>() != 0 || self.aligned.0 != [7; 8] {
            pr_err!("not where it was\n");
        }
    }
}

#[vtable]
impl Handler for Buttons {
    fn open(&self) -> Result {
        self.check();
        let shared = &self.shared;
        shared.opens.fetch_add(1, Relaxed);
        if shared.is_to(DROP_IN_OPEN) {
            shared.drop_device();
        }
        if shared.is_to(DROP_OTHER_IN_OPEN) {
            shared.drop_other();
        }
        if shared.is_to(MAKE_IN_OPEN) {
            let answer = make_plain("never").map_or_else(number, |_| 0);
            shared.answer.store(answer, Relaxed);
        }
        match shared.to_do.load(Relaxed).checked_sub(REFUSE) {
            Some(errno) => Err(Error::from_errno(-(errno as i32))),
            None => Ok(()),
        }
    }

    fn close(&self) {
        self.check();
        let shared = &self.shared;
        shared.closes.fetch_add(1, Relaxed);
        if shared.is_to(DROP_IN_CLOSE) {
            shared.drop_device();
        }
        if shared.is_to(DROP_OTHER_IN_CLOSE) {
            shared.drop_other();
        }
    }

    fn event(&self, event: Event) {
        self.check();
        let shared = &self.shared;
        shared.events.fetch_add(1, Relaxed);
        if event.kind == EV_LED && event.code == LED_CAPSL {
            shared.led.store(event.value as u32, Relaxed);
        }
        if shared.is_to(REPORT) {
            let answer = shared.report(FIRST, true).map_or_else(number, |()| 0);
            shared.answer.store(answer, Relaxed);
        }
        if shared.is_to(DROP_IN_EVENT) {
            shared.drop_device();
        }
        if shared.is_to(DROP_OTHER_IN_EVENT) {
            shared.drop_other();
        }
    }
}

/// A text with more bytes than a device can have.
const LONG: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
                    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Names, places, identifiers, buttons and LEDs of devices that there cannot be.
const BAD: [(&str, &str, &str, u16, u16); 13] = [
    ("", "", "", FIRST, 0),
    (LONG, "", "", FIRST, 0),
    ("nul\0", "", "", FIRST, 0),
    ("bad", LONG, "", FIRST, 0),
    ("bad", "\0", "", FIRST, 0),
    ("bad", "", LONG, FIRST, 0),
    ("bad", "", "nul\0nul", FIRST, 0),
    ("bad", "", "", 0, 0),
    ("bad", "", "", KEY_MAX + 1, 0),
    ("bad", "", "", u16::MAX, 0),
    ("bad", "", "", FIRST, LED_MAX + 1),
    ("bad", "", "", FIRST, 64),
    ("bad", "", "", FIRST, u16::MAX),
];

/// How many of them there are.
fn make_bad() -> u32 {
    let mut made = 0;
    for (name, phys, uniq, button, led) in &BAD {
        let mut can = Capabilities::new();
        can.key(*button);
        can.led(*led);
        // What is good does not make up for what is bad.
        can.key(FIRST);
        let builder = Builder::new(name, &can).phys(phys).uniq(uniq);
        match builder.register(()) {
            Ok(_) => made += 1,
            Err(error) if error == EINVAL => {}
            Err(_) => made += 100,
        }
    }
    made
}

struct Control(Arc<Shared>);

#[vtable]
impl Operations for Control {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let shared = &self.0;
        match cmd {
            MAKE => shared.make(false)?,
            MAKE_KEYBOARD => shared.make(true)?,
            MAKE_OTHER => shared.make_other()?,
            HAS_OTHER => return Ok(shared.other.lock().is_some().into()),
            DROP => shared.drop_device(),
            PRESS => shared.report(arg.number() as u16, true)?,
            RELEASE => shared.report(arg.number() as u16, false)?,
            OPENS => return Ok(shared.opens.load(Relaxed)),
            CLOSES => return Ok(shared.closes.load(Relaxed)),
            EVENTS => return Ok(shared.events.load(Relaxed)),
            LED => return Ok(shared.led.load(Relaxed)),
            DO => {
                shared.to_do.store(arg.number(), Relaxed);
                shared.answer.store(0, Relaxed);
            }
            ANSWER => return Ok(shared.answer.load(Relaxed)),
            MAKE_BAD => return Ok(make_bad()),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

/// A device that is lost, and a thread that reports for it until that fails. The thread is
/// older, so it is stopped after the device.
fn lose_device(shared: &Arc<Shared>) -> Result {
    let owned = shared.clone();
    let thread = KThread::spawn(c"input-devices", move |_| {
        let mut pressed = false;
        let error = loop {
            pressed = !pressed;
            match owned.report(FIRST, pressed) {
                Err(error) if error != ENOENT => break error,
                _ => fsleep(Delta::from_millis(1)),
            }
        };
        pr_info!("reports end: errno {}\n", number(error));
        Ok(())
    })?;
    core::mem::forget(thread);
    shared.make(false)
}

struct InputDevices {
    _control: procfs::Entry<Control>,
    shared: Arc<Shared>,
}

impl kernel::Module for InputDevices {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let shared = Arc::pin_init(Shared::new(), GFP_KERNEL)?;
        if lose.get() {
            lose_device(&shared)?;
        }
        let control = Control(shared.clone());
        Ok(Self {
            _control: procfs::Entry::new(c"input-devices", mode!(0o600), control)?,
            shared,
        })
    }
}

impl Drop for InputDevices {
    fn drop(&mut self) {
        if !lose.get() {
            self.shared.drop_device();
        }
    }
}
