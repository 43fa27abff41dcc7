// SPDX-License-Identifier: GPL-2.0-only

//! Timers that count ticks: functions that run when some time is over, in softirq context.
//!
//! C header: [`include/linux/timer.h`](srctree/include/linux/timer.h)
//!
//! Reference: <https://docs.kernel.org/timers/index.html>
//!
//! Such a timer is C's `struct timer_list`. It is cheap, and rough: it goes off at a tick,
//! some ticks late if the time is long. Most of them are for timeouts that never happen. For
//! exact times there are timers of high resolution, in the `kernel` crate's
//! [`hrtimer`](kernel::time::hrtimer), and for work that sleeps there are items with a
//! [delay](crate::workqueue::Work::enqueue_delayed).
//!
//! The `kernel` crate has no `timer_list`.

use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    compat::lock_class,
    time::jiffies, //
};
use core::{
    ffi::CStr,
    marker::PhantomPinned,
    ops::Deref, //
};
use kernel::{
    prelude::*,
    sync::LockClassKey,
    time::Delta,
    types::Opaque, //
};

/// When a timer goes off next, after it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// When somebody starts it.
    No,
    /// When this time is over, from now on.
    After(Delta),
    /// When this time is over, from when it was to go off. So it does not get later and
    /// later. What is over already is left out. The time is taken as a number of ticks,
    /// rounded up, and at least one. If somebody has started the timer since it went off, it
    /// is over about this time from now on.
    Every(Delta),
}

/// What a timer does.
pub trait Handler: Send + Sync + 'static {
    /// Runs when the time is over, but never twice at the same time. What it returns counts
    /// more than a [`start`](Timer::start) meanwhile, and than a [`cancel`](Timer::cancel).
    ///
    /// Runs in softirq context: it must not sleep, and processes on this CPU wait for it.
    fn run(&self) -> Restart;
}

/// Creates a [`Timer`](crate::timer::Timer) with a lock class of its own:
/// `new_timer!(HANDLER)?` or `new_timer!(HANDLER, NAME)?`. May sleep.
///
/// HANDLER is a value or an initialiser. Lock debugging shows NAME, a string literal, or
/// else file and line.
///
/// # Errors
///
/// - `ENOMEM`: no memory;
/// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
/// - the error of HANDLER.
#[macro_export]
macro_rules! new_timer {
    ($handler:expr $(, $name:literal)? $(,)?) => {
        $crate::timer::Timer::new(
            $handler,
            ::kernel::optional_name!($($name)?),
            ::kernel::static_lock_class!(),
        )
    };
}
pub use crate::new_timer;

/// A timer. It dereferences to its handler.
///
/// # Unloading
///
/// *Unregister waits*: dropping the timer stops it, and waits until its handler does not
/// run. That may sleep. From then on it cannot be started. In softirq context, as in the
/// handler itself, dropping it does not wait: what is left of it is stopped and freed later.
///
/// # Examples
///
/// ```
/// use kernel::{
///     prelude::*,
///     sync::atomic::{Atomic, Relaxed},
///     time::Delta,
/// };
/// use lkm::timer::{new_timer, Handler, Restart};
///
/// struct Ticks(Atomic<u32>);
///
/// impl Handler for Ticks {
///     fn run(&self) -> Restart {
///         self.0.fetch_add(1, Relaxed);
///         Restart::Every(Delta::from_millis(100))
///     }
/// }
///
/// let timer = new_timer!(Ticks(Atomic::new(0)))?;
/// timer.start(Delta::from_millis(100));
/// # Ok::<(), Error>(())
/// ```
pub struct Timer<T: Handler>(Alive<Inner<T>>);

/// # Invariants
///
/// `timer` is initialised, and its function is `Self::run`.
#[pin_data]
struct Inner<T> {
    #[pin]
    timer: Opaque<bindings::timer_list>,
    #[pin]
    handler: T,
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Inner<T> where T);

