// SPDX-License-Identifier: GPL-2.0-only

//! What the test can tell the module to do, by ioctl(2).

use core::ffi::CStr;

/// As C's `_IO('k', number)`.
const fn command(number: u32) -> u32 {
    ((b'k' as u32) << 8) | number
}

/// Puts a probe more on getsid(2).
pub(crate) const ADD: u32 = command(0);
/// Takes away the one with this number, of those that there are.
pub(crate) const DROP: u32 = command(1);
/// How often the handlers ran, and how often those that there are did not.
pub(crate) const HITS: u32 = command(2);
pub(crate) const MISSED: u32 = command(3);
/// How many of the hits were in the context with this number.
pub(crate) const IN_CONTEXT: u32 = command(4);
/// The first argument of the last system call.
pub(crate) const LAST: u32 = command(5);
/// How many arguments of the function could be read.
pub(crate) const ARGUMENTS: u32 = command(6);
/// Tries a probe on the function with this index in `SYMBOLS`.
pub(crate) const TRY: u32 = command(7);
/// Adds a probe that drops itself when it is hit.
pub(crate) const ADD_SELFISH: u32 = command(8);
/// Adds two probes, of which one drops the other when it is hit.
pub(crate) const ADD_UNKIND: u32 = command(9);
/// How many handlers were dropped.
pub(crate) const DROPPED: u32 = command(10);
/// Adds probes of odd types: of size 0, and of 4 KiB aligned to 64. And drops them.
pub(crate) const ADD_ODD: u32 = command(11);
pub(crate) const DROP_ODD: u32 = command(12);
/// How often that of size 0 was hit.
pub(crate) const EMPTY_HITS: u32 = command(13);
/// Adds a probe and drops it, as often as the argument says.
pub(crate) const CHURN: u32 = command(14);
/// Adds a probe on the function for an ioctl of a file in /proc. And drops it.
pub(crate) const ADD_PLAIN: u32 = command(15);
pub(crate) const DROP_PLAIN: u32 = command(16);
/// The argument of the ioctl that it saw last, and how often it took that for a system
/// call's function.
pub(crate) const PLAIN: u32 = command(17);
pub(crate) const SYSCALLS: u32 = command(18);
/// The handlers are to take so many microseconds.
pub(crate) const DELAY: u32 = command(19);
/// Adds a probe on what runs first when a module is unloaded, which says when it is hit: when
/// hello-1 is for 0, and this one for 1. And drops it.
pub(crate) const ADD_OF_MODULE: u32 = command(20);
pub(crate) const DROP_OF_MODULE: u32 = command(21);

/// Functions that cannot have a probe.
pub(crate) const SYMBOLS: [&CStr; 7] = [
    // There are no such functions.
    c"",
    c"no_such_function",
    c"__x64_sys_getsid+4",
    c"no_such_module:init_module",
    // What a probe itself needs.
    c"get_kprobe",
    c"kprobe_int3_handler",
    // No code.
    c"jiffies_64",
];
