// SPDX-License-Identifier: GPL-2.0-only

// The system calls by which a program can do one thing, for
// [`Waiter::begin_in`](crate::Waiter::begin_in).

/// Those of open(2).
pub const OPEN: &[libc::c_long] = &[libc::SYS_open, libc::SYS_openat];

/// Those of poll(2).
pub const POLL: &[libc::c_long] = &[libc::SYS_poll, libc::SYS_ppoll];

/// Those of epoll(7).
pub const EPOLL: &[libc::c_long] = &[
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
];

/// An address of the kernel's: the beginning of memory as it sees it.
pub const KERNEL_ADDRESS: usize = 0xffff_8880_0000_0000;
