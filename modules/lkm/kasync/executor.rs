// SPDX-License-Identifier: GPL-2.0-only

//! The executor, which runs tasks.

use super::timer::Alarm;
use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    compat::AtomicFlag,
    errno::error,
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
    workqueue::{
        current_work,
        init_work,
        OwnedQueue, //
    },
};
use core::{
    cell::UnsafeCell,
    ffi::CStr,
    future::Future,
    marker::PhantomPinned,
    mem::{
        self,
        ManuallyDrop, //
    },
    ops::Deref,
    pin::Pin,
    ptr,
    task::{
        Context,
        Poll,
        RawWaker,
        RawWakerVTable,
        Waker, //
    },
};
use kernel::{
    new_mutex,
    prelude::*,
    static_lock_class,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    task::might_sleep,
    types::Opaque, //
};

/// Runs tasks on a workqueue.
///
/// It dereferences to a [`Spawner`]. Tasks can have a `Spawner` too, to create
/// other tasks.
///
/// # Unloading
///
/// *Unregister waits*: dropping the executor cancels all tasks. For each task
/// it waits until the task is not running and cannot be enqueued any more, and
/// drops its future; a [`JoinHandle`] of the task gives `ECANCELED`. From then
/// on no task can be spawned, and wakers that are left do nothing. Dropping may
/// sleep.
///
/// A task, or anything else that runs on a workqueue, may drop the executor. It does
/// not wait then: all this is done a little later. A task that spawns others needs
/// only a [`Spawner`].
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use kernel::time::Delta;
/// use lkm::{
///     kasync::{sleep, Executor, Spawner},
///     workqueue::{Flags, OwnedQueue},
/// };
///
/// async fn greet(spawner: Spawner) -> Result {
///     sleep(Delta::from_secs(1)).await;
///     let sum = spawner.spawn(async { 2 + 2 })?;
///     pr_info!("two and two are {}\n", sum.await?);
///     Ok(())
/// }
///
/// fn start() -> Result<Executor> {
///     let queue = OwnedQueue::new(c"example", Flags::PERCPU, 0)?;
///     let executor = Executor::new(queue)?;
///     executor.spawn(greet(executor.spawner()))?;
///     // The module keeps it: dropping it cancels the task.
///     Ok(executor)
/// }
/// ```
///
/// A task may continue in another thread, so a guard of a lock must not be held
/// across an `await`. This does not compile:
///
/// ```compile_fail
/// use kernel::{prelude::*, sync::{Arc, Mutex}, time::Delta};
/// use lkm::kasync::{sleep, Spawner};
///
/// fn start(spawner: &Spawner, sum: Arc<Mutex<u32>>) -> Result {
///     spawner.spawn(async move {
///         let mut sum = sum.lock();
///         sleep(Delta::from_secs(1)).await;
///         *sum += 1;
///     })?;
///     Ok(())
/// }
/// ```
pub struct Executor(Alive<Tasks>);

/// The tasks of an executor.
struct Tasks {
    spawner: Spawner,
    /// Keeps the queue until all tasks are over.
    _queue: Arc<OwnedQueue>,
}

// SAFETY: When `stop` has returned, all tasks are disabled, and there can be no
// others. The queue outlives that.
unsafe impl Stop for Tasks {
    const NAME: &'static CStr = c"executors";

    fn stop(&self) {
        let tasks = self.spawner.0.tasks.lock().take();
        for task in tasks.iter().flatten() {
            task.disable();
        }
        for task in tasks.into_iter().flatten() {
            task.abort();
        }
    }

    /// True in all workers: to lock debugging all tasks are the same.
    fn is_within(&self) -> bool {
        !current_work().is_null()
    }
}

