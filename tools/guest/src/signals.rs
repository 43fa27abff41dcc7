// SPDX-License-Identifier: GPL-2.0-only

//! What this program does about signals, for tests of system calls that wait.

use std::{
    io,
    marker::PhantomData,
    mem::MaybeUninit,
    ptr,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use libc::{c_int, sigaction, sigset_t};
use rustix::process::Signal;

/// What is to happen when a signal comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reaction {
    /// Nothing.
    Ignore,
    /// It is [counted](handled), and what waits fails with `EINTR`.
    Count,
    /// It is [counted](handled), and what waits goes on: `SA_RESTART`.
    CountAndRestart,
}

static HANDLED: AtomicUsize = AtomicUsize::new(0);

/// How many signals were counted so far.
#[must_use]
pub fn handled() -> usize {
    HANDLED.load(SeqCst)
}

extern "C" fn count(_signal: c_int) {
    HANDLED.fetch_add(1, SeqCst);
}

/// What was to happen before is to happen again when this is dropped.
#[must_use]
pub struct Reacting {
    signal: c_int,
    before: sigaction,
}

/// Says what is to happen when `signal` comes, until the value is dropped.
///
/// # Errors
///
/// When it is a signal of which the kernel decides.
pub fn react(signal: Signal, reaction: Reaction) -> io::Result<Reacting> {
    react_to(signal.as_raw(), reaction)
}

/// As [`react`], for the signal of that number.
pub(crate) fn react_to(signal: c_int, reaction: Reaction) -> io::Result<Reacting> {
    let (handler, flags) = match reaction {
        Reaction::Ignore => (libc::SIG_IGN, 0),
        Reaction::Count => (count as *const () as usize, 0),
        Reaction::CountAndRestart => (count as *const () as usize, libc::SA_RESTART),
    };
    // SAFETY: all-zero is a valid `sigaction`: no flags, an empty mask.
    let mut action: sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    let mut before = MaybeUninit::uninit();
    // SAFETY: both are valid; the handler does only what a handler may.
    check(unsafe { libc::sigaction(signal, &action, before.as_mut_ptr()) })?;
    // SAFETY: it was written, as there was no error.
    let before = unsafe { before.assume_init() };
    Ok(Reacting { signal, before })
}

impl Drop for Reacting {
    fn drop(&mut self) {
        // SAFETY: this is what the same function returned.
        unsafe { libc::sigaction(self.signal, &self.before, ptr::null_mut()) };
    }
}

/// The thread blocks again, or not, what it did before when this is dropped.
#[must_use]
pub struct Mask {
    before: sigset_t,
    _of_this_thread: PhantomData<*const ()>,
}

/// Has this thread, and those that it begins, block `signal`: it waits until it
/// is no longer blocked.
///
/// # Errors
///
/// None that is known.
pub fn block(signal: Signal) -> io::Result<Mask> {
    block_number(signal.as_raw())
}

/// As [`block`], for the signal of that number.
pub(crate) fn block_number(signal: c_int) -> io::Result<Mask> {
    mask(libc::SIG_BLOCK, signal)
}

/// Has this thread not block `signal`.
///
/// # Errors
///
/// None that is known.
pub fn unblock(signal: Signal) -> io::Result<Mask> {
    mask(libc::SIG_UNBLOCK, signal.as_raw())
}

fn mask(how: c_int, signal: c_int) -> io::Result<Mask> {
    let mut set = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: the sets can be written to, and the first has been when it is read.
    let error = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(how, set.as_ptr(), before.as_mut_ptr())
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    Ok(Mask {
        // SAFETY: it was written, as there was no error.
        before: unsafe { before.assume_init() },
        _of_this_thread: PhantomData,
    })
}

impl Drop for Mask {
    fn drop(&mut self) {
        // SAFETY: this is the mask that this thread had.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, ptr::null_mut()) };
    }
}

fn check(returned: c_int) -> io::Result<()> {
    if returned == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{getpid, kill_process};

    #[test]
    fn a_signal_is_counted_when_it_is_no_longer_blocked() {
        let _reacting = react(Signal::USR2, Reaction::Count).unwrap();
        let before = handled();
        let mask = block(Signal::USR2).unwrap();
        // SAFETY: it is this thread.
        unsafe { libc::pthread_kill(libc::pthread_self(), Signal::USR2.as_raw()) };
        assert_eq!(handled(), before);
        drop(mask);
        assert_eq!(handled(), before + 1);

        let _reacting = react(Signal::USR2, Reaction::Ignore).unwrap();
        kill_process(getpid(), Signal::USR2).unwrap();
        assert_eq!(handled(), before + 1);
    }
}
