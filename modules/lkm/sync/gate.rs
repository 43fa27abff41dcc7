// SPDX-License-Identifier: GPL-2.0-only

//! A gate that one holder at a time can pass.
//!
//! This is a pattern of this crate, not kernel API. In C it is an atomic
//! variable.
//!
//! C header: [`include/linux/atomic.h`](srctree/include/linux/atomic.h)

use crate::compat::AtomicFlag;
use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Release, //
    },
};

/// A gate with one holder at a time, for instance the process that has a file
/// open.
///
/// This is a pattern of this crate, not kernel API. C code uses an atomic
/// variable to the same end: `open(2)` fails with `EBUSY` while another process
/// has the file open.
///
/// A gate is not a lock. The holder may leave at any time, also on another thread
/// and in another system call. Nothing waits: to wait for the gate, use it with a
/// [`WaitQueue`](crate::sync::WaitQueue).
///
/// A holder sees everything that earlier holders did before they left.
///
/// # Unloading
///
/// Nothing is registered: only borrowers have a pointer to the gate, and none of
/// them waits.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{
///     file::{File, Opened, Operations},
///     sync::Gate,
/// };
///
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
pub struct Gate(AtomicFlag);

impl Gate {
    /// Creates a gate without a holder.
    #[expect(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(AtomicFlag::new(false))
    }

    /// Enters the gate: from then on the caller is the holder. Can be called in
    /// any context.
    ///
    /// # Errors
    ///
    /// - `EBUSY`: the gate has a holder.
    pub fn enter(&self) -> Result {
        match self.0.xchg(true, Acquire) {
            true => Err(EBUSY),
            false => Ok(()),
        }
    }

    /// Leaves the gate: from then on it has no holder. Call this once for each
    /// [`enter`](Self::enter) that succeeded. Can be called in any context.
    pub fn leave(&self) {
        self.0.store(false, Release);
    }
}
