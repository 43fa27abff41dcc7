// SPDX-License-Identifier: GPL-2.0-only

//! Calls to C code that belongs to the module itself.
//!
//! bindgen knows the types in a C header, but not what a function does with a
//! pointer. For C code that keeps a simple rule, [`c_functions!`](crate::c_functions!)
//! creates functions that are safe to call. That the code keeps it is for its author to
//! promise, with the word `unsafe`. The `kernel` crate has no such thing.
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

/// Creates functions that are safe to call, for the functions in a header of the
/// module's own C code. bindgen has put those into the Rust module named first.
///
/// They are written as the language writes foreign functions that are safe. It would not
/// compare them with the header; this macro does.
///
/// The types must match those of the bindings: the compiler turns `&T` into
/// `*const T`, `&mut T` into `*mut T`, and nothing else into a pointer. So a
/// pointer is never null.
///
/// # Safety
///
/// `unsafe extern "C"` is the promise that the C code keeps this rule, which cannot be
/// checked here:
///
/// - It uses a pointer only until it returns, and only for one `T`. It writes only
///   a valid `T` through the pointer, and nothing if the pointer is `const`.
/// - It may be called in any context in which the Rust code calls it, and on
///   several CPUs at the same time.
/// - It registers nothing that is called later.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// mod bindings {
///     // In a module: `include!(env!("BINDINGS"));`
/// #     pub struct Item { pub x: i32, pub y: i32 }
/// #     pub unsafe extern "C" fn cool_sum(item: *const Item, sum: *mut i32) -> bool {
/// #         // SAFETY: Called with valid pointers only.
/// #         let (item, sum) = unsafe { (&*item, &mut *sum) };
/// #         let result = item.x.checked_add(item.y);
/// #         *sum = result.unwrap_or(0);
/// #         result.is_some()
/// #     }
/// }
///
/// lkm::c_functions! {
///     bindings;
///
///     // SAFETY: It only reads the item, writes a number, and can run anywhere.
///     unsafe extern "C" {
///         /// Adds up the numbers of `item`, and returns whether the sum fits.
///         safe fn cool_sum(item: &bindings::Item, sum: &mut i32) -> bool;
///     }
/// }
///
/// let item = bindings::Item { x: 12, y: 32 };
/// let mut sum = 0;
/// if cool_sum(&item, &mut sum) {
///     pr_info!("{sum}\n");
/// }
/// ```
///
/// A raw pointer can be invalid, so a function that takes one does not compile:
///
/// ```compile_fail,E0277
/// # mod bindings {
/// #     pub unsafe extern "C" fn cool_free(_item: *mut i32) {}
/// # }
/// lkm::c_functions! {
///     bindings;
///
///     unsafe extern "C" {
///         safe fn cool_free(item: *mut i32);
///     }
/// }
/// ```
///
/// Nor does one that nobody promises anything for:
///
/// ```compile_fail
/// # mod bindings {
/// #     pub unsafe extern "C" fn cool_number() -> i32 { 42 }
/// # }
/// lkm::c_functions! {
///     bindings;
///
///     extern "C" {
///         safe fn cool_number() -> i32;
///     }
/// }
/// ```
#[macro_export]
macro_rules! c_functions {
    ($bindings:ident; unsafe extern "C" {$(
        $(#[$attr:meta])*
        $vis:vis safe fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $return:ty)?;
    )*}) => {$(
        $(#[$attr])*
        $vis fn $name($($arg: $type),*) $(-> $return)? {
            $($crate::interop::is_argument::<$type>();)*
            $($crate::interop::is_return::<$return>();)?
            // SAFETY: References are valid pointers for as long as the call
            // lasts, and C does not write through shared ones. Who wrote `unsafe`
            // has promised that the C code requires no more than that.
            unsafe { $bindings::$name($($arg),*) }
        }
    )*};
}
pub use crate::c_functions;
