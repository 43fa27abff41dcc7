// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('i', number)`.
const fn command(number: u32) -> u32 {
    ((b'i' as u32) << 8) | number
}

/// Makes an adapter or a driver of a kind.
pub(crate) const MAKE: u32 = command(0);
/// Drops it: here, ...
pub(crate) const DROP: u32 = command(1);
/// ... or in a tasklet.
pub(crate) const DROP_IN_SOFTIRQ: u32 = command(2);

/// Transfers of the device that was probed last: the argument is a register, and above its 8
/// bits what is to be written.
pub(crate) const READ_BYTE: u32 = command(3);
pub(crate) const WRITE_BYTE: u32 = command(4);
pub(crate) const READ_WORD: u32 = command(5);
pub(crate) const WRITE_WORD: u32 = command(6);

/// A byte of that device's name, and its address.
pub(crate) const NAME_BYTE: u32 = command(7);
pub(crate) const ADDRESS: u32 = command(8);

/// How often functions have run.
pub(crate) const METHODS: u32 = command(9);
pub(crate) const PROBES: u32 = command(10);
pub(crate) const REMOVES: u32 = command(11);
/// How many methods are running.
pub(crate) const RUNNING: u32 = command(12);
/// How many devices have a driver.
pub(crate) const LIVING: u32 = command(13);
/// How often anything was not as it must be.
pub(crate) const WRONG: u32 = command(14);
/// What the last method was called for, and what the last device's name stands for.
pub(crate) const LAST_ADDRESS: u32 = command(15);
pub(crate) const LAST_INFO: u32 = command(16);

/// Methods fail with this error number, or probes do; 0 for none.
pub(crate) const FAIL: u32 = command(17);
pub(crate) const FAIL_PROBE: u32 = command(18);

/// From now on the functions of that stage do something more: ...
pub(crate) const STAGE: u32 = command(19);
/// ... drop what there is of a kind, ...
pub(crate) const VICTIM: u32 = command(20);
/// ... or try to make an adapter and a driver, ...
pub(crate) const TRY_TO_MAKE: u32 = command(21);
/// ... of which the last one had this error number, ...
pub(crate) const MADE: u32 = command(22);
/// ... or to use the device that was probed last, ...
pub(crate) const TRY_TO_USE: u32 = command(23);
/// ... and that had this one.
pub(crate) const USED: u32 = command(24);

/// Tries to make an adapter, or a driver, with the name of this index.
pub(crate) const TRY_ADAPTER_NAME: u32 = command(25);
pub(crate) const TRY_DRIVER_NAME: u32 = command(26);

pub(crate) const IN_METHOD: usize = 1;
pub(crate) const IN_PROBE: usize = 2;
pub(crate) const IN_REMOVE: usize = 3;

/// Kinds of adapters: one that does all of this, ...
pub(crate) const BUS: usize = 0;
/// ... of size 0, ...
pub(crate) const EMPTY_BUS: usize = 1;
/// ... and of 4 KiB aligned to 64 bytes.
pub(crate) const WIDE_BUS: usize = 2;
/// Kinds of drivers: the same.
pub(crate) const DRIVER: usize = 3;
pub(crate) const EMPTY_DRIVER: usize = 4;
pub(crate) const WIDE_DRIVER: usize = 5;
pub(crate) const KINDS: usize = 6;

/// What they are called. A device that is called as its driver is for it.
pub(crate) const NAMES: [&core::ffi::CStr; KINDS] = [
    c"i2c-devices",
    c"i2c-devices-empty",
    c"i2c-devices-wide",
    c"i2c-plain",
    c"i2c-empty",
    c"i2c-wide",
];

pub(crate) const ADAPTER_NAMES: [&core::ffi::CStr; 3] = [
    c"",
    c"an-adapter-of-i2c-with-a-name-of-48-letters-here",
    // Good.
    c"an adapter of I2C/with a name of 47 letters too",
];

pub(crate) const DRIVER_NAMES: [&core::ffi::CStr; 5] = [
    c"",
    c".",
    c"..",
    c"a/b",
    // Good.
    c"i2c good",
];
