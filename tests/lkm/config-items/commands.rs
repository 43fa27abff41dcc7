// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('c', number)`.
const fn command(number: u32) -> u32 {
    ((b'c' as u32) << 8) | number
}

/// Makes a subsystem of a kind: its name is that of the kind.
pub(crate) const MAKE: u32 = command(0);
/// Drops the subsystem of that kind: here, ...
pub(crate) const DROP: u32 = command(1);
/// ... or in a tasklet.
pub(crate) const DROP_IN_SOFTIRQ: u32 = command(2);

/// How often functions have run, of all items.
pub(crate) const SHOWS: u32 = command(3);
pub(crate) const STORES: u32 = command(4);
pub(crate) const MAKES: u32 = command(5);
/// How many functions are running.
pub(crate) const RUNNING: u32 = command(6);
/// How many items there are that were not dropped.
pub(crate) const LIVING: u32 = command(7);
/// How often anything was not as it must be.
pub(crate) const WRONG: u32 = command(8);

/// Functions fail with this error number; 0 for none.
pub(crate) const FAIL: u32 = command(9);
/// Functions wait as long as this is not 0.
pub(crate) const HOLD: u32 = command(10);
/// Functions drop subsystems that are to, as long as this is not 0.
pub(crate) const ARM: u32 = command(11);

/// Tries to make a subsystem with the name of this index, ...
pub(crate) const TRY_NAME: u32 = command(12);
/// ... with one file too many, ...
pub(crate) const TRY_MANY: u32 = command(13);
/// ... or with two files of one name.
pub(crate) const TRY_TWICE: u32 = command(14);
/// What making a subsystem in a function has returned since this was asked last.
pub(crate) const MADE_WITHIN: u32 = command(15);

/// How often children of the first kind below were dropped. That waits, too.
pub(crate) const DROPS: u32 = command(16);

/// Kinds of subsystems: those with files of all kinds, and so on for what is in them, ...
pub(crate) const ALL: usize = 0;
/// ... with a number and nothing else, ...
pub(crate) const NUMBER: usize = 1;
/// ... with nothing at all, ...
pub(crate) const NOTHING: usize = 2;
/// ... of 4 KiB aligned to 64 bytes, ...
pub(crate) const WIDE: usize = 3;
/// ... with as many files as there can be, ...
pub(crate) const MANY: usize = 4;
/// ... that drop themselves in each function, or a subsystem of the first kind, ...
pub(crate) const SELFISH: usize = 5;
pub(crate) const UNKIND: usize = 6;
/// ... that drop each other, ...
pub(crate) const RIVAL: usize = 7;
pub(crate) const OTHER_RIVAL: usize = 8;
/// ... or that make a subsystem.
pub(crate) const MAKER: usize = 9;
/// Children with files of the same name, or with too many.
pub(crate) const BAD_TWICE: usize = 10;
pub(crate) const BAD_MANY: usize = 11;
pub(crate) const KINDS: usize = 12;

/// The most files that an item can have.
pub(crate) const MOST_FILES: usize = 16;

pub(crate) const NAMES: [&core::ffi::CStr; 6] = [
    c"",
    c".",
    c"..",
    c"a/b",
    // Taken.
    c"config-items-0",
    // Good.
    c"config items!\n\xff",
];
