// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do: by ioctl(2), and by netlink.

/// As C's `_IO('n', number)`.
const fn command(number: u32) -> u32 {
    ((b'n' as u32) << 8) | number
}

/// Makes a family of a kind: its name has the number of the kind.
pub(crate) const MAKE: u32 = command(0);
/// Drops the family of that kind: here, ...
pub(crate) const DROP: u32 = command(1);
/// ... or in a tasklet.
pub(crate) const DROP_IN_SOFTIRQ: u32 = command(2);
/// Sends to the group with this number of the first kind. Returns whether anybody has got it.
pub(crate) const SEND: u32 = command(3);
/// Tries to make a family with the name of this index.
pub(crate) const TRY_NAME: u32 = command(4);

/// How many commands are running.
pub(crate) const RUNNING: u32 = command(5);
/// How many families there are that were not dropped.
pub(crate) const LIVING: u32 = command(6);
/// How often anything was not as it must be.
pub(crate) const WRONG: u32 = command(7);

/// Kinds of families: two with all commands, ...
pub(crate) const ALL: usize = 0;
pub(crate) const OTHER: usize = 1;
/// ... one without attributes, groups, or a byte, ...
pub(crate) const BARE: usize = 2;
/// ... one of 4 KiB aligned to 64 bytes, ...
pub(crate) const WIDE: usize = 3;
/// ... and two with as many groups as there can be.
pub(crate) const MANY: usize = 4;
pub(crate) const MORE: usize = 5;

/// The version of those with all commands.
pub(crate) const VERSION: u8 = 7;

/// Sends back all attributes.
pub(crate) const DO_ECHO: u8 = 1;
/// Fails with the error number `NUMBER`.
pub(crate) const DO_FAIL: u8 = 2;
/// Says the text in `BYTES`, and fails with `EPERM`.
pub(crate) const DO_REFUSE: u8 = 3;
/// Waits as long as the parameter `hold` is set.
pub(crate) const DO_WAIT: u8 = 4;
/// Waits for a signal.
pub(crate) const DO_SLEEP: u8 = 5;
/// Fills an answer until there is no room.
pub(crate) const DO_BIG: u8 = 6;
/// Sends to the group `NUMBER`. The answer is whether anybody has got it.
pub(crate) const DO_SEND: u8 = 7;
/// Answers twice: 1 and 2.
pub(crate) const DO_TWO: u8 = 8;
/// Drops the family of kind `NUMBER`, then answers.
pub(crate) const DO_DROP: u8 = 9;
/// Tries to make a family. The answer is the error number.
pub(crate) const DO_MAKE: u8 = 10;
/// Begins two answers, and takes each for the other.
pub(crate) const DO_SWAP: u8 = 11;
/// As `DO_ECHO`, for those with `CAP_NET_ADMIN`.
pub(crate) const DO_ADMIN: u8 = 12;
/// As `DO_ECHO`, with the highest number that there is. All kinds have it. Those with many
/// groups wait as `DO_WAIT` before, and send to the last group.
pub(crate) const DO_LAST: u8 = 254;

/// Attributes: a text of up to 63 bytes, a number, up to 300 bytes, and the last that there
/// can be.
pub(crate) const TEXT: u8 = 1;
pub(crate) const NUMBER: u8 = 2;
pub(crate) const BYTES: u8 = 3;
pub(crate) const LAST: u8 = 31;

pub(crate) const MOST_TEXT: u16 = 63;
pub(crate) const MOST_BYTES: u16 = 300;

pub(crate) const GROUPS: [&core::ffi::CStr; 2] = [c"one", c"fifteen-letters"];

/// They take 148 * 20 + 3 * 4 bytes in what the kernel tells of a family, a command takes 20,
/// and there are 2992.
pub(crate) const MANY_GROUPS: [&core::ffi::CStr; 148] = {
    let mut groups = [c"all"; 148];
    groups[0] = c"four";
    groups[1] = c"long";
    groups[147] = c"last";
    groups
};

pub(crate) const NAMES: [&core::ffi::CStr; 9] = [
    c"",
    c"sixteen--letters",
    c"a-name-that-is-much-too-long",
    c"NET_DM",
    c"VFS_DQUOT",
    c"pmcraid",
    // Taken.
    c"nlctrl",
    c"genls-0",
    // Good.
    c"fifteen-letters",
];
