// SPDX-License-Identifier: GPL-2.0-only

//! Errors as the return values of functions that C calls for user space.
//!
//! C header: [`include/linux/errno.h`](srctree/include/linux/errno.h)
//!
//! Some numbers are not for user space, but tell C what to do: to call again, or that
//! the result comes later. C does that for ever, or stops with a BUG, when the function
//! did not mean it.

use crate::bindings;
use kernel::{
    current,
    prelude::*, //
};

/// The error with the number `errno`, for those that the `kernel` crate has no name
/// for.
pub(crate) fn error(errno: u32) -> Error {
    Error::from_errno(-(errno as c_int))
}

/// The first number that is the kernel's own.
const FIRST_OF_OWN: u32 = 512;

/// `error` as user space may see it.
///
/// Of the numbers that are the kernel's own, those that begin the system call again
/// stay if a signal has come, and are `EINTR` otherwise. The others are `ENOTTY`,
/// `EOPNOTSUPP` or `EIO`.
#[cold]
pub(crate) fn to_user(error: Error) -> c_int {
    let errno = error.to_errno().unsigned_abs();
    let errno = match errno {
        bindings::ERESTARTSYS | bindings::ERESTARTNOINTR | bindings::ERESTARTNOHAND
            if current!().signal_pending() =>
        {
            errno
        }
        bindings::ERESTARTSYS
        | bindings::ERESTARTNOINTR
        | bindings::ERESTARTNOHAND
        | bindings::ERESTART_RESTARTBLOCK => bindings::EINTR,
        bindings::ENOIOCTLCMD => bindings::ENOTTY,
        bindings::ENOTSUPP => bindings::EOPNOTSUPP,
        FIRST_OF_OWN.. => bindings::EIO,
        _ => errno,
    };
    -(errno as c_int)
}

/// As [`to_user`], for a driver that does not want a device. To C one of its own numbers says
/// to ask again later.
#[cold]
pub(crate) fn to_prober(error: Error) -> c_int {
    match error {
        EPROBE_DEFER => error.to_errno(),
        _ => to_user(error),
    }
}

/// As [`to_user`], for `open`, which C calls again for `ECHILD` and `ESTALE`: these are
/// `EIO`.
#[cold]
pub(crate) fn to_opener(error: Error) -> c_int {
    match error.to_errno().unsigned_abs() {
        bindings::ECHILD | bindings::ESTALE => EIO.to_errno(),
        _ => to_user(error),
    }
}

/// As [`to_user`], for a function of a `seq_file`, which C calls again and again for
/// `EAGAIN`: that is `EBUSY`.
#[cold]
pub(crate) fn to_seq_reader(error: Error) -> c_int {
    match error {
        EAGAIN => EBUSY.to_errno(),
        _ => to_user(error),
    }
}

/// As [`to_user`], for what user space may have asked for by netlink: nobody calls again, and
/// for `EINTR` there is no answer at all. That is `EAGAIN`.
#[cfg(CONFIG_NET)]
#[cold]
pub(crate) fn to_netlink(error: Error) -> c_int {
    match error.to_errno().unsigned_abs() {
        bindings::EINTR
        | bindings::ERESTARTSYS
        | bindings::ERESTARTNOINTR
        | bindings::ERESTARTNOHAND
        | bindings::ERESTART_RESTARTBLOCK => EAGAIN.to_errno(),
        _ => to_user(error),
    }
}
