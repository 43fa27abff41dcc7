// SPDX-License-Identifier: GPL-2.0-only

//! What runs tasks.

use crate::{
    bindings,
    workqueue::OwnedQueue, //
};
use core::{
    cell::UnsafeCell,
    future::Future,
    marker::PhantomPinned,
    mem::ManuallyDrop,
    ops::Deref,
    pin::Pin,
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
    new_spinlock,
    prelude::*,
    static_lock_class,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex,
        SpinLock, //
    },
    types::Opaque, //
};

/// Runs tasks on a workqueue.
///
/// It dereferences to a [`Spawner`], of which tasks can have one, too, to begin
/// others.
///
/// # Unloading
///
/// *Unregister waits*: dropping the executor cancels all tasks. It waits for each
/// until that does not run and cannot be enqueued any more, and drops its future;
/// those who [join](JoinHandle) it are told `ECANCELED`. From then on nothing can
/// be spawned, and a waker that somebody still has does nothing.
///
/// It must not be dropped by one of its tasks, which would wait for itself. Give
/// tasks a [`Spawner`].
///
/// # Examples
///
/// ```ignore
/// async fn greet(executor: Spawner) -> Result {
///     sleep(Duration::from_secs(1)).await;
///     let twice = executor.spawn(async { 2 + 2 })?;
///     pr_info!("two and two are {}\n", twice.await?);
///     Ok(())
/// }
///
/// let executor = Executor::new(OwnedQueue::new(c"example", WQ_PERCPU, 0)?)?;
/// executor.spawn(greet(executor.spawner()))?;
/// ```
pub struct Executor {
    spawner: Spawner,
    /// Keeps the queue, until all tasks are over.
    _queue: Arc<OwnedQueue>,
}

impl Executor {
    /// Creates an executor whose tasks run on `queue`: with `WQ_PERCPU` on the
    /// CPU that wakes them, one at a time on each unless one sleeps; with
    /// `WQ_UNBOUND` on any. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: a queue with `WQ_BH`, whose items must not sleep;
    /// - `ENOMEM`.
    pub fn new(queue: Arc<OwnedQueue>) -> Result<Self> {
        if queue.is_bh() {
            return Err(EINVAL);
        }
        let queue_ptr = queue.as_ptr();
        let shared = pin_init!(Shared {
            tasks <- new_mutex!(Some(KVVec::new()), "Executor::tasks"),
            queue: queue_ptr,
        });
        Ok(Self {
            spawner: Spawner(Arc::pin_init(shared, GFP_KERNEL)?),
            _queue: queue,
        })
    }

    /// What tasks begin others with.
    pub fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }
}

impl Deref for Executor {
    type Target = Spawner;

    fn deref(&self) -> &Spawner {
        &self.spawner
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        let tasks = self.spawner.0.tasks.lock().take();
        for task in tasks.into_iter().flatten() {
            task.abort();
        }
    }
}

/// What begins tasks: a reference to an [`Executor`], which it does not keep
/// from being dropped.
#[derive(Clone)]
pub struct Spawner(Arc<Shared>);

impl Spawner {
    /// Begins a task: `future` is polled by a worker, soon. May sleep.
    ///
    /// It goes on also when the handle is dropped.
    ///
    /// # Errors
    ///
    /// `future` is dropped, and there is no task:
    ///
    /// - `ESHUTDOWN`: the executor was dropped;
    /// - `ENOMEM`.
    pub fn spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task: Arc<Task<F>> = Arc::pin_init(Task::new(self.0.clone(), future), GFP_KERNEL)?;
        self.0.add(task.clone())?;
        // Unless it was aborted by now.
        task.enqueue();
        Ok(JoinHandle(task))
    }
}

/// What an executor and its tasks have in common.
///
/// # Invariants
///
/// `queue` exists while there are tasks that can be enqueued.
#[pin_data]
struct Shared {
    /// The tasks that are not over; `None` when the executor was dropped.
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
        let tasks = tasks.as_mut().get_mut().as_mut().ok_or_else(shut_down)?;
        task.place().store(tasks.len(), Relaxed);
        Ok(tasks.push(task, GFP_KERNEL)?)
    }

    /// Takes `task` out, if it is still in. What is returned may be its last
    /// reference.
    fn remove(&self, task: &dyn Abort) -> Option<Arc<dyn Abort>> {
        let mut tasks = self.tasks.lock();
        let tasks = tasks.as_mut().get_mut().as_mut()?;
        // The last one gets its place.
        let last = tasks.pop()?;
        let place = task.place().load(Relaxed);
        let removed = match tasks.get_mut(place) {
            Some(removed) => {
                last.place().store(place, Relaxed);
                core::mem::replace(removed, last)
            }
            None => last,
        };
        if tasks.is_empty() {
            *tasks = KVVec::new();
        }
        Some(removed)
    }
}

