// SPDX-License-Identifier: GPL-2.0-only

//! A gate that lets one in at a time.
//!
//! C header: [`include/linux/atomic.h`](srctree/include/linux/atomic.h)

use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Release, //
    },
};

/// A gate that lets one in at a time, for as long as that one likes: to have a
/// file open, for instance.
///
/// It is no lock: who comes in leaves when it wants, also on another thread and
/// in another system call, and nobody waits. To wait, use it with a
/// [`WaitQueue`](crate::sync::WaitQueue).
///
/// What was done before one left is seen by who comes in after it.
///
/// # Unloading
///
/// Nobody has a pointer to it but who borrows it, and nobody waits.
///
/// # Examples
///
/// ```ignore
/// struct Booth {
///     gate: Gate,
/// }
///
/// #[vtable]
/// impl Operations for Booth {
///     type Private = ();
///
///     fn open(&self, _file: &File) -> impl PinInit<(), Error> {
///         self.gate.enter()
///     }
///
///     fn release(&self, _file: &Opened<Self>) {
///         self.gate.leave();
///     }
/// }
/// ```
pub struct Gate(Atomic<bool>);

impl Gate {
    /// A gate with nobody in.
    #[expect(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(Atomic::new(false))
    }

    /// Goes in. Fails with `EBUSY` when another is in. In any context.
    pub fn enter(&self) -> Result {
        match self.0.xchg(true, Acquire) {
            true => Err(EBUSY),
            false => Ok(()),
        }
    }

    /// Leaves, so that another can go in. To be called once for each time that
    /// [`enter`](Self::enter) did not fail. In any context.
    pub fn leave(&self) {
        self.0.store(false, Release);
    }
}
