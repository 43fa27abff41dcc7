// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('l', number)`.
const fn command(number: u32) -> u32 {
    ((b'l' as u32) << 8) | number
}

pub(crate) const SCHEDULE: u32 = command(0);
/// How often the tasklet has run.
pub(crate) const RUNS: u32 = command(1);
/// How often it ran at the same time, at most.
pub(crate) const MOST: u32 = command(2);
/// How often it ran in another context than that of a softirq.
pub(crate) const ELSEWHERE: u32 = command(3);
/// How many microseconds it is to take.
pub(crate) const DELAY: u32 = command(4);
/// Makes a tasklet, schedules it and drops it. Returns how often it has run.
pub(crate) const DROP: u32 = command(5);
/// The same, but does not schedule it.
pub(crate) const DROP_UNUSED: u32 = command(6);
/// Gives the tasklet a wait queue, which it drops when it runs.
pub(crate) const GIVE_QUEUE: u32 = command(7);
