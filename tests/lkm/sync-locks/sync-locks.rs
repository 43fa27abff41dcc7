// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the locks of `lkm::sync`, taken by processes and by a timer that
//! interrupts them.

use core::cell::Cell;
use kernel::{
    impl_has_hr_timer,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        ArcBorrow, //
    },
    time::{
        hrtimer::{
            ArcHrTimerHandle,
            HrTimer,
            HrTimerCallback,
            HrTimerCallbackContext,
            HrTimerPointer,
            HrTimerRestart,
            RelativeMode, //
        },
        Delta,
        Monotonic, //
    },
};
use lkm::{
    file::{
        mode,
        Offset,
        Opened,
        Operations,
        Writer, //
    },
    procfs,
    sync::{
        new_irq_rwlock,
        new_irq_spinlock,
        IrqRwLock,
        IrqRwLockReadGuard,
        IrqRwLockWriteGuard,
        IrqSpinLock,
        IrqSpinLockGuard, //
    },
    time::udelay, //
};

module! {
    type: SyncLocks,
    name: "sync-locks",
    authors: ["lkmpg-rs"],
    description: "Test only: the locks of lkm::sync",
    license: "GPL",
}

/// How often the timer interrupts.
const PERIOD: Delta = Delta::from_millis(1);

/// How often a process takes each lock when it reads the file.
const ROUNDS: u32 = 20;

/// A guard must be dropped by the thread that locked: this does not compile
/// when one is `Send`.
const _: fn() = {
    trait NotSend<Marker> {
        fn ambiguous_if_send() {}
    }
    impl<T> NotSend<()> for T {}
    struct Sent;
    impl<T: Send> NotSend<Sent> for T {}
    || {
        <IrqSpinLockGuard<'static, u32> as NotSend<_>>::ambiguous_if_send();
        <IrqRwLockReadGuard<'static, u32> as NotSend<_>>::ambiguous_if_send();
        <IrqRwLockWriteGuard<'static, u32> as NotSend<_>>::ambiguous_if_send();
    }
};

/// Readers share the data: this does not compile when a lock whose data cannot
/// be shared is `Sync`.
const _: fn() = {
    trait NotSync<Marker> {
        fn ambiguous_if_sync() {}
    }
    impl<T> NotSync<()> for T {}
    struct Shared;
    impl<T: Sync> NotSync<Shared> for T {}
    <IrqRwLock<Cell<u32>> as NotSync<_>>::ambiguous_if_sync
};

/// What the locks protect, and how often they were taken for it.
#[pin_data]
struct Shared {
    #[pin]
    timer: HrTimer<Self>,
    #[pin]
    count: IrqSpinLock<u64>,
    // Their sum is 0 whenever nobody writes.
    #[pin]
    pair: IrqRwLock<(i64, i64)>,
    process_counts: Atomic<u64>,
    timer_counts: Atomic<u64>,
    writes: Atomic<u64>,
    torn: Atomic<u64>,
}

impl Shared {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            timer <- HrTimer::new(),
            count <- new_irq_spinlock!(0, "count"),
            pair <- new_irq_rwlock!((0, 0), "pair"),
            process_counts: Atomic::new(0),
            timer_counts: Atomic::new(0),
            writes: Atomic::new(0),
            torn: Atomic::new(0),
        })
    }

    /// Counts in two steps, so that others who do at the same time get lost.
    fn count(&self) {
        let mut guard = self.count.lock();
        let count = *guard;
        udelay(Delta::from_micros(10));
        *guard = count + 1;
    }

    fn write_pair(&self) {
        let mut pair = self.pair.write();
        pair.0 += 1;
        udelay(Delta::from_micros(10));
        pair.1 -= 1;
        drop(pair);
        self.writes.add(1, Relaxed);
    }

    fn read_pair(&self) {
        let pair = self.pair.read();
        let first = pair.0;
        udelay(Delta::from_micros(10));
        if first + pair.1 != 0 {
            self.torn.add(1, Relaxed);
        }
    }
}

impl HrTimerCallback for Shared {
    type Pointer<'a> = Arc<Self>;

    fn run(
        this: ArcBorrow<'_, Self>,
        mut context: HrTimerCallbackContext<'_, Self>,
    ) -> HrTimerRestart {
        this.count();
        let counts = this.timer_counts.fetch_add(1, Relaxed);
        this.read_pair();
        if counts % 4 == 0 {
            this.write_pair();
        }
        context.forward_now(PERIOD);
        HrTimerRestart::Restart
    }
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Shared {
        mode: RelativeMode<Monotonic>, field: self.timer
    }
}

/// `/proc/sync-locks`: reading its beginning takes the locks, and tells.
struct Hammer(Arc<Shared>);

#[vtable]
impl Operations for Hammer {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        if *pos != 0 {
            return Ok(0);
        }
        let shared = &self.0;
        for round in 0..ROUNDS {
            shared.count();
            shared.process_counts.add(1, Relaxed);
            shared.read_pair();
            if round % 4 == 0 {
                shared.write_pair();
            }
        }
        let text = CString::try_from_fmt(fmt!(
            "process {} timer {} writes {} torn {}\n",
            shared.process_counts.load(Relaxed),
            shared.timer_counts.load(Relaxed),
            shared.writes.load(Relaxed),
            shared.torn.load(Relaxed)
        ))?;
        dst.write_slice_file(text.to_bytes(), pos)
    }
}

#[pin_data(PinnedDrop)]
struct SyncLocks {
    #[pin]
    entry: procfs::Entry<Hammer>,
    timer: Option<ArcHrTimerHandle<Shared>>,
    shared: Arc<Shared>,
}

impl kernel::InPlaceModule for SyncLocks {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            shared: Arc::pin_init(Shared::new(), GFP_KERNEL)?,
            _: { locks_and_unlocks(shared) },
            timer: Some(shared.clone().start(PERIOD)),
            entry <- procfs::Entry::new(c"sync-locks", mode!(0o444), Hammer(shared.clone())),
        })
    }
}

fn locks_and_unlocks(shared: &Shared) {
    let guard = shared.count.lock();
    if shared.count.try_lock().is_some() {
        pr_err!("a spinlock is locked twice\n");
    }
    drop(guard);
    if shared.count.try_lock().is_none() {
        pr_err!("a spinlock is not unlocked\n");
    }
    // The later guard is dropped first.
    let (outer, inner) = (shared.count.lock(), shared.pair.write());
    drop(inner);
    drop(outer);
}

#[pinned_drop]
impl PinnedDrop for SyncLocks {
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        // Waits for a callback that runs; there is none after this.
        *this.timer = None;

        let shared = this.shared;
        let counts = shared.process_counts.load(Relaxed) + shared.timer_counts.load(Relaxed);
        let (up, down) = *shared.pair.read();
        pr_info!("counts {counts} of {}\n", *shared.count.lock());
        pr_info!(
            "writes {} of {up} and {down}, torn {}\n",
            shared.writes.load(Relaxed),
            shared.torn.load(Relaxed)
        );
    }
}
