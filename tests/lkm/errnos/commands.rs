// SPDX-License-Identifier: GPL-2.0-only

//! The functions that can be made to fail, by the number that the parameter `place` has
//! for each.

pub(crate) const PLACES: [&str; 10] = [
    "nowhere",
    "open",
    "read",
    "write",
    "ioctl",
    "start",
    "show",
    "sysfs show",
    "sysfs store",
    "set",
];
