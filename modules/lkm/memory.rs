// SPDX-License-Identifier: GPL-2.0-only

//! How much memory there is.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)
//!
//! Nothing is registered here, so unloading needs no care.

use crate::bindings;

/// How many bytes of memory the kernel has to give, free or not. Memory that is
/// plugged in or out changes it. Can be called in any context.
pub fn total() -> u64 {
    // SAFETY: This reads a number.
    unsafe { bindings::lkm_totalram() }
}
