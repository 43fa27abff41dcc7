// SPDX-License-Identifier: GPL-2.0-only

//! Locks that the `kernel` crate has not.

mod irq_rwlock;
mod irq_spinlock;

pub use crate::{
    new_irq_rwlock,
    new_irq_spinlock, //
};
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
