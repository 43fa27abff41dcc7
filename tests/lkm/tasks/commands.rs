// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('t', number)`.
const fn command(number: u32) -> u32 {
    ((b't' as u32) << 8) | number
}

/// Makes an executor, after dropping the one there was: 0 on a queue with
/// `Flags::UNBOUND`, 1 with `Flags::PERCPU`, 2 with `Flags::BH`, 3 on one that
/// runs one task at a time.
pub(crate) const NEW: u32 = command(0);
pub(crate) const DROP: u32 = command(1);
/// Spawns as many tasks that own memory: that are over at once, that never are,
/// or that wait for the signal.
pub(crate) const SPAWN_SHORT: u32 = command(2);
pub(crate) const SPAWN_ENDLESS: u32 = command(3);
pub(crate) const SPAWN_WAITING: u32 = command(4);
/// How many futures own memory, and outputs.
pub(crate) const OWNED: u32 = command(5);
/// How many tasks of all were polled to their end.
pub(crate) const ENDED: u32 = command(6);
/// Whether a future was ever polled or dropped in another context than that of a
/// process.
pub(crate) const MISPLACED: u32 = command(7);
/// Cancels all tasks there are handles of, then drops these.
pub(crate) const CANCEL: u32 = command(8);
pub(crate) const DROP_HANDLES: u32 = command(9);
/// How many handles are of tasks that are over.
pub(crate) const FINISHED: u32 = command(10);
/// Wakes all who wait for the signal: in process context, with interrupts off, or
/// in softirq context; and drops the wakers there.
pub(crate) const SIGNAL: u32 = command(11);
pub(crate) const SIGNAL_IRQS_OFF: u32 = command(12);
pub(crate) const SIGNAL_SOFTIRQ: u32 = command(13);
/// A sum, to which tasks that are spawned by tasks contribute, as deep as the
/// argument says.
pub(crate) const SUM: u32 = command(14);
/// What joining a cancelled task gives: the number of the error.
pub(crate) const JOIN_CANCELLED: u32 = command(15);
/// Sleeps for as many milliseconds, and returns how many passed.
pub(crate) const SLEEP: u32 = command(16);
/// Which of two is over first: the low half of the argument and the high half are
/// milliseconds to sleep, 0xffff is for ever.
pub(crate) const SELECT: u32 = command(17);
/// Spawns with the spawner that the last executor left: the number of the error.
pub(crate) const SPAWN_LATE: u32 = command(18);
/// Spawns tasks that sleep for up to as many milliseconds.
pub(crate) const SPAWN_SLEEPING: u32 = command(19);
/// Listens at a port, which is returned, and does with each connection what
/// `serve` says for the argument.
pub(crate) const SERVE: u32 = command(20);
/// As above, by IPv6.
pub(crate) const SERVE_V6: u32 = command(21);
/// A task that wakes itself without end.
pub(crate) const SPAWN_RESTLESS: u32 = command(22);
/// As SIGNAL, but the wakers stay.
pub(crate) const SIGNAL_AND_KEEP: u32 = command(23);
/// Which of two is over first: a short sleep that one task has begun and another
/// one goes on with, or a sleep of an hour.
pub(crate) const SLEEP_MOVED: u32 = command(24);
/// Spawns as many tasks without an output, and drops their handles in softirq context
/// while they end.
pub(crate) const DROP_IN_SOFTIRQ: u32 = command(25);

/// How many bytes a task reads one at a time.
pub(crate) const MANY: u32 = 4096;
