// SPDX-License-Identifier: GPL-2.0-only

//! A queue of processes that wait for something.
//!
//! C header: [`include/linux/wait.h`](srctree/include/linux/wait.h)

use crate::{
    bindings,
    file, //
};
use core::marker::PhantomPinned;
use kernel::{
    current,
    fs::LocalFile,
    prelude::*,
    str::CStr,
    sync::{
        atomic::{
            Acquire,
            Atomic,
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
    time::Jiffies,
    types::Opaque, //
};

/// Creates an initialiser of a [`WaitQueue`](crate::sync::WaitQueue) with a
/// lock class of its own.
///
/// The name that lock debugging shows is the one given, or file and line.
#[macro_export]
macro_rules! new_wait_queue {
    ($($name:literal)? $(,)?) => {
        $crate::sync::WaitQueue::new(
            ::kernel::optional_name!($($name)?), ::kernel::static_lock_class!())
    };
}

/// A queue of processes that wait for something: in a system call, until it is
/// so, or in `poll(2)`, `select(2)` and `epoll(7)`, through
/// [`PollTable::wait`](crate::file::PollTable::wait).
///
/// What they wait for is not part of it: who waits looks after each waking
/// whether it is so by now, and who made it so wakes them.
///
/// # Unloading
///
/// *We wait*: dropping the queue waits until nobody is in it by `poll(2)` or
/// the like. So it may be part of the data of a file in `/proc`, which such
/// callers outlive. Those in a system call of the module's have borrowed the
/// queue; what unregisters waits for them.
///
/// Neither wait has an end of its own: call [`close`](Self::close) before the
/// file goes, for instance when the module's value is dropped, so that all leave.
/// Without that, those in `poll(2)` find a file that is gone ready to be read and
/// written, and who asked for nothing of this is waited for until it gives up.
///
/// # Examples
///
/// ```ignore
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
    closed: Atomic<bool>,
    /// Whether anybody ever had an entry in the queue by `poll(2)` or the like.
    polled: Atomic<bool>,
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(WaitQueue);

// SAFETY: A wait queue may be used and given up on any thread.
unsafe impl Send for WaitQueue {}

// SAFETY: It has a lock of its own.
unsafe impl Sync for WaitQueue {}

impl WaitQueue {
    /// For [`new_wait_queue!`](macro@crate::new_wait_queue).
    pub fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` can be written to, name and key are static.
            head <- Opaque::ffi_init(|slot| unsafe {
                bindings::__init_waitqueue_head(slot, name.as_char_ptr(), key.as_ptr())
            }),
            closed: Atomic::new(false),
            polled: Atomic::new(false),
            _pin: PhantomPinned,
        })
    }

    /// Waits until `ready` returns something, and returns that.
    ///
    /// `ready` is called at least once, and after each waking. It may sleep,
    /// and may be what takes the thing waited for; of several who wait each is
    /// asked.
    ///
    /// Fails with `ERESTARTSYS` when a signal arrived, which is `EINTR` in user
    /// space, or begins the system call again where the signal's handler was
    /// installed with `SA_RESTART`; and with `ENODEV` when the queue is
    /// [closed](Self::close). May sleep.
    pub fn wait_interruptible<R>(&self, ready: impl FnMut() -> Option<R>) -> Result<R> {
        match self.wait(MAX_SCHEDULE_TIMEOUT, ready)? {
            Some(value) => Ok(value),
            // Such a wait has no end.
            None => Err(EINTR),
        }
    }

    /// As [`wait_interruptible`](Self::wait_interruptible), but for no longer
    /// than `timeout`: then it fails with `ETIMEDOUT`. A system call that begins
    /// again waits that long again.
    pub fn wait_interruptible_timeout<R>(
        &self,
        timeout: Jiffies,
        ready: impl FnMut() -> Option<R>,
    ) -> Result<R> {
        let timeout = timeout.try_into().unwrap_or(MAX_SCHEDULE_TIMEOUT);
        self.wait(timeout, ready)?.ok_or(ETIMEDOUT)
    }

    /// As [`wait_interruptible`](Self::wait_interruptible), unless `file` was
    /// opened with `O_NONBLOCK`: then it asks `ready` once, and fails with
    /// `EAGAIN` when it is not so.
    pub fn wait_unless_nonblocking<R>(
        &self,
        file: &LocalFile,
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
        let mut entry = bindings::wait_queue_entry {
            private: current!().as_ptr().cast(),
            func: Some(bindings::woken_wake_function),
            ..Default::default()
        };
        let entry = &raw mut entry;
        // SAFETY: The queue is initialised. The entry is removed below, before
        // it goes.
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
            // SAFETY: The entry is in a queue, with the function that belongs
            // to this one. A waking since it was added is not lost.
            timeout = unsafe { bindings::wait_woken(entry, TASK_INTERRUPTIBLE as u32, timeout) };
        };
        // SAFETY: The entry was added to this queue.
        unsafe { bindings::remove_wait_queue(self.head.get(), entry) };
        result
    }

    /// Wakes all who wait, so that they look again. In any context.
    pub fn wake_up_all(&self) {
        self.wake(0);
    }

    /// Ends all waits, those to come as well: system calls fail with `ENODEV`,
    /// and for `poll(2)` and the like the file has failed and been hung up.
    ///
    /// Returns when nobody is in the queue any more. So it may sleep, and must
    /// not be called by who waits, by the operation
    /// [`poll`](crate::file::Operations::poll), or with a lock held that one of
    /// them takes.
    pub fn close(&self) {
        self.closed.store(true, Release);
        self.turn_out();
    }

    /// Whether the queue is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }

    /// What can be done with a file whose queue is closed: `poll(2)` always asks
    /// for one of these, `select(2)` for another in each of its three sets.
    pub(crate) const CLOSED: u32 = bindings::POLLERR | bindings::POLLHUP | bindings::POLLPRI;

    /// Wakes all who wait for what `events` has of `poll(2)`, or for 0 all.
    fn wake(&self, events: u32) {
        let key = core::ptr::without_provenance_mut(events as usize);
        // SAFETY: The queue is initialised, and the second 0 means all.
        unsafe { bindings::__wake_up(self.head.get(), TASK_NORMAL, 0, key) };
    }

    /// The queue, for somebody who stays in it until `turn_out`.
    pub(crate) fn for_poll(&self) -> *mut bindings::wait_queue_head {
        self.polled.store(true, Relaxed);
        self.head.get()
    }

    /// Waits until nobody is in the queue.
    fn turn_out(&self) {
        // linux/poll.h: the queue is going away, take your entry out.
        const POLLFREE: u32 = 0x4000;
        // With all that anybody can wait for, as not all look at the above.
        const KEY: u32 = POLLFREE | bindings::POLLIN | bindings::POLLOUT | WaitQueue::CLOSED;

        // Unload rule, we wait. epoll takes its entries out when it is told
        // POLLFREE. Who is in poll(2) or select(2) wakes up, finds that it need
        // not wait and takes its entries out on the way back.
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
        if !self.polled.load(Relaxed) {
            return;
        }
        self.turn_out();
        // Whoever took the last entry out may still hold the queue's lock...
        self.wake(0);
        // ... and epoll may be on its way to it.
        // SAFETY: This may sleep.
        unsafe { bindings::synchronize_rcu() };
    }
}
