// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('g', number)`.
const fn command(number: u32) -> u32 {
    ((b'g' as u32) << 8) | number
}

/// Tells the controller of an edge: the argument is the line, and [`HIGH`] if it rises.
pub(crate) const EDGE: u32 = command(0);
/// Drops the controller.
pub(crate) const DROP: u32 = command(1);
/// How often its methods were called.
pub(crate) const CALLS: u32 = command(2);
/// Makes controllers that there cannot be. Succeeds if each is refused.
pub(crate) const REFUSED: u32 = command(3);

/// The number of the interrupt of a line.
pub(crate) const IRQ: u32 = command(4);
/// Requests the interrupt with this number, and drops it.
pub(crate) const REQUEST: u32 = command(5);

/// Reads a line where one must not sleep, and once more when its controller was dropped.
/// Succeeds if that has no such device.
pub(crate) const READ_ATOMIC: u32 = command(6);

pub(crate) const HIGH: usize = 1 << 16;

/// How many lines there are.
pub(crate) const LINES: u32 = 8;
