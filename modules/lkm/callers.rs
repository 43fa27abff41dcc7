// SPDX-License-Identifier: GPL-2.0-only

//! Which tasks are in functions that C calls with locks held: locks that this crate takes,
//! too, to register something or to take it back.

use kernel::{
    sync::atomic::{
        Atomic,
        Full,
        Relaxed, //
    },
    task::Task,
};

/// The tasks that are in such functions, as often as they are.
pub(crate) struct Callers {
    places: [Atomic<usize>; 16],
    /// How many there are for whom there is no place.
    more: Atomic<i32>,
}

impl Callers {
    pub(crate) const fn new() -> Self {
        Self {
            places: [const { Atomic::new(0) }; 16],
            more: Atomic::new(0),
        }
    }

    /// The current task is in a function, as long as the result lives.
    pub(crate) fn begin(&self) -> Inside<'_> {
        let task = current_task();
        let free = |place: &&Atomic<usize>| place.cmpxchg(0, task, Full).is_ok();
        let place = self.places.iter().find(free);
        if place.is_none() {
            self.more.fetch_add(1, Relaxed);
        }
        Inside {
            callers: self,
            place,
        }
    }

    /// Whether the current task may be in one.
    pub(crate) fn may_have_current(&self) -> bool {
        let task = current_task();
        let is_known = self.places.iter().any(|place| place.load(Relaxed) == task);
        is_known || self.more.load(Relaxed) > 0
    }
}

/// What the current task is known by.
pub(crate) fn current_task() -> usize {
    Task::current_raw().addr()
}

/// The current task is in a function, as long as this lives.
#[must_use]
pub(crate) struct Inside<'a> {
    callers: &'a Callers,
    place: Option<&'a Atomic<usize>>,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        match self.place {
            Some(place) => place.store(0, Relaxed),
            None => {
                self.callers.more.fetch_add(-1, Relaxed);
            }
        }
    }
}
