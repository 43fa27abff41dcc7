// SPDX-License-Identifier: GPL-2.0-only

//! Waiting for files by poll(2), and by which system calls one does.

use std::os::fd::AsFd;

use anyhow::Result;
use libc::{
    SYS_epoll_pwait, SYS_epoll_pwait2, SYS_epoll_wait, SYS_poll, SYS_ppoll, SYS_pselect6,
    SYS_select, c_long,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Those of poll(2), for [`Waiter::begin_in`](crate::Waiter::begin_in).
pub const POLL: &[c_long] = &[SYS_poll, SYS_ppoll];
/// Those of select(2).
pub const SELECT: &[c_long] = &[SYS_select, SYS_pselect6];
/// Those of epoll(7).
pub const EPOLL: &[c_long] = &[SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_pwait2];

/// What poll(2) says of a file that can be read, when asked for all.
pub const READABLE: PollFlags = PollFlags::IN.union(PollFlags::RDNORM);
/// The same of one that can be written.
pub const WRITABLE: PollFlags = PollFlags::OUT.union(PollFlags::WRNORM);

/// What poll(2) says of `file` at once.
///
/// # Errors
///
/// The kernel's error number.
pub fn polled(file: impl AsFd) -> Result<PollFlags> {
    let mut fds = [PollFd::new(&file, PollFlags::all())];
    poll(&mut fds, Some(&Timespec::default()))?;
    Ok(fds[0].revents())
}

/// Waits by poll(2) for `events`, as long as it takes.
///
/// # Errors
///
/// The kernel's error number.
pub fn poll_for(file: impl AsFd, events: PollFlags) -> Result<PollFlags> {
    let mut fds = [PollFd::new(&file, events)];
    poll(&mut fds, None)?;
    Ok(fds[0].revents())
}
