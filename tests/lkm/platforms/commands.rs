// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('p', number)`.
const fn command(number: u32) -> u32 {
    ((b'p' as u32) << 8) | number
}

/// Makes a thing, which is a driver or a device.
pub(crate) const MAKE: u32 = command(0);
/// Drops a thing: here, ...
pub(crate) const DROP: u32 = command(1);
/// ... in a tasklet, ...
pub(crate) const DROP_IN_SOFTIRQ: u32 = command(2);
/// ... or in a thread, when a driver is told that the machine goes to sleep. That then waits
/// for the thread to begin.
pub(crate) const DROP_LATER: u32 = command(3);

/// As the latter, but the suspend waits until it was dropped.
pub(crate) const DROP_MEANWHILE: u32 = command(15);

/// From now on this method, or the drop of what a driver has for a device, drops these things:
/// the number of the method, and from bit 8 on, a bit for each thing.
pub(crate) const ARM: u32 = command(4);
/// From now on this method fails: its number, and from bit 8 on, the error's number.
pub(crate) const FAIL: u32 = command(5);
/// From now on this method waits; 0 for none.
pub(crate) const HOLD: u32 = command(6);

/// How often this method has run.
pub(crate) const CALLS: u32 = command(7);
/// How many methods are running.
pub(crate) const RUNNING: u32 = command(8);
/// How many drivers there are that were not dropped, ...
pub(crate) const DRIVERS: u32 = command(9);
/// ... and how many devices they have.
pub(crate) const BOUND: u32 = command(10);
/// How often anything was not as it must be.
pub(crate) const WRONG: u32 = command(11);
/// What making a driver, or a device, in a method has returned: these are 16 bits each.
pub(crate) const MADE_IN_METHOD: u32 = command(12);

/// Tries to make a device, or a driver, with the name of this index.
pub(crate) const TRY_DEVICE: u32 = command(13);
pub(crate) const TRY_DRIVER: u32 = command(14);

/// Makes that many devices that are for no driver, in place of those that it has made before.
pub(crate) const CROWD: u32 = command(16);

/// Methods; the second is a drop.
pub(crate) const PROBE: usize = 1;
pub(crate) const REMOVE: usize = 2;
pub(crate) const SUSPEND: usize = 3;
pub(crate) const RESUME: usize = 4;

/// Drivers that do what is told above, ...
pub(crate) const DRIVER: usize = 0;
pub(crate) const OTHER_DRIVER: usize = 1;
/// ... that have no bytes, nor has what they have for a device, ...
pub(crate) const EMPTY: usize = 2;
/// ... of 4 KiB aligned to 64 bytes, ...
pub(crate) const WIDE: usize = 3;
/// ... that look at properties, ...
pub(crate) const READER: usize = 4;
/// ... or that make things.
pub(crate) const MAKER: usize = 5;
pub(crate) const DRIVERS_END: usize = 6;

/// A device for each of them, ...
pub(crate) const DEVICE: usize = 8;
/// ... and some that are for none.
pub(crate) const FOREIGN: usize = DEVICE + DRIVERS_END;
pub(crate) const SWAPPED: usize = FOREIGN + 1;

pub(crate) const NAMES: [&core::ffi::CStr; 10] = [
    c"",
    c".",
    c"..",
    c"a/b",
    c"platforms-with-a-name-of-128-letters--------------------------------------------------------------------------------------------",
    // There is something else of that name in the directory.
    c"power",
    c"uevent",
    // Good.
    c"platforms with blanks!",
    c"%s%n",
    c"platforms-with-a-name-of-127-letters-------------------------------------------------------------------------------------------",
];
