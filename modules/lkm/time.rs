// SPDX-License-Identifier: GPL-2.0-only

//! Times as C takes them.

use crate::bindings;
use kernel::{
    prelude::*,
    time::Delta, //
};

/// `time` in jiffies, rounded up; 0 if it is negative. At most C's `MAX_JIFFY_OFFSET`: C
/// takes more for a time in the past. Only machines of 32 bits get there.
pub(crate) fn jiffies(time: Delta) -> c_long {
    // SAFETY: This only computes. C does it, as bindgen finds another `HZ`.
    unsafe { bindings::lkm_jiffies(time.as_nanos()) }
}
