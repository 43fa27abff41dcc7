// SPDX-License-Identifier: GPL-2.0-only

//! Calls that somebody waits for.

use crate::alive::tick;
use kernel::sync::atomic::{
    Acquire,
    Atomic,
    Full,
    Release, //
};

/// How many calls run of something that can be closed: from then on none begins.
///
/// Modules that were built from the same sources share such counters: see
/// [`interface`](mod@crate::interface).
///
/// # Invariants
///
/// The number is negative while it is closed. Its other bits count the calls that run,
/// and those that are being refused.
#[repr(transparent)]
pub(crate) struct Calls(Atomic<i32>);

/// What makes the number negative, and when added again, makes it what it was.
const CLOSED: i32 = i32::MIN;

impl Calls {
    /// None can begin yet.
    pub(crate) const fn closed() -> Self {
        // INVARIANT: None runs.
        Self(Atomic::new(CLOSED))
    }

    /// Calls can begin.
    pub(crate) const fn opened() -> Self {
        // INVARIANT: None runs.
        Self(Atomic::new(0))
    }

    /// From now on calls can begin. It must be closed. Can be called in any context.
    pub(crate) fn open(&self) {
        // This is the sum without the sign: C's atomics wrap.
        // What was done before is seen by who sees this.
        self.0.fetch_add(CLOSED, Release);
    }

    /// From now on no call begins. Waits until none runs. It must be open. May sleep.
    pub(crate) fn close(&self) {
        self.0.fetch_add(CLOSED, Full);
        while self.0.load(Acquire) != CLOSED {
            tick();
        }
    }

    /// Whether no call can begin. Can be called in any context.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Acquire) < 0
    }

    /// A call begins, and ends when the result is dropped; `None` if it is closed. Can be
    /// called in any context.
    pub(crate) fn begin(&self) -> Option<Running<'_>> {
        // Those that try again and again would keep `close` waiting.
        if self.0.load(Acquire) < 0 {
            return None;
        }
        let running = Running(self);
        // One that is refused is counted until `running` is dropped.
        match self.0.fetch_add(1, Acquire) < 0 {
            true => None,
            false => Some(running),
        }
    }
}

/// A call that runs.
#[must_use]
pub(crate) struct Running<'a>(&'a Calls);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // Who waits for the call sees all that it has done.
        self.0 .0.fetch_add(-1, Release);
    }
}
