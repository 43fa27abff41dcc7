// SPDX-License-Identifier: GPL-2.0-only

//! A counting semaphore.
//!
//! C header: [`include/linux/semaphore.h`](srctree/include/linux/semaphore.h)

use crate::bindings;
use core::{
    marker::PhantomPinned,
    mem, //
};
use kernel::{
    prelude::*,
    task::MAX_SCHEDULE_TIMEOUT,
    time::Jiffies,
    types::Opaque, //
};

/// A counting semaphore: so many permits, each of which one at a time has.
///
/// Unlike a mutex it has no owner: who takes a permit need not be who gives it
/// back. Those who wait get one in the order in which they came.
///
/// # Unloading
///
/// Nobody has a pointer to it but who borrows it, so nothing is left behind when
/// it is dropped. Who waits in a system call of the module's is waited for by
/// what unregisters, if that does not refuse to: `rmmod` hangs until the wait
/// ends. So give each a permit before.
///
/// # Invariants
///
/// `inner` is initialised.
///
/// # Examples
///
/// ```ignore
/// #[pin_data]
/// struct Printers {
///     #[pin]
///     free: Semaphore,
/// }
///
/// impl Printers {
///     fn print(&self) -> Result {
///         let _printer = self.free.down_interruptible()?;
///         pr_info!("printing\n");
///         Ok(())
///     }
/// }
/// ```
#[pin_data]
pub struct Semaphore {
    #[pin]
    inner: Opaque<bindings::semaphore>,
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Semaphore);

// SAFETY: A semaphore may be used and given up on any thread.
unsafe impl Send for Semaphore {}

// SAFETY: It has a lock of its own, which all that is done with it takes.
unsafe impl Sync for Semaphore {}

impl Semaphore {
    /// Creates an initialiser of a semaphore with that many permits.
    pub fn new(permits: u32) -> impl PinInit<Self> {
        // INVARIANT: It is initialised here.
        pin_init!(Self {
            // SAFETY: `slot` can be written to.
            inner <- Opaque::ffi_init(|slot| unsafe { bindings::lkm_sema_init(slot, permits) }),
            _pin: PhantomPinned,
        })
    }

    /// Takes a permit. Waits for one, whatever happens: not even `SIGKILL` ends
    /// that. May sleep.
    pub fn down(&self) -> Permit<'_> {
        // SAFETY: By the type invariants, and this may sleep.
        unsafe { bindings::down(self.inner.get()) };
        Permit(self)
    }

    /// Takes a permit, and waits for one. Fails with `ERESTARTSYS` when a signal
    /// arrived, which is `EINTR` in user space, or begins the system call again
    /// where the signal's handler was installed with `SA_RESTART`. May sleep.
    pub fn down_interruptible(&self) -> Result<Permit<'_>> {
        // SAFETY: By the type invariants, and this may sleep.
        match unsafe { bindings::down_interruptible(self.inner.get()) } {
            0 => Ok(Permit(self)),
            _ => Err(ERESTARTSYS),
        }
    }

    /// Takes a permit, and waits for one. Fails with `EINTR` when a signal
    /// arrived that kills the process, which then does not see it. May sleep.
    pub fn down_killable(&self) -> Result<Permit<'_>> {
        // SAFETY: By the type invariants, and this may sleep.
        match unsafe { bindings::down_killable(self.inner.get()) } {
            0 => Ok(Permit(self)),
            _ => Err(EINTR),
        }
    }

    /// As [`down`](Self::down), but waits for no longer than `timeout`: then it
    /// fails with `ETIMEDOUT`.
    pub fn down_timeout(&self, timeout: Jiffies) -> Result<Permit<'_>> {
        let timeout = timeout.min(MAX_SCHEDULE_TIMEOUT as Jiffies) as c_long;
        // SAFETY: By the type invariants, and this may sleep.
        match unsafe { bindings::down_timeout(self.inner.get(), timeout) } {
            0 => Ok(Permit(self)),
            _ => Err(ETIMEDOUT),
        }
    }

    /// Takes a permit if there is one. In any context but that of an interrupt
    /// that cannot be masked.
    pub fn try_down(&self) -> Option<Permit<'_>> {
        // SAFETY: By the type invariants.
        let failed = unsafe { bindings::down_trylock(self.inner.get()) };
        (failed == 0).then(|| Permit(self))
    }

    /// Gives a permit: one more than there was, or one back that was
    /// [forgotten](Permit::forget). There can be [`u32::MAX`] of them. In any
    /// context but that of an interrupt that cannot be masked.
    pub fn up(&self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::up(self.inner.get()) };
    }
}

/// A permit of a [`Semaphore`], which is given back when this is dropped.
#[must_use = "a permit is given back when it is dropped"]
pub struct Permit<'a>(&'a Semaphore);

impl Permit<'_> {
    /// Keeps the permit: [`up`](Semaphore::up) gives it back.
    pub fn forget(self) {
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.up();
    }
}
