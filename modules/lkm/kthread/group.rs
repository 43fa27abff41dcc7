// SPDX-License-Identifier: GPL-2.0-only

//! Threads that end when they have done their work.

use super::{
    KThread,
    ThisThread, //
};
use core::mem;
use kernel::{
    new_mutex,
    prelude::*,
    str::CStr,
    sync::{
        Arc,
        Mutex, //
    },
};

/// Any number of threads, each of which ends when its closure returns. Nobody
/// has to join them: what is left of one is freed when the next one ends, if not
/// before.
///
/// # Unloading
///
/// *We wait*: dropping a group asks its threads to stop and waits until all of
/// them have left the module, as dropping a [`KThread`] does for one. So what is
/// said there of closures is true here; nor may one drop its own group. Dropping
/// may sleep.
///
/// # Examples
///
/// ```ignore
/// let guests = Group::new()?;
/// let acceptor = KThread::spawn(c"acceptor", move |this| {
///     while !this.should_stop() {
///         let guest = listener.accept()?;
///         guests.spawn(c"guest", move |_| welcome(guest))?;
///     }
///     // Here the guests are asked to leave.
///     Ok(())
/// })?;
/// ```
pub struct Group(Arc<Threads>);

#[pin_data]
struct Threads {
    #[pin]
    list: Mutex<List>,
}

/// Each thread of a group is in here, or was stopped by who has taken it out.
struct List {
    /// Those whose closure has not returned.
    running: KVec<KThread>,
    /// The last one whose closure has: no thread can wait for itself.
    ended: Option<KThread>,
}

impl List {
    const EMPTY: Self = Self {
        running: KVec::new(),
        ended: None,
    };
}

impl Group {
    /// Creates a group without threads. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        let threads = pin_init!(Threads {
            list <- new_mutex!(List::EMPTY, "Group::list"),
        });
        Ok(Self(Arc::pin_init(threads, GFP_KERNEL)?))
    }

    /// Creates a thread, as [`KThread::spawn`] does. What its closure returns is
    /// of no use to anybody. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINTR`: the caller is being killed;
    /// - `ENOMEM`.
    pub fn spawn<F>(&self, name: &CStr, closure: F) -> Result
    where
        F: FnOnce(&ThisThread) -> Result + Send + 'static,
    {
        let threads = self.0.clone();
        // A thread that ends at once is to find itself in the list.
        let mut list = self.0.list.lock();
        // Then the thread is not dropped here, where it would wait for the lock.
        list.running.reserve(1, GFP_KERNEL)?;
        let thread = KThread::spawn(name, move |this| {
            let result = closure(this);
            threads.remove_current();
            result
        })?;
        Ok(list.running.push(thread, GFP_KERNEL)?)
    }
}

impl Threads {
    /// By a thread that is about to end: it has another one wait for itself, and
    /// waits for the one before it.
    fn remove_current(&self) {
        let mut list = self.list.lock();
        // It is being stopped if it is not there.
        let place = list.running.iter().position(KThread::is_current);
        let Some(thread) = place.and_then(|place| list.running.remove(place).ok()) else {
            return;
        };
        let before = list.ended.replace(thread);
        drop(list);
        drop(before);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // From now on no thread finds itself, so none has another one to wait for.
        let list = mem::replace(&mut *self.0.list.lock(), List::EMPTY);
        drop(list);
    }
}
