// SPDX-License-Identifier: GPL-2.0-only

//! Who is in a function that C calls with a lock that registering and unregistering take.
//!
//! One who registers there would wait for himself for ever, and so would one who drops. There
//! is one lock for all devices of a kind, so it does not matter whose function it is. Of two
//! kinds, one can come after the other, and then never before it: with the lock of the net
//! devices, no input device is made, and none goes.

use kernel::{
    sync::atomic::{
        Atomic,
        Full,
        Relaxed, //
    },
    task::Task,
};

/// In functions of input devices: C opens and closes them while it has the one lock that there
/// is for all.
#[cfg(CONFIG_INPUT)]
pub(crate) static INPUT: Callers = Callers::new();

/// In functions that open and stop net devices: C has the lock of the network's configuration.
pub(crate) static RTNL: Callers = Callers::new();

/// The tasks of this module that are in such functions, as often as they are.
pub(crate) struct Callers {
    tasks: [Atomic<usize>; 16],
    /// How many there are for whom there is no place.
    more: Atomic<i32>,
}

impl Callers {
    const fn new() -> Self {
        Self {
            tasks: [const { Atomic::new(0) }; 16],
            more: Atomic::new(0),
        }
    }

    /// The current task is in such a function, as long as the result lives. Can be called in
    /// any context.
    pub(crate) fn begin(&'static self) -> Inside {
        let task = current_task();
        let free = |place: &&Atomic<usize>| place.cmpxchg(0, task, Full).is_ok();
        match self.tasks.iter().find(free) {
            Some(place) => Inside::Known(place),
            None => {
                self.more.fetch_add(1, Relaxed);
                Inside::Counted(&self.more)
            }
        }
    }

    /// Whether the current task may be in one. Can be called in any context.
    pub(crate) fn may_have_current(&self) -> bool {
        let task = current_task();
        let is_known = self.tasks.iter().any(|place| place.load(Relaxed) == task);
        is_known || self.more.load(Relaxed) > 0
    }
}

/// The current task is in such a function.
#[must_use]
pub(crate) enum Inside {
    Known(&'static Atomic<usize>),
    Counted(&'static Atomic<i32>),
}

impl Drop for Inside {
    fn drop(&mut self) {
        match self {
            Self::Known(place) => place.store(0, Relaxed),
            Self::Counted(more) => {
                more.fetch_add(-1, Relaxed);
            }
        }
    }
}

fn current_task() -> usize {
    Task::current_raw().addr()
}
