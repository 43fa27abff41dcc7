// SPDX-License-Identifier: GPL-2.0-only

//! A lock for many readers or one writer.
//!
//! C header: [`include/linux/rwlock.h`](srctree/include/linux/rwlock.h)
//!
//! The `kernel` crate has no reader-writer lock.

use crate::{
    bindings,
    compat::lock_class, //
};
use core::{
    cell::UnsafeCell,
    marker::PhantomPinned,
    ops::{
        Deref,
        DerefMut, //
    },
};
use kernel::{
    ffi::c_ulong,
    prelude::*,
    str::CStr,
    sync::LockClassKey,
    types::{
        NotThreadSafe,
        Opaque, //
    },
};
use pin_init::Wrapper;

/// Creates an initialiser of an [`IrqRwLock`](crate::sync::IrqRwLock) with a
/// lock class of its own.
///
/// Lock debugging shows the name that is given, or else file and line.
#[macro_export]
macro_rules! new_irq_rwlock {
    ($inner:expr $(, $name:literal)? $(,)?) => {
        $crate::sync::IrqRwLock::new(
            $inner, ::kernel::optional_name!($($name)?), ::kernel::static_lock_class!())
    };
}

/// A spinning lock that many readers or one writer can hold. Interrupt handlers
/// may take it too: interrupts are off on a CPU that holds the lock, as with
/// `read_lock_irqsave()` and `write_lock_irqsave()`.
///
/// It can be taken in the contexts in which an
/// [`IrqSpinLock`](crate::sync::IrqSpinLock) can. The holder must not sleep,
/// and should release the lock soon. A thread that holds the lock for reading
/// must not take it again, not even for reading: it could wait for a writer
/// that waits for this thread.
///
/// Guards must be dropped in the reverse of the order in which they were created.
/// [`IrqSpinLock`](crate::sync::IrqSpinLock) says what happens otherwise.
///
/// # Unloading
///
/// Nothing is registered: only borrowers have a pointer to the lock, as for an
/// [`IrqSpinLock`](crate::sync::IrqSpinLock).
///
/// # Invariants
///
/// `lock` is initialised. `data` is only accessed by a holder of `lock`, and only
/// changed by the holder that has it for writing.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::sync::{new_irq_rwlock, IrqRwLock};
///
/// #[pin_data]
/// struct Config {
///     #[pin]
///     limits: IrqRwLock<(u32, u32)>,
/// }
///
/// let config = KBox::pin_init(
///     pin_init!(Config { limits <- new_irq_rwlock!((1, 9)) }),
///     GFP_KERNEL,
/// )?;
/// config.limits.write().1 = 10;
/// let (low, high) = *config.limits.read();
/// # pr_info!("{low} to {high}\n");
/// # Ok::<(), Error>(())
/// ```
///
/// A reader cannot change the data. This does not compile:
///
/// ```compile_fail,E0594
/// use lkm::sync::IrqRwLock;
///
/// fn raise(limits: &IrqRwLock<(u32, u32)>) {
///     limits.read().1 = 10;
/// }
/// ```
#[pin_data]
pub struct IrqRwLock<T> {
    #[pin]
    lock: Opaque<bindings::rwlock_t>,
    #[pin]
    data: UnsafeCell<T>,
    // Lock debugging may know a lock by its address.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(IrqRwLock<T> where T);

// SAFETY: The lock belongs to no thread, so it can be sent if its data can.
unsafe impl<T: Send> Send for IrqRwLock<T> {}

// SAFETY: Readers share the data, and `T` is `Sync`. Writers have it one after
// the other, and `T` is `Send`.
unsafe impl<T: Send + Sync> Sync for IrqRwLock<T> {}

impl<T> IrqRwLock<T> {
    /// Creates an initialiser; [`new_irq_rwlock!`] supplies `name` and `key`.
    /// It does not sleep unless `data` does.
    pub fn new(
        data: impl PinInit<T>,
        name: &'static CStr,
        key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            data <- UnsafeCell::pin_init(data),
            // SAFETY: `slot` can be written to; name and key are static.
            lock <- Opaque::ffi_init(|slot| unsafe {
                bindings::lkm_rwlock_init(slot, name.as_char_ptr(), lock_class(key))
            }),
            _pin: PhantomPinned,
        })
    }

    /// Spins until there is no writer, and gives shared access to the data. Can
    /// be called in the contexts in which the lock can be taken.
    #[inline]
    pub fn read(&self) -> IrqRwLockReadGuard<'_, T> {
        // SAFETY: By the type invariants the lock is initialised.
        let flags = unsafe { bindings::lkm_read_lock_irqsave(self.lock.get()) };
        // INVARIANT: The lock was just taken.
        IrqRwLockReadGuard {
            lock: self,
            flags,
            _not_send: NotThreadSafe,
        }
    }

    /// Spins until there is no reader and no other writer, and gives exclusive
    /// access to the data. Can be called in the contexts in which the lock can
    /// be taken.
    #[inline]
    pub fn write(&self) -> IrqRwLockWriteGuard<'_, T> {
        // SAFETY: By the type invariants the lock is initialised.
        let flags = unsafe { bindings::lkm_write_lock_irqsave(self.lock.get()) };
        // INVARIANT: The lock was just taken.
        IrqRwLockWriteGuard {
            lock: self,
            flags,
            _not_send: NotThreadSafe,
        }
    }
}

/// The guard that [`IrqRwLock::read`] returns: shared access to the data until
/// it is dropped. It cannot be sent to another thread.
///
/// # Invariants
///
/// The lock is held for reading; `flags` says whether interrupts were on.
#[must_use = "the lock unlocks immediately when the guard is unused"]
pub struct IrqRwLockReadGuard<'a, T> {
    lock: &'a IrqRwLock<T>,
    flags: c_ulong,
    _not_send: NotThreadSafe,
}

impl<T> Deref for IrqRwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: By the type invariants the lock is held, so nothing writes.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T> Drop for IrqRwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariants the lock is held for reading, by this
        // thread, as a guard cannot be sent.
        unsafe { bindings::lkm_read_unlock_irqrestore(self.lock.lock.get(), self.flags) };
    }
}

/// The guard that [`IrqRwLock::write`] returns: exclusive access to the data
/// until it is dropped. It cannot be sent to another thread.
///
/// # Invariants
///
/// The lock is held for writing; `flags` says whether interrupts were on.
#[must_use = "the lock unlocks immediately when the guard is unused"]
pub struct IrqRwLockWriteGuard<'a, T> {
    lock: &'a IrqRwLock<T>,
    flags: c_ulong,
    _not_send: NotThreadSafe,
}

impl<T> Deref for IrqRwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: By the type invariants the lock is held for writing.
        unsafe { &*self.lock.data.get() }
    }
}

// The data is pinned with the lock, so it may only be moved if it is `Unpin`.
impl<T: Unpin> DerefMut for IrqRwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: By the type invariants the lock is held for writing.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T> Drop for IrqRwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariants the lock is held for writing, by this
        // thread, as a guard cannot be sent.
        unsafe { bindings::lkm_write_unlock_irqrestore(self.lock.lock.get(), self.flags) };
    }
}
