// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('t', number)`.
const fn command(number: u32) -> u32 {
    ((b't' as u32) << 8) | number
}

/// Makes a thread that does what the argument says, in place of the last.
pub(crate) const SPAWN: u32 = command(0);
/// The same, on the CPU that is the high half of the argument.
pub(crate) const SPAWN_ON: u32 = command(1);
// About that thread. Stopping and joining it returns what its closure returned.
pub(crate) const STOP: u32 = command(2);
pub(crate) const JOIN: u32 = command(3);
pub(crate) const PARK: u32 = command(4);
pub(crate) const UNPARK: u32 = command(5);
pub(crate) const IS_FINISHED: u32 = command(6);
/// How often threads have run, or have gone round.
pub(crate) const RUNS: u32 = command(7);
/// How much memory closures own that is not freed yet.
pub(crate) const OWNED: u32 = command(8);
pub(crate) const COMPLETE: u32 = command(9);
/// Makes a thread on this CPU, which has no time for it, and stops it.
pub(crate) const STOP_AT_ONCE: u32 = command(10);
/// How many CPUs are online.
pub(crate) const CPUS: u32 = command(11);
/// Makes a thread in the group that does what the argument says.
pub(crate) const JOIN_GROUP: u32 = command(12);
/// Drops the group, and makes another one.
pub(crate) const DROP_GROUP: u32 = command(13);
/// Drops the thread.
pub(crate) const DROP: u32 = command(14);

// What a thread does.
/// Returns at once.
pub(crate) const RETURN: usize = 0;
/// Fails at once.
pub(crate) const FAIL: usize = 1;
/// Sleeps until it is to stop.
pub(crate) const SLEEP: usize = 2;
/// Goes round until it is to stop, and parks when it is asked to.
pub(crate) const GO_ROUND: usize = 3;
/// Waits for a completion, twice.
pub(crate) const WAIT: usize = 4;
/// Returns after a while, whether it is to stop or not.
pub(crate) const TAKE_TIME: usize = 5;
/// Sleeps for an hour, once.
pub(crate) const SLEEP_LONG: usize = 6;
/// When it is to stop, waits until all [`TOGETHER`] others are to stop, too.
pub(crate) const STOP_TOGETHER: usize = 7;
/// Waits in a queue for half a second, parks when it is asked to, and begins again.
pub(crate) const WAIT_IN_QUEUE: usize = 8;

/// With one of these: it returns the memory that its closure owns.
pub(crate) const KEEP: usize = 0x100;

/// How much that is. Stopping and joining such a thread returns it.
pub(crate) const SIZE: usize = 1000;

/// How many threads there are of those that stop together.
pub(crate) const TOGETHER: u32 = 20;
