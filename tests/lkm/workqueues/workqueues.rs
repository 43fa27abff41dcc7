// SPDX-License-Identifier: GPL-2.0-only

//! Test only: items, closures and queues of `lkm::workqueue`.

use core::hint::black_box;
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
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    procfs,
    sync::Completion,
    workqueue::{
        new_work,
        Flags,
        OwnedQueue,
        Queue,
        SystemQueue,
        Work,
        WorkItem, //
    },
};

mod commands;

use commands::*;

module! {
    type: Workqueues,
    name: "workqueues",
    authors: ["lkmpg-rs"],
    description: "Test only: items, closures and queues of lkm::workqueue",
    license: "GPL",
}

/// The flags that C has for the bits of `arg`.
fn flags(arg: usize) -> Flags {
    [
        (1 << 0, Flags::BH),
        (1 << 1, Flags::UNBOUND),
        (1 << 2, Flags::FREEZABLE),
        (1 << 3, Flags::MEM_RECLAIM),
        (1 << 4, Flags::HIGHPRI),
        (1 << 5, Flags::CPU_INTENSIVE),
        (1 << 6, Flags::SYSFS),
        (1 << 7, Flags::POWER_EFFICIENT),
        (1 << 8, Flags::PERCPU),
    ]
    .into_iter()
    .filter(|(bit, _)| arg & bit != 0)
    .fold(Flags::NONE, |flags, (_, flag)| flags | flag)
}

/// As `Delta::from_nanos`, which Linux 6.18 lacks.
fn from_nanos(nanos: i64) -> Delta {
    // 1000 % 999.
    let one = Delta::from_micros(1).rem_nanos(999);
    one * nanos
}

struct Item {
    number: u8,
    shared: Arc<Shared>,
    runs: Atomic<u32>,
    running: Atomic<u32>,
    most: Atomic<u32>,
    context: Atomic<u32>,
    repeat: Atomic<u32>,
    hold: Atomic<u32>,
    nap: Atomic<u32>,
}

#[pin_data]
struct Shared {
    /// The numbers of the items, in the order in which they began to run.
    #[pin]
    order: Mutex<KVec<u8>>,
    #[pin]
    release: Completion,
}

impl WorkItem for Item {
    fn run(item: &Work<Self>) {
        let running = item.running.fetch_add(1, Relaxed) + 1;
        if running > item.most.load(Relaxed) {
            item.most.store(running, Relaxed);
        }
        let context = Context::current();
        item.context.store(context as u32, Relaxed);
        if context == Context::Process {
            let mut order = item.shared.order.lock();
            if order.len() < 1000 {
                let _ = order.push(b'0' + item.number, GFP_KERNEL);
            }
            drop(order);
            match item.nap.load(Relaxed) {
                0 => {}
                nap => fsleep(Delta::from_millis(nap.into())),
            }
            if item.hold.xchg(0, Relaxed) != 0 {
                item.shared.release.wait();
            }
        }
        item.runs.fetch_add(1, Relaxed);
        let repeat = item.repeat.load(Relaxed);
        if repeat > 0 {
            if repeat != ENDLESS as u32 {
                item.repeat.store(repeat - 1, Relaxed);
            }
            item.enqueue();
        }
        item.running.fetch_add(u32::MAX, Relaxed);
    }
}

/// Memory of a closure's, which is counted.
struct Owned {
    _memory: KVec<u8>,
    count: Arc<Atomic<u32>>,
}

impl Owned {
    fn new(count: &Arc<Atomic<u32>>) -> Result<Self> {
        let memory = KVec::from_elem(0, 1000, GFP_KERNEL)?;
        count.fetch_add(1, Relaxed);
        Ok(Self {
            _memory: memory,
            count: count.clone(),
        })
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.count.fetch_add(u32::MAX, Relaxed);
    }
}

/// A closure that gives the queue another one, of the same type, and waits for it.
fn chain(
    queue: &Arc<OwnedQueue>,
    count: &Arc<Atomic<u32>>,
    done: Option<Arc<Completion>>,
) -> Result {
    let (next, counted) = (queue.clone(), count.clone());
    // So big that the next thing of this size is another such closure.
    let big = [0; 200];
    queue.spawn(GFP_KERNEL, move || {
        black_box(&big);
        if let Some(done) = done {
            return done.complete_all();
        }
        let Ok(done) = Arc::pin_init(Completion::new(), GFP_KERNEL) else {
            return;
        };
        if chain(&next, &counted, Some(done.clone())).is_ok() {
            done.wait();
            counted.fetch_add(1, Relaxed);
        }
    })
}

struct Control {
    items: KVec<Work<Item>>,
    shared: Arc<Shared>,
    spawned: Arc<Atomic<u32>>,
    owned: Arc<Atomic<u32>>,
    queue: Arc<OwnedQueue>,
}