impl Executor {
    /// Creates an executor whose tasks run on `queue`. May sleep.
    ///
    /// With [`Flags::PERCPU`] a task runs on the CPU that woke it, and each CPU
    /// runs one task at a time unless one sleeps. With [`Flags::UNBOUND`] a
    /// task runs on any CPU.
    ///
    /// [`Flags::PERCPU`]: crate::workqueue::Flags::PERCPU
    /// [`Flags::UNBOUND`]: crate::workqueue::Flags::UNBOUND
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `queue` has the flag [`BH`](crate::workqueue::Flags::BH): its
    ///   items must not sleep;
    /// - `ENOMEM`: no memory;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub fn new(queue: Arc<OwnedQueue>) -> Result<Self> {
        if queue.is_bh() {
            return Err(EINVAL);
        }
        let queue_ptr = queue.as_ptr();
        let shared = pin_init!(Shared {
            tasks <- new_mutex!(Some(KVVec::new()), "Executor::tasks"),
            queue: queue_ptr,
        });
        let spawner = Spawner(Arc::pin_init(shared, GFP_KERNEL)?);
        let tasks = try_init!(Tasks { spawner, _queue: queue }? Error);
        Ok(Self(Alive::new(tasks, |_| Ok(()))?))
    }

    /// A [`Spawner`] for tasks that create other tasks. Can be called in any
    /// context.
    pub fn spawner(&self) -> Spawner {
        self.0.spawner.clone()
    }
}

impl Deref for Executor {
    type Target = Spawner;

    fn deref(&self) -> &Spawner {
        &self.0.spawner
    }
}

/// Creates tasks. It is a reference to an [`Executor`], but does not keep the
/// executor from being dropped.
#[derive(Clone)]
pub struct Spawner(Arc<Shared>);

impl Spawner {
    /// Creates a task: a worker polls `future` soon. May sleep.
    ///
    /// Dropping the handle does not end the task. A future or an output of more than
    /// 1 KiB does not compile: a kernel stack has room for few such. What is big belongs
    /// into a `KBox` or a `KVec`.
    ///
    /// # Errors
    ///
    /// In case of an error `future` is dropped and does not run.
    ///
    /// - `ESHUTDOWN`: the executor was dropped;
    /// - `ENOMEM`: no memory.
    pub fn spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        assert_small!(F);
        assert_small!(F::Output);
        let task = Task::create(self.0.clone(), future)?;
        self.0.add(task.clone())?;
        // This does nothing if the task was aborted meanwhile.
        task.head.enqueue();
        Ok(JoinHandle(task))
    }
}

/// The data that an executor and its tasks share.
///
/// # Invariants
///
/// `queue` exists while there are tasks that can be enqueued.
#[pin_data]
struct Shared {
    /// The tasks that are not over; `None` once the executor was dropped.
    #[pin]
    tasks: Mutex<Option<KVVec<Arc<dyn Abort>>>>,
    queue: *mut bindings::workqueue_struct,
}

// SAFETY: Items may be enqueued in any thread.
unsafe impl Send for Shared {}

// SAFETY: As above.
unsafe impl Sync for Shared {}

impl Shared {
    fn add(&self, task: Arc<dyn Abort>) -> Result {
        let mut tasks = self.tasks.lock();
        let tasks = Option::as_mut(&mut *tasks).ok_or_else(shut_down)?;
        task.place().store(tasks.len(), Relaxed);
        Ok(tasks.push(task, GFP_KERNEL)?)
    }

    /// Takes `task` out of the list if it is still there. The returned reference
    /// may be the last one.
    fn remove(&self, task: &dyn Abort) -> Option<Arc<dyn Abort>> {
        let mut tasks = self.tasks.lock();
        let tasks = Option::as_mut(&mut *tasks)?;
        // The last task moves to the place of `task`.
        let last = tasks.pop()?;
        let place = task.place().load(Relaxed);
        let removed = match tasks.get_mut(place) {
            Some(removed) => {
                last.place().store(place, Relaxed);
                mem::replace(removed, last)
            }
            None => last,
        };
        if tasks.is_empty() {
            *tasks = KVVec::new();
        }
        Some(removed)
    }
}

/// A task with any future.
trait Abort: Send + Sync {
    /// Ends the task. Waits until it is not running, and drops its future. May
    /// sleep.
    fn abort(&self);

    /// Begins that, and does not wait. Can be called in any context.
    fn disable(&self);

