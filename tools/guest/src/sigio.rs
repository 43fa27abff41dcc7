// SPDX-License-Identifier: GPL-2.0-only

//! Signals that tell of a file that is ready: `O_ASYNC`.
//!
//! Reference: fcntl(2)

use std::{
    fs::File,
    io::{self, Read},
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    ptr,
};

use anyhow::{Context, Result};
use libc::{c_int, signalfd_siginfo};
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::Pid,
};

use crate::{
    eventually::eventually,
    signals::{Mask, Reacting, Reaction, block_number, react_to},
};

/// The signal for who has not chosen another.
pub const SIGIO: c_int = libc::SIGIO;

/// As `code` of a [`Notice`]: something can be read.
pub const POLL_IN: c_int = 1;

/// As `code` of a [`Notice`]: nothing is said of the file.
pub const SI_KERNEL: c_int = 0x80;

/// What the libc crate lacks of fcntl(2): `uapi/asm-generic/fcntl.h`.
const F_SETSIG: c_int = 10;
const F_SETOWN_EX: c_int = 15;
const F_OWNER_TID: c_int = 0;

/// C's `struct f_owner_ex`.
#[repr(C)]
struct OwnerEx {
    kind: c_int,
    id: c_int,
}

/// A signal of which all that are sent come, one by one.
#[must_use]
pub fn realtime() -> c_int {
    libc::SIGRTMIN() + 1
}

/// Who is told that a file is ready.
#[derive(Clone, Copy, Debug)]
pub enum Owner {
    /// Nobody, as at first.
    Nobody,
    /// A thread, and no other of its process.
    Thread(Pid),
    /// A process.
    Process(Pid),
    /// All processes of a group.
    Group(Pid),
}

/// Says who is told when `file` is ready.
///
/// # Errors
///
/// The kernel's error number.
pub fn set_owner(file: impl AsFd, owner: Owner) -> io::Result<()> {
    match owner {
        Owner::Nobody => fcntl(file, libc::F_SETOWN, 0),
        Owner::Process(process) => fcntl(file, libc::F_SETOWN, process.as_raw_nonzero().get()),
        Owner::Group(group) => fcntl(file, libc::F_SETOWN, -group.as_raw_nonzero().get()),
        Owner::Thread(thread) => {
            let owner = OwnerEx {
                kind: F_OWNER_TID,
                id: thread.as_raw_nonzero().get(),
            };
            // SAFETY: this command takes the address of such a structure, and reads it.
            check(unsafe { libc::fcntl(file.as_fd().as_raw_fd(), F_SETOWN_EX, &raw const owner) })
        }
    }
}

/// Says which signal is sent when `file` is ready. It tells which file that is; for 0 it is
/// `SIGIO` again, which does not.
///
/// # Errors
///
/// The kernel's error number.
pub fn set_signal(file: impl AsFd, signal: c_int) -> io::Result<()> {
    fcntl(file, F_SETSIG, signal)
}

fn fcntl(file: impl AsFd, command: c_int, number: c_int) -> io::Result<()> {
    // SAFETY: these commands take a number.
    check(unsafe { libc::fcntl(file.as_fd().as_raw_fd(), command, number) })
}

fn check(returned: c_int) -> io::Result<()> {
    match returned {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Has signals sent for `file`, or no more.
///
/// # Errors
///
/// The kernel's error number.
pub fn set_async(file: impl AsFd, on: bool) -> io::Result<()> {
    let flag = OFlags::from_bits_retain(libc::O_ASYNC as _);
    let mut flags = fcntl_getfl(&file)?;
    flags.set(flag, on);
    Ok(fcntl_setfl(&file, flags)?)
}

/// Has `signal` sent to this process when `file` is ready.
///
/// # Errors
///
/// The kernel's error number.
pub fn ask(file: impl AsFd, signal: c_int) -> io::Result<()> {
    set_owner(&file, Owner::Process(rustix::process::getpid()))?;
    set_signal(&file, signal)?;
    set_async(&file, true)
}

/// What a signal says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Notice {
    /// Its number.
    pub signal: c_int,
    /// What has happened, or that this is not said.
    pub code: c_int,
    /// The descriptor for which the file was asked.
    pub fd: c_int,
    /// What poll(2) would say of the file.
    pub band: u32,
}

/// Where signals for this process wait until they are taken.
///
/// This thread blocks them, and so do those that it begins.
pub struct Inbox {
    signals: File,
    // What was not taken is counted, and does not kill.
    _masks: Vec<Mask>,
    _reacting: Vec<Reacting>,
}

impl Inbox {
    /// An inbox for these signals.
    ///
    /// # Errors
    ///
    /// When one of them is a signal of which the kernel decides.
    pub fn new(signals: &[c_int]) -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: the set can be written to, and has been when it is added to.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for &signal in signals {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
        }
        let mut reacting = Vec::new();
        let mut masks = Vec::new();
        for &signal in signals {
            reacting.push(react_to(signal, Reaction::Count)?);
            masks.push(block_number(signal)?);
        }
        // The mask of before is restored last.
        masks.reverse();
        let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
        // SAFETY: the set was written.
        let fd = unsafe { libc::signalfd(-1, set.as_ptr(), flags) };
        if fd == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self {
            signals: fd.into(),
            _masks: masks,
            _reacting: reacting,
        })
    }

    /// A signal that has come.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn take(&self) -> io::Result<Option<Notice>> {
        let mut bytes = [0; size_of::<signalfd_siginfo>()];
        match (&self.signals).read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        // SAFETY: there are so many bytes, and the structure consists of numbers.
        let info: signalfd_siginfo = unsafe { ptr::read_unaligned(bytes.as_ptr().cast()) };
        Ok(Some(Notice {
            signal: info.ssi_signo as c_int,
            code: info.ssi_code,
            fd: info.ssi_fd,
            band: info.ssi_band,
        }))
    }

    /// All signals that have come.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn take_all(&self) -> io::Result<Vec<Notice>> {
        let mut all = Vec::new();
        while let Some(notice) = self.take()? {
            all.push(notice);
        }
        Ok(all)
    }

    /// Waits up to two minutes for a signal, and takes it.
    ///
    /// # Errors
    ///
    /// When none came.
    pub fn wait(&self) -> Result<Notice> {
        let mut notice = None;
        eventually("a signal", || {
            notice = self.take().unwrap_or_default();
            notice.is_some()
        })?;
        notice.context("a signal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_wait_to_be_taken() {
        let signal = realtime();
        let inbox = Inbox::new(&[signal]).unwrap();
        assert_eq!(inbox.take().unwrap(), None);
        for _ in 0..2 {
            // SAFETY: it is this thread: others do not block it.
            unsafe { libc::pthread_kill(libc::pthread_self(), signal) };
        }
        assert_eq!(inbox.wait().unwrap().signal, signal);
        assert_eq!(inbox.take_all().unwrap().len(), 1);
    }
}
