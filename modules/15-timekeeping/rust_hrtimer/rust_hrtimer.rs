// SPDX-License-Identifier: GPL-2.0-only

//! A timer of high resolution that goes off again and again.
//!
//! Write-up: irq, softirq, tasklet, workqueue and kernel thread

use kernel::{
    impl_has_hr_timer,
    prelude::*,
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
    context::Context,
    OnDrop, //
};

module! {
    type: RustHrTimer,
    name: "rust_hrtimer",
    authors: ["lkmpg-rs"],
    description: "Rust timer sample",
    license: "GPL",
}

lkm::params! {
    interval_ms: u32 { default: 100, mode: 0o444, description: "From tick to tick, in milliseconds" },
    ticks: u32 { default: 5, mode: 0o444, description: "How many ticks; 0 for no end" },
}

#[pin_data]
struct Clock {
    #[pin]
    timer: HrTimer<Self>,
    count: Atomic<u32>,
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Clock {
        mode: RelativeMode<Monotonic>, field: self.timer
    }
}

fn interval() -> Delta {
    Delta::from_millis(interval_ms.get().into())
}

impl HrTimerCallback for Clock {
    type Pointer<'a> = Arc<Self>;

    /// In hardirq context: it must not sleep, and is to be short.
    fn run(
        clock: ArcBorrow<'_, Self>,
        mut timer: HrTimerCallbackContext<'_, Self>,
    ) -> HrTimerRestart {
        let tick = clock.count.fetch_add(1, Relaxed).wrapping_add(1);
        pr_info!("tick {tick} in {} context\n", Context::current());
        if tick == ticks.get() {
            return HrTimerRestart::NoRestart;
        }
        // From when it was to go off, not from now: so it does not get late.
        timer.forward_now(interval());
        HrTimerRestart::Restart
    }
}

struct RustHrTimer {
    // Dropping it stops the timer, and waits for a tick that is under way.
    _started: ArcHrTimerHandle<Clock>,
    // Dropped last.
    _exit: OnDrop,
}

impl kernel::Module for RustHrTimer {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        if interval_ms.get() == 0 {
            return Err(EINVAL);
        }
        let clock = Arc::pin_init(
            pin_init!(Clock {
                timer <- HrTimer::new(),
                count: Atomic::new(0),
            }),
            GFP_KERNEL,
        )?;
        Ok(Self {
            _started: clock.start(interval()),
            _exit: OnDrop(|| pr_info!("Rust timer sample (exit)\n")),
        })
    }
}
