// SPDX-License-Identifier: GPL-2.0-only

//! Kernel threads.
//!
//! C header: [`include/linux/kthread.h`](srctree/include/linux/kthread.h)
//!
//! The `kernel` crate has no kernel threads: its [`Task`] is a task that exists
//! already, and nothing there creates, stops or parks a thread.

use crate::{
    alive::{
        tick,
        Alive,
        Runner,
        Stop, //
    },
    bindings,
    compat::{
        cpumask,
        CStrExt, //
    },
    errno::error,
    sync::Completion,
    time::jiffies, //
};
use core::{
    cell::UnsafeCell,
    ffi::CStr,
    marker::{
        PhantomData,
        PhantomPinned, //
    },
    mem,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    cpu::{
        nr_cpu_ids,
        CpuId, //
    },
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
    },
    task::{
        Task,
        MAX_SCHEDULE_TIMEOUT, //
    },
    time::Delta,
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
/// The closure returns a `T`, which [`stop`](Self::stop) and [`join`](Self::join) give to
/// their caller. A `T` that nobody takes is dropped with this value, in process context. If
/// that drop cannot wait for the thread, the `T` is dropped a little later. If this value is
/// lost, the `T` is never dropped.
///
/// # Unloading
///
/// *Unregister waits*: dropping this value asks the thread to stop. It returns
/// when the thread has left the module for good and the closure was dropped. That
/// may sleep. So a closure must ask again and again whether it should stop, and
/// must not be in a wait that nothing ends. A [`Group`] holds threads that end by
/// themselves.
///
/// A closure may drop its own thread. The thread is asked to stop, and what is left of
/// it is freed after it has ended.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use kernel::time::Delta;
/// use lkm::kthread::KThread;
///
/// let thread = KThread::spawn(c"example", |this| {
///     while !this.should_stop() {
///         pr_info!("once a second\n");
///         this.sleep(Delta::from_millis(1000));
///     }
///     Ok(())
/// })?;
/// // This waits until the thread has ended.
/// thread.stop()?;
///
/// let answer = KThread::spawn(c"answer", |_| Ok(6 * 7))?;
/// pr_info!("{}\n", answer.join()?);
/// # Ok::<(), Error>(())
/// ```
///
/// # Invariants
///
/// The thread's closure returns a `Result<T>`.
pub struct KThread<T = ()>(Alive<Thread>, PhantomData<fn() -> T>);

/// What a thread and its owner share.
///
/// # Invariants
///
/// - `task` is null or a task that was created for [`Thread::main`] with a pointer to
///   this value. We have a reference to it.
/// - First `closure` belongs to the thread, then to [`stop`](Stop::stop), and then to the
///   handle.
#[pin_data]
struct Thread {
    closure: UnsafeCell<Option<KBox<dyn Closure>>>,
    task: *mut bindings::task_struct,
    state: Atomic<u32>,
    /// Whether the thread is asked to stop.
    asked: Atomic<u32>,
    /// Who parks the thread waits for this: it is about to park, or never will.
    #[pin]
    arrived: Completion,
    #[pin]
    finished: Completion,
    // The thread has a pointer to it.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Thread);

// SAFETY: The task may be used by any thread. The closure is `Send`, and so is what it
// returns.
unsafe impl Send for Thread {}

// SAFETY: By `state`, only one thread at a time parks or unparks this one, and only
// while it has not ended. A shared reference gives no access to the closure.
unsafe impl Sync for Thread {}

// SAFETY: `kthread_stop()` returns when the thread has left the kernel's function
// that calls `main`, whether or not it called `main`. Nobody parks the thread then.
unsafe impl Stop for Thread {
    const NAME: &'static CStr = c"threads";
    const HAS_RUNNER: bool = true;

    fn stop(&self) {
        if self.task.is_null() {
            return;
        }
        self.ask();
        // From here on nobody parks or unparks it.
        loop {
            let state = self.state.load(Acquire);
            match state {
                FINISHED => break,
                ARRIVED | MOVING => tick(),
                _ if self.state.cmpxchg(state, LEAVING, Relaxed).is_ok() => {
                    if state == ASKED {
                        // Who parks it need not wait for that any more.
                        self.arrived.complete();
                    }
                    break;
                }
                _ => {}
            }
        }
        // SAFETY: By the type invariants.
        if unsafe { bindings::kthread_stop(self.task) } != 0 {
            // `main`, which returns 0, never ran. The closure may own the handle of this
            // very thread.
            // SAFETY: The thread is gone, and this is called once.
            drop(unsafe { (*self.closure.get()).take() });
        }
        self.state.store(FINISHED, Release);
        // The closure need not have run.
        self.finished.complete_all();
    }

