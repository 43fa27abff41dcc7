// SPDX-License-Identifier: GPL-2.0-only

//! Waiting for an event.
//!
//! C header: [`include/linux/completion.h`](srctree/include/linux/completion.h)
//!
//! Reference: <https://docs.kernel.org/scheduler/completion.html>
//!
//! The `kernel` crate's [`Completion`](kernel::sync::Completion) has only
//! `complete_all()`, and a wait without a timeout that no signal ends.

use crate::{
    bindings,
    time::jiffies, //
};
use core::marker::PhantomPinned;
use kernel::{
    error::to_result,
    prelude::*,
    time::Delta,
    types::Opaque, //
};

/// An event that threads wait for. An event that happens before a thread waits is
/// not lost.
///
/// A completion counts: each [`complete`](Self::complete) ends one wait, in the
/// order in which the waits began. After [`complete_all`](Self::complete_all) no
/// wait takes any time, until [`reinit`](Self::reinit).
///
/// # Unloading
///
/// Nothing is registered: only borrowers have a pointer to the completion.
/// While a process waits in a system call of the module, `rmmod` hangs
/// (*unregister waits*) or is refused (*owner held*). So call
/// [`complete_all`](Self::complete_all) first, for instance when the module's
/// value is dropped.
///
/// # Invariants
///
/// `inner` is initialised.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::sync::Completion;
///
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

// SAFETY: A completion may be used and dropped in any thread.
unsafe impl Send for Completion {}

// SAFETY: A completion has a lock of its own, which all operations take.
unsafe impl Sync for Completion {}

impl Completion {
    /// Creates an initialiser of a completion that is not completed. Can be
    /// called in any context except NMI.
    pub fn new() -> impl PinInit<Self> {
        // INVARIANT: `inner` is initialised here.
        pin_init!(Self {
            // SAFETY: `slot` can be written to.
            inner <- Opaque::ffi_init(|slot| unsafe { bindings::init_completion(slot) }),
            _pin: PhantomPinned,
        })
    }

    /// Ends one wait: the one that began first, or else the next to begin. Can be
    /// called in any context except NMI.
    pub fn complete(&self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::complete(self.inner.get()) };
    }

    /// Ends all waits, including those that begin later. Can be called in any
    /// context except NMI and hard interrupt context: it may have many threads
    /// to wake.
    pub fn complete_all(&self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::complete_all(self.inner.get()) };
    }

    /// Waits. No signal ends the wait, not even `SIGKILL`. May sleep.
    pub fn wait(&self) {
        // SAFETY: By the type invariants, and this may sleep.
        unsafe { bindings::wait_for_completion(self.inner.get()) };
    }

    /// Waits. A signal ends the wait. May sleep.
    ///
    /// # Errors
    ///
    /// - `ERESTARTSYS`: a signal arrived (the system call returns `EINTR`, or
    ///   begins again if the signal's handler was installed with `SA_RESTART`).
    pub fn wait_interruptible(&self) -> Result {
        // SAFETY: By the type invariants, and this may sleep.
        to_result(unsafe { bindings::wait_for_completion_interruptible(self.inner.get()) })
    }

    /// Waits for `timeout`, at the longest. No signal ends the wait. May sleep.
    ///
    /// # Errors
    ///
    /// - `ETIMEDOUT`: `timeout` is over.
    pub fn wait_timeout(&self, timeout: Delta) -> Result {
        let timeout = jiffies(timeout) as c_ulong;
        // SAFETY: By the type invariants, and this may sleep.
        match unsafe { bindings::wait_for_completion_timeout(self.inner.get(), timeout) } {
            0 => Err(ETIMEDOUT),
            _ => Ok(()),
        }
    }

    /// Waits for `timeout`, at the longest, or until a signal arrives. A system
    /// call that begins again waits for the whole `timeout` again. May sleep.
    ///
    /// # Errors
    ///
    /// - `ETIMEDOUT`: `timeout` is over;
    /// - `ERESTARTSYS`: a signal arrived (the system call returns `EINTR`, or
    ///   begins again if the signal's handler was installed with `SA_RESTART`).
    pub fn wait_interruptible_timeout(&self, timeout: Delta) -> Result {
        let timeout = jiffies(timeout) as c_ulong;
        // SAFETY: By the type invariants, and this may sleep.
        match unsafe {
            bindings::wait_for_completion_interruptible_timeout(self.inner.get(), timeout)
        } {
            0 => Err(ETIMEDOUT),
            // The time that is left is not an error number.
            left => to_result(left.min(0) as c_int),
        }
    }

    /// Waits if that takes no time, and returns whether it did. Can be called
    /// in any context except NMI.
    #[must_use = "a wait that did end is used up"]
    pub fn try_wait(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { bindings::try_wait_for_completion(self.inner.get()) }
    }

    /// Whether a wait would take no time now. Another thread can be faster. Can
    /// be called in any context except NMI.
    pub fn is_done(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { bindings::completion_done(self.inner.get()) }
    }

    /// Resets the completion: forgets all events that no wait has used. Can be
    /// called in any context except NMI.
    ///
    /// A thread that [`complete_all`](Self::complete_all) has woken, and that
    /// has not run since, continues to wait.
    pub fn reinit(&self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::lkm_reinit_completion(self.inner.get()) };
    }
}
