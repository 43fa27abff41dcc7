// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('w', number)`.
const fn command(number: u32) -> u32 {
    ((b'w' as u32) << 8) | number
}

// About the mailbox.
/// Waits for a letter and takes it.
pub(crate) const TAKE: u32 = command(0);
/// The same, for no longer than the argument's number of milliseconds.
pub(crate) const TAKE_TIMEOUT: u32 = command(1);
/// Closes the queue.
pub(crate) const CLOSE: u32 = command(2);

// About the event.
pub(crate) const COMPLETE: u32 = command(10);
pub(crate) const COMPLETE_ALL: u32 = command(11);
pub(crate) const WAIT: u32 = command(12);
pub(crate) const WAIT_INTERRUPTIBLE: u32 = command(13);
pub(crate) const WAIT_TIMEOUT: u32 = command(14);
pub(crate) const WAIT_INTERRUPTIBLE_TIMEOUT: u32 = command(15);
pub(crate) const TRY_WAIT: u32 = command(16);
pub(crate) const IS_DONE: u32 = command(17);
pub(crate) const REINIT: u32 = command(18);
