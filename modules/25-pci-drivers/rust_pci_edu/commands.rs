// SPDX-License-Identifier: GPL-2.0-only

//! What `/dev/eduN` can be told by ioctl(2).

/// As C's `_IO('e', number)`.
const fn command(number: u32) -> u32 {
    ((b'e' as u32) << 8) | number
}

/// Returns what the device says it is: 0x010000ed, of which the upper bytes are the version.
pub(crate) const IDENTIFY: u32 = command(0);
/// Returns whether the device is alive: 1, or 0. The argument is a number that it is sent.
pub(crate) const LIVENESS: u32 = command(1);
/// Has the device compute the factorial of the argument, at most 12.
pub(crate) const START: u32 = command(2);
/// Waits for the factorial, and returns it.
pub(crate) const RESULT: u32 = command(3);
/// Has the device interrupt for nothing.
pub(crate) const RAISE: u32 = command(4);
/// Returns how many interrupts there were.
pub(crate) const INTERRUPTS: u32 = command(5);
