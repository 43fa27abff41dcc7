// SPDX-License-Identifier: GPL-2.0-only

//! A queue of waiting processes.
//!
//! C header: [`include/linux/wait.h`](srctree/include/linux/wait.h)
//!
//! The `kernel` crate's [`CondVar`](kernel::sync::CondVar) and
//! [`PollCondVar`](kernel::sync::poll::PollCondVar) need a lock that they
//! release while they wait, and have nothing like [`WaitQueue::close`], which
//! ends all waits. Dropping a `PollCondVar` removes the entries of `epoll(7)`,
//! but not those of `poll(2)` and `select(2)`.

use crate::{
    bindings,
    compat::{
        lock_class,
        AtomicFlag, //
    },
    file::{
        self,
        File, //
    },
    time::jiffies, //
};
use core::marker::PhantomPinned;
use kernel::{
    current,
    prelude::*,
    str::CStr,
    sync::{
        atomic::{
            Acquire,
            Relaxed,
            Release, //
        },
        LockClassKey, //
    },
    task::{
        might_sleep,
        MAX_SCHEDULE_TIMEOUT,
        TASK_INTERRUPTIBLE,
        TASK_NORMAL, //
    },
    time::Delta,
    types::Opaque, //
};

/// Creates an initialiser of a [`WaitQueue`](crate::sync::WaitQueue) with a
/// lock class of its own.
///
/// Lock debugging shows the name that is given, or else file and line.
#[macro_export]
macro_rules! new_wait_queue {
    ($($name:literal)? $(,)?) => {
        $crate::sync::WaitQueue::new(
            ::kernel::optional_name!($($name)?), ::kernel::static_lock_class!())
    };
}

/// A queue of processes that wait for a condition: in a system call of the
/// module, or in `poll(2)`, `select(2)` and `epoll(7)`, through
/// [`PollTable::wait`](crate::file::PollTable::wait).
///
/// The condition is not part of the queue. Code that makes the condition true
/// wakes the queue, and a woken process checks the condition again.
///
/// # Unloading
///
/// *We wait*: dropping the queue waits until no caller of `poll(2)` or the like
/// has an entry in it. So a queue may be part of the data of a file in `/proc`:
/// such callers outlive the file. A process that waits in a system call of the
/// module borrows the queue; unregistering the file waits for that process.
/// Dropping may sleep. A debug kernel complains where it must not, also of a queue that
/// nobody has polled.
///
/// Both waits can take forever. So call [`close`](Self::close) before the file
/// goes, in [`Operations::hang_up`](crate::file::Operations::hang_up): this ends them.
/// Without it, a caller of `poll(2)` finds that the removed file is ready to be
/// read and written. A caller that asked for neither is waited for until it
/// gives up.
///
/// # Examples
///
/// ```
/// use kernel::{prelude::*, sync::Mutex};
/// use lkm::sync::WaitQueue;
///
/// #[pin_data]
/// struct Mailbox {
///     #[pin]
///     letters: Mutex<KVec<u32>>,
///     #[pin]
///     arrived: WaitQueue,
/// }
///
/// impl Mailbox {
///     fn put(&self, letter: u32) -> Result {
///         self.letters.lock().push(letter, GFP_KERNEL)?;
///         self.arrived.wake_up_all();
///         Ok(())
///     }
///
///     fn take(&self) -> Result<u32> {
///         self.arrived.wait_interruptible(|| self.letters.lock().pop())
///     }
/// }
/// ```
#[pin_data(PinnedDrop)]
pub struct WaitQueue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
    closed: AtomicFlag,
    /// Whether `poll(2)` or the like ever had an entry in the queue.
    polled: AtomicFlag,
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(WaitQueue);

// SAFETY: A wait queue may be used in any thread, and dropped in any that may
// sleep.
unsafe impl Send for WaitQueue {}

// SAFETY: A wait queue has a lock of its own.
unsafe impl Sync for WaitQueue {}

