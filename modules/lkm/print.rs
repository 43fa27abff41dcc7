// SPDX-License-Identifier: GPL-2.0-only

//! What the `kernel` crate's printing has not.
//!
//! C header: [`include/linux/sprintf.h`](srctree/include/linux/sprintf.h)
//!
//! Nothing is registered here: the kernel copies what is printed, and has nothing
//! of the module's afterwards.
//!
//! Reference: <https://docs.kernel.org/core-api/printk-formats.html>

use crate::bindings;
use core::ffi::CStr;
use kernel::{
    fmt,
    prelude::*, //
};

/// A pointer that is printed as C's `%p` prints it: hashed, so that the log
/// tells pointers apart, but nobody where in memory the kernel is. `{:p}` tells.
///
/// # Examples
///
/// ```ignore
/// pr_info!("opened {}\n", Hashed(file.as_ptr()));
/// ```
pub struct Hashed<T>(pub *const T);

impl<T> fmt::Display for Hashed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 24];
        // SAFETY: At most that many bytes are written, with a NUL at the end;
        // the pointer is not used but as a number.
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
