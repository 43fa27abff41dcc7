// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('n', number)`.
const fn command(number: u32) -> u32 {
    ((b'n' as u32) << 8) | number
}

/// Makes a device of a kind: its name is that of the kind.
pub(crate) const MAKE: u32 = command(0);
/// Drops the device of that kind: here, ...
pub(crate) const DROP: u32 = command(1);
/// ... in a tasklet, ...
pub(crate) const DROP_IN_SOFTIRQ: u32 = command(2);
/// ... or with interrupts off.
pub(crate) const DROP_WITHOUT_IRQS: u32 = command(3);

/// How often something has run, of all devices.
pub(crate) const OPENS: u32 = command(4);
pub(crate) const STOPS: u32 = command(5);
pub(crate) const FRAMES: u32 = command(6);
pub(crate) const POLLS: u32 = command(7);
/// How many devices of the first two kinds there are that were not dropped.
pub(crate) const LIVING: u32 = command(8);
/// How often anything was not as it must be.
pub(crate) const WRONG: u32 = command(9);
/// How much the most room was that a poll had.
pub(crate) const MOST_ROOM: u32 = command(10);

/// How many frames wait at most, 256 or less.
pub(crate) const LIMIT: u32 = command(11);
/// As long as this is not 0, polls pass nothing on, and no queue is stopped.
pub(crate) const HOLD: u32 = command(12);
/// Has the device of that kind polled.
pub(crate) const SCHEDULE: u32 = command(13);
/// What the methods of the first kind do, from now on.
pub(crate) const DO: u32 = command(14);
/// The error number of what they did then.
pub(crate) const ANSWER: u32 = command(15);
/// Makes the thread that a method drops.
pub(crate) const MAKE_THREAD: u32 = command(16);

/// Tries to make a device with the name of this index.
pub(crate) const TRY_NAME: u32 = command(17);
/// What the device of the first kind says that it has counted: the field of this index.
pub(crate) const COUNT: u32 = command(18);
/// Has the device of the first kind receive a frame of that length that was made.
pub(crate) const RECEIVE: u32 = command(19);
/// The sum of the bytes of the frames that were sent while it was to [`LOOK`].
pub(crate) const SUM: u32 = command(20);

/// How many frames are kept.
pub(crate) const KEPT: u32 = command(21);
/// Has the device of that kind receive them.
pub(crate) const GIVE_KEPT: u32 = command(22);
/// Frees them, with interrupts off.
pub(crate) const FREE_KEPT: u32 = command(23);

/// Makes a family of generic netlink and a miscellaneous device, which a method drops.
pub(crate) const MAKE_OTHERS: u32 = command(24);
/// How many of these there are.
pub(crate) const OTHERS: u32 = command(25);

// What the methods do.
/// Nothing more.
pub(crate) const NOTHING: usize = 0;
/// The device refuses to send.
pub(crate) const REFUSE_FRAMES: usize = 1;
/// It keeps what it sends, after the end of the device, too.
pub(crate) const KEEP: usize = 2;
/// It reads all that it sends.
pub(crate) const LOOK: usize = 3;
/// A method, to be added, drops its device, ...
pub(crate) const DROP_IN: usize = 0x10;
/// ... the device of the second kind, ...
pub(crate) const DROP_OTHER_IN: usize = 0x20;
/// ... the thread, ...
pub(crate) const DROP_THREAD_IN: usize = 0x30;
/// ... or what is neither; ...
pub(crate) const DROP_OTHERS_IN: usize = 0x40;
/// ... or it makes a device, ...
pub(crate) const MAKE_IN: usize = 0x50;
/// ... a family, ...
pub(crate) const MAKE_FAMILY_IN: usize = 0x60;
/// ... or a miscellaneous device.
pub(crate) const MAKE_MISC_IN: usize = 0x70;
/// Opening it fails, with this error number added.
pub(crate) const REFUSE: usize = 0x1000;

/// The methods.
pub(crate) const OPEN: usize = 0;
pub(crate) const STOP: usize = 1;
pub(crate) const TRANSMIT: usize = 2;
pub(crate) const POLL: usize = 3;

/// Kinds of devices: two whose frames come back, ...
pub(crate) const MAIN: usize = 0;
pub(crate) const OTHER: usize = 1;
/// ... one of size 0, ...
pub(crate) const EMPTY: usize = 2;
/// ... and one of 4 KiB aligned to 64 bytes.
pub(crate) const WIDE: usize = 3;

/// Their names.
pub(crate) const DEVICES: [&core::ffi::CStr; 4] =
    [c"netdevs0", c"netdevs1", c"netdevs2", c"netdevs3"];

pub(crate) const NAMES: [&core::ffi::CStr; 15] = [
    c"",
    c".",
    c"..",
    c"a/b",
    c"a:b",
    c"a b",
    c"a\nb",
    c"%s",
    c"%d%d",
    c"a%",
    c"sixteen-letters-",
    c"a-name-that-is-much-longer-than-that",
    // The kernel only finds these out when the device is nearly there.
    c"all",
    c"default",
    // Good.
    c"netdev-15-chars",
];
