// SPDX-License-Identifier: GPL-2.0-only

//! Tasklets: functions that run soon, in softirq context.
//!
//! C header: [`include/linux/interrupt.h`](srctree/include/linux/interrupt.h)
//!
//! Tasklets are deprecated. They are here for code that still needs them; the
//! `kernel` crate has none. New code uses a threaded interrupt handler or, where
//! the work must run in softirq context, a work item on a [`BH`] workqueue.
//!
//! [`BH`]: crate::workqueue::Flags::BH

use crate::bindings;
use core::{
    marker::PhantomPinned,
    ops::Deref, //
};
use kernel::{
    prelude::*,
    types::Opaque, //
};

/// What a tasklet does.
pub trait Handler: Send + Sync + 'static {
    /// Runs after each [`schedule`](Tasklet::schedule), on the CPU that called
    /// `schedule`, but never twice at the same time. Runs in softirq context: it
    /// must not sleep, and processes on this CPU wait for it.
    fn run(&self);
}

/// A tasklet. It dereferences to its handler.
///
/// # Unloading
///
/// *Unregister waits*: dropping the tasklet waits until it has run, if it is
/// scheduled, and is no longer running. That may sleep. The handler must not drop
/// its own tasklet: it would wait for itself.
///
/// # Invariants
///
/// `tasklet` is initialised, and its function is `Self::run`.
///
/// # Examples
///
/// ```
/// use kernel::{
///     prelude::*,
///     sync::atomic::{Atomic, Relaxed},
/// };
/// use lkm::tasklet::{Handler, Tasklet};
///
/// struct Counter(Atomic<u32>);
///
/// impl Handler for Counter {
///     fn run(&self) {
///         self.0.fetch_add(1, Relaxed);
///     }
/// }
///
/// let counter = KBox::pin_init(Tasklet::new(Counter(Atomic::new(0))), GFP_KERNEL)?;
/// counter.schedule();
/// # Ok::<(), Error>(())
/// ```
#[pin_data(PinnedDrop)]
pub struct Tasklet<T: Handler> {
    #[pin]
    tasklet: Opaque<bindings::tasklet_struct>,
    #[pin]
    handler: T,
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Tasklet<T> where T: Handler);

// SAFETY: A tasklet may be scheduled and dropped in any thread that may sleep,
// and `T` is `Send`.
unsafe impl<T: Handler> Send for Tasklet<T> {}

// SAFETY: Tasklets are scheduled atomically, and `T` is `Sync`.
unsafe impl<T: Handler> Sync for Tasklet<T> {}

impl<T: Handler> Tasklet<T> {
    /// Creates an initialiser of a tasklet that is not scheduled. It does not
    /// sleep unless `handler` does.
    ///
    /// # Errors
    ///
    /// The error of `handler`.
    pub fn new<E>(handler: impl PinInit<T, E>) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        // INVARIANT: The tasklet is initialised here.
        try_pin_init!(Self {
            // SAFETY: `slot` can be written to.
            // Unload rule, unregister waits: see `drop`.
            tasklet <- Opaque::ffi_init(|slot| unsafe {
                bindings::tasklet_setup(slot, Some(Self::run))
            }),
            handler <- handler,
            _pin: PhantomPinned,
        }? Error)
    }

    /// # Safety
    ///
    /// `tasklet` is the field of a `Self` that is not dropped during the call.
    unsafe extern "C" fn run(tasklet: *mut bindings::tasklet_struct) {
        // SAFETY: By this function's contract.
        let this = unsafe { &*kernel::container_of!(Opaque::cast_from(tasklet), Self, tasklet) };
        this.handler.run();
    }

    /// Schedules the tasklet: it runs soon, on this CPU. Does nothing if it is
    /// already scheduled. A tasklet that is running can be scheduled: it then
    /// runs again. Can be called in any context except NMI.
    pub fn schedule(&self) {
        // SAFETY: By the type invariants.
        // Unload rule, unregister waits: `drop` returns when the tasklet has run.
        unsafe { bindings::lkm_tasklet_schedule(self.tasklet.get()) };
    }
}

impl<T: Handler> Deref for Tasklet<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.handler
    }
}

#[pinned_drop]
impl<T: Handler> PinnedDrop for Tasklet<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants.
        // Unload rule, unregister waits: when this returns, the function has
        // returned and will not be called. Scheduling the tasklet takes a
        // reference to it, so nothing schedules it any more.
        unsafe { bindings::tasklet_kill(self.tasklet.get()) };
    }
}
