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

use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    compat::AtomicFlag, //
};
use core::{
    ffi::CStr,
    marker::PhantomPinned,
    ops::Deref, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Relaxed, //
    },
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
/// scheduled, and is no longer running. That may sleep. In softirq context, as in the
/// handler itself, dropping it does not wait: what is left of it is freed later.
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
/// let counter = Tasklet::new(Counter(Atomic::new(0)))?;
/// counter.schedule();
/// # Ok::<(), Error>(())
/// ```
pub struct Tasklet<T: Handler>(Alive<Inner<T>>);

/// # Invariants
///
/// `tasklet` is initialised, and its function is `Self::run`.
#[pin_data]
struct Inner<T> {
    #[pin]
    tasklet: Opaque<bindings::tasklet_struct>,
    /// Whether it is being stopped: one that schedules itself has to end.
    closed: AtomicFlag,
    #[pin]
    handler: T,
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Inner<T> where T);

// SAFETY: A tasklet may be scheduled and dropped in any thread that may sleep,
// and `T` is `Send`.
unsafe impl<T: Handler> Send for Inner<T> {}

// SAFETY: Tasklets are scheduled atomically, and `T` is `Sync`.
unsafe impl<T: Handler> Sync for Inner<T> {}

// SAFETY: When `stop` has returned, the function has returned, and the tasklet is not
// scheduled. To schedule it does nothing: to C it is scheduled already.
unsafe impl<T: Handler> Stop for Inner<T> {
    const NAME: &'static CStr = c"tasklets";

    fn stop(&self) {
        self.closed.store(true, Relaxed);
        // SAFETY: By the type invariants, and this may sleep.
        unsafe { bindings::lkm_tasklet_close(self.tasklet.get()) };
    }
}

impl<T: Handler> Tasklet<T> {
    /// Creates a tasklet, which is not scheduled. May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: no memory;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `handler`.
    pub fn new<E>(handler: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        // INVARIANT: The tasklet is initialised here.
        let inner = try_pin_init!(Inner {
            // SAFETY: `slot` can be written to.
            // Unload rule, unregister waits: see `stop`.
            tasklet <- Opaque::ffi_init(|slot| unsafe {
                bindings::tasklet_setup(slot, Some(Inner::<T>::run))
            }),
            closed: AtomicFlag::new(false),
            handler <- handler,
            _pin: PhantomPinned,
        }? Error);
        Ok(Self(Alive::new(inner, |_| Ok(()))?))
    }

    /// Schedules the tasklet: it runs soon, on this CPU. Does nothing if it is
    /// already scheduled. A tasklet that is running can be scheduled: it then
    /// runs again. Can be called in any context except NMI.
    pub fn schedule(&self) {
        if self.0.closed.load(Relaxed) {
            return;
        }
        // SAFETY: By the type invariants.
        // Unload rule, unregister waits: `stop` returns when the tasklet has run.
        unsafe { bindings::lkm_tasklet_schedule(self.0.tasklet.get()) };
    }
}

impl<T: Handler> Deref for Tasklet<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.handler
    }
}

impl<T: Handler> Inner<T> {
    /// # Safety
    ///
    /// `tasklet` is the field of a `Self` that is not freed during the call.
    unsafe extern "C" fn run(tasklet: *mut bindings::tasklet_struct) {
        // SAFETY: By this function's contract.
        let this = unsafe { &*kernel::container_of!(Opaque::cast_from(tasklet), Self, tasklet) };
        this.handler.run();
    }
}
