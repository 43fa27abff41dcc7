// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('p', number)`.
const fn command(number: u32) -> u32 {
    ((b'p' as u32) << 8) | number
}

/// How many bytes there are.
pub(crate) const SIZE: u32 = command(0);
/// Adds 1 to the number at this offset, and returns what it was.
pub(crate) const ADD: u32 = command(1);
/// Tries to make so many pages.
pub(crate) const MAKE: u32 = command(2);
