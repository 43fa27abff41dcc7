// SPDX-License-Identifier: GPL-2.0-only

//! The terminal of the process that runs the module's code.
//!
//! C headers: [`include/linux/tty.h`](srctree/include/linux/tty.h),
//! [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! The `kernel` crate has no terminals.
//!
//! # Why it is a file
//!
//! `get_current_tty()` returns C's `struct tty_struct`, and it is tempting to call the
//! `write` of its driver. That goes around everything that belongs to a terminal: the lock that
//! keeps lines of several writers apart, the line discipline, which makes a carriage return and
//! a line feed of `\n`, job control, and the end of the terminal while somebody writes. So here
//! the terminal is opened as a process would open it, as `/dev/tty`, and written to as a file.

use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    error::from_err_ptr,
    prelude::*,
    task::might_sleep,
    types::NotThreadSafe, //
};

/// The terminal that controls the process which is running: who loads the module, in its
/// init function.
///
/// A kernel thread has none, nor does a worker of a workqueue, and a daemon usually neither.
///
/// It stays with the thread that has asked for it: another one belongs to another process.
/// As long as this value lives, the terminal is open, as with any file.
///
/// # Unloading
///
/// Nothing of the module is registered. The file has functions of the kernel's only. If it
/// is lost it stays open, which does no harm to the kernel.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::tty::CurrentTty;
///
/// if let Ok(tty) = CurrentTty::get_nonblocking() {
///     tty.write(b"loaded\n")?;
/// }
/// # Ok::<(), Error>(())
/// ```
///
/// It cannot go to another thread:
///
/// ```compile_fail,E0277
/// # use kernel::prelude::*;
/// use lkm::{kthread::KThread, tty::CurrentTty};
///
/// let tty = CurrentTty::get()?;
/// let thread = KThread::spawn(c"example", move |_| {
///     drop(tty);
///     Ok(())
/// })?;
/// # Ok::<(), Error>(())
/// ```
///
/// # Invariants
///
/// `file` is a reference to an open file of `/dev/tty`, which only this value puts.
pub struct CurrentTty {
    file: NonNull<bindings::file>,
    _of_this_thread: NotThreadSafe,
}

impl CurrentTty {
    /// Opens the terminal. A [`write`](Self::write) waits while the terminal is stopped, as it
    /// is by Ctrl-S, or full. May sleep; in process context only.
    ///
    /// # Errors
    ///
    /// - `ENXIO`: the process has no terminal, has no `/dev/tty`, or is about to end;
    /// - `EIO`: the terminal is gone;
    /// - `EBUSY`: somebody has the terminal for himself (`TIOCEXCL`), and the process is not
    ///   privileged; or the terminal is being closed, and that takes long;
    /// - `EACCES`: the process may not write to `/dev/tty`;
    /// - `EAGAIN`, `ERESTARTSYS`: a signal has come while another one was opening or closing it;
    /// - `ENOMEM`.
    pub fn get() -> Result<Self> {
        Self::open(false)
    }

    /// As [`get`](Self::get), but a [`write`](Self::write) never waits for who reads the
    /// terminal: good for a module's init function, which should not wait for a person.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    pub fn get_nonblocking() -> Result<Self> {
        Self::open(true)
    }

    fn open(nonblocking: bool) -> Result<Self> {
        might_sleep();
        // SAFETY: This may sleep.
        let file = from_err_ptr(unsafe { bindings::lkm_tty_open_current(nonblocking) })?;
        // INVARIANT: It was just opened.
        Ok(Self {
            file: NonNull::new(file).ok_or(ENXIO)?,
            _of_this_thread: NotThreadSafe,
        })
    }

    /// Writes `text`, and returns how many bytes of it the terminal has taken. That is not
    /// all of them if a signal has come meanwhile, or if this does not wait. May sleep; in
    /// process context only.
    ///
    /// A usual terminal is told to begin a line by `\n`, as in a program. If the process is
    /// in the background, and the terminal was told to stop such writers (`stty tostop`), the
    /// process gets `SIGTTOU`.
    ///
    /// # Errors
    ///
    /// - `EAGAIN`: this does not wait, and the terminal takes nothing now, or somebody else is
    ///   writing to it;
    /// - `ERESTARTSYS`: a signal has come (an operation of a file returns this error as it is,
    ///   and the system call begins again, or returns `EINTR`);
    /// - `EIO`: the terminal is gone, or the process is in the background and nobody would
    ///   put it into the foreground;
    /// - `ENOMEM`.
    pub fn write(&self, text: &[u8]) -> Result<usize> {
        might_sleep();
        if text.is_empty() {
            return Ok(0);
        }
        let mut pos = 0;
        // SAFETY: By the type invariants the file is open, for writing. The text is that long.
        let written = unsafe {
            bindings::kernel_write(
                self.file.as_ptr(),
                text.as_ptr().cast(),
                text.len(),
                &mut pos,
            )
        };
        usize::try_from(written).map_err(|_| Error::from_errno(written as c_int))
    }
}

impl Drop for CurrentTty {
    /// Can be called in any context except NMI. The terminal is closed a little later, at the
    /// end of the system call.
    fn drop(&mut self) {
        // SAFETY: By the type invariants the reference is ours.
        unsafe { bindings::fput(self.file.as_ptr()) };
    }
}