    /// The index of the task in `Shared::tasks`. The caller holds that lock.
    fn place(&self) -> &Atomic<usize>;
}

/// A task with any future that has the output `T`.
trait Join<T>: Send + Sync {
    /// The output of the task, if it is over.
    fn poll_join(&self, waker: &Waker) -> Poll<Result<T>>;

    /// Says that the output is not wanted.
    fn detach(&self);

    fn is_finished(&self) -> bool;

    fn cancel(&self);
}

/// What is the same in all tasks: what wakers have a pointer to.
///
/// # Invariants
///
/// - It is that of a [`Task`], whose reference count `refs` changes.
/// - `work` is initialised, and its function is [`Task::run`].
#[pin_data]
pub(super) struct Head {
    #[pin]
    work: Opaque<bindings::work_struct>,
    shared: Arc<Shared>,
    place: Atomic<usize>,
    cancelled: AtomicFlag,
    refs: &'static Refs,
    #[pin]
    pub(super) alarm: Alarm,
}

/// How references to a task are counted.
///
/// # Safety
///
/// Who calls these has a reference. `less` takes it away.
struct Refs {
    more: unsafe fn(*const Head),
    less: unsafe fn(*const Head),
}

/// A task.
///
/// The executor has a reference to the task until the task is over. Each waker
/// and the handle have one too. The last reference may be dropped in any
/// context except NMI. So by then the task must own nothing that has to be
/// dropped in process context: its future and its output are gone.
///
/// # Invariants
///
/// - Only two kinds of code use `future`: `run`, which does not run twice at the
///   same time, and code that has disabled `work` and waited for it.
/// - `work` is disabled and the alarm ended before the executor drops its reference.
#[pin_data]
#[repr(C)]
struct Task<F: Future> {
    // First, so that a pointer to it is one to the task.
    #[pin]
    head: Head,
    #[pin]
    future: UnsafeCell<Option<F>>,
    #[pin]
    end: IrqSpinLock<End<F::Output>>,
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Task<F> where F: Future);

// SAFETY: One thread at a time uses the future, and any thread may drop it. The
// output is sent to the thread that joins the task.
unsafe impl<F: Future + Send> Send for Task<F> where F::Output: Send {}

// SAFETY: As above. Everything else has a lock or is atomic.
unsafe impl<F: Future + Send> Sync for Task<F> where F::Output: Send {}

/// The end of a task.
struct End<T> {
    output: Option<Result<T>>,
    is_over: bool,
    /// Whether there is still a handle.
    has_handle: bool,
    /// Wakes the task that waits for the end.
    waker: Option<Waker>,
}

// Outputs are never pinned.
impl<T> Unpin for End<T> {}

