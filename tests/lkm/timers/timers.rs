// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the timers of `lkm::timer`.

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
    procfs,
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
    time::{
        ticks,
        udelay, //
    },
    timer::{
        new_timer,
        Handler,
        Restart,
        Timer, //
    },
};

mod commands;

use commands::*;

module! {
    type: Timers,
    name: "timers",
    authors: ["lkmpg-rs"],
    description: "Test only: the timers of lkm::timer",
    license: "GPL",
}

struct Counts {
    runs: Atomic<u32>,
    running: Atomic<u32>,
    most: Atomic<u32>,
    elsewhere: Atomic<u32>,
    delay: Atomic<u32>,
    dropped: Atomic<u32>,
    dropper: Atomic<i32>,
    odd: Atomic<u32>,
    restart: Atomic<u64>,
    /// When it was started or went off, and how long after that it went off.
    since: Atomic<u64>,
    waited: Atomic<u64>,
}

impl Counts {
    fn new() -> Result<Arc<Self>> {
        let zero = || Atomic::new(0u32);
        let counts = Self {
            runs: zero(),
            running: zero(),
            most: zero(),
            elsewhere: zero(),
            delay: zero(),
            dropped: zero(),
            dropper: Atomic::new(0),
            odd: zero(),
            restart: Atomic::new(0),
            since: Atomic::new(0),
            waited: Atomic::new(0),
        };
        Ok(Arc::new(counts, GFP_KERNEL)?)
    }

    fn ran(&self) {
        let running = self.running.fetch_add(1, Relaxed) + 1;
        if running > self.most.load(Relaxed) {
            self.most.store(running, Relaxed);
        }
        if Context::current() != Context::SoftIrq {
            self.elsewhere.fetch_add(1, Relaxed);
        }
        let now = ticks();
        let since = self.since.xchg(now, Relaxed);
        self.waited.store(now.wrapping_sub(since), Relaxed);
        udelay(Delta::from_micros(self.delay.load(Relaxed).into()));
        self.runs.fetch_add(1, Relaxed);
        self.running.fetch_add(u32::MAX, Relaxed);
    }
}

/// What a handler owns.
struct Owned(Arc<Counts>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.dropper.store(current!().pid(), Relaxed);
        self.0.dropped.fetch_add(1, Relaxed);
    }
}

struct Counter(Owned);

impl Handler for Counter {
    fn run(&self) -> Restart {
        let Owned(counts) = &self.0;
        counts.ran();
        let restart = counts.restart.load(Relaxed) as usize;
        let time = Delta::from_millis((restart & (AFTER - 1)) as i64);
        match restart & !(AFTER - 1) {
            AFTER => Restart::After(time),
            EVERY => Restart::Every(time),
            _ => Restart::No,
        }
    }
}

/// A timer that drops itself, and would go on.
#[pin_data]
struct Selfish {
    owned: Owned,
    #[pin]
    itself: IrqSpinLock<Option<Arc<Timer<Selfish>>>>,
}

impl Handler for Selfish {
    fn run(&self) -> Restart {
        self.owned.0.ran();
        let itself = self.itself.lock().take();
        if let Some(itself) = itself {
            itself.start(Delta::ZERO);
            drop(itself);
        }
        // It is there as long as it runs.
        self.owned.0.ran();
        Restart::After(Delta::ZERO)
    }
}

/// A timer that starts itself for a time that never ends, and says another one. It drops
/// itself in the end.
#[pin_data]
struct Hasty {
    owned: Owned,
    runs: Atomic<u32>,
    #[pin]
    itself: IrqSpinLock<Option<Arc<Timer<Hasty>>>>,
}

impl Handler for Hasty {
    fn run(&self) -> Restart {
        if self.runs.fetch_add(1, Relaxed) == 9 {
            let itself = self.itself.lock().take();
            drop(itself);
            return Restart::No;
        }
        let itself = self.itself.lock().clone();
        if let Some(itself) = itself {
            itself.start(from_nanos(i64::MAX));
        }
        Restart::Every(Delta::from_millis(1))
    }
}

static EMPTY: Atomic<u32> = Atomic::new(0);

struct Empty;

impl Handler for Empty {
    fn run(&self) -> Restart {
        EMPTY.fetch_add(1, Relaxed);
        Restart::No
    }
}

#[repr(align(64))]
struct Wide {
    owned: Owned,
    room: [u64; 500],
}

impl Handler for Wide {
    fn run(&self) -> Restart {
        let aligned = core::ptr::from_ref(self) as usize % 64 == 0;
        if aligned && self.room[499] == 0 {
            self.owned.0.odd.fetch_add(1, Relaxed);
        }
        Restart::No
    }
}

/// As `Delta::from_nanos`, which Linux 6.18 lacks.
fn from_nanos(nanos: i64) -> Delta {
    // 1000 % 999.
    let one = Delta::from_micros(1).rem_nanos(999);
    one * nanos
}

