// SPDX-License-Identifier: GPL-2.0-only

use std::{fs::File, ops::Deref, sync::Arc};

use libc::{SYS_ioctl, c_long};
use rustix::{io::Errno, process::Signal};

use crate::{
    Waiter,
    files::read_write,
    signals,
    syscalls::{Argument, ioctl},
};

/// The system call of [`Control::call`], for [`Waiter::is_in`].
pub const IOCTL: &[c_long] = &[SYS_ioctl];

/// What the module says to a call.
pub type Answer = Result<usize, Errno>;

/// A file through which a test tells its module what to do: by ioctl(2), with
/// commands that are numbers. Clones are the same open file.
#[derive(Clone)]
pub struct Control(Arc<File>);

impl Control {
    /// Opens the file at `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be opened for reading and writing.
    pub fn open(path: &str) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(read_write(path)?)))
    }

    /// Gives the module a command.
    ///
    /// # Errors
    ///
    /// The module's error number.
    pub fn call(&self, command: u32, argument: usize) -> Answer {
        ioctl(&self.0, command, Argument::Number(argument))
    }

    /// What the module answers to a command that needs no argument.
    ///
    /// # Panics
    ///
    /// When the module refuses.
    #[must_use]
    pub fn get(&self, command: u32) -> usize {
        self.call(command, 0).unwrap()
    }

    /// Begins a thread that gives the module a command, and waits until it waits
    /// in that. It alone takes `USR1`, when the test has blocked that.
    ///
    /// # Errors
    ///
    /// When it does not come to wait.
    pub fn caller(&self, command: u32, argument: usize) -> anyhow::Result<Waiter<Answer>> {
        let control = self.clone();
        Waiter::begin_in(IOCTL, move || {
            let _mask = signals::unblock(Signal::USR1);
            control.call(command, argument)
        })
    }
}

impl Deref for Control {
    type Target = Arc<File>;

    fn deref(&self) -> &Arc<File> {
        &self.0
    }
}