    fn ask(&self) {
        // Who changes the state, to let it run or when it is parked, looks at this then.
        self.asked.xchg(1, Full);
        // A new one would be woken, and would run.
        if self.state.load(Acquire) != NEW {
            self.interrupt();
        }
        // An error means that it is not parked.
        let _ = self.unpark();
    }

    fn runner(&self) -> Runner {
        self.task.cast()
    }

    fn give_back(&self) {
        if let Some(task) = NonNull::new(self.task) {
            // SAFETY: By the type invariants; this is called once.
            drop(unsafe { ARef::from_raw(task.cast::<Task>()) });
        }
    }
}

/// The closure has returned. The thread may be gone.
const FINISHED: u32 = 0;
/// The thread was created, and does not run yet.
const NEW: u32 = 1;
/// The closure is running.
const RUNNING: u32 = 2;
/// The closure is running, and the thread is to park.
const ASKED: u32 = 3;
/// The thread is about to park, and will not end before.
const ARRIVED: u32 = 4;
/// The thread is parked.
const PARKED: u32 = 5;
/// The thread is being unparked.
const MOVING: u32 = 6;
/// The thread is being stopped.
const LEAVING: u32 = 7;

/// A closure of any type, and later what it has returned.
trait Closure: Send {
    /// Runs it, once, and keeps what it returns.
    fn call(&mut self, this: &ThisThread);

    /// Moves what it has returned to `output`, once.
    ///
    /// # Safety
    ///
    /// `output` points to an `Option<Result<T>>`, and the closure returns a `Result<T>`.
    unsafe fn take_output(&mut self, output: *mut c_void);
}

/// A closure that returns a `Result<T>`.
enum Job<F, T> {
    New(F),
    Done(Result<T>),
    /// The closure is running, or what it has returned was taken.
    Empty,
}

impl<F, T> Closure for Job<F, T>
where
    F: FnOnce(&ThisThread) -> Result<T> + Send,
    T: Send,
{
    fn call(&mut self, this: &ThisThread) {
        if let Self::New(closure) = mem::replace(self, Self::Empty) {
            *self = Self::Done(closure(this));
        }
    }

    unsafe fn take_output(&mut self, output: *mut c_void) {
        if let Self::Done(result) = mem::replace(self, Self::Empty) {
            // SAFETY: By this function's contract.
            unsafe { *output.cast::<Option<Result<T>>>() = Some(result) };
        }
    }
}

impl<T: Send + 'static> KThread<T> {
    /// Creates a thread called `name` that runs `closure`. May sleep.
    ///
    /// `/proc/PID/comm` shows the name, cut after 63 bytes;
    /// [`CurrentName`](crate::context::CurrentName) gives 15 bytes of it.
    ///
    /// A closure that captures or returns more than 1 KiB does not compile, as a kernel
    /// stack is small. Put what is big into a `KBox` or a `KVec`.
    ///
    /// # Errors
    ///
    /// In case of an error `closure` is dropped and does not run.
    ///
    /// - `EINTR`: the caller is being killed;
    /// - `ENOMEM`: no memory;
    /// - `EAGAIN`: there are as many threads as the kernel allows;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub fn spawn<F>(name: &CStr, closure: F) -> Result<Self>
    where
        F: FnOnce(&ThisThread) -> Result<T> + Send + 'static,
    {
        let thread = Self::create(name, None, closure)?;
        thread.0.wake();
        Ok(thread)
    }

    /// Creates a thread called `name/CPU` that runs `closure` on `cpu` only. If that
    /// CPU goes offline, the thread may run on every CPU from then on. Otherwise does
    /// what [`spawn`](Self::spawn) does. May sleep.
    ///
    /// # Errors
    ///
    /// In case of an error `closure` is dropped and does not run.
    ///
    /// - `EINVAL`: the CPU was not online;
    /// - `EINTR`: the caller is being killed;
    /// - `ENOMEM`: no memory;
    /// - `EAGAIN`: there are as many threads as the kernel allows;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub fn spawn_on<F>(cpu: CpuId, name: &CStr, closure: F) -> Result<Self>
    where
        F: FnOnce(&ThisThread) -> Result<T> + Send + 'static,
    {
        if !is_online(cpu) {
            return Err(EINVAL);
        }
        let thread = Self::create(name, Some(cpu), closure)?;
        thread.0.wake();
        Ok(thread)
    }

