// SPDX-License-Identifier: GPL-2.0-only

//! Delays, and times as C takes them.
//!
//! C header: [`include/linux/delay.h`](srctree/include/linux/delay.h)

use crate::bindings;
use kernel::{
    prelude::*,
    time::Delta, //
};

/// Spins for `delta`, or up to a microsecond longer: for as long as C's `MAX_UDELAY_MS` at
/// most, which is 5 ms on most machines. Can be called in any context.
///
/// Linux 7.2 has one in the `kernel` crate, for which a negative time is the longest.
pub fn udelay(delta: Delta) {
    // CAST: It is not negative.
    // SAFETY: Any number will do: it only takes time.
    unsafe { bindings::lkm_udelay(delta.as_micros_ceil().max(0) as u64) }
}

/// `time` in jiffies, rounded up; 0 if it is negative. At most C's `MAX_JIFFY_OFFSET`: C
/// takes more for a time in the past. Only machines of 32 bits get there.
pub(crate) fn jiffies(time: Delta) -> c_long {
    // SAFETY: This only computes. C does it, as bindgen finds another `HZ`.
    unsafe { bindings::lkm_jiffies(time.as_nanos()) }
}
