// SPDX-License-Identifier: GPL-2.0-only

//! Kernel threads.
//!
//! C header: [`include/linux/kthread.h`](srctree/include/linux/kthread.h)

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

/// A kernel thread, which runs a closure once.
///
/// It gets no signals from user space, not even `SIGKILL`. It ends when its
/// closure returns, which is to do so when it is asked to [stop]. The thread is
/// asked by who [`stop`](Self::stop)s or drops this value; then all waits that a
/// signal can end, end: they fail with `ERESTARTSYS`, and later ones fail at once.
///
/// [stop]: ThisThread::should_stop
///
/// # Unloading
///
/// *Unregister waits*: dropping this value asks the thread to stop, and returns
/// when it has left the module for good and its closure was dropped. So a closure
/// must not go on for ever without asking whether it is to stop, nor be in a wait
/// that nothing ends, and must not drop its own thread: it would wait for itself.
/// For threads that nobody waits for there is the [`Group`].
///
/// # Invariants
///
/// - `task` was made by `kthread_create_on_node()` for `Self::main` with a
///   pointer to `shared`. It was woken, and unless `ended` nobody has stopped it.
/// - `shared.closure` belongs to the thread as long as it exists.
///
/// # Examples
///
/// ```ignore
/// let thread = KThread::spawn(c"example", |this| {
///     while !this.should_stop() {
///         pr_info!("once a second\n");
///         this.sleep(msecs_to_jiffies(1000));
///     }
///     Ok(())
/// })?;
/// ```
pub struct KThread {
    task: ARef<Task>,
    shared: Pin<KBox<Shared>>,
    ended: bool,
}

// SAFETY: A thread may be stopped and parked by any other; what it was made with
// is `Send`.
unsafe impl Send for KThread {}

// SAFETY: `state` sees to it that a thread is parked and unparked by one other at
// a time, and only while it has not ended. Nobody else uses the closure.
unsafe impl Sync for KThread {}

/// What the thread and its owner have in common.
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

/// The thread does not run its closure any more, and may be gone.
const FINISHED: u32 = 0;
/// It runs.
const RUNNING: u32 = 1;
/// It is being parked or unparked, and must not end meanwhile: who parks it would
/// wait forever.
const MOVING: u32 = 2;
/// It is parked.
const PARKED: u32 = 3;

/// A closure whose type is not known.
trait Closure: Send {
    fn call(&mut self, this: &ThisThread) -> Result;
}

impl<F: FnOnce(&ThisThread) -> Result + Send> Closure for Option<F> {
    fn call(&mut self, this: &ThisThread) -> Result {
        self.take().map_or(Ok(()), |closure| closure(this))
    }
}

impl KThread {
    /// Creates a thread called `name`, of which `ps` shows 15 bytes, that runs
    /// `closure`. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINTR`: the caller is being killed;
    /// - `ENOMEM`.
    pub fn spawn<F>(name: &CStr, closure: F) -> Result<Self>
    where
        F: FnOnce(&ThisThread) -> Result + Send + 'static,
    {
        Self::create(name, None, closure)
    }

