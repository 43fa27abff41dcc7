// SPDX-License-Identifier: GPL-2.0-only

//! Waiting for the time.

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

/// The time at which a timer ends is given as such, and its function runs in
/// softirq context.
const MODE: bindings::hrtimer_mode = bindings::hrtimer_mode_HRTIMER_MODE_ABS_SOFT;

/// Waits for `duration`, from now on; never too short. What is beyond three
/// hundred years is for ever.
///
/// # Examples
///
/// ```ignore
/// sleep(Duration::from_millis(100)).await;
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    // SAFETY: In any context.
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

/// What [`sleep`] returns.
///
/// # Unloading
///
/// *Unregister waits*: dropping it stops the timer and waits until that does not
/// run.
///
/// # Invariants
///
/// While `armed`, `timer` is initialised with the function `Self::expired`, this
/// is pinned, and `waker` is only changed when the timer was stopped.
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
    /// `timer` is that of a `Self` that is not dropped meanwhile.
    unsafe extern "C" fn expired(timer: *mut bindings::hrtimer) -> bindings::hrtimer_restart {
        // SAFETY: By the function's requirements.
        let this = unsafe { &*kernel::container_of!(Opaque::cast_from(timer), Self, timer) };
        this.over.store(true, Release);
        // SAFETY: Nobody changes it while the timer runs.
        if let Some(waker) = unsafe { &*this.waker.get() } {
            waker.wake_by_ref();
        }
        bindings::hrtimer_restart_HRTIMER_NORESTART
    }

    /// Has `waker` woken when the time is over.
    fn arm(self: Pin<&Self>, waker: &Waker) {
        if self.armed.get() {
            // SAFETY: Nobody writes to it but who polls.
            let old = unsafe { &*self.waker.get() };
            if old.as_ref().is_some_and(|old| old.will_wake(waker)) {
                return;
            }
            // SAFETY: By the type invariants, and this is not the timer's function.
            unsafe { bindings::hrtimer_cancel(self.timer.get()) };
        } else {
            // SAFETY: The timer is pinned and nobody uses it yet. For the function
            // unregister waits: see `drop`.
            unsafe {
                bindings::hrtimer_setup(
                    self.timer.get(),
                    Some(Self::expired),
                    bindings::CLOCK_MONOTONIC as bindings::clockid_t,
                    MODE,
                )
            };
        }
        // INVARIANT: It is initialised.
        self.armed.set(true);
        // SAFETY: The timer does not run.
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
            // SAFETY: By the type invariants, and this is not the timer's function.
            // Unregister waits: when this returns the function has returned, and
            // is not called again.
            unsafe { bindings::hrtimer_cancel(self.timer.get()) };
        }
    }
}
