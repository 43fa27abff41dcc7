// SPDX-License-Identifier: GPL-2.0-only

//! Kernel threads.
//!
//! C header: [`include/linux/kthread.h`](srctree/include/linux/kthread.h)
//!
//! The `kernel` crate has no kernel threads: its [`Task`] is a task that exists
//! already, and nothing there creates, stops or parks a thread.

use crate::{
    bindings,
    sync::Completion, //
};
use core::{
    cell::UnsafeCell,
    marker::PhantomPinned,
    mem,
    ptr, //
};
use kernel::{
    cpu::{
        nr_cpu_ids,
        CpuId, //
    },
    cpumask::Cpumask,
    error::{
        from_err_ptr,
        from_result,
        to_result, //
    },
    prelude::*,
    str::CStr,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
    },
    task::{
        Task,
        MAX_SCHEDULE_TIMEOUT, //
    },
    time::Jiffies,
    types::NotThreadSafe, //
};

mod group;
pub use group::Group;

/// A kernel thread. It runs a closure once.
///
/// The thread gets no signals from user space, not even `SIGKILL`. It ends when
/// its closure returns. [`stop`](Self::stop), and dropping this value, ask the
/// thread to stop: then [`ThisThread::should_stop`] returns `true`, and the
/// closure has to return. All waits that a signal can end are ended too: they
/// fail with `ERESTARTSYS`, and later ones fail at once.
///
/// # Unloading
///
/// *Unregister waits*: dropping this value asks the thread to stop. It returns
/// when the thread has left the module for good and the closure was dropped. That
/// may sleep. So a closure must ask again and again whether it should stop, and
/// must not be in a wait that nothing ends. It must not drop its own thread: it
/// would wait for itself. A [`Group`] holds threads that end by themselves.
///
/// # Invariants
///
/// - `task` was created by `kthread_create_on_node()` for `Self::main` with a
///   pointer to `shared`. It was woken. Unless `ended`, it was not stopped.
/// - `shared.closure` belongs to the thread as long as the thread exists.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use kernel::time::msecs_to_jiffies;
/// use lkm::kthread::KThread;
///
/// let thread = KThread::spawn(c"example", |this| {
///     while !this.should_stop() {
///         pr_info!("once a second\n");
///         this.sleep(msecs_to_jiffies(1000));
///     }
///     Ok(())
/// })?;
/// // This waits until the thread has ended.
/// thread.stop()?;
/// # Ok::<(), Error>(())
/// ```
pub struct KThread {
    task: ARef<Task>,
    shared: Pin<KBox<Shared>>,
    ended: bool,
}

// SAFETY: Any thread may stop and park another one. The closure is `Send`.
unsafe impl Send for KThread {}

// SAFETY: By `state`, only one thread at a time parks or unparks this one, and
// only while it has not ended. A shared reference gives no access to the
// closure.
unsafe impl Sync for KThread {}

/// The data that a thread and its owner share.
#[pin_data]
struct Shared {
    closure: UnsafeCell<Option<KBox<dyn Closure>>>,
    state: Atomic<u32>,
    #[pin]
    finished: Completion,
    // The thread has a pointer to it.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Shared);

/// The closure has returned. The thread may be gone.
const FINISHED: u32 = 0;
/// The closure is running.
const RUNNING: u32 = 1;
/// The thread is being parked or unparked. It must not end meanwhile: the thread
/// that parks it would wait forever.
const MOVING: u32 = 2;
/// The thread is parked.
const PARKED: u32 = 3;

/// A closure of any type.
trait Closure: Send {
    fn call(&mut self, this: &ThisThread) -> Result;
}

impl<F: FnOnce(&ThisThread) -> Result + Send> Closure for Option<F> {
    fn call(&mut self, this: &ThisThread) -> Result {
        self.take().map_or(Ok(()), |closure| closure(this))
    }
}

impl KThread {
    /// Creates a thread called `name` that runs `closure`. May sleep.
    ///
    /// `/proc/PID/comm` shows the name, cut after 63 bytes;
    /// [`CurrentName`](crate::context::CurrentName) gives 15 bytes of it.
    ///
    /// # Errors
    ///
    /// In case of an error `closure` is dropped and does not run.
    ///
    /// - `EINTR`: the caller is being killed;
    /// - `ENOMEM`: no memory.
    pub fn spawn<F>(name: &CStr, closure: F) -> Result<Self>
    where
        F: FnOnce(&ThisThread) -> Result + Send + 'static,
    {
        Self::create(name, None, closure)
    }

