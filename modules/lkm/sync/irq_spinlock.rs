// SPDX-License-Identifier: GPL-2.0-only

//! A spinlock that interrupt handlers may take too.
//!
//! C header: [`include/linux/spinlock.h`](srctree/include/linux/spinlock.h)
//!
//! The `kernel` crate's [`SpinLock`](kernel::sync::SpinLock) does not turn
//! interrupts off. An interrupt handler that takes it can spin forever for a
//! lock that its own CPU holds.

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
/// Lock debugging shows the name that is given, or else file and line.
#[macro_export]
macro_rules! new_irq_spinlock {
    ($inner:expr $(, $name:literal)? $(,)?) => {
        $crate::sync::IrqSpinLock::new(
            $inner, ::kernel::optional_name!($($name)?), ::kernel::static_lock_class!())
    };
}

/// A spinlock that interrupt handlers may take too: interrupts are off on the CPU
/// that holds it, as with `spin_lock_irqsave()`.
///
/// Processes, softirqs and interrupt handlers may take it. It must not be taken
/// where only a raw spinlock is allowed: in NMIs, in hard timers, or with a raw
/// spinlock held. With `PREEMPT_RT` taking this lock can sleep; on every kernel,
/// lockdep reports the places where that would be wrong, but for the
/// [`hard`](crate::irq::Handler::hard) part of an interrupt's handler. Apart from
/// that, the holder must not sleep. It should release the lock soon.
///
/// A guard restores the interrupt state of the time when it was created. So if
/// a thread holds two guards, of this type or of an
/// [`IrqRwLock`](crate::sync::IrqRwLock), it must drop the later one first. In
/// the other order interrupts are on while a lock is still held, and off when
/// no lock is held. An interrupt handler can then spin forever for a lock that
/// its own CPU holds. That is a deadlock; the data is still only accessed by
/// the lock's owner.
///
/// # Unloading
///
/// Nothing is registered: only borrowers have a pointer to the lock. If an
/// interrupt handler borrows it, unregistering the handler has to wait for the
/// handler.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::sync::{new_irq_spinlock, IrqSpinLock};
///
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
/// # Ok::<(), Error>(())
/// ```
pub type IrqSpinLock<T> = Lock<T, IrqSpinLockBackend>;

assert_pinned!(IrqSpinLock<T> where T);

/// The guard of an [`IrqSpinLock`]: access to the data until it is dropped.
///
/// It cannot be sent to another thread. This does not compile:
///
/// ```compile_fail,E0277
/// use kernel::prelude::*;
/// use lkm::{kthread::KThread, sync::IrqSpinLockGuard};
///
/// fn give_away(guard: IrqSpinLockGuard<'static, u32>) -> Result<KThread> {
///     KThread::spawn(c"example", move |_| {
///         drop(guard);
///         Ok(())
///     })
/// }
/// ```
pub type IrqSpinLockGuard<'a, T> = Guard<'a, T, IrqSpinLockBackend>;

/// A `spinlock_t` that is locked with interrupts off.
pub struct IrqSpinLockBackend;

// SAFETY: A `spinlock_t` has one owner at a time. `relock` is the default, which
// calls `lock`.
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
