// SPDX-License-Identifier: GPL-2.0-only

//! Threads that end by themselves.

use super::{
    KThread,
    ThisThread, //
};
use core::{
    ffi::CStr,
    mem, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};

/// Any number of threads. Each ends when its closure returns, and needs no
/// joining: its memory is freed when the next thread ends or when the group is
/// dropped.
///
/// This is a pattern of this crate, not kernel API.
///
/// # Unloading
///
/// *We wait*: dropping a group asks its threads to stop and waits until all of
/// them have left the module, as dropping a [`KThread`] does for one thread. That
/// may sleep. The rules for the closure of a `KThread` hold for these closures. When
/// a closure drops its own group, its own thread ends a little later.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use kernel::time::Delta;
/// use lkm::kthread::{Group, KThread};
///
/// let guests = Group::new()?;
/// let host = KThread::spawn(c"host", move |this| {
///     while !this.should_stop() {
///         guests.spawn(c"guest", |_| {
///             pr_info!("hello\n");
///             Ok(())
///         })?;
///         this.sleep(Delta::from_millis(1000));
///     }
///     // `guests` is dropped here: all guests are asked to stop.
///     Ok(())
/// })?;
/// # Ok::<(), Error>(())
/// ```
pub struct Group(Arc<Threads>);

#[pin_data]
struct Threads {
    #[pin]
    list: Mutex<List>,
}

/// The threads of a group. A thread that was taken out of the list is stopped by
/// the code that took it out.
struct List {
    /// The threads whose closure has not returned.
    running: KVec<KThread>,
    /// The last thread whose closure has returned. The next one to end waits for
    /// it, as no thread can wait for itself.
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
    /// - `ENOMEM`: no memory.
    pub fn new() -> Result<Self> {
        let threads = pin_init!(Threads {
            list <- new_mutex!(List::EMPTY, "Group::list"),
        });
        Ok(Self(Arc::pin_init(threads, GFP_KERNEL)?))
    }

    /// Creates a thread, as [`KThread::spawn`] does. The result of its closure is
    /// ignored. May sleep.
    ///
    /// # Errors
    ///
    /// In case of an error `closure` is dropped and does not run.
    ///
    /// - `EINTR`: the caller is being killed;
    /// - `ENOMEM`: no memory;
    /// - `EAGAIN`: there are as many threads as the kernel allows;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub fn spawn<F>(&self, name: &CStr, closure: F) -> Result
    where
        F: FnOnce(&ThisThread) -> Result + Send + 'static,
    {
        let threads = self.0.clone();
        // After an error the closure is dropped without the lock.
        let thread = KThread::create(name, None, move |this| {
            let result = closure(this);
            threads.remove_current();
            result
        })?;
        let mut list = self.0.list.lock();
        list.running.reserve(1, GFP_KERNEL)?;
        // A thread that ends at once must find itself in the list.
        thread.0.wake();
        Ok(list.running.push(thread, GFP_KERNEL)?)
    }
}

impl Threads {
    /// Called by a thread that is about to end. It leaves itself for the next one
    /// to wait for, and waits for the thread that ended before it.
    fn remove_current(&self) {
        let mut list = self.list.lock();
        // A thread that is not in the list is being stopped.
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
        // From now on no thread finds itself in the list, so none waits for
        // another.
        let list = mem::replace(&mut *self.0.list.lock(), List::EMPTY);
        for thread in &list.running {
            thread.ask_to_stop();
        }
        drop(list);
    }
}
