// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2). The lower 8 bits of the argument are
//! the place of a line in the module. The others are a number or a level.

/// As C's `_IO('g', number)`.
const fn command(number: u32) -> u32 {
    ((b'g' as u32) << 8) | number
}

/// How many lines the module can have at a time.
pub(crate) const PLACES: usize = 8;

/// Asks for the line with that number.
pub(crate) const GET: u32 = command(0);
/// Asks for the line of a chip that is not there.
pub(crate) const GET_ELSEWHERE: u32 = command(1);
/// Makes it an output, with that level.
pub(crate) const OUTPUT: u32 = command(2);
pub(crate) const INPUT: u32 = command(3);
/// Sets an output to that level.
pub(crate) const SET: u32 = command(4);
pub(crate) const READ: u32 = command(5);
pub(crate) const DROP: u32 = command(6);
pub(crate) const DROP_IN_SOFTIRQ: u32 = command(7);
/// Makes an input the source of an interrupt, and drops that. Returns its number.
pub(crate) const NUMBER: u32 = command(8);
/// Lets many use an output at the same time.
pub(crate) const SHARE: u32 = command(9);
/// Sets that output to the level that is the argument, and reads it.
pub(crate) const USE_SHARED: u32 = command(10);
pub(crate) const DROP_SHARED: u32 = command(11);