/// A task, whatever its future.
trait Abort: Send + Sync {
    /// Ends the task. Waits until it does not run; then its future is gone. May
    /// sleep.
    fn abort(&self);

    /// Where it is in `Shared::tasks`, whose lock is to be held.
    fn place(&self) -> &Atomic<usize>;
}

/// A task, whatever its future, but for its output.
trait Join<T>: Send + Sync {
    /// What the task gave, if it is over.
    fn poll_join(&self, waker: &Waker) -> Poll<Result<T>>;

    /// Nobody is going to ask for the output.
    fn detach(&self);

    fn is_finished(&self) -> bool;

    fn cancel(&self);
}

/// A task.
///
/// The executor has a reference to it until it is over, and each waker has one.
/// The last may be given back in any context, so then the task must have
/// nothing that minds: by then future and output are gone.
///
/// # Invariants
///
/// - `work` is initialised, and its function is `Self::run`.
/// - `future` is only used by `run`, which does not run twice at a time, and by
///   who has disabled `work` and waited for it.
/// - `work` is disabled before the executor gives back its reference.
#[pin_data]
struct Task<F: Future> {
    #[pin]
    work: Opaque<bindings::work_struct>,
    shared: Arc<Shared>,
    place: Atomic<usize>,
    cancelled: Atomic<bool>,
    #[pin]
    future: UnsafeCell<Option<F>>,
    #[pin]
    end: SpinLock<End<F::Output>>,
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Task<F> where F: Future);

// SAFETY: The future is used by one thread at a time, and dropped in any; what
// it gives is sent to who joins.
unsafe impl<F: Future + Send> Send for Task<F> where F::Output: Send {}

// SAFETY: As above; all else has a lock or is atomic.
unsafe impl<F: Future + Send> Sync for Task<F> where F::Output: Send {}

/// How a task ends.
struct End<T> {
    output: Option<Result<T>>,
    is_over: bool,
    /// Whether somebody has a handle.
    has_handle: bool,
    /// Who waits for the end.
    waker: Option<Waker>,
}

// Outputs are never pinned.
impl<T> Unpin for End<T> {}

