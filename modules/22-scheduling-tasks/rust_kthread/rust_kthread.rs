// SPDX-License-Identifier: GPL-2.0-only

//! A kernel thread on each CPU, which counts until it is asked to stop, or to
//! park: /sys/kernel/rust_kthread/parked.
//!
//! Write-up: kernel thread

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
    time::Delta, //
};
use lkm::{
    context::CurrentName,
    file::mode,
    kthread::{
        online_cpus,
        KThread,
        ThisThread, //
    },
    sysfs::{
        self,
        Page, //
    },
};

module! {
    type: RustKThread,
    name: "rust_kthread",
    authors: ["lkmpg-rs"],
    description: "Rust kernel thread sample: /sys/kernel/rust_kthread",
    license: "GPL",
}

static ATTRIBUTES: [sysfs::Attribute<Threads>; 2] = [
    sysfs::Attribute::read_only(c"counts", mode!(0o444), Threads::show_counts),
    sysfs::Attribute::read_write(c"parked", mode!(0o644), Threads::show_parked, Threads::park),
];

/// What each thread does.
fn work(this: &ThisThread, count: &Atomic<u64>) -> Result {
    pr_info!(
        "{CurrentName} begins on CPU {}\n",
        CpuId::current().as_u32()
    );
    while !this.should_stop() {
        this.park_if_asked();
        count.fetch_add(1, Relaxed);
        this.sleep(Delta::from_millis(10));
    }
    pr_info!("{CurrentName} stops\n");
    Ok(())
}

struct Counter {
    thread: KThread,
    count: Arc<Atomic<u64>>,
}

#[pin_data]
struct Threads {
    counters: KVec<Counter>,
    #[pin]
    parked: Mutex<bool>,
}

impl Threads {
    fn new() -> Result<impl PinInit<Self>> {
        let mut counters = KVec::new();
        for cpu in online_cpus() {
            let count = Arc::new(Atomic::new(0), GFP_KERNEL)?;
            let counted = count.clone();
            let thread = KThread::spawn_on(cpu, c"rust_kthread", move |this| work(this, &counted))?;
            counters.push(Counter { thread, count }, GFP_KERNEL)?;
        }
        Ok(pin_init!(Self {
            counters,
            parked <- new_mutex!(false),
        }))
    }

    fn show_counts(&self, page: &mut Page<'_>) -> Result {
        for counter in &self.counters {
            writeln!(page, "{}", counter.count.load(Relaxed))?;
        }
        Ok(())
    }

    fn show_parked(&self, page: &mut Page<'_>) -> Result {
        writeln!(page, "{}", u8::from(*self.parked.lock()))
    }

    fn park(&self, text: &[u8]) -> Result {
        let wanted = match sysfs::parse(text)? {
            0 => false,
            1 => true,
            _ => return Err(EINVAL),
        };
        let mut parked = self.parked.lock();
        if *parked != wanted {
            for Counter { thread, .. } in &self.counters {
                let moved = if wanted {
                    thread.park()
                } else {
                    thread.unpark()
                };
                // A signal ends the wait for a thread.
                if let Err(error) = moved {
                    for Counter { thread, .. } in &self.counters {
                        let _ = thread.unpark();
                    }
                    return Err(error);
                }
            }
            *parked = wanted;
        }
        Ok(())
    }
}

struct RustKThread {
    _directory: sysfs::Dir<Threads>,
}

impl kernel::Module for RustKThread {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _directory: sysfs::Dir::new(c"rust_kthread", &ATTRIBUTES, Threads::new()?)?,
        })
    }
}
