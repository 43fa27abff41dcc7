// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

/// As C's `_IO('d', number)`.
const fn command(number: u32) -> u32 {
    ((b'd' as u32) << 8) | number
}

/// Makes a disk of a kind: its name is that of the kind.
pub(crate) const MAKE: u32 = command(0);
/// Drops the disk of that kind: here, ...
pub(crate) const DROP: u32 = command(1);
/// ... or in a tasklet.
pub(crate) const DROP_IN_SOFTIRQ: u32 = command(2);

/// How often methods have run, of all disks.
pub(crate) const READS: u32 = command(3);
pub(crate) const WRITES: u32 = command(4);
pub(crate) const DISCARDS: u32 = command(5);
pub(crate) const ZEROES: u32 = command(6);
/// How many methods are running.
pub(crate) const RUNNING: u32 = command(7);
/// How many disks there are that were not dropped.
pub(crate) const LIVING: u32 = command(8);
/// How often anything was not as it must be.
pub(crate) const WRONG: u32 = command(9);

/// The byte at this position of what the disks store.
pub(crate) const STORED: u32 = command(10);
/// Methods fail with this error number, ...
pub(crate) const FAIL: u32 = command(11);
/// ... those for a position from here on ...
pub(crate) const FAIL_FROM: u32 = command(19);
/// ... to there.
pub(crate) const FAIL_TO: u32 = command(20);
/// Methods wait as long as this is not 0.
pub(crate) const HOLD: u32 = command(12);

/// What the last discard, or writing of zeroes, was for: the first block, and the number of
/// blocks. These are 31 bits of it, from that bit on.
pub(crate) const LAST_BLOCK: u32 = command(13);
pub(crate) const LAST_BLOCKS: u32 = command(14);

/// Tries to make a disk with the name of this index, and a size of that.
pub(crate) const TRY_NAME: u32 = command(15);
pub(crate) const TRY_SIZE: u32 = command(16);
/// What making a disk in a method has returned.
pub(crate) const MADE_IN_METHOD: u32 = command(17);
/// From now on methods drop disks that are to: who opens one reads it, too.
pub(crate) const ARM: u32 = command(18);

/// Kinds of disks: those with all methods, in blocks of 512 bytes, ...
pub(crate) const ALL: usize = 0;
/// ... of 1024 and 4096, ...
pub(crate) const BLOCKS_1024: usize = 1;
pub(crate) const BLOCKS_4096: usize = 2;
/// ... with the least that can be written, ...
pub(crate) const PLAIN: usize = 3;
/// ... that can only be read, of size 0, which leaves all bytes out, ...
pub(crate) const EMPTY: usize = 4;
/// ... or half of them, ...
pub(crate) const HALF: usize = 5;
/// ... of 1 EiB, where each number in memory is its own position, ...
pub(crate) const SPARSE: usize = 6;
/// ... of 4 KiB aligned to 64 bytes, ...
pub(crate) const WIDE: usize = 7;
/// ... that drop themselves in each method, or a disk of the first kind, ...
pub(crate) const SELFISH: usize = 8;
pub(crate) const UNKIND: usize = 9;
/// ... that drop each other, ...
pub(crate) const RIVAL: usize = 10;
pub(crate) const OTHER_RIVAL: usize = 11;
/// ... that make a disk, ...
pub(crate) const MAKER: usize = 12;
/// ... or that need much memory for each method.
pub(crate) const GREEDY: usize = 13;

/// How many bytes most of them have.
pub(crate) const SIZE: usize = 1 << 20;
/// And those with a position in each number.
pub(crate) const SPARSE_SIZE: u64 = 1 << 60;

/// What half of the bytes are.
pub(crate) const HALF_BYTE: u8 = 0xa5;

pub(crate) const NAMES: [&core::ffi::CStr; 9] = [
    c"",
    c".",
    c"..",
    c"a/b",
    c"a!b",
    c"a b",
    c"a\nb",
    c"disks-with-a-name-of-32-letters-",
    // Good.
    c"disks-with-a-name-of-31-letters",
];

pub(crate) const SIZES: [u64; 7] = [
    0,
    1,
    511,
    513,
    i64::MAX as u64 + 1,
    u64::MAX,
    // Good: a block.
    512,
];
