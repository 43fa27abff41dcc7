// SPDX-License-Identifier: GPL-2.0-only

//! Calls to C code that belongs to the module itself.
//!
//! bindgen knows the types in a C header, but not what a function does with a
//! pointer. For C code that keeps a simple rule, [`c_functions!`](crate::c_functions!)
//! creates functions that are safe to call. That the code keeps it is for its author to
//! promise, in the header. The `kernel` crate has no such thing.
//!
//! # Unloading
//!
//! The C code is part of the module, and the rule forbids it to register
//! anything. So none of it can be called later.

/// A type that can be passed to a C function: a number, `bool` or a reference, but
/// no raw pointer, which need not be valid.
#[doc(hidden)]
pub trait Argument {}

/// A type that a C function can return: a number, `bool` or nothing.
#[doc(hidden)]
pub trait Return {}

impl<T> Argument for &T {}
impl<T> Argument for &mut T {}
impl Return for () {}

macro_rules! impl_values {
    ($($type:ty),*) => {$(
        impl Argument for $type {}
        impl Return for $type {}
    )*};
}

impl_values!(bool, i8, u8, i16, u16, i32, u32, i64, u64, isize, usize);

#[doc(hidden)]
pub const fn is_argument<T: Argument>() {}

#[doc(hidden)]
pub const fn is_return<T: Return>() {}

/// Creates functions that are safe to call, for functions in a header of the module's own
/// C code. They are in the Rust module that is named first, with all else that bindgen
/// finds in the header; the Kbuild file of [`c_interop`] shows how to have it made.
///
/// The types must match those of the header: the compiler turns `&T` into `*const T`,
/// `&mut T` into `*mut T`, and nothing else into a pointer. So a pointer is never null. A
/// raw pointer can be invalid: a function that takes or returns one does not compile.
///
/// [`c_interop`]: srctree/modules/42-c-interop/c_interop/Kbuild
///
/// # Safety
///
/// The header must have a constant `lkm_safe_NAME` for each function. Without it, the
/// function does not compile. It is the promise that the C code keeps this rule, which
/// cannot be checked here:
///
/// - It uses a pointer only until it returns, and only for one `T`. It writes only
///   a valid `T` through the pointer, and nothing if the pointer is `const`.
/// - It may be called in any context in which the Rust code calls it, and on
///   several CPUs at the same time.
/// - It registers nothing that is called later.
///
/// Rust code cannot make such a promise: the module has what bindgen has found, and
/// nothing else.
///
/// # Examples
///
/// The header:
///
/// ```text
/// typedef struct Item { int x; int y; } Item;
/// bool cool_sum(const Item *item, int *sum);
///
/// /* It only reads the item, writes a number, and can run anywhere. */
/// enum { lkm_safe_cool_sum };
/// ```
///
/// The Rust code:
///
/// ```text
/// lkm::c_functions! {
///     mod bindings;
///
///     /// Adds up the numbers of `item`, and returns whether the sum fits.
///     fn cool_sum(item: &bindings::Item, sum: &mut i32) -> bool;
/// }
///
/// let item = bindings::Item { x: 12, y: 32 };
/// let mut sum = 0;
/// if cool_sum(&item, &mut sum) {
///     pr_info!("{sum}\n");
/// }
/// ```
#[macro_export]
macro_rules! c_functions {
    (mod $bindings:ident; $(
        $(#[$attr:meta])*
        $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $return:ty)?;
    )*) => {
        #[allow(
            dead_code,
            missing_docs,
            non_camel_case_types,
            non_snake_case,
            non_upper_case_globals,
            unreachable_pub,
            unused_imports
        )]
        mod $bindings {
            include!(env!("BINDINGS"));
        }

        $(
            $(#[$attr])*
            $vis fn $name($($arg: $type),*) $(-> $return)? {
                $($crate::interop::is_argument::<$type>();)*
                $($crate::interop::is_return::<$return>();)?
                ::kernel::macros::paste! {
                    let _promise = $bindings::[<lkm_safe_ $name>];
                }
                // SAFETY: References are valid pointers for as long as the call lasts,
                // and C does not write through shared ones. The header promises that
                // the C code requires no more than that.
                // Unload rule: by that promise nothing is registered.
                unsafe { $bindings::$name($($arg),*) }
            }
        )*
    };
}
pub use crate::c_functions;
