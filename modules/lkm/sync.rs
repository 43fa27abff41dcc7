// SPDX-License-Identifier: GPL-2.0-only

//! Locks and waits that the `kernel` crate does not have.
//!
//! - [`Completion`]: the `kernel` crate's
//!   [`Completion`](kernel::sync::Completion) has only `complete_all()`, and a
//!   wait without a timeout that no signal ends.
//! - [`IrqSpinLock`]: the `kernel` crate's
//!   [`SpinLock`](kernel::sync::SpinLock) does not turn interrupts off, so an
//!   interrupt handler must not take it.
//! - [`IrqRwLock`]: the `kernel` crate has no reader-writer lock.
//! - [`Semaphore`]: the `kernel` crate has no semaphore.
//! - [`WaitQueue`]: the `kernel` crate's [`CondVar`](kernel::sync::CondVar) and
//!   [`PollCondVar`](kernel::sync::poll::PollCondVar) need a lock that they
//!   release while they wait, and have nothing like
//!   [`close`](WaitQueue::close), which ends all waits. Dropping a
//!   `PollCondVar` removes the entries of `epoll(7)`, but not those of
//!   `poll(2)` and `select(2)`.
//! - [`Gate`]: a pattern of this crate, not kernel API.

mod completion;
mod gate;
mod irq_rwlock;
mod irq_spinlock;
mod semaphore;
mod wait_queue;

pub use crate::{
    new_irq_rwlock,
    new_irq_spinlock,
    new_wait_queue, //
};
pub use completion::Completion;
pub use gate::Gate;
pub use irq_rwlock::{
    IrqRwLock,
    IrqRwLockReadGuard,
    IrqRwLockWriteGuard, //
};
pub use irq_spinlock::{
    IrqSpinLock,
    IrqSpinLockBackend,
    IrqSpinLockGuard, //
};
pub use semaphore::{
    OwnedPermit,
    Permit,
    Semaphore, //
};
pub use wait_queue::WaitQueue;
