// SPDX-License-Identifier: GPL-2.0-only

//! A lock for many readers or one writer.
//!
//! C header: [`include/linux/rwlock.h`](srctree/include/linux/rwlock.h)

use crate::bindings;
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
/// The name that lock debugging shows is the one given, or file and line.
#[macro_export]
macro_rules! new_irq_rwlock {
    ($inner:expr $(, $name:literal)? $(,)?) => {
        $crate::sync::IrqRwLock::new(
            $inner, ::kernel::optional_name!($($name)?), ::kernel::static_lock_class!())
    };
}

/// A spinning lock that many readers or one writer can hold. Interrupt handlers
/// may take it, too: on a CPU that holds it interrupts are off, as with
/// `read_lock_irqsave()` and `write_lock_irqsave()`.
///
/// It may be taken where an [`IrqSpinLock`](crate::sync::IrqSpinLock) may. Who
/// holds it must not sleep, and should let go of it soon. A thread that reads
/// must not lock again, not even to read: it can wait for a writer that waits
/// for it.
///
/// Guards must be dropped in the reverse order of their making, as those of an
/// [`IrqSpinLock`](crate::sync::IrqSpinLock), which says what happens otherwise.
///
/// # Unloading
///
/// As for an [`IrqSpinLock`](crate::sync::IrqSpinLock): nobody has a pointer to
/// it but who borrows it.
///
/// # Invariants
///
/// `lock` is initialised. `data` is only accessed by who holds `lock`, and only
/// changed by who holds it for writing.
///
/// # Examples
///
/// ```ignore
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

// SAFETY: The lock is of no thread, so it can be sent when its data can.
unsafe impl<T: Send> Send for IrqRwLock<T> {}

// SAFETY: Readers share the data, which takes `Sync`; writers have it one after
// the other, which takes `Send`.
unsafe impl<T: Send + Sync> Sync for IrqRwLock<T> {}

impl<T> IrqRwLock<T> {
    /// Creates an initialiser; [`new_irq_rwlock!`] knows `name` and `key`.
    pub fn new(
        data: impl PinInit<T>,
        name: &'static CStr,
        key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            data <- UnsafeCell::pin_init(data),
            // SAFETY: The slot can be written to; name and key are static.
            lock <- Opaque::ffi_init(|slot| unsafe {
                bindings::lkm_rwlock_init(slot, name.as_char_ptr(), key.as_ptr())
            }),
            _pin: PhantomPinned,
        })
    }

    /// Spins until there is no writer, and gives shared access to the data.
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

    /// Spins until there is neither a reader nor another writer, and gives
    /// exclusive access to the data.
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

/// What [`IrqRwLock::read`] returns: shared access to the data, until it is
/// dropped. It cannot be sent to another thread.
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
        // SAFETY: By the type invariants the lock is held, so nobody writes.
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

/// What [`IrqRwLock::write`] returns: exclusive access to the data, until it is
/// dropped. It cannot be sent to another thread.
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

// The data is pinned with the lock, so it may only be moved when it does not
// mind.
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