impl Control {
    fn new() -> Result<Self> {
        let shared = Arc::pin_init(
            pin_init!(Shared {
                order <- new_mutex!(KVec::new()),
                release <- Completion::new(),
            }),
            GFP_KERNEL,
        )?;
        let ordered = Queue::from(OwnedQueue::new_ordered(c"lkm_ordered", Flags::NONE)?);
        let wide = Queue::from(OwnedQueue::new(c"lkm_wide", Flags::UNBOUND, 0)?);
        let percpu = Queue::from(OwnedQueue::new(c"lkm_percpu", Flags::PERCPU, 0)?);
        let bh = Queue::from(OwnedQueue::new(c"lkm_bh", Flags::BH | Flags::PERCPU, 0)?);
        let queues = [
            ordered.clone(),
            ordered.clone(),
            ordered,
            wide.clone(),
            wide,
            percpu,
            SystemQueue::Dfl.into(),
            bh,
            SystemQueue::Bh.into(),
        ];
        let mut items = KVec::new();
        for (number, queue) in (0..).zip(queues) {
            let item = Item {
                number,
                shared: shared.clone(),
                runs: Atomic::new(0),
                running: Atomic::new(0),
                most: Atomic::new(0),
                context: Atomic::new(u32::MAX),
                repeat: Atomic::new(0),
                hold: Atomic::new(0),
                nap: Atomic::new(0),
            };
            items.push(new_work!(queue, item)?, GFP_KERNEL)?;
        }
        Ok(Self {
            items,
            shared,
            spawned: Arc::new(Atomic::new(0), GFP_KERNEL)?,
            owned: Arc::new(Atomic::new(0), GFP_KERNEL)?,
            queue: OwnedQueue::new(c"lkm_closures", Flags::UNBOUND, 0)?,
        })
    }

    fn spawn(&self, queue: &OwnedQueue, nap: i64) -> Result {
        let owned = Owned::new(&self.owned)?;
        let spawned = self.spawned.clone();
        queue.spawn(GFP_KERNEL, move || {
            fsleep(Delta::from_millis(nap));
            spawned.fetch_add(1, Relaxed);
            drop(owned);
        })?;
        Ok(())
    }

    fn about_closures(&self, cmd: u32, arg: usize) -> Result<u32> {
        match cmd {
            SPAWN => self.spawn(&self.queue, arg as i64)?,
            SPAWNED => return Ok(self.spawned.load(Relaxed)),
            OWNED => return Ok(self.owned.load(Relaxed)),
            FLUSH_QUEUE => self.queue.flush(),
            CHAIN => chain(&self.queue, &self.spawned, None)?,
            DROP_QUEUE => {
                let before = self.spawned.load(Relaxed);
                let queue = OwnedQueue::new(c"lkm_short", Flags::UNBOUND, 1)?;
                for _ in 0..arg {
                    self.spawn(&queue, 1)?;
                }
                drop(queue);
                return Ok(self.spawned.load(Relaxed) - before);
            }
            NEW_QUEUE => {
                let name = if arg & NO_NAME == 0 { c"lkm_new" } else { c"" };
                OwnedQueue::new(name, flags(arg), (arg >> 32) as u32)?;
            }
            NEW_ORDERED => {
                OwnedQueue::new_ordered(c"lkm_new", flags(arg))?;
            }
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        dst.write_slice_file(&self.shared.order.lock(), pos)
    }

    /// Forgets the order so far.
    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        self.shared.order.lock().clear();
        Ok(src.len())
    }

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        if cmd >= SPAWN {
            return self.about_closures(cmd, arg.number());
        }
        let item = self.items.get(arg.number() & 0xff).ok_or(EINVAL)?;
        let value = (arg.number() >> 8) as u32;
        let done = match cmd {
            ENQUEUE => item.enqueue(),
            ENQUEUE_DELAYED => item.enqueue_delayed(Delta::from_millis(value.into())),
            ENQUEUE_FAR => item.enqueue_delayed(from_nanos(FAR[value as usize])),
            MODIFY => item.modify_delayed(Delta::from_millis(value.into())),
            IS_PENDING => item.is_pending(),
            FLUSH => item.flush(),
            CANCEL => item.cancel(),
            RUNS => return Ok(item.runs.load(Relaxed)),
            RUNNING => return Ok(item.running.load(Relaxed)),
            MOST => return Ok(item.most.load(Relaxed)),
            CONTEXT => return Ok(item.context.load(Relaxed)),
            _ => {
                match cmd {
                    REPEAT => item.repeat.store(value, Relaxed),
                    HOLD => item.hold.store(value, Relaxed),
                    RELEASE => self.shared.release.complete(),
                    NAP => item.nap.store(value, Relaxed),
                    _ => return Err(ENOTTY),
                }
                true
            }
        };
        Ok(done.into())
    }

    fn hang_up(&self) {
        self.shared.release.complete_all();
    }
}

#[pin_data]
struct Workqueues {
    #[pin]
    entry: procfs::Entry<Control>,
}

impl kernel::InPlaceModule for Workqueues {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            entry <- procfs::Entry::new(c"workqueues", mode!(0o600), Control::new()?),
        })
    }
}
