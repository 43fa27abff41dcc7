// SPDX-License-Identifier: GPL-2.0-only

//! Static keys: conditions that cost almost nothing while they do not change.
//!
//! A branch on a static key is either an instruction that does nothing, or a
//! jump. When the key is switched, the kernel overwrites one with the other.
//!
//! C header: [`include/linux/jump_label.h`](srctree/include/linux/jump_label.h)
//!
//! Reference: <https://docs.kernel.org/staging/static-keys.html>
//!
//! The `kernel` crate has only the branch, `static_branch_unlikely!`. It is unsafe
//! to use, and takes the field of a static that C defines. A Rust module cannot
//! have a key of its own there, and cannot switch one on or off.

use crate::bindings;
use core::cell::UnsafeCell;

/// A static key. It is off at first, and must be in a `static`.
///
/// # Unloading
///
/// No function of the module is called. The kernel forgets the module's branches
/// after the exit function, and before it frees the module.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::static_key::{static_branch_unlikely, StaticKey};
///
/// static TRACING: StaticKey = StaticKey::new();
///
/// fn work() {
///     if static_branch_unlikely!(TRACING) {
///         pr_info!("called\n");
///     }
/// }
///
/// TRACING.enable();
/// work();
/// TRACING.disable();
/// ```
///
/// A key that is not in a `static` cannot be switched:
///
/// ```compile_fail,E0597
/// # use lkm::static_key::StaticKey;
/// let tracing = StaticKey::new();
/// tracing.enable();
/// ```
#[repr(transparent)]
pub struct StaticKey(UnsafeCell<bindings::static_key_false>);

// SAFETY: Branches do not access the key. The C functions that do take a lock or
// use atomic operations.
unsafe impl Sync for StaticKey {}

impl StaticKey {
    /// Creates a key that is off. Can be called in any context.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        // SAFETY: `STATIC_KEY_FALSE_INIT` is all-zero: not enabled, initially
        // false, and without entries.
        Self(UnsafeCell::new(unsafe { core::mem::zeroed() }))
    }

    /// Switches the key on: when this returns, all branches on it are taken.
    ///
    /// Does nothing if the key is on already. May sleep, and is slow: it rewrites
    /// code that other CPUs may be running.
    pub fn enable(&'static self) {
        // SAFETY: The key is in a `static` of the module. The kernel found the
        // branches on it, if any, when it loaded the module.
        unsafe { bindings::static_key_enable(self.as_ptr()) };
    }

    /// Switches the key off: when this returns, no branch on it is taken.
    ///
    /// Does nothing if the key is off already. May sleep, and is as slow as
    /// [`enable`](Self::enable).
    pub fn disable(&'static self) {
        // SAFETY: As in `enable`.
        unsafe { bindings::static_key_disable(self.as_ptr()) };
    }

    /// Whether the key is on. A branch is faster.
    ///
    /// Can be called in any context.
    pub fn is_enabled(&self) -> bool {
        // SAFETY: The key is valid. Its count is read atomically.
        unsafe { bindings::static_key_count(self.as_ptr()) > 0 }
    }

    fn as_ptr(&self) -> *mut bindings::static_key {
        // The untyped key is the first and only field.
        self.0.get().cast()
    }
}

pub use crate::static_branch_unlikely;

/// The macros and types in the expansion of
/// [`static_branch_unlikely!`](crate::static_branch_unlikely!).
#[doc(hidden)]
pub mod private {
    pub use kernel::bindings::static_key_false;
    #[cfg(CONFIG_JUMP_LABEL)]
    pub use kernel::jump_label::arch_static_branch;
}

/// Whether a [`StaticKey`](crate::static_key::StaticKey) is on, as the condition
/// of an `if` that is usually not taken. The argument is the path of a `static`.
///
/// Can be used in any context.
///
/// The static must be a key, and not only dereference to one. This does not compile:
///
/// ```compile_fail,E0308
/// use core::ops::Deref;
/// use lkm::static_key::{static_branch_unlikely, StaticKey};
///
/// static KEY: StaticKey = StaticKey::new();
///
/// struct Alias;
///
/// impl Deref for Alias {
///     type Target = StaticKey;
///
///     fn deref(&self) -> &StaticKey {
///         &KEY
///     }
/// }
///
/// static ALIAS: Alias = Alias;
///
/// fn is_on() -> bool {
///     static_branch_unlikely!(ALIAS)
/// }
/// ```
///
/// Nor does one that only says that it is a key:
///
/// ```compile_fail,E0133
/// use lkm::static_key::{static_branch_unlikely, StaticKey};
///
/// extern "C" {
///     static jiffies: StaticKey;
/// }
///
/// fn is_on() -> bool {
///     static_branch_unlikely!(jiffies)
/// }
/// ```
#[macro_export]
macro_rules! static_branch_unlikely {
    ($key:path) => {{
        // A static of just this type: a reference could be what `Deref` makes of another.
        let _: *const $crate::static_key::StaticKey = &raw const $key;
        // One that is safe to use: an `extern` one could be anything.
        let _key: &'static $crate::static_key::StaticKey = &$key;

        #[cfg(not(CONFIG_JUMP_LABEL))]
        {
            _key.is_enabled()
        }

        // SAFETY: The key is at the address of the static, and is a
        // `static_key_false` that C's functions can work on.
        #[cfg(CONFIG_JUMP_LABEL)]
        unsafe {
            $crate::static_key::private::arch_static_branch! {
                $key, $crate::static_key::private::static_key_false, key, false
            }
        }
    }};
}
