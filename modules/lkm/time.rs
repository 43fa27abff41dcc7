// SPDX-License-Identifier: GPL-2.0-only

//! Delays, and times as C takes them.
//!
//! C headers: [`include/linux/delay.h`](srctree/include/linux/delay.h),
//! [`include/linux/jiffies.h`](srctree/include/linux/jiffies.h)
//!
//! The `kernel` crate converts milliseconds to jiffies, but does not tell how many there
//! have been.

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

/// How many ticks there have been, C's `jiffies` as a number of 64 bits. It does not begin
/// with 0. It may be behind, where a CPU that counts was not run for a while. Can be called
/// in any context.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::time::{ticks, ticks_per_second};
///
/// pr_info!("{} ticks, {} a second\n", ticks(), ticks_per_second());
/// ```
pub fn ticks() -> u64 {
    // SAFETY: This reads a number.
    unsafe { bindings::lkm_ticks() }
}

/// How many ticks there are in a second, C's `HZ`. Can be called in any context.
pub fn ticks_per_second() -> u32 {
    // SAFETY: This returns a number.
    unsafe { bindings::lkm_ticks_per_second() }
}

/// `time` in jiffies, rounded up; 0 if it is negative. At most C's `MAX_JIFFY_OFFSET`: C
/// takes more for a time in the past. Only machines of 32 bits get there.
pub(crate) fn jiffies(time: Delta) -> c_long {
    // SAFETY: This only computes. C does it, as bindgen finds another `HZ`.
    unsafe { bindings::lkm_jiffies(time.as_nanos()) }
}
