// SPDX-License-Identifier: GPL-2.0-only

//! Three ways to have a function called later, side by side: a timer that counts ticks, one
//! of high resolution, and work with a delay. /proc/rust_timer says how late each is.
//!
//! Book: 15 Timekeeping and Deferred Execution

use kernel::{
    impl_has_hr_timer,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
    time::{
        hrtimer::{
            AbsoluteMode,
            ArcHrTimerHandle,
            HrTimer,
            HrTimerCallback,
            HrTimerCallbackContext,
            HrTimerPointer,
            HrTimerRestart, //
        },
        Delta,
        Monotonic, //
    },
};
use lkm::{
    file::mode,
    procfs,
    seq_file::Seq,
    timer::{
        self,
        new_timer,
        Restart,
        Timer, //
    },
    workqueue::{
        new_work,
        SystemQueue,
        Work,
        WorkItem, //
    },
};

mod watch;

use watch::{
    Lines,
    Watch, //
};

module! {
    type: RustTimer,
    name: "rust_timer",
    authors: ["lkmpg-rs"],
    description: "Timers and delayed work side by side",
    license: "GPL",
}

lkm::params! {
    interval_ms: u32 { default: 20, mode: 0o444, description: "From one time to the next, in milliseconds" },
}

fn interval() -> Delta {
    Delta::from_millis(interval_ms.get().into())
}

/// Counts ticks. It runs in softirq context.
struct Coarse(Arc<Watch>);

impl timer::Handler for Coarse {
    fn run(&self) -> Restart {
        self.0.came();
        self.0.expect();
        Restart::After(interval())
    }
}

/// Has the clock's resolution. It runs in hardirq context.
#[pin_data]
struct Fine {
    #[pin]
    timer: HrTimer<Self>,
    watch: Arc<Watch>,
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Fine {
        mode: AbsoluteMode<Monotonic>, field: self.timer
    }
}

impl HrTimerCallback for Fine {
    type Pointer<'a> = Arc<Self>;

    fn run(
        fine: ArcBorrow<'_, Self>,
        mut timer: HrTimerCallbackContext<'_, Self>,
    ) -> HrTimerRestart {
        fine.watch.came();
        // From when it was to go off, leaving out what is over.
        let intervals = timer.forward_now(interval());
        fine.watch.postpone(interval() * intervals as i64);
        HrTimerRestart::Restart
    }
}

/// A timer that counts ticks, and then a thread of the kernel. It may sleep.
struct Thread(Arc<Watch>);

impl WorkItem for Thread {
    fn run(work: &Work<Self>) {
        work.0.came();
        work.0.expect();
        work.enqueue_delayed(interval());
    }
}

struct RustTimer {
    // Each of them is stopped, and waited for, when it is dropped.
    _coarse: Timer<Coarse>,
    _fine: ArcHrTimerHandle<Fine>,
    _thread: Work<Thread>,
    _lines: procfs::Entry<Seq<Lines>>,
}

impl kernel::Module for RustTimer {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        if interval_ms.get() == 0 {
            return Err(EINVAL);
        }
        let (coarse, fine, thread) = (Watch::new()?, Watch::new()?, Watch::new()?);
        let lines = Lines([
            ("timer_list", coarse.clone()),
            ("hrtimer", fine.clone()),
            ("delayed work", thread.clone()),
        ]);
        let lines = procfs::Entry::new(c"rust_timer", mode!(0o444), Seq::new(lines))?;

        coarse.expect();
        let coarse = new_timer!(Coarse(coarse))?;
        coarse.start(interval());

        thread.expect();
        let thread = new_work!(SystemQueue::Dfl, Thread(thread))?;
        thread.enqueue_delayed(interval());

        let watch = fine.clone();
        let exact = Arc::pin_init(
            pin_init!(Fine {
                timer <- HrTimer::new(),
                watch,
            }),
            GFP_KERNEL,
        )?;
        // An instant, not an interval: nothing is lost if we are interrupted here.
        let due = fine.expect();
        Ok(Self {
            _coarse: coarse,
            _fine: exact.start(due),
            _thread: thread,
            _lines: lines,
        })
    }
}
