// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('u', number)`.
const fn command(number: u32) -> u32 {
    ((b'u' as u32) << 8) | number
}

/// Makes a driver of a kind.
pub(crate) const MAKE: u32 = command(0);
/// Drops the driver of that kind: here, ...
pub(crate) const DROP: u32 = command(1);
/// ... or in a tasklet.
pub(crate) const DROP_IN_SOFTIRQ: u32 = command(2);

/// How often drivers were bound to an interface, or asked whether they want to be.
pub(crate) const PROBES: u32 = command(3);
/// How often one was disconnected.
pub(crate) const DISCONNECTS: u32 = command(4);
/// How many methods are running.
pub(crate) const RUNNING: u32 = command(5);
/// How many drivers, and things of theirs for an interface, there are that were not dropped.
pub(crate) const LIVING: u32 = command(6);
/// How often anything was not as it must be.
pub(crate) const WRONG: u32 = command(7);
/// Methods wait as long as this is not 0.
pub(crate) const HOLD: u32 = command(8);
/// What making a driver in a method has returned.
pub(crate) const MADE_IN_METHOD: u32 = command(9);

/// What is known of the interface that a driver was last bound to: the byte of its name at this
/// place, or 0, ...
pub(crate) const NAME: u32 = command(10);
/// ... the vendor, ...
pub(crate) const VENDOR: u32 = command(11);
pub(crate) const PRODUCT: u32 = command(12);
/// ... class, subclass and protocol, in bytes, ...
pub(crate) const CLASS: u32 = command(13);
/// ... and each endpoint: the address, the kind from bit 8 on, and from bit 16 on the size.
pub(crate) const ENDPOINTS: u32 = command(14);
pub(crate) const ENDPOINT: u32 = command(15);

/// Has the keyboard repeat its report, in units of 4 ms, or not for 0, and tells what it says
/// that it does.
pub(crate) const SET_IDLE: u32 = command(16);
pub(crate) const GET_IDLE: u32 = command(17);
/// The keyboard has said nothing any more.
pub(crate) const FORGET: u32 = command(18);
/// Reads a report of the keyboard, for so many milliseconds, or for ever for 0.
pub(crate) const REPORT: u32 = command(19);
/// The byte at this place of the keyboard's descriptor.
pub(crate) const DESCRIPTOR: u32 = command(20);
/// Asks the keyboard for what it does not have.
pub(crate) const STALL: u32 = command(21);

/// Asks the reader of cards for its state, with a number that it will repeat.
pub(crate) const ASK: u32 = command(22);
/// Reads an answer of the reader, for so many milliseconds, or for ever for 0. The result has the
/// length in a byte, the number in the next one, and then the answer's kind.
pub(crate) const ANSWER: u32 = command(23);
/// Waits for a card.
pub(crate) const CARD: u32 = command(24);

/// Does what cannot be done: the mistake with this index.
pub(crate) const MISTAKE: u32 = command(25);
/// The last: to ask for more memory than can be had.
pub(crate) const GREED: usize = 8;

/// Tries to make a driver with the name of this index.
pub(crate) const TRY_NAME: u32 = command(26);
/// From now on drivers fail with this error number when they are asked, or not for 0.
pub(crate) const FAIL: u32 = command(27);

/// Which interface a command is about is added to the argument.
pub(crate) const OF_READER: usize = 1 << 16;

/// Kinds of drivers: for keyboards, ...
pub(crate) const KEYBOARDS: usize = 0;
/// ... for readers of cards, by vendor and product, ...
pub(crate) const READERS: usize = 1;
/// ... for both, ...
pub(crate) const BOTH: usize = 2;
/// ... for none, ...
pub(crate) const NONE: usize = 3;
/// ... for keyboards, with 4 KiB aligned to 64 bytes for each, ...
pub(crate) const WIDE: usize = 4;
/// ... or of size 0, with nothing for each, ...
pub(crate) const EMPTY: usize = 5;
/// ... that do not want them when they have used them, ...
pub(crate) const CHOOSY: usize = 6;
/// ... that first wait for a key, ...
pub(crate) const PATIENT: usize = 7;
/// ... that make a driver, ...
pub(crate) const MAKERS: usize = 8;
/// ... that drop themselves when they are asked, or disconnected, or their thing is dropped, ...
pub(crate) const SELFISH: [usize; 3] = [9, 10, 11];
/// ... or, for readers of cards, the driver for keyboards, ...
pub(crate) const UNKIND: usize = 12;
/// ... or, for readers and for keyboards, each other.
pub(crate) const RIVALS: [usize; 2] = [13, 14];
/// One that loses the interfaces of keyboards.
pub(crate) const LOSER: usize = 15;
pub(crate) const KINDS: usize = 16;

/// What drivers are called, by their kinds.
pub(crate) const DRIVERS: [&core::ffi::CStr; KINDS] = [
    c"usbs-0", c"usbs-1", c"usbs-2", c"usbs-3", c"usbs-4", c"usbs-5", c"usbs-6", c"usbs-7",
    c"usbs-8", c"usbs-9", c"usbs-10", c"usbs-11", c"usbs-12", c"usbs-13", c"usbs-14", c"usbs-15",
];

pub(crate) const NAMES: [&core::ffi::CStr; 6] = [
    c"",
    c".",
    c"..",
    c"a/b",
    // The kernel's own.
    c"hub",
    // Good.
    c"usbs with a name",
];
