// SPDX-License-Identifier: GPL-2.0-only

//! Waiting for files by poll(2), and by which system calls one does.

use std::{fs::File, os::fd::AsFd, sync::Arc};

use anyhow::{Context, Result};
use libc::{SYS_pselect6, c_long};
use rustix::{
    buffer::spare_capacity,
    event::{
        PollFd, PollFlags, Timespec,
        epoll::{self, EventFlags},
        poll,
    },
};

pub use crate::arch::{EPOLL, POLL};

/// The system call of [`select`](crate::prelude::select), for
/// [`Waiter::begin_in`](crate::Waiter::begin_in).
pub const SELECT: &[c_long] = &[SYS_pselect6];

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

/// A set of epoll(7) that waits for input of `file`.
///
/// # Errors
///
/// The kernel's error number.
pub fn epoll_set(file: impl AsFd) -> Result<Arc<File>> {
    let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let data = epoll::EventData::new_u64(0);
    epoll::add(&set, file, data, EventFlags::IN)?;
    Ok(Arc::new(set.into()))
}

/// What epoll(7) says at once of a file in `set`; `None` when no file is ready.
///
/// # Errors
///
/// The kernel's error number.
pub fn epolled(set: impl AsFd) -> Result<Option<EventFlags>> {
    epoll_wait(set, Some(&Timespec::default()))
}

/// Waits by epoll(7) until a file in `set` is ready, as long as it takes.
///
/// # Errors
///
/// The kernel's error number.
pub fn epoll_for(set: impl AsFd) -> Result<EventFlags> {
    let event = epoll_wait(set, None)?;
    event.context("no event")
}

fn epoll_wait(set: impl AsFd, timeout: Option<&Timespec>) -> Result<Option<EventFlags>> {
    let mut events = Vec::with_capacity(1);
    epoll::wait(set, spare_capacity(&mut events), timeout)?;
    Ok(events.first().map(|event| event.flags))
}
