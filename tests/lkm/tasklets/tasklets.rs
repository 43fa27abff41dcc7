// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the tasklets of `lkm::tasklet`.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
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
    procfs,
    sync::{
        new_irq_spinlock,
        new_wait_queue,
        IrqSpinLock,
        WaitQueue, //
    },
    tasklet::{
        Handler,
        Tasklet, //
    },
    time::udelay, //
};

mod commands;

use commands::*;

module! {
    type: Tasklets,
    name: "tasklets",
    authors: ["lkmpg-rs"],
    description: "Test only: the tasklets of lkm::tasklet",
    license: "GPL",
}

struct Counts {
    runs: Atomic<u32>,
    running: Atomic<u32>,
    most: Atomic<u32>,
    elsewhere: Atomic<u32>,
    delay: Atomic<u32>,
}

struct Counter {
    counts: Arc<Counts>,
    /// What it drops when it runs.
    queue: Arc<IrqSpinLock<Option<Pin<KBox<WaitQueue>>>>>,
}

impl Counter {
    fn new() -> Result<Self> {
        let zero = || Atomic::new(0);
        let counts = Counts {
            runs: zero(),
            running: zero(),
            most: zero(),
            elsewhere: zero(),
            delay: zero(),
        };
        Ok(Self {
            counts: Arc::new(counts, GFP_KERNEL)?,
            queue: Arc::pin_init(new_irq_spinlock!(None), GFP_KERNEL)?,
        })
    }
}

impl Handler for Counter {
    fn run(&self) {
        let counts = &self.counts;
        let running = counts.running.fetch_add(1, Relaxed) + 1;
        if running > counts.most.load(Relaxed) {
            counts.most.store(running, Relaxed);
        }
        if Context::current() != Context::SoftIrq {
            counts.elsewhere.fetch_add(1, Relaxed);
        }
        udelay(Delta::from_micros(counts.delay.load(Relaxed).into()));
        let queue = self.queue.lock().take();
        drop(queue);
        counts.runs.fetch_add(1, Relaxed);
        counts.running.fetch_add(u32::MAX, Relaxed);
    }
}

/// Makes a tasklet, and drops it. Returns how often it has run.
fn make_and_drop(schedule: bool, delay: usize) -> Result<u32> {
    let counter = Counter::new()?;
    let counts = counter.counts.clone();
    counts.delay.store(delay as u32, Relaxed);
    let tasklet = Tasklet::new(counter)?;
    if schedule {
        tasklet.schedule();
    }
    drop(tasklet);
    Ok(counts.runs.load(Relaxed))
}

#[pin_data]
struct Control {
    #[pin]
    tasklet: Tasklet<Counter>,
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let counts = &self.tasklet.counts;
        match cmd {
            SCHEDULE => self.tasklet.schedule(),
            RUNS => return Ok(counts.runs.load(Relaxed)),
            MOST => return Ok(counts.most.load(Relaxed)),
            ELSEWHERE => return Ok(counts.elsewhere.load(Relaxed)),
            DELAY => counts.delay.store(arg.number() as u32, Relaxed),
            GIVE_QUEUE => {
                let queue = KBox::pin_init(new_wait_queue!(), GFP_KERNEL)?;
                let before = self.tasklet.queue.lock().replace(queue);
                drop(before);
            }
            DROP => return make_and_drop(true, arg.number()),
            DROP_UNUSED => return make_and_drop(false, arg.number()),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

#[pin_data]
struct Tasklets {
    #[pin]
    entry: procfs::Entry<Control>,
}

impl kernel::InPlaceModule for Tasklets {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let control = try_pin_init!(Control {
            tasklet <- Tasklet::new(Counter::new()?),
        }? Error);
        try_pin_init!(Self {
            entry <- procfs::Entry::new(c"tasklets", mode!(0o600), control),
        })
    }
}
