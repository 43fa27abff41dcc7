// SPDX-License-Identifier: GPL-2.0-only

//! Waiting for a time to pass.
//!
//! C header: [`include/linux/hrtimer.h`](srctree/include/linux/hrtimer.h)
//!
//! The `kernel` crate's [`hrtimer`](kernel::time::hrtimer) starts a timer
//! safely if a box or an `Arc` holds it, or for as long as a closure runs. A
//! future is part of the task that polls it, and waits between two polls. So
//! each task has a timer, which wakes it for all its futures.

use super::executor::Head;
use crate::{
    bindings,
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
};
use core::{
    future::Future,
    marker::PhantomPinned,
    mem,
    pin::Pin,
    task::{
        Context,
        Poll,
        Waker, //
    },
};
use kernel::{
    prelude::*,
    time::Delta,
    types::Opaque, //
};

/// Timers expire at an absolute time, and their function runs in softirq context.
const MODE: bindings::hrtimer_mode = bindings::hrtimer_mode_HRTIMER_MODE_ABS_SOFT;

/// The time since boot, without that of suspends.
fn now() -> bindings::ktime_t {
    // SAFETY: This can be called in any context except NMI.
    unsafe { bindings::ktime_get() }
}

/// Waits for `time`, counted from this call, and never for less. The time while the
/// system is suspended does not count. The longest [`Delta`], of 292 years, never ends. Can
/// be called in any context except NMI.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use kernel::time::Delta;
/// use lkm::kasync::sleep;
///
/// async fn blink() {
///     loop {
///         pr_info!("on\n");
///         sleep(Delta::from_millis(100)).await;
///         pr_info!("off\n");
///         sleep(Delta::from_millis(900)).await;
///     }
/// }
/// ```
pub fn sleep(time: Delta) -> Sleep {
    Sleep {
        end: now().saturating_add(time.as_nanos().max(0)),
        waiting: None,
    }
}

/// The future that [`sleep`] returns.
///
/// It wakes tasks of an [`Executor`](super::Executor), and no other waker.
///
/// # Unloading
///
/// Nothing is registered: the timer is the task's, and ends with it.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    end: bindings::ktime_t,
    /// The waker of the task whose alarm has an entry for this, and its number.
    waiting: Option<(Waker, u64)>,
}

impl Sleep {
    /// Takes the entry out of the alarm.
    fn stop_waiting(&mut self) {
        if let Some((waker, number)) = self.waiting.take() {
            if let Some(task) = Head::of(&waker) {
                task.alarm.remove(number);
            }
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if now() >= self.end {
            self.stop_waiting();
            return Poll::Ready(());
        }
        let waker = context.waker();
        match &self.waiting {
            Some((old, _)) if old.will_wake(waker) => return Poll::Pending,
            _ => self.stop_waiting(),
        }
        if let Some(task) = Head::of(waker) {
            match task.alarm.add(self.end) {
                Ok(number) => self.waiting = Some((waker.clone(), number)),
                // Without memory the task asks again and again.
                Err(_) => waker.wake_by_ref(),
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.stop_waiting();
    }
}

/// The timer of a task.
///
/// # Invariants
///
/// - `timer` is initialised with the function `Self::expired`. It is only started with
///   the lock of `times`.
/// - This is the field of a `Head`.
#[pin_data]
pub(super) struct Alarm {
    #[pin]
    timer: Opaque<bindings::hrtimer>,
    #[pin]
    times: IrqSpinLock<Times>,
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Alarm);

// SAFETY: A timer may be set and stopped in any thread.
unsafe impl Send for Alarm {}

// SAFETY: As above.
unsafe impl Sync for Alarm {}

/// When to wake the task.
struct Times {
    /// Times with a number for each.
    entries: KVec<(u64, bindings::ktime_t)>,
    next_number: u64,
    /// Whether the task is over: the timer is not started any more.
    over: bool,
}

impl Times {
    fn first(&self) -> Option<bindings::ktime_t> {
        self.entries.iter().map(|(_, end)| *end).min()
    }
}

impl Alarm {
    pub(super) fn new() -> impl PinInit<Self> {
        // INVARIANT: The timer is initialised here.
        pin_init!(Self {
            // SAFETY: `slot` can be written to.
            // Unload rule, unregister waits: see `end`.
            timer <- Opaque::ffi_init(|slot| unsafe {
                bindings::hrtimer_setup(
                    slot,
                    Some(Self::expired),
                    bindings::CLOCK_MONOTONIC as bindings::clockid_t,
                    MODE,
                )
            }),
            times <- new_irq_spinlock!(Times {
                entries: KVec::new(),
                next_number: 0,
                over: false,
            }, "Alarm::times"),
            _pin: PhantomPinned,
        })
    }

    /// Has the task woken at `end`. Returns the number of the entry. Can be called in
    /// any context except NMI.
    fn add(&self, end: bindings::ktime_t) -> Result<u64> {
        let mut times = self.times.lock();
        let number = times.next_number;
        if times.over {
            return Ok(number);
        }
        let is_first = times.first().is_none_or(|first| end < first);
        times.entries.push((number, end), GFP_ATOMIC)?;
        times.next_number += 1;
        if is_first {
            self.start(end);
        }
        Ok(number)
    }

    /// Takes the entry with this number out. The timer may wake the task for it all
    /// the same.
    fn remove(&self, number: u64) {
        let mut times = self.times.lock();
        if let Some(place) = times.entries.iter().position(|(it, _)| *it == number) {
            let _ = times.entries.remove(place);
        }
    }

    /// Starts the timer anew. The caller has the lock.
    fn start(&self, end: bindings::ktime_t) {
        // SAFETY: By the type invariants. This may be called in the timer's function.
        // Unload rule, unregister waits: see `end`.
        unsafe { bindings::hrtimer_start_range_ns(self.timer.get(), end, 0, MODE) };
    }

    /// Stops the timer for good. Waits until its function is not running.
    pub(super) fn end(&self) {
        let mut times = self.times.lock();
        times.over = true;
        let entries = mem::take(&mut times.entries);
        drop(times);
        drop(entries);
        // SAFETY: By the type invariants, and this is not the timer's function.
        // Unload rule, unregister waits: when this returns, the function has returned.
        // It is not called again, as nothing starts the timer.
        unsafe { bindings::hrtimer_cancel(self.timer.get()) };
    }

    /// # Safety
    ///
    /// `timer` is the field of the `Alarm` of a `Head`, which is not freed during the
    /// call.
    unsafe extern "C" fn expired(timer: *mut bindings::hrtimer) -> bindings::hrtimer_restart {
        // SAFETY: By this function's contract.
        let task = unsafe {
            let alarm = kernel::container_of!(Opaque::cast_from(timer), Self, timer);
            &*kernel::container_of!(alarm.cast_mut(), Head, alarm)
        };
        let now = now();
        let mut times = task.alarm.times.lock();
        let before = times.entries.len();
        times.entries.retain(|(_, end)| *end > now);
        let is_over = times.entries.len() < before;
        if let Some(first) = times.first() {
            task.alarm.start(first);
        }
        drop(times);
        if is_over {
            task.enqueue();
        }
        bindings::hrtimer_restart_HRTIMER_NORESTART
    }
}
