// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the probes of `lkm::kprobe`.

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
    time::Delta, //
};
use lkm::{
    context::Context,
    file::{
        mode,
        Argument,
        Opened,
        Operations, //
    },
    kprobe::{
        Handler,
        Kprobe,
        Registers, //
    },
    procfs,
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
    time::udelay, //
};

mod commands;

use commands::*;

module! {
    type: Kprobes,
    name: "kprobes",
    authors: ["lkmpg-rs"],
    description: "Test only: the probes of lkm::kprobe",
    license: "GPL",
}

/// What runs first when a module is unloaded: another one, and this.
const OF_MODULES: [&CStr; 2] = [c"hello_1:cleanup_module", c"kprobes:cleanup_module"];

/// The function of getsid(2).
const GETSID: &CStr = c"__x64_sys_getsid";

struct Shared {
    hits: Atomic<u32>,
    contexts: [Atomic<u32>; 4],
    last: Atomic<u32>,
    arguments: Atomic<u32>,
    dropped: Atomic<u32>,
    plain: Atomic<u32>,
    syscalls: Atomic<u32>,
    delay: Atomic<u32>,
}

impl Shared {
    fn new() -> Result<Arc<Self>> {
        let zero = || Atomic::new(0);
        let shared = Self {
            hits: zero(),
            contexts: [zero(), zero(), zero(), zero()],
            last: zero(),
            arguments: zero(),
            dropped: zero(),
            plain: zero(),
            syscalls: zero(),
            delay: zero(),
        };
        Ok(Arc::new(shared, GFP_KERNEL)?)
    }

    fn hit(&self, registers: &Registers<'_>) {
        self.contexts[Context::current() as usize].fetch_add(1, Relaxed);
        let arguments = (0..8).filter(|n| registers.argument(*n).is_some());
        self.arguments.store(arguments.count() as u32, Relaxed);
        if let Some(arguments) = registers.syscall_arguments() {
            self.last.store(arguments.number(0) as u32, Relaxed);
            // There is no such argument.
            self.last.fetch_add(arguments.number(6) as u32, Relaxed);
        }
        udelay(Delta::from_micros(self.delay.load(Relaxed).into()));
        self.hits.fetch_add(1, Relaxed);
    }
}

/// What a handler owns.
struct Owned(Arc<Shared>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Relaxed);
    }
}

struct Counter(Owned);

impl Handler for Counter {
    fn hit(&self, registers: &Registers<'_>) {
        let Owned(shared) = &self.0;
        shared.hit(registers);
    }
}

/// A probe that a handler takes out and drops. It never waits for the lock.
type Slot<T> = Arc<IrqSpinLock<Option<Kprobe<T>>>>;

fn slot<T: Handler>() -> Result<Slot<T>> {
    Arc::pin_init(new_irq_spinlock!(None), GFP_KERNEL)
}

fn drop_in<T: Handler>(slot: &Slot<T>) {
    let probe = slot.try_lock().and_then(|mut slot| slot.take());
    drop(probe);
}

struct Selfish {
    owned: Owned,
    itself: Slot<Selfish>,
}

impl Handler for Selfish {
    fn hit(&self, registers: &Registers<'_>) {
        drop_in(&self.itself);
        // It is there as long as it runs.
        self.owned.0.hit(registers);
    }
}

struct Unkind {
    owned: Owned,
    other: Slot<Counter>,
}

impl Handler for Unkind {
    fn hit(&self, registers: &Registers<'_>) {
        drop_in(&self.other);
        self.owned.0.hit(registers);
    }
}

static EMPTY: Atomic<u32> = Atomic::new(0);

struct Empty;

impl Handler for Empty {
    fn hit(&self, _registers: &Registers<'_>) {
        EMPTY.fetch_add(1, Relaxed);
    }
}

#[repr(align(64))]
struct Wide {
    owned: Owned,
    room: [u64; 500],
}

impl Handler for Wide {
    fn hit(&self, registers: &Registers<'_>) {
        let aligned = core::ptr::from_ref(self) as usize % 64 == 0;
        if aligned && self.room[499] == 0 {
            self.owned.0.hit(registers);
        }
    }
}

struct Talkative(Owned);

impl Handler for Talkative {
    fn hit(&self, registers: &Registers<'_>) {
        self.0 .0.hit(registers);
        pr_info!("hit\n");
    }
}

struct Plain(Owned);

impl Handler for Plain {
    /// Of a function like this: `ioctl(file, command, argument)`.
    fn hit(&self, registers: &Registers<'_>) {
        let Owned(shared) = &self.0;
        if let Some(argument) = registers.argument(2) {
            shared.plain.store(argument as u32, Relaxed);
        }
        if registers.syscall_arguments().is_some() {
            shared.syscalls.fetch_add(1, Relaxed);
        }
    }
}

