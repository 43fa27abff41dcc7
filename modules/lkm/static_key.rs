// SPDX-License-Identifier: GPL-2.0-only

//! Static keys: conditions that cost next to nothing while they do not change.
//!
//! A branch on a static key is an instruction that does nothing, or a jump. The
//! kernel writes the other one over it when the key is switched.
//!
//! C header: [`include/linux/jump_label.h`](srctree/include/linux/jump_label.h)
//!
//! Reference: <https://docs.kernel.org/staging/static-keys.html>

use crate::bindings;
use core::cell::UnsafeCell;

/// A key that is off at first, to be put into a `static`.
///
/// # Unloading
///
/// Nothing of the module is called. The kernel forgets its branches after the
/// exit function and before it frees the module.
///
/// # Examples
///
/// ```ignore
/// static TRACING: StaticKey = StaticKey::new();
///
/// if lkm::static_branch_unlikely!(TRACING) {
///     pr_info!("called\n");
/// }
/// TRACING.enable();
/// ```
#[repr(transparent)]
pub struct StaticKey(UnsafeCell<bindings::static_key_false>);

// SAFETY: Branches do not look at the key, and the functions of C that do take
// a lock or use atomic operations.
unsafe impl Sync for StaticKey {}

impl StaticKey {
    /// A key that is off.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        // SAFETY: All-zero is what `STATIC_KEY_FALSE_INIT` gives: not enabled,
        // of a type that is initially false, without entries.
        Self(UnsafeCell::new(unsafe { core::mem::zeroed() }))
    }

    /// Switches the key on: when this returns, all branches on it are taken.
    ///
    /// Does nothing when it is on. May sleep, and takes its time: it rewrites
    /// code under the eyes of all CPUs.
    pub fn enable(&'static self) {
        // SAFETY: The key is in a `static` of the module, where the kernel
        // found the branches on it, if any, when it loaded the module.
        unsafe { bindings::static_key_enable(self.as_ptr()) };
    }

    /// Switches the key off: when this returns, no branch on it is taken.
    ///
    /// As [`enable`](Self::enable).
    pub fn disable(&'static self) {
        // SAFETY: As in `enable`.
        unsafe { bindings::static_key_disable(self.as_ptr()) };
    }

    /// Whether the key is on. Can be called in any context; a branch is faster.
    pub fn is_enabled(&self) -> bool {
        // SAFETY: The key is valid; its count is read atomically.
        unsafe { bindings::static_key_count(self.as_ptr()) > 0 }
    }

    fn as_ptr(&self) -> *mut bindings::static_key {
        // The key without a type is the first and only field.
        self.0.get().cast()
    }
}

/// What [`static_branch_unlikely!`](crate::static_branch_unlikely!) expands to.
#[doc(hidden)]
pub mod private {
    pub use kernel::bindings::static_key_false;
    #[cfg(CONFIG_JUMP_LABEL)]
    pub use kernel::jump_label::arch_static_branch;
}

/// Whether a [`StaticKey`](crate::static_key::StaticKey) is on, for the
/// condition of an `if` that is mostly not taken. Takes the path of a `static`.
///
/// Can be used in any context.
#[macro_export]
macro_rules! static_branch_unlikely {
    ($key:path) => {{
        let _key: &'static $crate::static_key::StaticKey = &$key;

        #[cfg(not(CONFIG_JUMP_LABEL))]
        {
            _key.is_enabled()
        }

        // SAFETY: The key begins at the address of the static, which is a
        // `static_key_false` that C's functions can work on.
        #[cfg(CONFIG_JUMP_LABEL)]
        unsafe {
            $crate::static_key::private::arch_static_branch! {
                $key, $crate::static_key::private::static_key_false, key, false
            }
        }
    }};
}
