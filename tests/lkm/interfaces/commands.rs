// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('h', number)`.
const fn command(number: u32) -> u32 {
    ((b'h' as u32) << 8) | number
}

/// Has the guest greet. Returns the length of the greeting.
pub(crate) const GREET: u32 = command(0);
/// Waits in the guest's module.
pub(crate) const HOLD: u32 = command(1);
/// Whether the guest is gone.
pub(crate) const IS_GONE: u32 = command(2);
/// Forgets the guest.
pub(crate) const FORGET: u32 = command(3);
/// Puts an object behind the symbol.
pub(crate) const PUBLISH: u32 = command(4);
/// Drops that.
pub(crate) const WITHDRAW: u32 = command(5);

// What interfaces-user can be told.
/// Lets those go on who are held, and will be.
pub(crate) const GO_ON: u32 = command(20);
/// How many are held.
pub(crate) const HELD: u32 = command(21);
/// Calls the other module.
pub(crate) const CALL: u32 = command(22);