    /// Creates a thread called `name/CPU` that runs `closure` on `cpu` only,
    /// for as long as that CPU is online. Otherwise does what
    /// [`spawn`](Self::spawn) does. May sleep.
    ///
    /// # Errors
    ///
    /// In case of an error `closure` is dropped and does not run.
    ///
    /// - `EINVAL`: the CPU is not online;
    /// - `EINTR`: the caller is being killed;
    /// - `ENOMEM`: no memory.
    pub fn spawn_on<F>(cpu: CpuId, name: &CStr, closure: F) -> Result<Self>
    where
        F: FnOnce(&ThisThread) -> Result + Send + 'static,
    {
        if !is_online(cpu) {
            return Err(EINVAL);
        }
        Self::create(name, Some(cpu), closure)
    }

    fn create<F>(name: &CStr, cpu: Option<CpuId>, closure: F) -> Result<Self>
    where
        F: FnOnce(&ThisThread) -> Result + Send + 'static,
    {
        let closure: KBox<dyn Closure> = KBox::new(Some(closure), GFP_KERNEL)?;
        let shared = KBox::pin_init(
            pin_init!(Shared {
                closure: UnsafeCell::new(Some(closure)),
                state: Atomic::new(RUNNING),
                finished <- Completion::new(),
                _pin: PhantomPinned,
            }),
            GFP_KERNEL,
        )?;
        let (format, number) = match cpu {
            None => (c"%s", 0),
            Some(cpu) => (c"%s/%u", cpu.as_u32()),
        };
        // SAFETY: The arguments match the format; the name is copied. `shared`
        // stays where it is until the thread has ended.
        // Unload rule, unregister waits: `end`, which `drop` calls, returns when
        // the thread has left the module's text.
        let task = from_err_ptr(unsafe {
            bindings::kthread_create_on_node(
                Some(Self::main),
                ptr::from_ref(&*shared).cast_mut().cast(),
                bindings::NUMA_NO_NODE,
                format.as_char_ptr(),
                name.as_char_ptr(),
                number as c_uint,
            )
        })?;
        if let Some(cpu) = cpu {
            // SAFETY: The thread has not been woken yet, and the CPU exists.
            unsafe { bindings::kthread_bind(task, cpu.as_u32()) };
        }
        // SAFETY: The task exists until it has run, and it runs after `wake_up`.
        let task = ARef::from(unsafe { &*task.cast::<Task>() });
        task.wake_up();
        // INVARIANT: The task was created and woken above.
        Ok(Self {
            task,
            shared,
            ended: false,
        })
    }

    /// # Safety
    ///
    /// `shared` points to a [`Shared`] that stays until the thread has ended.
    /// This is called once, by a thread that [`Self::create`] has created.
    unsafe extern "C" fn main(shared: *mut c_void) -> c_int {
        // SAFETY: By this function's contract.
        let shared = unsafe { &*shared.cast::<Shared>() };
        // SAFETY: The closure belongs to this thread, and this is called once.
        let closure = unsafe { (*shared.closure.get()).take() };
        let this = ThisThread(NotThreadSafe);
        let result = match closure {
            Some(mut closure) => closure.call(&this),
            None => Ok(()),
        };
        while shared.state.cmpxchg(RUNNING, FINISHED, Release).is_err() && !this.should_stop() {
            this.park_if_asked();
            // It is not asked to park yet, or is being unparked: this is short.
            // SAFETY: This may sleep.
            unsafe { bindings::schedule_timeout_uninterruptible(1) };
        }
        shared.finished.complete_all();
        from_result(|| result.map(|()| 0))
    }

    /// Asks the thread to stop and waits until it has ended. Returns the result
    /// of its closure. May sleep.
    ///
    /// The thread itself must not call this.
    ///
    /// # Errors
    ///
    /// - `EINTR`: the closure never ran, and was dropped;
    /// - the error that the closure returned.
    pub fn stop(mut self) -> Result {
        self.end()
    }

    /// Waits until the thread ends by itself. Returns the result of its closure.
    /// May sleep.
    ///
    /// The thread itself must not call this.
    ///
    /// # Errors
    ///
    /// The error that the closure returned.
    pub fn join(mut self) -> Result {
        // This is not enough: the thread may still be in the module's text.
        self.shared.finished.wait();
        self.end()
    }