fn from_millis(millis: usize) -> Delta {
    Delta::from_millis(millis as i64)
}

/// Makes a timer, lets it go off for a while, and drops it. Returns how often it went off
/// after that.
fn drop_while_it_runs(millis: usize) -> Result<u32> {
    let counts = Counts::new()?;
    counts.restart.store((AFTER | millis) as u64, Relaxed);
    counts.delay.store(100, Relaxed);
    let timer = new_timer!(Counter(Owned(counts.clone())))?;
    timer.start(from_millis(millis));
    fsleep(from_millis(millis));
    drop(timer);
    let runs = counts.runs.load(Relaxed);
    let dropped = counts.dropped.load(Relaxed);
    fsleep(Delta::from_millis(10));
    Ok(counts.runs.load(Relaxed) - runs + 1 - dropped)
}

#[pin_data]
struct Control {
    counts: Arc<Counts>,
    timer: Timer<Counter>,
    empty: Timer<Empty>,
    #[pin]
    wide: Mutex<Option<Timer<Wide>>>,
}

impl Control {
    fn odd(&self) -> Result {
        self.empty.start(Delta::ZERO);
        let owned = Owned(self.counts.clone());
        let wide = try_init!(Wide {
            owned,
            room: [0; 500],
        }? Error);
        let wide: Timer<Wide> = new_timer!(wide)?;
        wide.start(Delta::ZERO);
        let before = self.wide.lock().replace(wide);
        drop(before);
        Ok(())
    }

    fn drops_itself(&self) -> Result {
        let selfish = pin_init!(Selfish {
            owned: Owned(self.counts.clone()),
            itself <- new_irq_spinlock!(None),
        });
        let timer: Arc<Timer<Selfish>> = Arc::new(new_timer!(selfish)?, GFP_KERNEL)?;
        *timer.itself.lock() = Some(timer.clone());
        timer.start(Delta::ZERO);
        Ok(())
    }

    fn drop_with_irqs_off(&self) -> Result {
        let lock = Arc::pin_init(new_irq_spinlock!(()), GFP_KERNEL)?;
        let timer = new_timer!(Counter(Owned(self.counts.clone())))?;
        let guard = lock.lock();
        drop(timer);
        drop(guard);
        Ok(())
    }

    fn starts_itself(&self) -> Result {
        let hasty = pin_init!(Hasty {
            owned: Owned(self.counts.clone()),
            runs: Atomic::new(0),
            itself <- new_irq_spinlock!(None),
        });
        let timer: Arc<Timer<Hasty>> = Arc::new(new_timer!(hasty)?, GFP_KERNEL)?;
        *timer.itself.lock() = Some(timer.clone());
        timer.start(Delta::ZERO);
        Ok(())
    }

    fn start(&self, delay: Delta) -> bool {
        self.counts.since.store(ticks(), Relaxed);
        self.timer.start(delay)
    }
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let (counts, arg) = (&self.counts, arg.number());
        let done = match cmd {
            START => self.start(from_millis(arg)),
            START_FAR => self.start(from_nanos(*FAR.get(arg).ok_or(EINVAL)?)),
            CANCEL => self.timer.cancel(),
            IS_PENDING => self.timer.is_pending(),
            RUNS => return Ok(counts.runs.load(Relaxed)),
            MOST => return Ok(counts.most.load(Relaxed)),
            ELSEWHERE => return Ok(counts.elsewhere.load(Relaxed)),
            DROPPED => return Ok(counts.dropped.load(Relaxed)),
            DROPPER => return Ok(counts.dropper.load(Relaxed) as u32),
            ODD_RUNS => return Ok(counts.odd.load(Relaxed) + EMPTY.load(Relaxed)),
            TICKS => return Ok(counts.waited.load(Relaxed) as u32),
            DROP => return drop_while_it_runs(arg),
            _ => {
                match cmd {
                    DELAY => counts.delay.store(arg as u32, Relaxed),
                    RESTART => counts.restart.store(arg as u64, Relaxed),
                    DROPS_ITSELF => self.drops_itself()?,
                    STARTS_ITSELF => self.starts_itself()?,
                    DROP_WITH_IRQS_OFF => self.drop_with_irqs_off()?,
                    ODD => self.odd()?,
                    _ => return Err(ENOTTY),
                }
                true
            }
        };
        Ok(done.into())
    }
}

#[pin_data]
struct Timers {
    #[pin]
    entry: procfs::Entry<Control>,
}

impl kernel::InPlaceModule for Timers {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let counts = Counts::new();
        let control = try_pin_init!(Control {
            timer: new_timer!(Counter(Owned(counts.clone()?)), "timers")?,
            empty: new_timer!(Empty)?,
            wide <- new_mutex!(None),
            counts: counts?,
        }? Error);
        try_pin_init!(Self {
            entry <- procfs::Entry::new(c"timers", mode!(0o600), control),
        })
    }
}
