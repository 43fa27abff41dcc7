// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2). It has one of each thing.

/// As C's `_IO('p', number)`.
const fn command(number: u32) -> u32 {
    ((b'p' as u32) << 8) | number
}

/// Says what the driver does with the next devices: one of the constants below.
pub(crate) const SET: u32 = command(0);
/// Registers the driver, and drops it.
pub(crate) const REGISTER: u32 = command(1);
pub(crate) const UNREGISTER: u32 = command(2);
pub(crate) const UNREGISTER_IN_SOFTIRQ: u32 = command(3);
/// Tries to register a driver with a name that is taken, or cannot be.
pub(crate) const TRY_NAME: u32 = command(4);
/// Registers and drops one of devices that cannot reach any memory.
pub(crate) const TRY_NARROW: u32 = command(35);

/// Which of the devices that the driver has had since it was registered is used from now on.
pub(crate) const USE: u32 = command(5);
/// The lower bits of its address, as it prints.
pub(crate) const PLACE: u32 = command(6);
pub(crate) const MASTER: u32 = command(7);

/// Maps a BAR.
pub(crate) const MAP: u32 = command(8);
pub(crate) const BAR_SIZE: u32 = command(9);
/// Reads a register; writes the lower 32 bits to that above them.
pub(crate) const READ: u32 = command(10);
pub(crate) const WRITE: u32 = command(11);

/// Allocates so many bytes.
pub(crate) const ALLOCATE: u32 = command(12);
pub(crate) const MEMORY_SIZE: u32 = command(13);
/// How many bits the address has, and how many of them at the end are 0.
pub(crate) const ADDRESS_BITS: u32 = command(14);
pub(crate) const ALIGNMENT_BITS: u32 = command(15);
/// Reads a byte; writes the lower 8 bits to where the others say.
pub(crate) const PEEK: u32 = command(16);
pub(crate) const POKE: u32 = command(17);

/// Gets the interrupt: as a message, or as a line. Each of these two has a place.
pub(crate) const MSI: u32 = command(18);
pub(crate) const INTX: u32 = command(19);
/// Has a handler of that kind answer it.
pub(crate) const REQUEST: u32 = command(20);
/// Tries to do so by the interrupt's number alone.
pub(crate) const TRY_NUMBER: u32 = command(34);
/// Has the device interrupt. It must be mapped.
pub(crate) const RAISE: u32 = command(21);
pub(crate) const SYNC: u32 = command(22);

/// Drops a thing, also where one must not sleep; or loses it.
pub(crate) const DROP: u32 = command(23);
pub(crate) const DROP_IN_SOFTIRQ: u32 = command(24);
pub(crate) const LOSE: u32 = command(25);

/// How often the driver has got a device, and lost it.
pub(crate) const PROBES: u32 = command(26);
pub(crate) const REMOVES: u32 = command(27);
/// How often handlers have run, and their threads; how many of these run.
pub(crate) const HARD: u32 = command(28);
pub(crate) const THREADS: u32 = command(29);
pub(crate) const RUNNING: u32 = command(30);
/// How many values there are that were not dropped.
pub(crate) const LIVING: u32 = command(31);
/// How often anything was not as it must be.
pub(crate) const WRONG: u32 = command(32);
/// The error number of what a driver, or a handler, has got for a driver that it registered.
pub(crate) const REGISTERED: u32 = command(33);

/// Things, for [`DROP`] and the like.
pub(crate) const BAR: usize = 0;
pub(crate) const MEMORY: usize = 1;
pub(crate) const SOURCE: usize = 2;
pub(crate) const IRQ: usize = 3;
pub(crate) const DEVICE: usize = 4;

/// What the driver does: it takes the device ...
pub(crate) const TAKE: usize = 0;
/// ... makes one of each, and keeps them, and takes it or does not ...
pub(crate) const MAKE: usize = 1;
pub(crate) const MAKE_AND_FAIL: usize = 2;
/// ... does so and loses them ...
pub(crate) const MAKE_AND_LOSE: usize = 3;
pub(crate) const LOSE_AND_FAIL: usize = 4;
/// ... drops itself, when it gets the device or when it loses it ...
pub(crate) const DROP_IN_PROBE: usize = 5;
pub(crate) const DROP_IN_REMOVE: usize = 6;
/// ... registers another driver, or fails with the error number that is added to this.
pub(crate) const REGISTER_ANOTHER: usize = 7;
pub(crate) const FAIL: usize = 1 << 16;

/// Handlers: those that are hard, have a thread, too ...
pub(crate) const HARD_ONLY: usize = 0;
pub(crate) const BOTH: usize = 1;
/// ... drop the driver in the thread, or when they are made ...
pub(crate) const UNKIND: usize = 2;
pub(crate) const UNKIND_AT_FIRST: usize = 3;
/// ... own the driver, or register another one in the thread.
pub(crate) const OWNER: usize = 4;
pub(crate) const REGISTERING: usize = 5;

/// How many names there are that cannot be. The next one is taken.
pub(crate) const NAMES: usize = 5;