// SAFETY: A timer may be started and dropped in any thread, and `T` is `Send`.
unsafe impl<T: Handler> Send for Inner<T> {}

// SAFETY: Timers have locks of their own, and `T` is `Sync`.
unsafe impl<T: Handler> Sync for Inner<T> {}

// SAFETY: When `stop` has returned, the function has returned, and the timer is not set. To
// set it does nothing.
unsafe impl<T: Handler> Stop for Inner<T> {
    const NAME: &'static CStr = c"timers";

    fn stop(&self) {
        // SAFETY: By the type invariants, and this may sleep.
        unsafe { bindings::timer_shutdown_sync(self.timer.get()) };
    }
}

impl<T: Handler> Timer<T> {
    /// For [`new_timer!`](macro@crate::new_timer), which supplies `name` and `class`. May
    /// sleep.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: no memory;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `handler`.
    pub fn new<E>(
        handler: impl PinInit<T, E>,
        name: &'static kernel::str::CStr,
        class: Pin<&'static LockClassKey>,
    ) -> Result<Self>
    where
        Error: From<E>,
    {
        // INVARIANT: The timer is initialised here.
        let inner = try_pin_init!(Inner {
            // SAFETY: `slot` can be written to; name and key are static.
            // Unload rule, unregister waits: see `stop`.
            timer <- Opaque::ffi_init(|slot: *mut bindings::timer_list| unsafe {
                bindings::timer_init_key(
                    slot,
                    Some(Inner::<T>::run),
                    0,
                    // CAST: The kernel's `char` has no sign.
                    name.to_bytes_with_nul().as_ptr().cast(),
                    lock_class(class),
                )
            }),
            handler <- handler,
            _pin: PhantomPinned,
        }? Error);
        Ok(Self(Alive::new(inner, |_| Ok(()))?))
    }

    /// Starts the timer: it goes off when `delay` is over, on any CPU. A time for which it
    /// was started before no longer counts. Returns whether there was one. This is C's
    /// `mod_timer()`.
    ///
    /// Does nothing when the timer is being dropped. The kernel's timers hold 12 days or
    /// more, which depends on `CONFIG_HZ`. A longer delay ends when that time is over. Can be
    /// called in any context except NMI.
    pub fn start(&self, delay: Delta) -> bool {
        // SAFETY: By the type invariants.
        // Unload rule, unregister waits: `stop` ends it.
        unsafe { bindings::lkm_timer_modify(self.0.timer.get(), jiffies(delay) as c_ulong) }
    }

    /// Takes back what [`start`](Self::start) does. Returns whether the timer was to go off.
    /// A handler that runs goes on, and what it returns may start the timer again. Can be
    /// called in any context except NMI.
    pub fn cancel(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { bindings::timer_delete(self.0.timer.get()) != 0 }
    }

    /// Whether the timer is to go off. Can be called in any context.
    pub fn is_pending(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { bindings::lkm_timer_is_pending(self.0.timer.get()) }
    }
}

impl<T: Handler> Deref for Timer<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.handler
    }
}

impl<T: Handler> Inner<T> {
    /// # Safety
    ///
    /// `timer` is the field of a `Self` that is not freed during the call.
    unsafe extern "C" fn run(timer: *mut bindings::timer_list) {
        // SAFETY: By this function's contract.
        let this = unsafe { &*kernel::container_of!(Opaque::cast_from(timer), Self, timer) };
        match this.handler.run() {
            Restart::No => {}
            Restart::After(delay) => {
                // SAFETY: By the type invariants. It does nothing if the timer is being
                // stopped.
                // Unload rule, unregister waits: `stop` waits for this call, too.
                unsafe { bindings::lkm_timer_modify(timer, jiffies(delay) as c_ulong) };
            }
            Restart::Every(interval) => {
                // SAFETY: As above.
                // Unload rule, unregister waits: as above.
                unsafe { bindings::lkm_timer_forward(timer, jiffies(interval) as c_ulong) };
            }
        }
    }
}
