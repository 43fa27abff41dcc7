// SPDX-License-Identifier: GPL-2.0-only

//! A spinlock that interrupt handlers may take, too.
//!
//! C header: [`include/linux/spinlock.h`](srctree/include/linux/spinlock.h)

use crate::bindings;
use kernel::{
    ffi::{
        c_char,
        c_ulong, //
    },
    sync::lock::{
        Backend,
        Guard,
        Lock, //
    },
};

/// Creates an initialiser of an [`IrqSpinLock`](crate::sync::IrqSpinLock) with
/// a lock class of its own.
///
/// The name that lock debugging shows is the one given, or file and line.
#[macro_export]
macro_rules! new_irq_spinlock {
    ($inner:expr $(, $name:literal)? $(,)?) => {
        $crate::sync::IrqSpinLock::new(
            $inner, ::kernel::optional_name!($($name)?), ::kernel::static_lock_class!())
    };
}

/// A spinlock that interrupt handlers may take, too: on the CPU that holds it
/// interrupts are off, as with `spin_lock_irqsave()`.
///
/// It may be taken by processes, softirqs and interrupt handlers, but not where
/// only a raw spinlock will do: in NMIs, in hard timers, or with a raw spinlock
/// held. `PREEMPT_RT` lets this lock sleep, and lockdep says on every kernel
/// where that would not do. Who holds it must not sleep otherwise, and should
/// let go of it soon.
///
/// A guard puts interrupts back to what they were when it was made. So of two
/// guards, this type's or [`IrqRwLock`](crate::sync::IrqRwLock)'s, that the same
/// thread holds, the later one must be dropped first. In the other order
/// interrupts come back while a lock is still held, and are off when none is:
/// an interrupt handler can then spin forever for a lock that its own CPU holds.
/// That is a deadlock; the data is still only accessed by the lock's owner.
///
/// # Unloading
///
/// Nobody has a pointer to it but who borrows it. An interrupt handler that does
/// is to be waited for by what unregisters it.
///
/// # Examples
///
/// ```ignore
/// #[pin_data]
/// struct Events {
///     #[pin]
///     count: IrqSpinLock<u32>,
/// }
///
/// let events = KBox::pin_init(
///     pin_init!(Events { count <- new_irq_spinlock!(0) }),
///     GFP_KERNEL,
/// )?;
/// *events.count.lock() += 1;
/// ```
pub type IrqSpinLock<T> = Lock<T, IrqSpinLockBackend>;

assert_pinned!(IrqSpinLock<T> where T);

/// What locking an [`IrqSpinLock`] returns: access to the data, until it is
/// dropped. It cannot be sent to another thread.
pub type IrqSpinLockGuard<'a, T> = Guard<'a, T, IrqSpinLockBackend>;

/// A `spinlock_t` that is locked with interrupts off.
pub struct IrqSpinLockBackend;

// SAFETY: A `spinlock_t` has one owner at a time. `relock` is the default, which
// locks in the same way.
unsafe impl Backend for IrqSpinLockBackend {
    type State = bindings::spinlock_t;
    // Whether interrupts were on.
    type GuardState = c_ulong;

    #[inline]
    unsafe fn init(ptr: *mut Self::State, name: *const c_char, key: *mut bindings::lock_class_key) {
        // SAFETY: By this function's contract `ptr` can be written to, and
        // `name` and `key` stay valid.
        unsafe { bindings::__spin_lock_init(ptr, name, key) }
    }

    #[inline]
    unsafe fn lock(ptr: *mut Self::State) -> Self::GuardState {
        // SAFETY: By this function's contract the lock is initialised.
        unsafe { bindings::lkm_spin_lock_irqsave(ptr) }
    }

    #[inline]
    unsafe fn try_lock(ptr: *mut Self::State) -> Option<Self::GuardState> {
        let mut flags = 0;
        // SAFETY: By this function's contract the lock is initialised.
        unsafe { bindings::lkm_spin_trylock_irqsave(ptr, &mut flags) }.then_some(flags)
    }

    #[inline]
    unsafe fn unlock(ptr: *mut Self::State, guard_state: &Self::GuardState) {
        // SAFETY: By this function's contract the caller owns the lock; the
        // state is that of its guard.
        unsafe { bindings::lkm_spin_unlock_irqrestore(ptr, *guard_state) }
    }

    #[inline]
    unsafe fn assert_is_held(ptr: *mut Self::State) {
        // SAFETY: By this function's contract the lock is initialised.
        unsafe { bindings::spin_assert_is_held(ptr) }
    }
}