impl<F: Future> Task<F>
where
    F: Send + 'static,
    F::Output: Send + 'static,
{
    fn new(shared: Arc<Shared>, future: F) -> impl PinInit<Self> {
        let class = task_class();
        // INVARIANT: The item is initialised, and nobody uses the future.
        pin_init!(Self {
            // SAFETY: `slot` can be written to, name and key are static. For the
            // function unregister waits: the executor disables each item.
            work <- Opaque::ffi_init(|slot| unsafe {
                bindings::init_work_with_key(
                    slot,
                    Some(Self::run),
                    false,
                    c"Executor::spawn".as_char_ptr(),
                    class.as_ptr(),
                )
            }),
            shared,
            place: Atomic::new(0),
            cancelled: Atomic::new(false),
            future: UnsafeCell::new(Some(future)),
            end <- new_spinlock!(End {
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
    /// `work` is that of a `Self` to which the executor has a reference.
    unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        // SAFETY: By the function's requirements. The executor gives its
        // reference back when this has returned, or lets `end` below do so.
        let task = unsafe { &*kernel::container_of!(Opaque::cast_from(work), Self, work) };
        let output = if task.cancelled.load(Relaxed) {
            Poll::Ready(Err(cancelled()))
        } else {
            task.poll().map(Ok)
        };
        if let Poll::Ready(output) = output {
            // SAFETY: This is `run`.
            let last = unsafe { task.end(output) };
            // From here on there may be no task.
            drop(last);
        }
    }

    fn poll(&self) -> Poll<F::Output> {
        // The executor's reference will do while this runs.
        // SAFETY: The pointer is that of a task, and no reference is given back.
        let waker = ManuallyDrop::new(unsafe { Waker::from_raw(Self::raw_waker(self)) });
        // SAFETY: By the type invariants, as this is called by `run`. It is
        // pinned with the task.
        let future = unsafe { Pin::new_unchecked(&mut *self.future.get()) };
        match future.as_pin_mut() {
            Some(future) => future.poll(&mut Context::from_waker(&waker)),
            None => Poll::Pending,
        }
    }

    /// # Safety
    ///
    /// By `run`, or by who has disabled the item and waited for it.
    unsafe fn drop_future(&self) {
        // SAFETY: By the function's requirements. It is pinned with the task.
        unsafe { Pin::new_unchecked(&mut *self.future.get()) }.set(None);
    }

    /// Ends the task with `output`. Returns the executor's reference to it.
    ///
    /// # Safety
    ///
    /// By `run`.
    unsafe fn end(&self, output: Result<F::Output>) -> Option<Arc<dyn Abort>> {
        // SAFETY: By the function's requirements.
        unsafe { self.drop_future() };
        // Whoever has a waker still enqueues it in vain.
        // SAFETY: By the type invariants.
        unsafe { bindings::disable_work(self.work.get()) };
        self.tell(output);
        self.shared.remove(self)
    }

    /// Tells who joins that the task is over, if nobody has yet.
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

    fn enqueue(&self) {
        // SAFETY: By the type invariants the item is initialised. If it is not
        // disabled the queue exists, else this does not touch it. Unregister
        // waits: the executor disables the item, and waits, before it lets the
        // queue go.
        unsafe {
            bindings::queue_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                self.shared.queue,
                self.work.get(),
            )
        };
    }

    const VTABLE: RawWakerVTable = RawWakerVTable::new(
        |task| {
            // SAFETY: It is from `raw_waker`, and whoever calls this has a
            // reference, which it keeps.
            let task = ManuallyDrop::new(unsafe { Arc::from_raw(task.cast::<Self>()) });
            RawWaker::new(Arc::into_raw(Arc::clone(&task)).cast(), &Self::VTABLE)
        },
        |task| {
            // SAFETY: It is from `raw_waker`, and whoever calls this gives its
            // reference.
            unsafe { Arc::from_raw(task.cast::<Self>()) }.enqueue();
        },
        |task| {
            // SAFETY: It is from `raw_waker`, and whoever calls this has a
            // reference.
            unsafe { &*task.cast::<Self>() }.enqueue();
        },
        |task| {
            // SAFETY: It is from `raw_waker`, and whoever calls this gives its
            // reference.
            drop(unsafe { Arc::from_raw(task.cast::<Self>()) });
        },
    );

    fn raw_waker(task: *const Self) -> RawWaker {
        RawWaker::new(task.cast(), &Self::VTABLE)
    }
}

/// The error `ESHUTDOWN`: there is no executor any more.
fn shut_down() -> Error {
    Error::from_errno(-(bindings::ESHUTDOWN as c_int))
}

/// The error `ECANCELED`: of a task that did not come to its end.
fn cancelled() -> Error {
    Error::from_errno(-(bindings::ECANCELED as c_int))
}

/// Lock debugging takes the running of a task for a lock. All have one class.
fn task_class() -> Pin<&'static kernel::sync::LockClassKey> {
    static_lock_class!()
}

impl<F> Abort for Task<F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn abort(&self) {
        // SAFETY: By the type invariants; this may sleep.
        unsafe { bindings::disable_work_sync(self.work.get()) };
        // SAFETY: The item is disabled and was waited for.
        unsafe { self.drop_future() };
        self.tell(Err(cancelled()));
    }

    fn place(&self) -> &Atomic<usize> {
        &self.place
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
            // It is given once.
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
        self.cancelled.store(true, Relaxed);
        self.enqueue();
    }
}

/// A task, for who wants to know its output, or to end it. Waiting for it gives
/// that output, or `ECANCELED` when the task was cancelled.
///
/// Dropping it lets the task go on.
///
/// # Examples
///
/// ```ignore
/// let task = executor.spawn(async { 6 * 7 })?;
/// pr_info!("{}\n", task.await?);
/// ```
pub struct JoinHandle<T>(Arc<dyn Join<T>>);

impl<T> JoinHandle<T> {
    /// Cancels the task: if it is not over, its future is dropped, soon, at
    /// whatever it waits for. In any context.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether the task is over. In process context.
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
        self.0.detach();
    }
}
