// SPDX-License-Identifier: GPL-2.0-only

//! Functions of C code that belongs to the module itself.
//!
//! bindgen knows the types of a header, but not what a function does with a
//! pointer. [`c_functions!`](crate::c_functions!) makes functions that are safe
//! to call from those whose header keeps a simple rule.
//!
//! # Unloading
//!
//! The C code is part of the module, and the rule forbids it to register
//! anything: nothing of it can be called later.

/// What may be passed to a function of C, and returned by one: numbers, `bool`,
/// and, as arguments, references. No raw pointers, which could be anything.
#[doc(hidden)]
pub trait Argument {}

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

/// Makes functions that are safe to call from those of a header of the module's
/// own C code, which bindgen has put into the module named first.
///
/// The types must fit: the compiler turns `&T` into `*const T`, `&mut T` into
/// `*mut T`, and nothing else into a pointer, so none is ever null.
///
/// # The rule for the C code
///
/// - It uses a pointer only until it returns, and for one `T`; it writes through
///   it only what is a valid `T`, and not at all when it is `const`.
/// - It may be called in any context that the Rust code calls it in, and on
///   several CPUs at a time.
/// - It registers nothing that is called later.
///
/// That cannot be checked here: C code that breaks the rule is as wrong as it
/// would be among C.
///
/// # Examples
///
/// ```ignore
/// mod bindings {
///     include!("bindings_generated.rs");
/// }
///
/// lkm::c_functions! {
///     bindings;
///     /// Adds up the numbers of `item`, and returns whether there is room.
///     pub(crate) fn cool_sum(item: &bindings::Item, sum: &mut i32) -> bool;
/// }
/// ```
#[macro_export]
macro_rules! c_functions {
    ($bindings:ident; $(
        $(#[$attr:meta])*
        $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $return:ty)?;
    )*) => {$(
        $(#[$attr])*
        $vis fn $name($($arg: $type),*) $(-> $return)? {
            $($crate::interop::is_argument::<$type>();)*
            $($crate::interop::is_return::<$return>();)?
            // SAFETY: References are valid pointers for as long as the call
            // lasts, shared ones to what is not written to; that is all that C
            // asks for by the rule for such code.
            unsafe { $bindings::$name($($arg),*) }
        }
    )*};
}
