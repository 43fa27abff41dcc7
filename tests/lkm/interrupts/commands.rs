// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2). The lower 8 bits of the argument are
//! the place of an interrupt in the module, which has four of them.

/// As C's `_IO('i', number)`.
const fn command(number: u32) -> u32 {
    ((b'i' as u32) << 8) | number
}

/// Requests the interrupt of a line: 8 bits each are place, line, kind and trigger.
pub(crate) const REQUEST: u32 = command(0);
/// Requests an interrupt: the argument has its number after the place.
pub(crate) const REQUEST_NUMBER: u32 = command(1);
pub(crate) const NUMBER: u32 = command(2);
/// The level of the line that it comes from.
pub(crate) const LEVEL: u32 = command(3);
pub(crate) const SYNC: u32 = command(4);
pub(crate) const DROP: u32 = command(5);
pub(crate) const DROP_IN_SOFTIRQ: u32 = command(6);

/// How often `hard` has run, of all handlers.
pub(crate) const HARD: u32 = command(7);
/// How often `thread` has run.
pub(crate) const THREADS: u32 = command(8);
/// How often anything was not as it must be.
pub(crate) const WRONG: u32 = command(9);
/// How many threads are running.
pub(crate) const RUNNING: u32 = command(10);
/// How many handlers there are that were not dropped.
pub(crate) const LIVING: u32 = command(11);

/// Requests the interrupts of two lines, 8 bits each. Each thread drops the other one's
/// handle when both run.
pub(crate) const RIVALS: u32 = command(12);
/// How many names were taken that cannot be.
pub(crate) const BAD_NAMES: u32 = command(13);
/// The error number of the last [`SYNC`] that a thread did for itself.
pub(crate) const SYNCED: u32 = command(14);

/// Requests the interrupt of a line, for many to wait for: the argument is the line.
pub(crate) const SHARE: u32 = command(15);
pub(crate) const SYNC_SHARED: u32 = command(16);
pub(crate) const DROP_SHARED: u32 = command(17);

/// Kinds of handlers: those that have a thread, are hard, have both ...
pub(crate) const THREADED: usize = 0;
pub(crate) const HARD_ONLY: usize = 1;
pub(crate) const BOTH: usize = 2;
/// ... have both, and a page of memory aligned to 64 bytes ...
pub(crate) const BIG: usize = 3;
/// ... or drop their own handle, in their thread or before.
pub(crate) const SELFISH: usize = 4;
pub(crate) const SELFISH_HARD: usize = 5;

/// Triggers.
pub(crate) const UNCHANGED: usize = 0;
pub(crate) const RISING: usize = 1;
pub(crate) const FALLING: usize = 2;
pub(crate) const EDGES: usize = 3;
pub(crate) const HIGH: usize = 4;
pub(crate) const LOW: usize = 5;
