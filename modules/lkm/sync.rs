// SPDX-License-Identifier: GPL-2.0-only

//! Locks and waits that the `kernel` crate has not.

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
    Permit,
    Semaphore, //
};
pub use wait_queue::WaitQueue;
