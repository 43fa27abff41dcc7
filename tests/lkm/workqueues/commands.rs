// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('q', number)`.
const fn command(number: u32) -> u32 {
    ((b'q' as u32) << 8) | number
}

// About one item: the low byte of the argument is its number, the rest a value.
pub(crate) const ENQUEUE: u32 = command(0);
/// After as many milliseconds as the value says.
pub(crate) const ENQUEUE_DELAYED: u32 = command(1);
pub(crate) const FLUSH: u32 = command(2);
pub(crate) const CANCEL: u32 = command(3);
/// How often it has run.
pub(crate) const RUNS: u32 = command(4);
/// How many times it is being run, and the most that this ever was.
pub(crate) const RUNNING: u32 = command(5);
pub(crate) const MOST: u32 = command(6);
/// The context that it ran in last.
pub(crate) const CONTEXT: u32 = command(7);
/// It is to enqueue itself as often as the value says.
pub(crate) const REPEAT: u32 = command(8);
/// It is to wait until it is released, once, if the value is 1.
pub(crate) const HOLD: u32 = command(9);
pub(crate) const RELEASE: u32 = command(10);
/// It is to sleep for as many milliseconds as the value says.
pub(crate) const NAP: u32 = command(11);
/// Enqueues the item after the delay in `FAR` with this index.
pub(crate) const ENQUEUE_FAR: u32 = command(12);
/// Gives it another delay: as many milliseconds as the value says.
pub(crate) const MODIFY: u32 = command(13);
pub(crate) const IS_PENDING: u32 = command(14);

// About closures.
/// Enqueues one that owns memory and counts.
pub(crate) const SPAWN: u32 = command(20);
pub(crate) const SPAWNED: u32 = command(21);
/// How much of that memory is not freed yet.
pub(crate) const OWNED: u32 = command(22);
pub(crate) const FLUSH_QUEUE: u32 = command(23);
/// Makes a queue, gives it as many closures as the argument says, each of which
/// sleeps and counts, drops the queue, and returns how many have run.
pub(crate) const DROP_QUEUE: u32 = command(24);
/// Makes a queue with the flags in the low half of the argument, and the limit
/// in the other.
pub(crate) const NEW_QUEUE: u32 = command(25);
/// The bit of the argument that says that its name is empty.
pub(crate) const NO_NAME: usize = 1 << 16;
/// Makes an ordered one with these flags.
pub(crate) const NEW_ORDERED: u32 = command(26);

/// Gives the queue a closure that gives it another one, waits for that and counts.
pub(crate) const CHAIN: u32 = command(27);

/// How often an item repeats that is to do so without end.
pub(crate) const ENDLESS: usize = 0xff_ffff;

/// Delays in nanoseconds: two that never end, and two that are none.
pub(crate) const FAR: [i64; 4] = [i64::MAX - 1, i64::MAX, -1, i64::MIN];
