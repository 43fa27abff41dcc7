// SPDX-License-Identifier: GPL-2.0-only

//! An event that is waited for.
//!
//! C header: [`include/linux/completion.h`](srctree/include/linux/completion.h)
//!
//! Reference: <https://docs.kernel.org/scheduler/completion.html>

use crate::bindings;
use core::marker::PhantomPinned;
use kernel::{
    error::to_result,
    prelude::*,
    task::MAX_SCHEDULE_TIMEOUT,
    time::Jiffies,
    types::Opaque, //
};

/// An event that is waited for, and that is not lost when it happens before
/// anybody waits.
///
/// It counts: each [`complete`](Self::complete) lets one wait end, in the order
/// in which they began. After [`complete_all`](Self::complete_all) no wait
/// takes any time, until [`reinit`](Self::reinit).
///
/// The `kernel` crate's type of this name has only `complete_all`, and a wait
/// that nothing interrupts.
///
/// # Unloading
///
/// Nobody has a pointer to it but who borrows it, so nothing is left behind when
/// it is dropped. Who waits in a system call of the module's is waited for by
/// what unregisters: `rmmod` hangs until the wait ends. So call
/// [`complete_all`](Self::complete_all) before, for instance when the module's
/// value is dropped.
///
/// # Invariants
///
/// `inner` is initialised.
///
/// # Examples
///
/// ```ignore
/// #[pin_data]
/// struct Engine {
///     #[pin]
///     cranked: Completion,
/// }
///
/// impl Engine {
///     fn crank(&self) {
///         self.cranked.complete_all();
///     }
///
///     fn spin_up(&self) -> Result {
///         self.cranked.wait_interruptible()?;
///         pr_info!("spinning\n");
///         Ok(())
///     }
/// }
/// ```
#[pin_data]
pub struct Completion {
    #[pin]
    inner: Opaque<bindings::completion>,
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Completion);

// SAFETY: A completion may be used and given up on any thread.
unsafe impl Send for Completion {}

// SAFETY: It has a lock of its own, which all that is done with it takes.
unsafe impl Sync for Completion {}

impl Completion {
    /// Creates an initialiser of a completion that nobody has completed.
    pub fn new() -> impl PinInit<Self> {
        // INVARIANT: It is initialised here.
        pin_init!(Self {
            // SAFETY: `slot` can be written to.
            inner <- Opaque::ffi_init(|slot| unsafe { bindings::init_completion(slot) }),
            _pin: PhantomPinned,
        })
    }

    /// Lets one wait end: that of who waits longest, or the next to come. In any
    /// context.
    pub fn complete(&self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::complete(self.inner.get()) };
    }

    /// Lets all waits end, those to come as well. In any context but the hard
    /// part of an interrupt handler, as it may have many to wake.
    pub fn complete_all(&self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::complete_all(self.inner.get()) };
    }

    /// Waits, whatever happens: not even `SIGKILL` ends it. May sleep.
    pub fn wait(&self) {
        // SAFETY: By the type invariants, and this may sleep.
        unsafe { bindings::wait_for_completion(self.inner.get()) };
    }

    /// Waits. Fails with `ERESTARTSYS` when a signal arrived, which is `EINTR`
    /// in user space, or begins the system call again where the signal's handler
    /// was installed with `SA_RESTART`. May sleep.
    pub fn wait_interruptible(&self) -> Result {
        // SAFETY: By the type invariants, and this may sleep.
        to_result(unsafe { bindings::wait_for_completion_interruptible(self.inner.get()) })
    }

    /// As [`wait`](Self::wait), but for no longer than `timeout`: then it fails
    /// with `ETIMEDOUT`.
    pub fn wait_timeout(&self, timeout: Jiffies) -> Result {
        // SAFETY: By the type invariants, and this may sleep.
        match unsafe { bindings::wait_for_completion_timeout(self.inner.get(), limit(timeout)) } {
            0 => Err(ETIMEDOUT),
            _ => Ok(()),
        }
    }

    /// As [`wait_interruptible`](Self::wait_interruptible), but for no longer
    /// than `timeout`: then it fails with `ETIMEDOUT`. A system call that begins
    /// again waits that long again.
    pub fn wait_interruptible_timeout(&self, timeout: Jiffies) -> Result {
        // SAFETY: By the type invariants, and this may sleep.
        match unsafe {
            bindings::wait_for_completion_interruptible_timeout(self.inner.get(), limit(timeout))
        } {
            0 => Err(ETIMEDOUT),
            // What is left of the time is no error number.
            left => to_result(left.min(0) as c_int),
        }
    }

    /// Does what a wait does that takes no time, and returns whether there was
    /// one. In any context.
    #[must_use = "a wait that did end is used up"]
    pub fn try_wait(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { bindings::try_wait_for_completion(self.inner.get()) }
    }

    /// Whether a wait would take no time, if nobody comes before. In any
    /// context.
    pub fn is_done(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { bindings::completion_done(self.inner.get()) }
    }

    /// Makes it as new: what was completed and not waited for is forgotten.
    ///
    /// Who was woken by [`complete_all`](Self::complete_all) and has not run
    /// since goes on waiting. In any context.
    pub fn reinit(&self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::lkm_reinit_completion(self.inner.get()) };
    }
}

/// What the C functions take for `timeout`.
fn limit(timeout: Jiffies) -> Jiffies {
    timeout.min(MAX_SCHEDULE_TIMEOUT as Jiffies)
}
