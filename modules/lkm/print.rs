// SPDX-License-Identifier: GPL-2.0-only

//! Addresses in the log.
//!
//! C header: [`include/linux/sprintf.h`](srctree/include/linux/sprintf.h)
//!
//! Reference: <https://docs.kernel.org/core-api/printk-formats.html>
//!
//! The `kernel` crate prints a pointer as it is, with `{:p}`. It has nothing like
//! C's `%p`.
//!
//! # Unloading
//!
//! Nothing is registered here. The kernel copies the text that is printed, and
//! keeps no pointer into the module.

use crate::{
    bindings,
    compat::CStrExt, //
};
use core::ffi::CStr;
use kernel::fmt;

/// An address that is printed hashed, like C's `%p`. So the log tells addresses
/// apart, but does not reveal where in memory the kernel is. `{:p}` reveals it.
///
/// Can be printed in any context.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::print::Hashed;
///
/// let answer = KBox::new(42, GFP_KERNEL)?;
/// pr_info!("the answer is at {}\n", Hashed(&raw const *answer));
/// # Ok::<(), Error>(())
/// ```
pub struct Hashed<T>(pub *const T);

impl<T> Clone for Hashed<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Hashed<T> {}

impl<T> fmt::Display for Hashed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 24];
        // SAFETY: At most that many bytes are written, with a NUL at the end.
        // The pointer is only used as a number.
        unsafe {
            bindings::snprintf(
                text.as_mut_ptr().cast(),
                text.len(),
                c"%p".as_char_ptr(),
                self.0,
            )
        };
        let text = CStr::from_bytes_until_nul(&text).map_err(|_| fmt::Error)?;
        f.write_str(text.to_str().map_err(|_| fmt::Error)?)
    }
}
