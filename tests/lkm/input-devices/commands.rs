// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('i', number)`.
const fn command(number: u32) -> u32 {
    ((b'i' as u32) << 8) | number
}

/// Makes the device.
pub(crate) const MAKE: u32 = command(0);
/// Drops it. Whoever is reporting has it a little longer.
pub(crate) const DROP: u32 = command(1);
/// Presses the button whose number is the argument.
pub(crate) const PRESS: u32 = command(2);
/// Releases it.
pub(crate) const RELEASE: u32 = command(3);
/// How often the device was opened.
pub(crate) const OPENS: u32 = command(4);
/// How often it was closed.
pub(crate) const CLOSES: u32 = command(5);
/// How often it was told something.
pub(crate) const EVENTS: u32 = command(6);
/// Whether its LED is on.
pub(crate) const LED: u32 = command(7);
/// What it does when it is opened, closed or told something, from now on.
pub(crate) const DO: u32 = command(8);
/// The error number of what it did then.
pub(crate) const ANSWER: u32 = command(9);
/// Tries to make devices that there cannot be. Returns how many there were.
pub(crate) const MAKE_BAD: u32 = command(10);
/// Makes the device with a key that consoles want: they open it while it is being made.
pub(crate) const MAKE_KEYBOARD: u32 = command(11);
/// Makes another device, which does nothing.
pub(crate) const MAKE_OTHER: u32 = command(12);
/// Whether the other device is there.
pub(crate) const HAS_OTHER: u32 = command(13);

// What the device does.
/// Nothing more.
pub(crate) const NOTHING: usize = 0;
/// Refuses to be opened, with this error number.
pub(crate) const REFUSE: usize = 0x1000;
/// Reports, when it is told something.
pub(crate) const REPORT: usize = 1;
/// Drops itself, when it is opened.
pub(crate) const DROP_IN_OPEN: usize = 2;
/// Drops itself, when it is closed.
pub(crate) const DROP_IN_CLOSE: usize = 3;
/// Drops itself, when it is told something.
pub(crate) const DROP_IN_EVENT: usize = 4;
/// Drops the other device, when it is opened.
pub(crate) const DROP_OTHER_IN_OPEN: usize = 5;
/// Drops the other device, when it is closed.
pub(crate) const DROP_OTHER_IN_CLOSE: usize = 6;
/// Drops the other device, when it is told something.
pub(crate) const DROP_OTHER_IN_EVENT: usize = 7;
/// Makes a device, when it is opened.
pub(crate) const MAKE_IN_OPEN: usize = 8;

/// The device's buttons, none of which is for a console.
pub(crate) const FIRST: u16 = 0x100;
pub(crate) const LAST: u16 = 0x107;