impl<F: Future> Task<F>
where
    F: Send + 'static,
    F::Output: Send + 'static,
{
    /// Not inlined: the caller is often a task, which would then need the stack for this
    /// whenever it runs.
    #[inline(never)]
    fn create(shared: Arc<Shared>, future: F) -> Result<Arc<Self>> {
        let task = Arc::pin_init(Self::new(shared), GFP_KERNEL)?;
        // SAFETY: Nothing uses the future yet.
        unsafe { Self::set_future(&task, future) };
        Ok(task)
    }

    fn new(shared: Arc<Shared>) -> impl PinInit<Self> {
        let class = task_class();
        // INVARIANT: The item is initialised here, and nothing uses the future
        // yet.
        pin_init!(Self {
            head <- pin_init!(Head {
                // SAFETY: `slot` can be written to; name and key are static.
                // Unload rule, unregister waits: the executor disables each item.
                work <- Opaque::ffi_init(|slot| unsafe {
                    init_work(slot, Self::run, kernel::c_str!("Executor::spawn"), class)
                }),
                shared,
                place: Atomic::new(0),
                cancelled: AtomicFlag::new(false),
                refs: Self::REFS,
                alarm <- Alarm::new(),
            }),
            future: UnsafeCell::new(None),
            end <- new_irq_spinlock!(End {
                output: None,
                is_over: false,
                has_handle: true,
                waker: None,
            }, "Task::end"),
            _pin: PhantomPinned,
        })
    }

    /// # Safety
    ///
    /// `work` is the field of a `Self` to which the executor has a reference.
    unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        // SAFETY: By this function's contract. The executor drops its reference
        // after this has returned, or `end` below returns that reference.
        let task = unsafe {
            let head = kernel::container_of!(Opaque::cast_from(work), Head, work);
            &*kernel::container_of!(head.cast_mut(), Self, head)
        };
        let output = if task.head.cancelled.load(Relaxed) {
            Poll::Ready(Err(cancelled()))
        } else {
            task.poll().map(Ok)
        };
        if let Poll::Ready(output) = output {
            // SAFETY: This is `run`.
            let last = unsafe { task.end(output) };
            // The task may be gone after this.
            drop(last);
        }
    }

    fn poll(&self) -> Poll<F::Output> {
        let head = ptr::from_ref(self).cast();
        // The executor's reference keeps the task while this runs.
        // SAFETY: The pointer is that of a task. This waker is never dropped,
        // so it does not drop a reference that it does not own.
        let waker = ManuallyDrop::new(unsafe { Waker::new(head, &VTABLE) });
        // SAFETY: By the type invariants, as `run` calls this. The future is
        // pinned with the task.
        let future = unsafe { Pin::new_unchecked(&mut *self.future.get()) };
        match future.as_pin_mut() {
            Some(future) => future.poll(&mut Context::from_waker(&waker)),
            None => Poll::Pending,
        }
    }

    /// Copies the future, once, from where the caller has it.
    ///
    /// # Safety
    ///
    /// There is none yet, and nothing uses it.
    unsafe fn set_future(&self, future: F) {
        // SAFETY: By this function's contract.
        unsafe { self.future.get().write(Some(future)) };
    }

    /// Drops the future, if it is still there.
    ///
    /// # Safety
    ///
    /// The caller is `run`, or has disabled the item and waited for it.
    unsafe fn drop_future(&self) {
        // SAFETY: By this function's contract. The future is pinned with the
        // task.
        unsafe { Pin::new_unchecked(&mut *self.future.get()) }.set(None);
    }

    /// Ends the task with `output`. Returns the executor's reference to it.
    ///
    /// # Safety
    ///
    /// The caller is `run`.
    unsafe fn end(&self, output: Result<F::Output>) -> Option<Arc<dyn Abort>> {
        // SAFETY: By this function's contract.
        unsafe { self.drop_future() };
        // Wakers that are left do nothing from now on.
        // SAFETY: By the type invariants.
        unsafe { bindings::disable_work(self.head.work.get()) };
        self.head.alarm.end();
        self.tell(output);
        self.head.shared.remove(self)
    }

    /// Stores the output, if the task is not over yet, and wakes the task that
    /// joins this one.
    fn tell(&self, output: Result<F::Output>) {
        let mut end = self.end.lock();
        if end.is_over {
            return;
        }
        end.is_over = true;
        let unwanted = match end.has_handle {
            true => {
                end.output = Some(output);
                None
            }
            false => Some(output),
        };
        let waker = end.waker.take();
        drop(end);
        drop(unwanted);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    const REFS: &'static Refs = &Refs {
        more: |head| {
            // SAFETY: The caller has a reference, and keeps it.
            let task = ManuallyDrop::new(unsafe { Arc::from_raw(head.cast::<Self>()) });
            mem::forget(Arc::clone(&task));
        },
        less: |head| {
            // SAFETY: The caller gives up its reference.
            drop(unsafe { Arc::from_raw(head.cast::<Self>()) });
        },
    };
}

impl Head {
    pub(super) fn enqueue(&self) {
        // SAFETY: By the type invariants the item is initialised. If it is not
        // disabled, the queue exists; if it is, this does not touch the queue.
        // Unload rule, unregister waits: the executor disables the item and waits
        // for it before it drops the queue.
        unsafe {
            bindings::queue_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                self.shared.queue,
                self.work.get(),
            )
        };
    }

    /// The task that `waker` wakes.
    pub(super) fn of(waker: &Waker) -> Option<&Self> {
        if !ptr::eq(waker.vtable(), &VTABLE) {
            return None;
        }
        // SAFETY: The waker has a reference to the task.
        Some(unsafe { &*waker.data().cast::<Self>() })
    }
}

