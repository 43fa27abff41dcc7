// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('t', number)`.
const fn command(number: u32) -> u32 {
    ((b't' as u32) << 8) | number
}

/// The number of the console in the foreground.
pub(crate) const FOREGROUND: u32 = command(0);
/// Whether there is a console of that number.
pub(crate) const EXISTS: u32 = command(1);
/// Whether it is open.
pub(crate) const IS_OPEN: u32 = command(2);

// About the LEDs. There are two that can show some.
/// Shows those in the argument's lowest byte, by the one in the next byte.
pub(crate) const SHOW: u32 = command(10);
pub(crate) const RESTORE: u32 = command(11);
/// Drops it, and makes a new one.
pub(crate) const RENEW: u32 = command(12);
/// Forgets it, and makes a new one.
pub(crate) const FORGET: u32 = command(13);
