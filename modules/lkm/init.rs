// SPDX-License-Identifier: GPL-2.0-only

//! Code and data that only the module's init function needs. The kernel frees
//! their memory when the module is loaded.
//!
//! C header: [`include/linux/init.h`](srctree/include/linux/init.h)
//!
//! Nothing is registered here, so nothing can be called when the module is
//! unloaded: what this is about is gone long before.

use crate::bindings;
use core::{
    cell::UnsafeCell,
    marker::PhantomData, //
};
use kernel::{
    prelude::*,
    sync::rcu,
    types::NotThreadSafe, //
};

/// Proof that the module is being initialised: while a value of this type
/// exists, what is in `.init.text` and `.init.data` does, too.
///
/// # Invariants
///
/// The module core does not free these sections in the lifetime `'a`.
pub struct Init<'a>(PhantomData<&'a ()>, NotThreadSafe);

/// A variable in `.init.data`, made by [`init!`](crate::init!). It is readable
/// for who has the proof that it is there.
// With an `UnsafeCell` the compiler does not access it where we do not, and
// does not take it for a constant.
#[repr(transparent)]
pub struct Data<T: Copy>(UnsafeCell<T>);

// SAFETY: The value is never changed.
unsafe impl<T: Copy + Sync> Sync for Data<T> {}

impl<T: Copy> Data<T> {
    /// For [`init!`](crate::init!) only.
    #[doc(hidden)]
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The value.
    pub fn get(&self, _init: &Init<'_>) -> T {
        // SAFETY: By the invariants of `Init` the variable is there. Nobody
        // writes to it.
        unsafe { self.0.get().read_volatile() }
    }
}

/// Calls a function that [`init!`](crate::init!) has put into `.init.text`.
///
/// Fails with `EPERM`, and calls nothing, when the module's init function has
/// returned: the function is gone by then.
///
/// `f` runs in an RCU read-side critical section: it must not sleep.
// This is the one place outside of `.init.text` that may call into it, and is
// where modpost looks for such places.
#[link_section = ".ref.text"]
#[inline(never)]
pub fn run<R>(f: impl FnOnce(&Init<'_>) -> R) -> Result<R> {
    let _rcu = rcu::read_lock();
    // SAFETY: The module that this code is part of. Its state is an integer
    // that the module core changes with one store.
    let state = unsafe { (&raw const bindings::__this_module.state).read_volatile() };
    if state != bindings::module_state_MODULE_STATE_COMING {
        return Err(EPERM);
    }
    // INVARIANT: The module core first changes the state, then waits for all
    // RCU readers, us among them, and then frees the sections.
    Ok(f(&Init(PhantomData, NotThreadSafe)))
}

/// Puts variables into `.init.data` and functions into `.init.text`.
///
/// The first argument of such a function is the proof that it may be called,
/// which [`init::run`](crate::init::run()) gives.
///
/// # Examples
///
/// ```ignore
/// lkm::init! {
///     static ANSWER: i32 = 42;
///
///     fn answer(init: &Init) -> i32 {
///         ANSWER.get(init)
///     }
/// }
///
/// pr_info!("{}\n", lkm::init::run(answer)?);
/// ```
#[macro_export]
macro_rules! init {
    () => {};
    (
        $(#[$attr:meta])*
        static $name:ident: $type:ty = $value:expr;
        $($rest:tt)*
    ) => {
        $(#[$attr])*
        #[link_section = ".init.data"]
        static $name: $crate::init::Data<$type> = $crate::init::Data::new($value);
        $crate::init! { $($rest)* }
    };
    (
        $(#[$attr:meta])*
        fn $name:ident($init:ident: &Init) $(-> $return:ty)? $body:block
        $($rest:tt)*
    ) => {
        $(#[$attr])*
        #[link_section = ".init.text"]
        #[inline(never)]
        fn $name($init: &$crate::init::Init<'_>) $(-> $return)? $body
        $crate::init! { $($rest)* }
    };
}
