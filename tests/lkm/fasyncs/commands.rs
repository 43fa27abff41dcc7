// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('f', number)`.
const fn command(number: u32) -> u32 {
    ((b'f' as u32) << 8) | number
}

/// Tells all files of the device's first queue. The argument is the number of C's band.
pub(crate) const TELL: u32 = command(0);
/// The same for its second queue.
pub(crate) const TELL_SECOND: u32 = command(1);
/// How often the device was asked for a queue.
pub(crate) const ASKED: u32 = command(2);

// About those that interrupts tell.
/// Has a tasklet tell them.
pub(crate) const FROM_SOFTIRQ: u32 = command(10);
/// Has a timer tell them so often, every 100 us.
pub(crate) const FROM_HARDIRQ: u32 = command(11);
/// Whether they were told in another context than the one that was meant.
pub(crate) const ELSEWHERE: u32 = command(12);
