// SPDX-License-Identifier: GPL-2.0-only

//! A function that is called last.
//!
//! This is a pattern of this crate, not kernel API. The `kernel` crate's
//! [`ScopeGuard`](kernel::types::ScopeGuard) does the same for a scope. Its type
//! contains the type of a closure, which a struct cannot name.

/// Calls a function when it is dropped.
///
/// As the last field of a module it is dropped after all other fields, so it can
/// log that they are gone. The function is not called if init fails before this
/// value exists.
///
/// # Unloading
///
/// Nothing is registered. This is dropped with the module's value, in the exit
/// function.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::OnDrop;
///
/// struct Goodbye {
///     // Here: a registration.
///     answer: KBox<u32>,
///     // Fields are dropped in order, so this is dropped last.
///     _gone: OnDrop,
/// }
///
/// let goodbye = Goodbye {
///     answer: KBox::new(42, GFP_KERNEL)?,
///     _gone: OnDrop(|| pr_info!("the answer is gone\n")),
/// };
/// # drop(goodbye);
/// # Ok::<(), Error>(())
/// ```
pub struct OnDrop(pub fn());

impl Drop for OnDrop {
    #[inline]
    fn drop(&mut self) {
        (self.0)();
    }
}
