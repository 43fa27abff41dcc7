// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('s', number)`.
const fn command(number: u32) -> u32 {
    ((b's' as u32) << 8) | number
}

// Each takes a permit and keeps it.
pub(crate) const DOWN: u32 = command(0);
pub(crate) const DOWN_INTERRUPTIBLE: u32 = command(1);
pub(crate) const DOWN_KILLABLE: u32 = command(2);
/// For no longer than the argument's number of milliseconds.
pub(crate) const DOWN_TIMEOUT: u32 = command(3);
pub(crate) const TRY_DOWN: u32 = command(4);
pub(crate) const UP: u32 = command(5);
/// Has a permit for a millisecond.
pub(crate) const ENTER: u32 = command(6);
/// How many had one at the same time, at most.
pub(crate) const MOST: u32 = command(7);
