// SPDX-License-Identifier: GPL-2.0-only

//! Delays, and times as C takes them.
//!
//! C header: [`include/linux/delay.h`](srctree/include/linux/delay.h)

use crate::bindings;
use kernel::{
    prelude::*,
    time::Delta, //
};

#[cfg(not(linux_6_18))]
#[doc(inline)]
pub use kernel::time::delay::udelay;

/// Spins for `delta`, or up to a microsecond longer: no more than some milliseconds, and not
/// a negative time. Can be called in any context.
///
/// Linux 7.2 has it in the `kernel` crate, as `kernel::time::delay::udelay`.
#[cfg(linux_6_18)]
pub fn udelay(delta: Delta) {
    // CAST: Negative times are the caller's mistake.
    // SAFETY: Any number will do: it only takes time.
    unsafe { bindings::lkm_udelay(delta.as_micros_ceil() as c_ulong) }
}

/// `time` in jiffies, rounded up; 0 if it is negative. At most C's `MAX_JIFFY_OFFSET`: C
/// takes more for a time in the past. Only machines of 32 bits get there.
pub(crate) fn jiffies(time: Delta) -> c_long {
    // SAFETY: This only computes. C does it, as bindgen finds another `HZ`.
    unsafe { bindings::lkm_jiffies(time.as_nanos()) }
}