    /// Creates a thread called `name/CPU` that runs on this CPU only, for as long
    /// as it is online. Else as [`spawn`](Self::spawn).
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the CPU is not online;
    /// - `EINTR`: the caller is being killed;
    /// - `ENOMEM`.
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
        // SAFETY: The format goes with what follows; the name is copied. `shared`
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
            // SAFETY: The thread was not woken yet, and the CPU exists.
            unsafe { bindings::kthread_bind(task, cpu.as_u32()) };
        }
        // SAFETY: It is there until it has run, and that takes `wake_up`.
        let task = ARef::from(unsafe { &*task.cast::<Task>() });
        task.wake_up();
        // INVARIANT: It was made and woken above.
        Ok(Self {
            task,
            shared,
            ended: false,
        })
    }

    /// # Safety
    ///
    /// `shared` points to a [`Shared`] that stays until the thread has ended. The
    /// thread is one of [`Self::create`].
    unsafe extern "C" fn main(shared: *mut c_void) -> c_int {
        // SAFETY: By this function's contract.
        let shared = unsafe { &*shared.cast::<Shared>() };
        // SAFETY: The closure is the thread's, and this is called once.
        let closure = unsafe { (*shared.closure.get()).take() };
        let this = ThisThread(NotThreadSafe);
        let result = match closure {
            Some(mut closure) => closure.call(&this),
            None => Ok(()),
        };
        while shared.state.cmpxchg(RUNNING, FINISHED, Release).is_err() && !this.should_stop() {
            this.park_if_asked();
            // Not asked yet, or not any more: it takes no time.
            // SAFETY: This may sleep.
            unsafe { bindings::schedule_timeout_uninterruptible(1) };
        }
        shared.finished.complete_all();
        from_result(|| result.map(|()| 0))
    }

    /// Asks the thread to stop, and waits until it has. Returns what its closure
    /// returned; `EINTR` when it did not get to run. May sleep.
    ///
    /// Not from the thread itself.
    pub fn stop(mut self) -> Result {
        self.end()
    }

    /// Waits until the thread ends by itself, and returns what its closure
    /// returned. May sleep.
    ///
    /// Not from the thread itself.
    pub fn join(mut self) -> Result {
        // It is not over then: the thread is still in the module's text.
        self.shared.finished.wait();
        self.end()
    }

    fn end(&mut self) -> Result {
        if mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        // SAFETY: By the type invariants, and nobody parks or unparks it, as that
        // takes a reference to `self`.
        // Unload rule, unregister waits: this returns when the thread has left
        // the kernel's function that called `main`, or never calls it.
        to_result(unsafe { bindings::kthread_stop(self.task.as_ptr()) })
    }

    /// Whether this is the thread that asks.
    fn is_current(&self) -> bool {
        self.task.as_ptr() == Task::current_raw()
    }

    /// Whether the closure has returned. In any context.
    pub fn is_finished(&self) -> bool {
        self.shared.state.load(Acquire) == FINISHED
    }

    /// Asks the thread to park, and waits until it does so, which is when it
    /// calls [`ThisThread::park_if_asked`]. May sleep.
    ///
    /// # Errors
    ///
    /// - `ESRCH`: its closure has returned;
    /// - `EBUSY`: it is parked, or somebody else is about to park or unpark it.
    pub fn park(&self) -> Result {
        match self.shared.state.cmpxchg(RUNNING, MOVING, Relaxed) {
            Ok(_) => {}
            Err(FINISHED) => return Err(ESRCH),
            Err(_) => return Err(EBUSY),
        }
        // SAFETY: By the type invariants. By its state it does not end, nor is it
        // parked.
        let result = to_result(unsafe { bindings::kthread_park(self.task.as_ptr()) });
        let state = match result {
            Ok(()) => PARKED,
            Err(_) => RUNNING,
        };
        self.shared.state.store(state, Release);
        result
    }

    /// Lets the thread go on that was parked. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: it is not parked.
    pub fn unpark(&self) -> Result {
        if self.shared.state.cmpxchg(PARKED, MOVING, Acquire).is_err() {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariants. By its state it is parked.
        unsafe { bindings::kthread_unpark(self.task.as_ptr()) };
        self.shared.state.store(RUNNING, Release);
        Ok(())
    }
}

impl Drop for KThread {
    fn drop(&mut self) {
        // What the closure returned is of no use to who did not ask for it.
        let _ = self.end();
    }
}

/// The thread that a closure runs in, as it sees itself.
pub struct ThisThread(NotThreadSafe);

impl ThisThread {
    /// Whether the thread is asked to stop: its closure is to return.
    pub fn should_stop(&self) -> bool {
        // SAFETY: This is a kernel thread's, and cannot be sent to another.
        unsafe { bindings::kthread_should_stop() }
    }

    /// Stays here for as long as the thread is asked to [park](KThread::park). May
    /// sleep.
    pub fn park_if_asked(&self) {
        // SAFETY: As above, and this may sleep.
        unsafe {
            if bindings::kthread_should_park() {
                bindings::kthread_parkme();
            }
        }
    }

    /// Sleeps for that long, or until the thread is asked to stop or to park.
    pub fn sleep(&self, timeout: Jiffies) {
        let mut left = timeout.min(MAX_SCHEDULE_TIMEOUT as Jiffies) as c_long;
        // SAFETY: As above, and this may sleep.
        unsafe {
            while left > 0 && !bindings::kthread_should_stop() && !bindings::kthread_should_park() {
                left = bindings::lkm_kthread_sleep(left);
            }
        }
    }

    /// Sleeps until the thread is asked to stop; meanwhile it parks when it is
    /// asked to.
    pub fn sleep_until_stop(&self) {
        while !self.should_stop() {
            self.park_if_asked();
            self.sleep(Jiffies::MAX);
        }
    }
}

fn is_online(cpu: CpuId) -> bool {
    // SAFETY: The mask is there as long as the kernel is.
    unsafe { Cpumask::from_raw(&raw const bindings::__cpu_online_mask) }.test(cpu)
}

/// The CPUs that are online; by the time one looks there may be others.
pub fn online_cpus() -> impl Iterator<Item = CpuId> {
    (0..nr_cpu_ids())
        .filter_map(CpuId::from_u32)
        .filter(|cpu| is_online(*cpu))
}
