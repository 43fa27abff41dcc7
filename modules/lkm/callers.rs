// SPDX-License-Identifier: GPL-2.0-only

//! Who is in functions of the module that C calls with a lock, or waits for.
//!
//! One who takes such a lock there, or has C wait, would wait for himself.

use kernel::{
    sync::atomic::{
        Atomic,
        Full,
        Relaxed, //
    },
    task::Task, //
};

/// The tasks that are in certain functions, as often as they are.
pub(crate) struct Callers {
    places: [Atomic<usize>; 16],
    /// How many there are for whom there is no place.
    more: Atomic<i32>,
}

/// A number that no other task has.
pub(crate) fn current_task() -> usize {
    Task::current_raw().addr()
}

impl Callers {
    /// Nobody is there.
    pub(crate) const fn new() -> Self {
        Self {
            places: [const { Atomic::new(0) }; 16],
            more: Atomic::new(0),
        }
    }

    /// The current task is in such a function until the result is dropped. Can be called in
    /// any context.
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

    /// Whether the current task may be in one. Can be called in any context.
    pub(crate) fn may_have_current(&self) -> bool {
        let task = current_task();
        let is_known = self.places.iter().any(|place| place.load(Relaxed) == task);
        is_known || self.more.load(Relaxed) > 0
    }
}

/// A task is in such a function, as long as this lives.
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
