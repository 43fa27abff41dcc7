// SPDX-License-Identifier: GPL-2.0-only

//! Tasklets: functions that run soon, in softirq context.
//!
//! They are deprecated, and here for what still has them. New code takes a
//! threaded interrupt handler or, where it must not sleep, a [`WQ_BH`] workqueue.
//!
//! C header: [`include/linux/interrupt.h`](srctree/include/linux/interrupt.h)
//!
//! [`WQ_BH`]: crate::workqueue::flags::WQ_BH

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
    /// it, but never twice at the same time. In softirq context: it must not
    /// sleep, and all else on this CPU waits for it.
    fn run(&self);
}

/// A tasklet. It dereferences to its handler.
///
/// # Unloading
///
/// *Unregister waits*: dropping the tasklet waits until it has run, if it was
/// scheduled, and does not run any more. So it must be dropped where one may
/// sleep, and not by its own handler, which would wait for itself.
///
/// # Invariants
///
/// `tasklet` is initialised, and its function is `Self::run`.
///
/// # Examples
///
/// ```ignore
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

// SAFETY: A tasklet may be scheduled and dropped in any thread that may sleep, and
// `T` is `Send`.
unsafe impl<T: Handler> Send for Tasklet<T> {}

// SAFETY: Tasklets are scheduled atomically, and `T` is `Sync`.
unsafe impl<T: Handler> Sync for Tasklet<T> {}

impl<T: Handler> Tasklet<T> {
    /// Creates an initialiser of a tasklet that is not scheduled.
    pub fn new<E>(handler: impl PinInit<T, E>) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        // INVARIANT: It is initialised here.
        try_pin_init!(Self {
            // SAFETY: `slot` can be written to. For the function unregister waits:
            // see `drop`.
            tasklet <- Opaque::ffi_init(|slot| unsafe {
                bindings::tasklet_setup(slot, Some(Self::run))
            }),
            handler <- handler,
            _pin: PhantomPinned,
        }? Error)
    }

    /// # Safety
    ///
    /// `tasklet` is that of a `Self` that is not dropped meanwhile.
    unsafe extern "C" fn run(tasklet: *mut bindings::tasklet_struct) {
        // SAFETY: By this function's contract.
        let this = unsafe { &*kernel::container_of!(Opaque::cast_from(tasklet), Self, tasklet) };
        this.handler.run();
    }

    /// Has the tasklet run soon, on this CPU. Does nothing when it is to run
    /// already; while it runs it can be scheduled, and then runs again. In any
    /// context but that of an interrupt that cannot be masked.
    pub fn schedule(&self) {
        // SAFETY: By the type invariants. Unregister waits: `drop` returns when
        // it has run.
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
        // SAFETY: By the type invariants. Unregister waits: when this returns the
        // function has returned and is not to be called. Nobody can schedule the
        // tasklet any more, as that takes a reference to it.
        unsafe { bindings::tasklet_kill(self.tasklet.get()) };
    }
}
