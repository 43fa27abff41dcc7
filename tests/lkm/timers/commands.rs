// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('m', number)`.
const fn command(number: u32) -> u32 {
    ((b'm' as u32) << 8) | number
}

/// Starts the timer: it goes off after so many milliseconds. Returns whether it was to go
/// off before.
pub(crate) const START: u32 = command(0);
/// Starts it with the time in `FAR` with this index.
pub(crate) const START_FAR: u32 = command(1);
pub(crate) const CANCEL: u32 = command(2);
pub(crate) const IS_PENDING: u32 = command(3);
/// How often it went off.
pub(crate) const RUNS: u32 = command(4);
/// How often it went off at the same time, at most.
pub(crate) const MOST: u32 = command(5);
/// How often it went off in another context than that of a softirq.
pub(crate) const ELSEWHERE: u32 = command(6);
/// How many microseconds it is to take.
pub(crate) const DELAY: u32 = command(7);
/// What it says when it has gone off: that it is not to do so again, if the argument is 0,
/// or one of these and a number of milliseconds.
pub(crate) const RESTART: u32 = command(8);
pub(crate) const AFTER: usize = 1 << 32;
pub(crate) const EVERY: usize = 2 << 32;
/// For how many ticks it waited the last time.
pub(crate) const TICKS: u32 = command(9);
/// Makes a timer that goes off after so many milliseconds and starts itself again, waits
/// for so many, and drops it. Returns how often it went off later.
pub(crate) const DROP: u32 = command(10);
/// Makes a timer that drops itself when it goes off.
pub(crate) const DROPS_ITSELF: u32 = command(11);
/// How many handlers were dropped.
pub(crate) const DROPPED: u32 = command(12);
/// Timers of odd types, of size 0 and of 4 KiB aligned to 64, that go off once: how often
/// they did.
pub(crate) const ODD: u32 = command(13);
pub(crate) const ODD_RUNS: u32 = command(14);
/// Makes a timer that is to go off every millisecond. Each time its handler first starts it
/// for a time that never ends. After ten times it drops itself.
pub(crate) const STARTS_ITSELF: u32 = command(15);
/// Makes a timer, and drops it with interrupts off.
pub(crate) const DROP_WITH_IRQS_OFF: u32 = command(16);
/// Which task has dropped the last handler.
pub(crate) const DROPPER: u32 = command(17);

/// Times in nanoseconds: two that never end, and two that are none.
pub(crate) const FAR: [i64; 4] = [i64::MAX - 1, i64::MAX, -1, i64::MIN];
