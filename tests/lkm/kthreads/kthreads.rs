// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the threads of `lkm::kthread`.

use kernel::{
    cpu::CpuId,
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
    kthread::{
        online_cpus,
        Group,
        KThread,
        ThisThread, //
    },
    procfs,
    sync::{
        new_wait_queue,
        Completion,
        WaitQueue, //
    },
};

mod commands;

use commands::*;

module! {
    type: KThreads,
    name: "kthreads",
    authors: ["lkmpg-rs"],
    description: "Test only: the threads of lkm::kthread",
    license: "GPL",
}

/// Memory of a closure's, which is counted.
struct Owned {
    memory: KVec<u8>,
    count: Arc<Atomic<u32>>,
}

impl Owned {
    fn new(count: &Arc<Atomic<u32>>) -> Result<Self> {
        let memory = KVec::from_elem(0, SIZE, GFP_KERNEL)?;
        count.fetch_add(1, Relaxed);
        Ok(Self {
            memory,
            count: count.clone(),
        })
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.count.fetch_add(u32::MAX, Relaxed);
    }
}

/// What a thread returns.
type Output = Option<Owned>;

/// How much memory that is.
fn size(output: Output) -> u32 {
    output.map_or(0, |owned| owned.memory.len() as u32)
}

#[pin_data]
struct Shared {
    runs: Atomic<u32>,
    /// How many of those that stop together are to stop.
    to_stop: Atomic<u32>,
    #[pin]
    queue: WaitQueue,
    #[pin]
    event: Completion,
}

impl Shared {
    fn run(&self, this: &ThisThread, what: usize) -> Result {
        self.runs.fetch_add(1, Relaxed);
        match what {
            RETURN => {}
            FAIL => return Err(ENOSPC),
            SLEEP => this.sleep_until_stop(),
            GO_ROUND => {
                while !this.should_stop() {
                    this.park_if_asked();
                    self.runs.fetch_add(1, Relaxed);
                    this.sleep(Delta::from_millis(1));
                }
            }
            WAIT => {
                for _ in 0..2 {
                    // Not ERESTARTSYS, which would be user space's.
                    self.event.wait_interruptible().map_err(|_| EPIPE)?;
                    self.runs.fetch_add(1, Relaxed);
                }
            }
            TAKE_TIME => {
                fsleep(Delta::from_millis(50));
                self.runs.fetch_add(1, Relaxed);
            }
            SLEEP_LONG => {
                this.sleep(Delta::from_millis(3_600_000));
                if !this.should_stop() {
                    return Err(ETIMEDOUT);
                }
            }
            STOP_TOGETHER => {
                this.sleep_until_stop();
                self.to_stop.fetch_add(1, Relaxed);
                // Not for ever.
                for _ in 0..30_000 {
                    if self.to_stop.load(Relaxed) == TOGETHER {
                        self.runs.fetch_add(1, Relaxed);
                        break;
                    }
                    fsleep(Delta::from_millis(1));
                }
            }
            WAIT_IN_QUEUE => {
                while !this.should_stop() {
                    let in_vain = || {
                        self.runs.fetch_add(1, Relaxed);
                        None::<()>
                    };
                    let timeout = Delta::from_millis(500);
                    let _ = self.queue.wait_interruptible_timeout(timeout, in_vain);
                    this.park_if_asked();
                }
            }
            _ => return Err(EINVAL),
        }
        Ok(())
    }
}

#[pin_data]
struct Control {
    #[pin]
    thread: Mutex<Option<KThread<Output>>>,
    #[pin]
    group: Mutex<Group>,
    shared: Arc<Shared>,
    owned: Arc<Atomic<u32>>,
}

impl Control {
    fn closure(&self, what: usize) -> Result<impl FnOnce(&ThisThread) -> Result<Output> + Send> {
        let shared = self.shared.clone();
        let owned = Owned::new(&self.owned)?;
        Ok(move |this: &ThisThread| -> Result<Output> {
            shared.run(this, what & !KEEP)?;
            Ok((what & KEEP != 0).then_some(owned))
        })
    }

    fn spawn(&self, cpu: Option<CpuId>, what: usize) -> Result<KThread<Output>> {
        let closure = self.closure(what)?;
        match cpu {
            None => KThread::spawn(c"lkm_thread", closure),
            Some(cpu) => KThread::spawn_on(cpu, c"lkm_thread", closure),
        }
    }

    fn put(&self, thread: KThread<Output>) {
        let last = self.thread.lock().replace(thread);
        drop(last);
    }

    fn take(&self) -> Result<KThread<Output>> {
        self.thread.lock().take().ok_or(ENOENT)
    }
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let arg = arg.number();
        match cmd {
            SPAWN => self.put(self.spawn(None, arg)?),
            SPAWN_ON => {
                let cpu = CpuId::from_u32((arg >> 32) as u32).ok_or(EDOM)?;
                self.put(self.spawn(Some(cpu), arg as u32 as usize)?);
            }
            STOP => return self.take()?.stop().map(size),
            JOIN => return self.take()?.join().map(size),
            DROP => drop(self.take()?),
            PARK => self.thread.lock().as_ref().ok_or(ENOENT)?.park()?,
            UNPARK => self.thread.lock().as_ref().ok_or(ENOENT)?.unpark()?,
            IS_FINISHED => {
                let thread = self.thread.lock();
                return Ok(thread.as_ref().ok_or(ENOENT)?.is_finished().into());
            }
            RUNS => return Ok(self.shared.runs.load(Relaxed)),
            OWNED => return Ok(self.owned.load(Relaxed)),
            COMPLETE => self.shared.event.complete(),
            STOP_AT_ONCE => {
                let thread = self.spawn(Some(CpuId::current()), arg)?;
                return thread.stop().map(size);
            }
            CPUS => return Ok(online_cpus().count() as u32),
            JOIN_GROUP => {
                let closure = self.closure(arg)?;
                let closure = move |this: &ThisThread| closure(this).map(drop);
                self.group.lock().spawn(c"lkm_thread", closure)?;
            }
            DROP_GROUP => {
                let new = Group::new()?;
                drop(core::mem::replace(&mut *self.group.lock(), new));
            }
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

#[pin_data]
struct KThreads {
    #[pin]
    entry: procfs::Entry<Control>,
}

impl kernel::InPlaceModule for KThreads {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let control = try_pin_init!(Control {
            thread <- new_mutex!(None),
            group <- new_mutex!(Group::new()?),
            shared: Arc::pin_init(
                pin_init!(Shared {
                    runs: Atomic::new(0),
                    to_stop: Atomic::new(0),
                    queue <- new_wait_queue!(),
                    event <- Completion::new(),
                }),
                GFP_KERNEL,
            )?,
            owned: Arc::new(Atomic::new(0), GFP_KERNEL)?,
        }? Error);
        try_pin_init!(Self {
            entry <- procfs::Entry::new(c"kthreads", mode!(0o600), control),
        })
    }
}
