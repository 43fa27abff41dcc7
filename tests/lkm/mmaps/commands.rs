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
/// Copies bytes from the process to the pages, and back. The argument has an offset and a length,
/// and then the bytes.
pub(crate) const COPY_IN: u32 = command(3);
pub(crate) const COPY_OUT: u32 = command(4);
/// Makes bytes zero: the argument has an offset and a length.
pub(crate) const CLEAR: u32 = command(5);
/// How often somebody was given a page of that device, when he touched it.
pub(crate) const FAULTS: u32 = command(6);
/// The error with which the odd device has failed to make another one.
pub(crate) const MADE: u32 = command(7);

/// So many pages more than there are can be mapped, where they are given on demand.
pub(crate) const TOO_MANY: usize = 2;