#[pin_data]
struct Control {
    shared: Arc<Shared>,
    #[pin]
    probes: Mutex<KVec<Kprobe<Counter>>>,
    #[pin]
    unkind: Mutex<Option<Kprobe<Unkind>>>,
    #[pin]
    empty: Mutex<Option<Kprobe<Empty>>>,
    #[pin]
    wide: Mutex<Option<Kprobe<Wide>>>,
    #[pin]
    plain: Mutex<Option<Kprobe<Plain>>>,
    #[pin]
    of_module: Mutex<Option<Kprobe<Talkative>>>,
}

impl Control {
    fn owned(&self) -> Owned {
        Owned(self.shared.clone())
    }

    fn counter(&self) -> Result<Kprobe<Counter>> {
        Kprobe::new(GETSID, Counter(self.owned()))
    }

    fn add(&self, cmd: u32, number: usize) -> Result {
        match cmd {
            ADD => {
                let probe = self.counter()?;
                self.probes.lock().push(probe, GFP_KERNEL)?;
            }
            ADD_OF_MODULE => {
                let symbol = OF_MODULES.get(number).ok_or(EDOM)?;
                let probe = Kprobe::new(symbol, Talkative(self.owned()))?;
                let before = self.of_module.lock().replace(probe);
                drop(before);
            }
            ADD_SELFISH => {
                let itself = slot()?;
                let selfish = Selfish {
                    owned: self.owned(),
                    itself: itself.clone(),
                };
                let probe = Kprobe::new(GETSID, selfish)?;
                *itself.lock() = Some(probe);
            }
            ADD_UNKIND => {
                let other = slot()?;
                let probe = self.counter()?;
                *other.lock() = Some(probe);
                let owned = self.owned();
                let probe = Kprobe::new(GETSID, Unkind { owned, other })?;
                let before = self.unkind.lock().replace(probe);
                drop(before);
            }
            ADD_ODD => {
                let probe = Kprobe::new(GETSID, Empty)?;
                let before = self.empty.lock().replace(probe);
                drop(before);
                let owned = self.owned();
                let wide = try_init!(Wide {
                    owned,
                    room: [0; 500],
                }? Error);
                let probe: Kprobe<Wide> = Kprobe::new(GETSID, wide)?;
                let before = self.wide.lock().replace(probe);
                drop(before);
            }
            _ => {
                let plain = Plain(self.owned());
                let probe = Kprobe::new(c"proc_reg_unlocked_ioctl", plain)?;
                let before = self.plain.lock().replace(probe);
                drop(before);
            }
        }
        Ok(())
    }

    fn remove(&self, cmd: u32, number: usize) -> Result {
        match cmd {
            DROP => {
                let probe = self.probes.lock().remove(number);
                drop(probe.map_err(|_| EINVAL)?);
            }
            DROP_ODD => {
                let (empty, wide) = (self.empty.lock().take(), self.wide.lock().take());
                drop((empty, wide));
            }
            DROP_OF_MODULE => {
                let of_module = self.of_module.lock().take();
                drop(of_module);
            }
            _ => {
                let plain = self.plain.lock().take();
                drop(plain);
            }
        }
        Ok(())
    }
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let shared = &self.shared;
        let counter = match cmd {
            HITS => &shared.hits,
            IN_CONTEXT => shared.contexts.get(arg.number()).ok_or(EINVAL)?,
            LAST => &shared.last,
            ARGUMENTS => &shared.arguments,
            DROPPED => &shared.dropped,
            EMPTY_HITS => &EMPTY,
            PLAIN => &shared.plain,
            SYSCALLS => &shared.syscalls,
            _ => {
                match cmd {
                    ADD | ADD_SELFISH | ADD_UNKIND | ADD_ODD | ADD_PLAIN | ADD_OF_MODULE => {
                        self.add(cmd, arg.number())?;
                    }
                    DROP | DROP_ODD | DROP_OF_MODULE | DROP_PLAIN => {
                        self.remove(cmd, arg.number())?
                    }
                    MISSED => {
                        let probes = self.probes.lock();
                        return Ok(probes.iter().map(|probe| probe.missed() as u32).sum());
                    }
                    TRY => {
                        let symbol = SYMBOLS.get(arg.number()).ok_or(EDOM)?;
                        Kprobe::new(symbol, Counter(self.owned()))?;
                    }
                    CHURN => {
                        for _ in 0..arg.number() {
                            drop(self.counter()?);
                        }
                    }
                    DELAY => shared.delay.store(arg.number() as u32, Relaxed),
                    _ => return Err(ENOTTY),
                }
                return Ok(0);
            }
        };
        Ok(counter.load(Relaxed))
    }
}

#[pin_data]
struct Kprobes {
    #[pin]
    entry: procfs::Entry<Control>,
}

impl kernel::InPlaceModule for Kprobes {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let control = try_pin_init!(Control {
            shared: Shared::new()?,
            probes <- new_mutex!(KVec::new()),
            unkind <- new_mutex!(None),
            empty <- new_mutex!(None),
            wide <- new_mutex!(None),
            plain <- new_mutex!(None),
            of_module <- new_mutex!(None),
        }? Error);
        try_pin_init!(Self {
            entry <- procfs::Entry::new(c"kprobes", mode!(0o600), control),
        })
    }
}
