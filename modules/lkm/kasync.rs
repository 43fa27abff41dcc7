// SPDX-License-Identifier: GPL-2.0-only

//! Tasks: `async` functions that run in the threads of a workqueue.
//!
//! C headers: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h),
//! [`include/linux/wait.h`](srctree/include/linux/wait.h),
//! [`include/linux/hrtimer.h`](srctree/include/linux/hrtimer.h)
//!
//! A task that waits has no thread: whatever it waits for enqueues it, and a
//! worker goes on with it from there. So a thousand of them take the memory of a
//! thousand futures, and as many threads as there is work for at a time.
//!
//! An [`Executor`] runs tasks. What they can wait for is a connection or its data
//! ([`net`]), the time ([`sleep`]), the end of another task ([`JoinHandle`]), and
//! of two such things the one that comes first ([`select`]).
//!
//! What a task does between two waits runs in process context and may sleep, but
//! then other tasks may have to wait for a thread.
//!
//! # Unloading
//!
//! *Unregister waits*: dropping the [`Executor`] drops all futures, and each of
//! them takes itself out of whatever queue it waits in, with that queue's lock,
//! or stops its timer and waits until that does not run.
//!
//! # Writing a future
//!
//! A future of one's own has these promises to rely on, and to keep:
//!
//! - it is polled and dropped in process context;
//! - its waker may be woken, cloned and dropped in any context, also in an
//!   interrupt handler and when the task is over;
//! - when it has been dropped, nothing may still be about to call its code.

mod executor;
#[cfg(CONFIG_INET)]
pub mod net;
mod select;
mod timer;

pub use executor::{
    Executor,
    JoinHandle,
    Spawner, //
};
pub use select::{
    select,
    Either,
    Select, //
};
pub use timer::{
    sleep,
    Sleep, //
};
