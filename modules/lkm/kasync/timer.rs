// SPDX-License-Identifier: GPL-2.0-only

//! Waiting for a time to pass.
//!
//! C header: [`include/linux/hrtimer.h`](srctree/include/linux/hrtimer.h)
//!
//! The `kernel` crate's [`hrtimer`](kernel::time::hrtimer) starts a timer
//! safely if a box or an `Arc` holds it, or for as long as a closure runs. A
//! future is part of the task that polls it, and waits between two polls. So
//! this module uses the C timer.

use crate::bindings;
use core::{
    cell::{
        Cell,
        UnsafeCell, //
    },
    future::Future,
    marker::PhantomPinned,
    pin::Pin,
    task::{
        Context,
        Poll,
        Waker, //
    },
    time::Duration,
};
use kernel::{
    sync::atomic::{
        Acquire,
        Atomic,
        Release, //
    },
    time,
    types::Opaque, //
};

/// Timers expire at an absolute time, and their function runs in softirq context.
const MODE: bindings::hrtimer_mode = bindings::hrtimer_mode_HRTIMER_MODE_ABS_SOFT;

/// Waits for `duration`, counted from this call, and never for less. The time
/// while the system is suspended does not count. A `duration` of 292 years or
/// more never ends. Can be called in any context except NMI.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use core::time::Duration;
/// use lkm::kasync::sleep;
///
/// async fn blink() {
///     loop {
///         pr_info!("on\n");
///         sleep(Duration::from_millis(100)).await;
///         pr_info!("off\n");
///         sleep(Duration::from_millis(900)).await;
///     }
/// }
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    // SAFETY: This can be called in any context except NMI.
    let now = unsafe { bindings::ktime_get() };
    Sleep {
        timer: Opaque::uninit(),
        waker: UnsafeCell::new(None),
        over: Atomic::new(duration.is_zero()),
        end: now.saturating_add(nanoseconds(duration)),
        armed: Cell::new(false),
        _pin: PhantomPinned,
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let nanoseconds = seconds.saturating_mul(time::NSEC_PER_SEC);
    nanoseconds.saturating_add(duration.subsec_nanos().into())
}

/// The future that [`sleep`] returns.
///
/// # Unloading
///
/// *Unregister waits*: dropping the future stops the timer and waits until its
/// function is not running.
///
/// # Invariants
///
/// While `armed`, `timer` is initialised with the function `Self::expired`, this
/// value is pinned, and `waker` only changes while the timer is stopped.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    timer: Opaque<bindings::hrtimer>,
    waker: UnsafeCell<Option<Waker>>,
    /// Whether the time is over.
    over: Atomic<bool>,
    end: bindings::ktime_t,
    armed: Cell<bool>,
    _pin: PhantomPinned,
}

assert_pinned!(Sleep);

// SAFETY: A timer may be set and stopped in any thread.
unsafe impl Send for Sleep {}

impl Sleep {
    /// # Safety
    ///
    /// `timer` is the field of a `Self` that is not dropped during the call.
    unsafe extern "C" fn expired(timer: *mut bindings::hrtimer) -> bindings::hrtimer_restart {
        // SAFETY: By this function's contract.
        let this = unsafe { &*kernel::container_of!(Opaque::cast_from(timer), Self, timer) };
        this.over.store(true, Release);
        // SAFETY: By the type invariants the waker does not change now: the timer
        // is not stopped while its function runs.
        if let Some(waker) = unsafe { &*this.waker.get() } {
            waker.wake_by_ref();
        }
        bindings::hrtimer_restart_HRTIMER_NORESTART
    }

    /// Starts the timer, which wakes `waker` when the time is over.
    fn arm(self: Pin<&Self>, waker: &Waker) {
        if self.armed.get() {
            // SAFETY: Only this function writes to the waker, and only one thread
            // at a time polls.
            let old = unsafe { &*self.waker.get() };
            if old.as_ref().is_some_and(|old| old.will_wake(waker)) {
                return;
            }
            // SAFETY: By the type invariants, and this is not the timer's
            // function.
            unsafe { bindings::hrtimer_cancel(self.timer.get()) };
        } else {
            // SAFETY: The timer is pinned, and nothing uses it yet.
            // Unload rule, unregister waits: see `drop`.
            unsafe {
                bindings::hrtimer_setup(
                    self.timer.get(),
                    Some(Self::expired),
                    bindings::CLOCK_MONOTONIC as bindings::clockid_t,
                    MODE,
                )
            };
        }
        // INVARIANT: The timer is initialised, and `self` is pinned.
        self.armed.set(true);
        // SAFETY: The timer is stopped, so its function does not use the waker.
        unsafe { *self.waker.get() = Some(waker.clone()) };
        // SAFETY: By the type invariants.
        unsafe { bindings::hrtimer_start_range_ns(self.timer.get(), self.end, 0, MODE) };
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.as_ref();
        if !this.over.load(Acquire) {
            this.arm(context.waker());
        }
        // The timer may have run before it was stopped for another waker.
        match this.over.load(Acquire) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if self.armed.get() {
            // SAFETY: By the type invariants, and this is not the timer's
            // function.
            // Unload rule, unregister waits: when this returns, the function has
            // returned and is not called again.
            unsafe { bindings::hrtimer_cancel(self.timer.get()) };
        }
    }
}