impl WaitQueue {
    /// Creates an initialiser; [`new_wait_queue!`](macro@crate::new_wait_queue)
    /// supplies `name` and `key`. Can be called in any context except NMI.
    pub fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` can be written to; name and key are static.
            head <- Opaque::ffi_init(|slot| unsafe {
                bindings::__init_waitqueue_head(slot, name.as_char_ptr(), lock_class(key))
            }),
            closed: AtomicFlag::new(false),
            polled: AtomicFlag::new(false),
            _pin: PhantomPinned,
        })
    }

    /// Waits until `ready` returns `Some`, and returns that value. May sleep.
    ///
    /// `ready` is called at least once unless the queue is closed, and again
    /// after each waking. It may sleep, and may take the thing that is waited
    /// for. If several processes wait, each calls its own `ready`.
    ///
    /// # Errors
    ///
    /// - `ERESTARTSYS`: a signal arrived (the system call returns `EINTR`, or
    ///   begins again if the signal's handler was installed with `SA_RESTART`);
    /// - `ENODEV`: the queue is [closed](Self::close).
    pub fn wait_interruptible<R>(&self, ready: impl FnMut() -> Option<R>) -> Result<R> {
        match self.wait(MAX_SCHEDULE_TIMEOUT, ready)? {
            Some(value) => Ok(value),
            // A wait without a timeout does not end this way.
            None => Err(EINTR),
        }
    }

    /// Waits as [`wait_interruptible`](Self::wait_interruptible) does, but for
    /// `timeout` at the longest. A system call that begins again waits for the
    /// whole `timeout` again. May sleep.
    ///
    /// # Errors
    ///
    /// - `ETIMEDOUT`: `timeout` is over;
    /// - those of [`wait_interruptible`](Self::wait_interruptible).
    pub fn wait_interruptible_timeout<R>(
        &self,
        timeout: Delta,
        ready: impl FnMut() -> Option<R>,
    ) -> Result<R> {
        self.wait(jiffies(timeout), ready)?.ok_or(ETIMEDOUT)
    }

    /// Waits as [`wait_interruptible`](Self::wait_interruptible) does, unless
    /// `file` is non-blocking (`O_NONBLOCK`): then it calls `ready` once and
    /// does not wait. May sleep.
    ///
    /// # Errors
    ///
    /// - `EAGAIN`: `file` is non-blocking, and `ready` returned `None`;
    /// - those of [`wait_interruptible`](Self::wait_interruptible), if `file`
    ///   is not non-blocking.
    pub fn wait_unless_nonblocking<R>(
        &self,
        file: &File,
        mut ready: impl FnMut() -> Option<R>,
    ) -> Result<R> {
        match file::nonblocking(file) {
            true => ready().ok_or(EAGAIN),
            false => self.wait_interruptible(ready),
        }
    }

    fn wait<R>(
        &self,
        mut timeout: c_long,
        mut ready: impl FnMut() -> Option<R>,
    ) -> Result<Option<R>> {
        might_sleep();
        if self.is_closed() {
            return Err(ENODEV);
        }
        let mut entry = bindings::wait_queue_entry {
            private: current!().as_ptr().cast(),
            func: Some(bindings::woken_wake_function),
            ..Default::default()
        };
        let entry = &raw mut entry;
        // SAFETY: The queue is initialised. The entry is removed below, before
        // this function returns.
        unsafe { bindings::add_wait_queue(self.head.get(), entry) };
        let result = loop {
            if self.is_closed() {
                break Err(ENODEV);
            }
            if let Some(value) = ready() {
                break Ok(Some(value));
            }
            if timeout == 0 {
                break Ok(None);
            }
            if current!().signal_pending() {
                break Err(ERESTARTSYS);
            }
            // SAFETY: The entry is in a queue, and its function is the one that
            // `wait_woken()` needs: no waking since the entry was added is lost.
            timeout = unsafe { bindings::wait_woken(entry, TASK_INTERRUPTIBLE as u32, timeout) };
        };
        // SAFETY: The entry was added to this queue.
        unsafe { bindings::remove_wait_queue(self.head.get(), entry) };
        result
    }

    /// Wakes all waiting processes: they check their condition again. Can be
    /// called in the contexts in which an
    /// [`IrqSpinLock`](crate::sync::IrqSpinLock) can be taken.
    pub fn wake_up_all(&self) {
        self.wake(0);
    }

    /// Ends all waits, including those that begin later: system calls fail with
    /// `ENODEV`, and `poll(2)` and the like find an error and a hangup on the
    /// file.
    ///
    /// Returns when the queue has no entries any more. May sleep. It must not
    /// be called by a `ready` closure, by the operation
    /// [`poll`](crate::file::Operations::poll), or with a lock held that one of
    /// those takes.
    pub fn close(&self) {
        self.closed.store(true, Release);
        self.turn_out();
    }

    /// Whether the queue is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }

    /// The events of a file whose queue is closed. `poll(2)` always asks for
    /// some of them, and each of the three sets of `select(2)` contains at
    /// least one.
    pub(crate) const CLOSED: u32 = bindings::POLLERR | bindings::POLLHUP | bindings::POLLPRI;

    /// Wakes the processes that wait for one of the `events` of `poll(2)`; 0
    /// stands for all events.
    fn wake(&self, events: u32) {
        let key = core::ptr::without_provenance_mut(events as usize);
        // SAFETY: The queue is initialised. The 0 stands for all entries.
        unsafe { bindings::__wake_up(self.head.get(), TASK_NORMAL, 0, key) };
    }

    /// The queue, for an entry that may stay in it until `turn_out`.
    pub(crate) fn for_poll(&self) -> *mut bindings::wait_queue_head {
        self.polled.store(true, Relaxed);
        self.head.get()
    }

    /// Waits until the queue has no entries.
    fn turn_out(&self) {
        // The flag of that name in uapi/asm-generic/poll.h: the queue is going
        // away, remove your entry.
        const POLLFREE: u32 = 0x4000;
        // Together with all events, as `poll(2)` and `select(2)` ignore the flag.
        const KEY: u32 = POLLFREE | bindings::POLLIN | bindings::POLLOUT | WaitQueue::CLOSED;

        // Unload rule, we wait: epoll removes its entries when it gets
        // POLLFREE. A caller of poll(2) or select(2) wakes up, finds that it
        // need not wait, and removes its entries on its way back.
        loop {
            self.wake(KEY);
            // SAFETY: The queue is initialised.
            if !unsafe { bindings::lkm_waitqueue_active(self.head.get()) } {
                break;
            }
            // SAFETY: This may sleep.
            unsafe { bindings::schedule_timeout_uninterruptible(1) };
        }
    }
}

#[pinned_drop]
impl PinnedDrop for WaitQueue {
    fn drop(self: Pin<&mut Self>) {
        might_sleep();
        if !self.polled.load(Relaxed) {
            return;
        }
        self.turn_out();
        // The code that removed the last entry may still hold the queue's lock...
        self.wake(0);
        // ... and epoll may be about to take it.
        // SAFETY: This may sleep.
        unsafe { bindings::synchronize_rcu() };
    }
}