    /// Creates a thread that runs when it is [woken](Thread::wake).
    fn create<F>(name: &CStr, cpu: Option<CpuId>, closure: F) -> Result<Self>
    where
        F: FnOnce(&ThisThread) -> Result<T> + Send + 'static,
    {
        assert_small!(Job<F, T>);
        let closure: KBox<dyn Closure> = KBox::new(Job::New(closure), GFP_KERNEL)?;
        let (format, number) = match cpu {
            None => (c"%s", 0),
            Some(cpu) => (c"%s/%u", cpu.as_u32()),
        };
        let thread = try_pin_init!(Thread {
            closure: UnsafeCell::new(Some(closure)),
            task: ptr::null_mut(),
            state: Atomic::new(NEW),
            asked: Atomic::new(0),
            arrived <- Completion::new(),
            finished <- Completion::new(),
            _pin: PhantomPinned,
        }? Error);
        let thread = Alive::new(thread, |thread| {
            // SAFETY: Nothing is moved.
            let thread = unsafe { thread.get_unchecked_mut() };
            // SAFETY: The arguments match the format; the name is copied. `thread`
            // stays where it is until the thread has ended.
            // Unload rule, unregister waits: `stop`, which `drop` and the module's end
            // call, returns when the thread has left the module's text.
            let task = from_err_ptr(unsafe {
                bindings::kthread_create_on_node(
                    Some(Thread::main),
                    ptr::from_mut(thread).cast(),
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
            // SAFETY: The task exists until it has run, and it runs after it was woken.
            let task = ARef::from(unsafe { &*task.cast::<Task>() });
            // INVARIANT: We keep the reference.
            thread.task = task.as_ptr();
            mem::forget(task);
            Ok(())
        })?;
        // INVARIANT: `closure` returns a `Result<T>`.
        Ok(Self(thread, PhantomData))
    }

    /// Asks the thread to stop, as [`stop`](Self::stop) does, and does not wait for it.
    /// Many threads end sooner when all are asked before one is waited for. May sleep.
    pub fn ask_to_stop(&self) {
        self.0.ask();
    }

    /// Asks the thread to stop and waits until it has ended. Returns the result
    /// of its closure. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINTR`: the closure never ran, and was dropped, or it did not end, but panicked;
    /// - `EDEADLK`: this is the thread itself, or the thread waits in this way for the
    ///   caller. It ends when its closure returns. What that returns is dropped;
    /// - the error that the closure returned.
    pub fn stop(self) -> Result<T> {
        self.0.end()?;
        let mut output = None::<Result<T>>;
        // SAFETY: The thread was stopped, and the closure belongs to this handle.
        if let Some(closure) = unsafe { &mut *self.0.closure.get() } {
            // SAFETY: By the type invariants.
            unsafe { closure.take_output((&raw mut output).cast()) };
        }
        output.unwrap_or(Err(EINTR))
    }

    /// Waits until the thread ends by itself. Returns the result of its closure.
    /// May sleep.
    ///
    /// A signal does not end the wait.
    ///
    /// # Errors
    ///
    /// - `EINTR`: the module ended before the closure ran, which was dropped;
    /// - `EDEADLK`: this is the thread itself, or the thread waits in this way for the
    ///   caller. It is asked to stop, and ends when its closure returns. What that returns
    ///   is dropped;
    /// - the error that the closure returned.
    pub fn join(self) -> Result<T> {
        self.0.wait(|thread| thread.finished.wait())?;
        // That is not enough: the thread may still be in the module's text.
        self.stop()
    }

    /// Whether this is the calling thread.
    fn is_current(&self) -> bool {
        self.0.is_within()
    }

    /// Whether the closure has returned. Can be called in any context.
    pub fn is_finished(&self) -> bool {
        self.0.state.load(Acquire) == FINISHED
    }

    /// Asks the thread to park and waits until it is parked. The thread parks
    /// in [`ThisThread::sleep`] and [`ThisThread::park_if_asked`]. Other waits of the
    /// thread go on. May sleep.
    ///
    /// # Errors
    ///
    /// - `ESRCH`: the closure has returned, or the thread is being stopped;
    /// - `EBUSY`: the thread is parked, or another thread is parking or unparking
    ///   it;
    /// - `EDEADLK`: this is the thread itself;
    /// - `ERESTARTSYS`: the caller got a signal, or is asked to stop.
    pub fn park(&self) -> Result {
        self.0.park()
    }

    /// Lets a parked thread continue. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the thread is not parked.
    pub fn unpark(&self) -> Result {
        self.0.unpark()
    }
}

impl Thread {
    /// Ends its waits that a signal can end. Can be called in any context except NMI.
    fn interrupt(&self) {
        // SAFETY: By the type invariants this is a kernel thread, and it is there.
        unsafe { bindings::lkm_kthread_interrupt(self.task) };
    }

    /// Lets the thread run, once after it was created.
    fn wake(&self) {
        // An error means that it is being stopped, which wakes it.
        if self.state.cmpxchg(NEW, RUNNING, Full).is_ok() {
            // SAFETY: By the type invariants.
            unsafe { bindings::wake_up_process(self.task) };
            if self.asked.load(Relaxed) != 0 {
                // Who asked saw a new one.
                self.interrupt();
            }
        }
    }

    /// As [`KThread::park`].
    fn park(&self) -> Result {
        if self.is_within() {
            return Err(error(bindings::EDEADLK));
        }
        match self.state.cmpxchg(RUNNING, ASKED, Full) {
            Ok(_) => {}
            Err(FINISHED | LEAVING) => return Err(ESRCH),
            Err(_) => return Err(EBUSY),
        }
        // SAFETY: By the type invariants.
        unsafe { bindings::wake_up_process(self.task) };
        if let Err(error) = self.arrived.wait_interruptible() {
            if self.state.cmpxchg(ASKED, RUNNING, Relaxed).is_ok() {
                return Err(error);
            }
            // It has just come, or was stopped.
            self.arrived.wait();
        }
        if self.state.load(Acquire) != ARRIVED {
            return Err(ESRCH);
        }
        // SAFETY: By the type invariants. The thread waits for this.
        let result = to_result(unsafe { bindings::kthread_park(self.task) });
        self.state.xchg(PARKED, Full);
        if self.asked.load(Relaxed) != 0 {
            // Who asked did not see that it is parked.
            let _ = self.unpark();
        }
        result
    }

    /// As [`KThread::unpark`]. Can be called in any context except NMI.
    fn unpark(&self) -> Result {
        if self.state.cmpxchg(PARKED, MOVING, Acquire).is_err() {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariants. By its state the thread is parked.
        unsafe { bindings::kthread_unpark(self.task) };
        // An error means that its closure has returned.
        let _ = self.state.cmpxchg(MOVING, RUNNING, Release);
        Ok(())
    }

    /// # Safety
    ///
    /// `thread` points to a `Self` that stays until the thread has ended. This is
    /// called once, by a thread that [`KThread::create`] has created.
    unsafe extern "C" fn main(thread: *mut c_void) -> c_int {
        // SAFETY: By this function's contract.
        let thread = unsafe { &*thread.cast::<Self>() };
        // SAFETY: The closure belongs to this thread.
        if let Some(closure) = unsafe { &mut *thread.closure.get() } {
            closure.call(&ThisThread(thread, NotThreadSafe));
        }
        if thread.state.xchg(FINISHED, Full) == ASKED {
            // It did not come to park.
            thread.arrived.complete();
        }
        thread.finished.complete_all();
        0
    }
}

/// The kernel thread that runs a closure. Only the closure has it: it cannot be
/// sent to another thread.
///
/// # Invariants
///
/// This belongs to the current thread, which `Thread::main` runs for this `Thread`.
pub struct ThisThread(*const Thread, NotThreadSafe);

impl ThisThread {
    /// Whether the thread is asked to stop: the closure has to return. Does not
    /// sleep.
    pub fn should_stop(&self) -> bool {
        self.thread().asked.load(Relaxed) != 0
    }

    fn thread(&self) -> &Thread {
        // SAFETY: By the type invariants; it stays until the thread has ended.
        unsafe { &*self.0 }
    }

    /// Parks the thread if it is asked to [park](KThread::park), until it is
    /// [unparked](KThread::unpark) or asked to stop. May sleep.
    pub fn park_if_asked(&self) {
        let thread = self.thread();
        if thread.state.cmpxchg(ASKED, ARRIVED, Full).is_err() {
            return;
        }
        thread.arrived.complete();
        // SAFETY: By the type invariants this is a kernel thread, and it may sleep.
        unsafe {
            while !bindings::kthread_should_park() {
                tick();
            }
            bindings::kthread_parkme();
        }
    }

    /// Sleeps for `time`, or until the thread is asked to stop. If it is asked to
    /// [park](KThread::park) it parks meanwhile; that time does not count.
    pub fn sleep(&self, time: Delta) {
        self.sleep_jiffies(jiffies(time));
    }

    fn sleep_jiffies(&self, mut left: c_long) {
        let state = &self.thread().state;
        while left > 0 && !self.should_stop() {
            self.park_if_asked();
            // SAFETY: As above.
            left = unsafe { bindings::lkm_kthread_sleep(left, state.as_ptr(), ASKED) };
        }
    }

    /// Sleeps until the thread is asked to stop, as [`sleep`](Self::sleep) does.
    pub fn sleep_until_stop(&self) {
        while !self.should_stop() {
            self.sleep_jiffies(MAX_SCHEDULE_TIMEOUT);
        }
    }
}

fn is_online(cpu: CpuId) -> bool {
    // SAFETY: The mask exists as long as the kernel runs.
    unsafe { cpumask(&raw const bindings::__cpu_online_mask) }.test(cpu)
}

/// The CPUs that are online. The set can change at any time. Can be called in any
/// context.
pub fn online_cpus() -> impl Iterator<Item = CpuId> {
    (0..nr_cpu_ids())
        .filter_map(CpuId::from_u32)
        .filter(|cpu| is_online(*cpu))
}
