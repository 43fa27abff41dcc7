// SPDX-License-Identifier: GPL-2.0-only

//! Code and data that only the module's init function needs. The kernel frees
//! their memory when init has succeeded.
//!
//! C header: [`include/linux/init.h`](srctree/include/linux/init.h)
//!
//! The `kernel` crate puts only the code of `module!` itself into `.init.text`, not
//! the module's own.
//!
//! # Unloading
//!
//! Nothing is registered here, so nothing can be called when the module is
//! unloaded. The code and data are gone long before that.

use crate::bindings;
use core::{
    cell::UnsafeCell,
    marker::PhantomData, //
};
use kernel::{
    prelude::*,
    types::NotThreadSafe, //
};

/// Proof that the module is being initialised. While a value of this type exists,
/// the contents of `.init.text` and `.init.data` exist, too.
///
/// # Invariants
///
/// The module core does not free these sections during the lifetime `'a`.
pub struct Init<'a>(PhantomData<&'a ()>, NotThreadSafe);

/// A variable in `.init.data`, declared by [`init!`](crate::init!). Reading it
/// takes the proof that it still exists.
// Because of the `UnsafeCell` the compiler adds no accesses of its own, and does
// not treat the value as a constant.
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
    ///
    /// Can be called in any context.
    pub fn get(&self, _init: &Init<'_>) -> T {
        // SAFETY: By the invariants of `Init` the variable still exists. Nothing
        // writes to it.
        unsafe { self.0.get().read_volatile() }
    }
}

/// Calls a function that [`init!`](crate::init!) has put into `.init.text`.
///
/// Can be called in any context, and `f` may do what the caller may. Init does not
/// return to the module core before `f` has returned, so `f` must not wait for that.
///
/// # Errors
///
/// - `EPERM`: the module's init function has returned, so `f` may be gone. It is
///   not called.
///
/// # Examples
///
/// The proof cannot be kept for later:
///
/// ```compile_fail,E0521
/// # use kernel::prelude::*;
/// let mut kept = None;
/// lkm::init::run(|init| kept = Some(init))?;
/// # Ok::<(), Error>(())
/// ```
// This is the one function outside of `.init.text` that calls into it. modpost
// allows that for functions in `.ref.text`.
#[link_section = ".ref.text"]
#[inline(never)]
pub fn run<R>(f: impl FnOnce(&Init<'_>) -> R) -> Result<R> {
    // SAFETY: `lkm_init_end()` follows.
    let result = match unsafe { bindings::lkm_init_begin() } {
        // INVARIANT: The module's entry point waits for `lkm_init_end()` before the module
        // core frees the sections.
        true => Ok(f(&Init(PhantomData, NotThreadSafe))),
        false => Err(EPERM),
    };
    // SAFETY: `lkm_init_begin()` was called.
    unsafe { bindings::lkm_init_end() };
    result
}

/// Puts variables into `.init.data` and functions into `.init.text`.
///
/// The first argument of such a function is the proof that it may be called.
/// [`init::run`](crate::init::run()) provides it.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// lkm::init! {
///     static ANSWER: i32 = 42;
///
///     fn answer(init: &Init) -> i32 {
///         ANSWER.get(init)
///     }
/// }
///
/// pr_info!("{}\n", lkm::init::run(answer)?);
/// # Ok::<(), Error>(())
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