/// The functions of our wakers. A waker's data is a pointer to the `Head` of a task to
/// which the waker has a reference. As this is a static, no other waker has it.
static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |head| {
        let task = head.cast::<Head>();
        // SAFETY: The waker has a reference.
        unsafe { ((*task).refs.more)(task) };
        RawWaker::new(head, &VTABLE)
    },
    |head| {
        let task = head.cast::<Head>();
        // SAFETY: The waker has a reference, and gives it up.
        unsafe {
            (*task).enqueue();
            ((*task).refs.less)(task);
        }
    },
    // SAFETY: The waker has a reference.
    |head| unsafe { &*head.cast::<Head>() }.enqueue(),
    |head| {
        let task = head.cast::<Head>();
        // SAFETY: The waker has a reference, and gives it up.
        unsafe { ((*task).refs.less)(task) };
    },
);

/// The error `ESHUTDOWN`: the executor was dropped.
fn shut_down() -> Error {
    error(bindings::ESHUTDOWN)
}

/// The error `ECANCELED`: the task was cancelled.
fn cancelled() -> Error {
    error(bindings::ECANCELED)
}

/// The lock class of all tasks: lock debugging treats the running of a task as a
/// lock.
fn task_class() -> Pin<&'static kernel::sync::LockClassKey> {
    static_lock_class!()
}

impl<F> Abort for Task<F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn abort(&self) {
        // SAFETY: By the type invariants, and this may sleep.
        unsafe { bindings::disable_work_sync(self.head.work.get()) };
        self.head.alarm.end();
        // SAFETY: The item was disabled and waited for.
        unsafe { self.drop_future() };
        self.tell(Err(cancelled()));
    }

    fn disable(&self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::disable_work(self.head.work.get()) };
    }

    fn place(&self) -> &Atomic<usize> {
        &self.head.place
    }
}

impl<F> Join<F::Output> for Task<F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn poll_join(&self, waker: &Waker) -> Poll<Result<F::Output>> {
        let new = waker.clone();
        let mut end = self.end.lock();
        if end.is_over {
            let output = end.output.take();
            drop(end);
            // The output is returned once.
            return Poll::Ready(output.unwrap_or(Err(cancelled())));
        }
        let old = end.waker.replace(new);
        drop(end);
        drop(old);
        Poll::Pending
    }

    fn detach(&self) {
        let mut end = self.end.lock();
        end.has_handle = false;
        let output = end.output.take();
        let waker = end.waker.take();
        drop(end);
        drop((output, waker));
    }

    fn is_finished(&self) -> bool {
        self.end.lock().is_over
    }

    fn cancel(&self) {
        self.head.cancelled.store(true, Relaxed);
        self.head.enqueue();
    }
}

/// A handle to a task. It is a future that waits until the task is over and gives
/// the task's output.
///
/// Dropping the handle does not end the task. If the output is something that needs no
/// dropping, like `()` or a number, that can be done in any context except NMI; else, as
/// it may drop the output, in process context.
///
/// # Errors
///
/// - `ECANCELED`: the task was cancelled, or the output was already taken.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::kasync::Spawner;
///
/// async fn answer(spawner: Spawner) -> Result {
///     let task = spawner.spawn(async { 6 * 7 })?;
///     pr_info!("{}\n", task.await?);
///     Ok(())
/// }
/// ```
pub struct JoinHandle<T>(Arc<dyn Join<T>>);

impl<T> JoinHandle<T> {
    /// Cancels the task. If it is not over, a worker drops its future soon, at
    /// the `await` where it waits. Can be called in any context except NMI.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether the task is over. Can be called in any context except NMI.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        self.0.poll_join(context.waker())
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if mem::needs_drop::<T>() {
            might_sleep();
        }
        self.0.detach();
    }
}
