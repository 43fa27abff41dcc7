// SPDX-License-Identifier: GPL-2.0-only

//! Tasks: `async` functions that run in the threads of a workqueue.
//!
//! C headers: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h),
//! [`include/linux/wait.h`](srctree/include/linux/wait.h),
//! [`include/linux/hrtimer.h`](srctree/include/linux/hrtimer.h)
//!
//! The `kernel` crate has nothing that runs `async` functions. This module is a
//! pattern of this crate, not kernel API.
//!
//! A waiting task has no thread. The event that it waits for enqueues the task,
//! and a worker continues it. So a thousand waiting tasks take the memory of a
//! thousand futures, but only as many threads as there are tasks to run at a
//! time.
//!
//! An [`Executor`] runs tasks. A task can wait for a connection or its data
//! ([`net`]), for a time to pass ([`sleep`]), for another task to end
//! ([`JoinHandle`]), for a permit ([`Semaphore`]), for the first of two such events
//! ([`select`], [`timeout`]) or for both ([`join`]).
//!
//! Between two waits a task runs in process context and may sleep. Other tasks
//! may then have to wait for a thread.
//!
//! # Unloading
//!
//! *Unregister waits*: dropping the [`Executor`] drops all futures. Each future
//! takes its entry out of the queue that it waits in, with that queue's lock, or
//! stops its timer and waits until that is not running.
//!
//! # Writing a future
//!
//! These rules hold for a future and its waker:
//!
//! - the future is polled and dropped in process context;
//! - the waker may be woken, cloned and dropped in any context except NMI, also
//!   in an interrupt handler and after the task has ended;
//! - once the future has been dropped, nothing may still be about to call its
//!   code.

mod executor;
mod join;
#[cfg(CONFIG_INET)]
pub mod net;
mod select;
mod semaphore;
mod timer;

pub use executor::{
    Executor,
    JoinHandle,
    Spawner, //
};
pub use join::{
    join,
    yield_now,
    Join,
    Yield, //
};
pub use select::{
    select,
    timeout,
    Either,
    Select,
    Timeout, //
};
pub use semaphore::{
    Acquire,
    Permit,
    Semaphore, //
};
pub use timer::{
    sleep,
    Sleep, //
};
