// SPDX-License-Identifier: GPL-2.0-only

//! A counting semaphore.
//!
//! C header: [`include/linux/semaphore.h`](srctree/include/linux/semaphore.h)
//!
//! The `kernel` crate has no semaphore.

use crate::{
    bindings,
    time::jiffies, //
};
use core::{
    marker::PhantomPinned,
    mem, //
};
use kernel::{
    prelude::*,
    sync::Arc,
    time::Delta,
    types::Opaque, //
};

/// A counting semaphore: a number of permits that threads take and give back.
///
/// Unlike a mutex it has no owner: a thread may give back a permit that another
/// one took. Waiting threads get permits in the order in which they came.
///
/// # Unloading
///
/// Nothing is registered: only borrowers have a pointer to the semaphore.
/// While a process waits in a system call of the module, `rmmod` hangs
/// (*unregister waits*) or is refused (*owner held*). So first give each
/// waiting process a permit.
///
/// # Invariants
///
/// `inner` is initialised.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::sync::Semaphore;
///
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
///
/// let printers = KBox::pin_init(
///     pin_init!(Printers { free <- Semaphore::new(2) }),
///     GFP_KERNEL,
/// )?;
/// printers.print()?;
/// # Ok::<(), Error>(())
/// ```
#[pin_data]
pub struct Semaphore {
    #[pin]
    inner: Opaque<bindings::semaphore>,
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Semaphore);

// SAFETY: A semaphore may be used and dropped in any thread.
unsafe impl Send for Semaphore {}

// SAFETY: A semaphore has a lock of its own, which all operations take.
unsafe impl Sync for Semaphore {}

impl Semaphore {
    /// Creates an initialiser of a semaphore with `permits` permits; more than
    /// [`i32::MAX`] count as that many. Can be called in any context except NMI.
    pub fn new(permits: u32) -> impl PinInit<Self> {
        // C's `down_trylock()` counts with a sign.
        let permits = permits.min(i32::MAX as u32);
        // INVARIANT: `inner` is initialised here.
        pin_init!(Self {
            // SAFETY: `slot` can be written to.
            inner <- Opaque::ffi_init(|slot| unsafe { bindings::lkm_sema_init(slot, permits) }),
            _pin: PhantomPinned,
        })
    }

    /// Waits for a permit and takes it. No signal ends the wait, not even
    /// `SIGKILL`. May sleep.
    pub fn down(&self) -> Permit<'_> {
        // SAFETY: By the type invariants, and this may sleep.
        unsafe { bindings::down(self.inner.get()) };
        Permit(self)
    }

    /// Waits for a permit and takes it. A signal ends the wait. May sleep.
    ///
    /// # Errors
    ///
    /// - `ERESTARTSYS`: a signal arrived (the system call returns `EINTR`, or
    ///   begins again if the signal's handler was installed with `SA_RESTART`).
    pub fn down_interruptible(&self) -> Result<Permit<'_>> {
        // SAFETY: By the type invariants, and this may sleep.
        match unsafe { bindings::down_interruptible(self.inner.get()) } {
            0 => Ok(Permit(self)),
            _ => Err(ERESTARTSYS),
        }
    }

    /// As [`down_interruptible`](Self::down_interruptible), but the permit does not borrow
    /// the semaphore: it can go to another thread, which keeps it as long as it lives.
    /// May sleep.
    ///
    /// # Errors
    ///
    /// - `ERESTARTSYS`: a signal arrived, or the kernel thread is asked to stop.
    pub fn down_interruptible_owned(self: Arc<Self>) -> Result<OwnedPermit> {
        self.down_interruptible()?.forget();
        Ok(OwnedPermit(self))
    }

    /// As [`try_down`](Self::try_down), but the permit does not borrow the semaphore. Can
    /// be called in any context except NMI.
    pub fn try_down_owned(self: Arc<Self>) -> Option<OwnedPermit> {
        self.try_down()?.forget();
        Some(OwnedPermit(self))
    }

    /// Waits for a permit and takes it. Only a signal that kills the process
    /// ends the wait. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINTR`: the process is being killed; user space never sees this error.
    pub fn down_killable(&self) -> Result<Permit<'_>> {
        // SAFETY: By the type invariants, and this may sleep.
        match unsafe { bindings::down_killable(self.inner.get()) } {
            0 => Ok(Permit(self)),
            _ => Err(EINTR),
        }
    }

    /// Waits for a permit for `timeout`, at the longest, and takes it. No
    /// signal ends the wait. May sleep.
    ///
    /// # Errors
    ///
    /// - `ETIMEDOUT`: `timeout` is over.
    pub fn down_timeout(&self, timeout: Delta) -> Result<Permit<'_>> {
        // SAFETY: By the type invariants, and this may sleep.
        match unsafe { bindings::down_timeout(self.inner.get(), jiffies(timeout)) } {
            0 => Ok(Permit(self)),
            _ => Err(ETIMEDOUT),
        }
    }

    /// Takes a permit if there is one. Can be called in any context except NMI.
    pub fn try_down(&self) -> Option<Permit<'_>> {
        // SAFETY: By the type invariants.
        let failed = unsafe { bindings::down_trylock(self.inner.get()) };
        (failed == 0).then(|| Permit(self))
    }

    /// Gives a permit: an additional one, or one back that was
    /// [forgotten](Permit::forget). A semaphore can have up to [`i32::MAX`]
    /// permits. Can be called in any context except NMI.
    pub fn up(&self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::up(self.inner.get()) };
    }
}

/// A permit of a [`Semaphore`]. Dropping it gives the permit back, and is
/// possible in any context except NMI.
#[must_use = "a permit is given back when it is dropped"]
pub struct Permit<'a>(&'a Semaphore);

impl Permit<'_> {
    /// Keeps the permit without this value: [`up`](Semaphore::up) gives it
    /// back. Can be called in any context.
    pub fn forget(self) {
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.up();
    }
}

/// A permit of a [`Semaphore`] that it does not borrow. Dropping it gives the permit
/// back, and is possible in any context except NMI.
#[must_use = "a permit is given back when it is dropped"]
pub struct OwnedPermit(Arc<Semaphore>);

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        self.0.up();
    }
}
