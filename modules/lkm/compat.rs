// SPDX-License-Identifier: GPL-2.0-only

//! What differs between the kernels that this crate is for.
//!
//! Here are the names of Linux 7.2, and for Linux 6.18, where Kbuild sets
//! `linux_6_18`, something that does the same. No other file asks for the version,
//! except where 6.18 has less to offer.

use crate::bindings;
use core::{
    ffi::CStr,
    pin::Pin, //
};
use kernel::{
    cpumask::Cpumask,
    sync::LockClassKey, //
};

#[cfg(not(linux_6_18))]
pub use kernel::fs::file::Offset;
#[cfg(not(linux_6_18))]
pub(crate) use kernel::{
    str::CStrExt,
    sync::atomic::{
        atomic_load,
        atomic_store,
        AtomicFlag, //
    },
};

#[cfg(linux_6_18)]
pub use linux_6_18::Offset;
#[cfg(linux_6_18)]
pub(crate) use linux_6_18::*;

/// What C knows the lock class by. `LockClassKey::as_ptr` is private in 6.18.
pub(crate) fn lock_class(key: Pin<&'static LockClassKey>) -> *mut bindings::lock_class_key {
    #[cfg(not(linux_6_18))]
    return key.as_ptr();
    // CAST: It is transparent, and an `Opaque` inside.
    #[cfg(linux_6_18)]
    core::ptr::from_ref(key.get_ref()).cast_mut().cast()
}

/// A string as what the `kernel` crate calls `CStr`, which can be printed.
pub(crate) fn as_kernel_cstr(text: &CStr) -> &kernel::str::CStr {
    #[cfg(not(linux_6_18))]
    return text;
    #[cfg(linux_6_18)]
    // SAFETY: These bytes end with a NUL, and have no other.
    unsafe {
        kernel::str::CStr::from_bytes_with_nul_unchecked(text.to_bytes_with_nul())
    }
}

/// `system_dfl_long_wq`, or what 6.18 has for it.
///
/// # Safety
///
/// The queues exist: the kernel has booted.
pub(crate) unsafe fn system_dfl_long_wq() -> *mut bindings::workqueue_struct {
    #[cfg(not(linux_6_18))]
    // SAFETY: By this function's contract. The pointer does not change any more.
    return unsafe { bindings::system_dfl_long_wq };
    #[cfg(linux_6_18)]
    // SAFETY: As above.
    unsafe {
        bindings::system_dfl_wq
    }
}

/// C's set of CPUs.
///
/// # Safety
///
/// `mask` is valid for `'a`. It is only changed bit by bit.
pub(crate) unsafe fn cpumask<'a>(mask: *const bindings::cpumask) -> &'a Cpumask {
    #[cfg(not(linux_6_18))]
    // SAFETY: By this function's contract.
    return unsafe { Cpumask::from_raw(mask) };
    #[cfg(linux_6_18)]
    // SAFETY: By this function's contract.
    unsafe {
        Cpumask::as_ref(mask)
    }
}

/// A key for one lock class, which is a static or in one.
///
/// # Safety
///
/// It is only used when it is in its static place, and is never dropped.
pub(crate) const unsafe fn new_static_lock_class() -> LockClassKey {
    #[cfg(not(linux_6_18))]
    // SAFETY: By this function's contract.
    return unsafe { LockClassKey::new_static() };
    #[cfg(linux_6_18)]
    // SAFETY: It is transparent, and an `Opaque` inside: any bytes will do.
    unsafe {
        core::mem::MaybeUninit::uninit().assume_init()
    }
}

#[cfg(linux_6_18)]
mod linux_6_18 {
    use core::{
        ffi::CStr,
        mem::transmute_copy, //
    };
    use kernel::{
        ffi::c_char,
        sync::atomic::{
            ordering::{
                AcquireOrRelaxed,
                Ordering,
                ReleaseOrRelaxed, //
            },
            Atomic,
            Relaxed, //
        },
    };

    /// A position in a file, in bytes.
    pub type Offset = i64;

    /// The `kernel` crate has a `CStr` of its own, so core's has nothing for C's `char`.
    pub(crate) trait CStrExt {
        fn as_char_ptr(&self) -> *const c_char;

        /// # Safety
        ///
        /// `text` is a string with a NUL at its end, and does not change for `'a`.
        unsafe fn from_char_ptr<'a>(text: *const c_char) -> &'a Self;
    }

    impl CStrExt for CStr {
        #[inline]
        fn as_char_ptr(&self) -> *const c_char {
            // CAST: The kernel's `char` has no sign.
            self.as_ptr().cast()
        }

        #[inline]
        unsafe fn from_char_ptr<'a>(text: *const c_char) -> &'a Self {
            // SAFETY: By this function's contract.
            unsafe { CStr::from_ptr(text.cast()) }
        }
    }

    /// A `bool` that is atomic: there are atomic `i32` and `i64` only.
    pub(crate) struct AtomicFlag(Atomic<i32>);

    impl AtomicFlag {
        pub(crate) const fn new(value: bool) -> Self {
            Self(Atomic::new(value as i32))
        }

        #[inline]
        pub(crate) fn load<O: AcquireOrRelaxed>(&self, order: O) -> bool {
            self.0.load(order) != 0
        }

        #[inline]
        pub(crate) fn store<O: ReleaseOrRelaxed>(&self, value: bool, order: O) {
            self.0.store(value.into(), order);
        }

        #[inline]
        pub(crate) fn xchg<O: Ordering>(&self, value: bool, order: O) -> bool {
            self.0.xchg(value.into(), order) != 0
        }
    }

    /// A number of 64 bits, where a machine word has 32: its accesses take a lock.
    ///
    /// # Safety
    ///
    /// `ptr` is valid and aligned for `'a`, as are 64 bits, and all accesses are atomic.
    unsafe fn long<'a, T>(ptr: *mut T) -> Option<&'a Atomic<i64>> {
        // SAFETY: By this function's contract.
        (size_of::<T>() > size_of::<usize>()).then(|| unsafe { Atomic::from_ptr(ptr.cast()) })
    }

    /// Loads the number at `ptr` with one load, as `READ_ONCE()`.
    ///
    /// # Safety
    ///
    /// `ptr` is valid and aligned. `T` is a number of at most 64 bits. All stores at the same
    /// time are single stores.
    #[inline]
    pub(crate) unsafe fn atomic_load<T: Copy>(ptr: *mut T, _: Relaxed) -> T {
        // SAFETY: By this function's contract. A volatile access of a machine word or less
        // is a single one. A `T` that is longer has as many bits as the `i64`.
        unsafe {
            match long(ptr) {
                Some(long) => transmute_copy(&long.load(Relaxed)),
                None => ptr.read_volatile(),
            }
        }
    }

    /// Stores a number at `ptr` with one store, as `WRITE_ONCE()`.
    ///
    /// # Safety
    ///
    /// As for [`atomic_load`].
    #[inline]
    pub(crate) unsafe fn atomic_store<T: Copy>(ptr: *mut T, value: T, _: Relaxed) {
        // SAFETY: As in `atomic_load`.
        unsafe {
            match long(ptr) {
                Some(long) => long.store(transmute_copy(&value), Relaxed),
                None => ptr.write_volatile(value),
            }
        }
    }
}