    fn end(&mut self) -> Result {
        if mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        // SAFETY: By the type invariants. Parking and unparking take a
        // reference to `self`, so neither happens now.
        // Unload rule, unregister waits: this returns when the thread has left
        // the kernel's function that calls `main`, whether or not it called
        // `main`.
        to_result(unsafe { bindings::kthread_stop(self.task.as_ptr()) })
    }

    /// Whether this is the calling thread.
    fn is_current(&self) -> bool {
        self.task.as_ptr() == Task::current_raw()
    }

    /// Whether the closure has returned. Can be called in any context.
    pub fn is_finished(&self) -> bool {
        self.shared.state.load(Acquire) == FINISHED
    }

    /// Asks the thread to park and waits until it is parked. The thread parks
    /// when it calls [`ThisThread::park_if_asked`]. May sleep.
    ///
    /// # Errors
    ///
    /// - `ESRCH`: the closure has returned;
    /// - `EBUSY`: the thread is parked, or another thread is parking or unparking
    ///   it.
    pub fn park(&self) -> Result {
        match self.shared.state.cmpxchg(RUNNING, MOVING, Relaxed) {
            Ok(_) => {}
            Err(FINISHED) => return Err(ESRCH),
            Err(_) => return Err(EBUSY),
        }
        // SAFETY: By the type invariants. By its state the thread does not end
        // and is not parked.
        let result = to_result(unsafe { bindings::kthread_park(self.task.as_ptr()) });
        let state = match result {
            Ok(()) => PARKED,
            Err(_) => RUNNING,
        };
        self.shared.state.store(state, Release);
        result
    }

    /// Lets a parked thread continue. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the thread is not parked.
    pub fn unpark(&self) -> Result {
        if self.shared.state.cmpxchg(PARKED, MOVING, Acquire).is_err() {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariants. By its state the thread is parked.
        unsafe { bindings::kthread_unpark(self.task.as_ptr()) };
        self.shared.state.store(RUNNING, Release);
        Ok(())
    }
}

impl Drop for KThread {
    fn drop(&mut self) {
        // The result of the closure is not wanted here.
        let _ = self.end();
    }
}

/// The kernel thread that runs a closure. Only the closure has it: it cannot be
/// sent to another thread.
pub struct ThisThread(NotThreadSafe);

impl ThisThread {
    /// Whether the thread is asked to stop: the closure has to return. Does not
    /// sleep.
    pub fn should_stop(&self) -> bool {
        // SAFETY: This value belongs to the current thread, a kernel thread, and
        // cannot be sent to another.
        unsafe { bindings::kthread_should_stop() }
    }

    /// Parks the thread if it is asked to [park](KThread::park), until it is
    /// [unparked](KThread::unpark) or asked to stop. May sleep.
    pub fn park_if_asked(&self) {
        // SAFETY: As above, and this may sleep.
        unsafe {
            if bindings::kthread_should_park() {
                bindings::kthread_parkme();
            }
        }
    }

    /// Sleeps for `timeout`, or until the thread is asked to stop or to park.
    pub fn sleep(&self, timeout: Jiffies) {
        let mut left = timeout.min(MAX_SCHEDULE_TIMEOUT as Jiffies) as c_long;
        // SAFETY: As above, and this may sleep.
        unsafe {
            while left > 0 && !bindings::kthread_should_stop() && !bindings::kthread_should_park() {
                left = bindings::lkm_kthread_sleep(left);
            }
        }
    }

    /// Sleeps until the thread is asked to stop. Meanwhile it parks when it is
    /// asked to.
    pub fn sleep_until_stop(&self) {
        while !self.should_stop() {
            self.park_if_asked();
            self.sleep(Jiffies::MAX);
        }
    }
}

fn is_online(cpu: CpuId) -> bool {
    // SAFETY: The mask exists as long as the kernel runs.
    unsafe { Cpumask::from_raw(&raw const bindings::__cpu_online_mask) }.test(cpu)
}

/// The CPUs that are online. The set can change at any time. Can be called in any
/// context.
pub fn online_cpus() -> impl Iterator<Item = CpuId> {
    (0..nr_cpu_ids())
        .filter_map(CpuId::from_u32)
        .filter(|cpu| is_online(*cpu))
}
