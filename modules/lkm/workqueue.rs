// SPDX-License-Identifier: GPL-2.0-only

//! Workqueues: code that runs later, in a thread of the kernel's.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)
//!
//! Reference: <https://docs.kernel.org/core-api/workqueue.html>
//!
//! What the `kernel` crate enqueues belongs to the queue from then on: nobody
//! can take it back, and it does not hold the module. Here an item belongs to
//! the module, and none outlives its owner.

use crate::bindings;
use core::{
    marker::PhantomPinned,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    alloc::{AllocError, Flags},
    prelude::*,
    static_lock_class,
    str::CStr,
    sync::{
        Arc,
        LockClassKey, //
    },
    time::Jiffies,
    types::Opaque, //
};

/// What kind of queue [`OwnedQueue::new`] creates. Exactly one of `WQ_PERCPU`
/// and `WQ_UNBOUND` is to be among them.
pub mod flags {
    use super::bindings;

    /// Items run in softirq context, and must not sleep; only with `WQ_PERCPU`
    /// and `WQ_HIGHPRI`.
    pub const WQ_BH: u32 = bindings::wq_flags_WQ_BH;
    /// Items run on any CPU.
    pub const WQ_UNBOUND: u32 = bindings::wq_flags_WQ_UNBOUND;
    /// Items wait while the system is suspended.
    pub const WQ_FREEZABLE: u32 = bindings::wq_flags_WQ_FREEZABLE;
    /// One item at a time gets done even when there is no memory for threads.
    pub const WQ_MEM_RECLAIM: u32 = bindings::wq_flags_WQ_MEM_RECLAIM;
    /// Items run in threads with a nice value of -20.
    pub const WQ_HIGHPRI: u32 = bindings::wq_flags_WQ_HIGHPRI;
    /// Items that keep a CPU busy do not keep others from running.
    pub const WQ_CPU_INTENSIVE: u32 = bindings::wq_flags_WQ_CPU_INTENSIVE;
    /// The queue is shown in `/sys/devices/virtual/workqueue`.
    pub const WQ_SYSFS: u32 = bindings::wq_flags_WQ_SYSFS;
    /// As `WQ_UNBOUND` where the administrator prefers to save power.
    pub const WQ_POWER_EFFICIENT: u32 = bindings::wq_flags_WQ_POWER_EFFICIENT;
    /// Items run on the CPU that enqueued them.
    pub const WQ_PERCPU: u32 = bindings::wq_flags_WQ_PERCPU;
}

/// All of [`flags`]; the rest is the workqueue code's own.
const FLAGS: u32 = flags::WQ_BH
    | flags::WQ_UNBOUND
    | flags::WQ_FREEZABLE
    | flags::WQ_MEM_RECLAIM
    | flags::WQ_HIGHPRI
    | flags::WQ_CPU_INTENSIVE
    | flags::WQ_SYSFS
    | flags::WQ_POWER_EFFICIENT
    | flags::WQ_PERCPU;

/// Those that `WQ_BH` goes with.
const BH_FLAGS: u32 = flags::WQ_BH | flags::WQ_HIGHPRI | flags::WQ_PERCPU;

/// Those that an ordered queue may have.
const ORDERED_FLAGS: u32 = flags::WQ_FREEZABLE | flags::WQ_HIGHPRI | flags::WQ_MEM_RECLAIM;

/// A queue of the module's own.
///
/// It is shared by those [`Work`] items that are to run on it; closures that run
/// once can be given to it by [`spawn`](Self::spawn).
///
/// # Unloading
///
/// *Unregister waits*: dropping the last reference destroys the queue, which
/// waits until all closures have run. An item on it has a reference of its own.
///
/// A closure must not have the last reference, as it would wait for itself.
/// Give it none: only the module's value and items have to have one.
///
/// # Invariants
///
/// `queue` is a workqueue that nobody else destroys.
///
/// # Examples
///
/// ```ignore
/// let queue = OwnedQueue::new(c"example", WQ_UNBOUND, 1)?;
/// queue.spawn(GFP_KERNEL, || pr_info!("later\n"))?;
/// ```
pub struct OwnedQueue {
    queue: NonNull<bindings::workqueue_struct>,
    /// Whether items run in softirq context.
    bh: bool,
}

// SAFETY: A workqueue may be used and destroyed in any thread that may sleep.
unsafe impl Send for OwnedQueue {}

// SAFETY: It has locks of its own.
unsafe impl Sync for OwnedQueue {}

impl OwnedQueue {
    /// Creates a queue. May sleep.
    ///
    /// `name` is what its workers show while they run an item, cut after 31
    /// bytes. At most `max_active` items run at a time, on each CPU or, with
    /// `WQ_UNBOUND`, in all; 0 stands for 1024. That it is 1 does not mean that
    /// they run in order: for that there is [`new_ordered`](Self::new_ordered).
    ///
    /// # Errors
    ///
    /// - `EINVAL`: not one of `WQ_PERCPU` and `WQ_UNBOUND`, a flag that is not
    ///   in [`flags`], more than 2048 items, or, for a queue with `WQ_BH`, any
    ///   flag or number that it does not go with;
    /// - `ENOMEM`: also when `WQ_SYSFS` finds its name in use.
    pub fn new(name: &CStr, flags: u32, max_active: u32) -> Result<Arc<Self>> {
        let where_to = flags & (flags::WQ_PERCPU | flags::WQ_UNBOUND);
        let bh = flags & flags::WQ_BH != 0;
        if flags & !FLAGS != 0
            || where_to.count_ones() != 1
            || max_active > bindings::wq_consts_WQ_MAX_ACTIVE
            || bh && (flags & !BH_FLAGS != 0 || max_active != 0)
        {
            return Err(EINVAL);
        }
        Self::create(name, flags, max_active)
    }

    /// Creates a queue that runs one item at a time, in the order in which they
    /// were enqueued, on any CPU. Else as [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// - `EINVAL`: a flag that is none of `WQ_FREEZABLE`, `WQ_HIGHPRI` and
    ///   `WQ_MEM_RECLAIM`;
    /// - `ENOMEM`.
    pub fn new_ordered(name: &CStr, flags: u32) -> Result<Arc<Self>> {
        if flags & !ORDERED_FLAGS != 0 {
            return Err(EINVAL);
        }
        let ordered = flags::WQ_UNBOUND | bindings::wq_flags___WQ_ORDERED;
        Self::create(name, ordered | flags, 1)
    }

    fn create(name: &CStr, flags: u32, max_active: u32) -> Result<Arc<Self>> {
        // SAFETY: Both strings end with a NUL, and are copied.
        let queue = unsafe {
            bindings::alloc_workqueue_noprof(
                c"%s".as_char_ptr(),
                flags,
                max_active as c_int,
                name.as_char_ptr(),
            )
        };
        // INVARIANT: It was created just now.
        let queue = Self {
            queue: NonNull::new(queue).ok_or(ENOMEM)?,
            bh: flags & flags::WQ_BH != 0,
        };
        Ok(Arc::new(queue, GFP_KERNEL)?)
    }

    /// Lets `closure` run once, and drops it. Callable in the contexts in which
    /// memory may be allocated with `flags`.
    ///
    /// # Errors
    ///
    /// No memory; then `closure` does not run.
    pub fn spawn<F>(&self, flags: Flags, closure: F) -> Result<(), AllocError>
    where
        F: FnOnce() + Send + 'static,
    {
        // As for items: one lock class for each context.
        let class = match self.bh {
            true => static_lock_class!(),
            false => static_lock_class!(),
        };
        let spawned = Spawned::new(closure, class);
        let spawned = KBox::pin_init(spawned, flags).map_err(|_| AllocError)?;
        // SAFETY: Nothing is moved out of it.
        let spawned = KBox::into_raw(unsafe { Pin::into_inner_unchecked(spawned) });
        // SAFETY: It stays until `Spawned::run`, which is called exactly once.
        // For text and data of the module, unregister waits: dropping the queue
        // waits until it has run.
        unsafe {
            bindings::queue_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                self.queue.as_ptr(),
                Opaque::cast_into(&raw const (*spawned).work),
            )
        };
        Ok(())
    }

    pub(crate) fn as_ptr(&self) -> *mut bindings::workqueue_struct {
        self.queue.as_ptr()
    }

    /// Whether items run in softirq context.
    pub(crate) fn is_bh(&self) -> bool {
        self.bh
    }

    /// Waits until all that is in the queue has run; what is enqueued meanwhile
    /// is not waited for. May sleep.
    ///
    /// Not from an item or a closure on this queue: it would wait for itself.
    pub fn flush(&self) {
        // SAFETY: By the type invariants.
        unsafe { bindings::__flush_workqueue(self.queue.as_ptr()) };
    }
}

impl Drop for OwnedQueue {
    fn drop(&mut self) {
        // SAFETY: By the type invariants. Unregister waits: this returns when
        // all that is in the queue has run and has returned. Nothing is enqueued
        // later: closures are by who has a reference, and each item has one,
        // which it gives back when it cannot be enqueued any more.
        unsafe { bindings::destroy_workqueue(self.queue.as_ptr()) };
    }
}

/// A closure in a queue.
#[pin_data]
struct Spawned<F> {
    #[pin]
    work: Opaque<bindings::work_struct>,
    closure: F,
}

impl<F: FnOnce()> Spawned<F> {
    fn new(closure: F, class: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` can be written to, name and key are static.
            work <- Opaque::ffi_init(|slot| unsafe {
                bindings::init_work_with_key(
                    slot,
                    Some(Self::run),
                    false,
                    c"OwnedQueue::spawn".as_char_ptr(),
                    class.as_ptr(),
                )
            }),
            closure,
        })
    }

    /// # Safety
    ///
    /// `work` is that of a `Self` in a [`KBox`] which is given up.
    unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        // SAFETY: By the function's requirements; a worker does not touch the
        // item any more when it calls the function.
        let spawned = unsafe {
            let spawned = kernel::container_of!(Opaque::cast_from(work), Self, work);
            KBox::from_raw(spawned.cast_mut())
        };
        let Self { closure, .. } = KBox::into_inner(spawned);
        closure();
    }
}

/// The queues that the kernel has for all to use.
///
/// Items on them run among those of others, so they should be short. Two that
/// C code still finds are left out as they are deprecated, and say so in the
/// log: `system_wq`, now [`Percpu`](Self::Percpu), and `system_unbound_wq`, now
/// [`Dfl`](Self::Dfl).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemQueue {
    /// `system_percpu_wq`: on the CPU that enqueues.
    Percpu,
    /// `system_highpri_wq`: the same, in threads with a nice value of -20.
    Highpri,
    /// `system_long_wq`: as `Percpu`, for items that take long.
    Long,
    /// `system_dfl_wq`, the default: on any CPU.
    Dfl,
    /// `system_dfl_long_wq`: the same, for items that take long.
    DflLong,
    /// `system_freezable_wq`: as `Percpu`, but not while the system is suspended.
    Freezable,
    /// `system_power_efficient_wq`: as `Percpu`, or as `Dfl` where the
    /// administrator prefers to save power.
    PowerEfficient,
    /// `system_freezable_power_efficient_wq`: both.
    FreezablePowerEfficient,
    /// `system_bh_wq`: in softirq context. Items must not sleep.
    Bh,
    /// `system_bh_highpri_wq`: the same, before all others.
    BhHighpri,
}

impl SystemQueue {
    fn as_ptr(self) -> *mut bindings::workqueue_struct {
        // SAFETY: They are set at boot, and stay as they are.
        unsafe {
            match self {
                Self::Percpu => bindings::system_percpu_wq,
                Self::Highpri => bindings::system_highpri_wq,
                Self::Long => bindings::system_long_wq,
                Self::Dfl => bindings::system_dfl_wq,
                Self::DflLong => bindings::system_dfl_long_wq,
                Self::Freezable => bindings::system_freezable_wq,
                Self::PowerEfficient => bindings::system_power_efficient_wq,
                Self::FreezablePowerEfficient => bindings::system_freezable_power_efficient_wq,
                Self::Bh => bindings::system_bh_wq,
                Self::BhHighpri => bindings::system_bh_highpri_wq,
            }
        }
    }
}

/// Where an item runs.
#[derive(Clone)]
pub enum Queue {
    /// On a queue of the module's own.
    Owned(Arc<OwnedQueue>),
    /// On one of the kernel's.
    System(SystemQueue),
}

impl Queue {
    fn as_ptr(&self) -> *mut bindings::workqueue_struct {
        match self {
            Self::Owned(queue) => queue.as_ptr(),
            Self::System(queue) => queue.as_ptr(),
        }
    }

    /// Whether items run in softirq context.
    fn is_bh(&self) -> bool {
        match self {
            Self::Owned(queue) => queue.is_bh(),
            Self::System(queue) => matches!(queue, SystemQueue::Bh | SystemQueue::BhHighpri),
        }
    }
}

impl From<Arc<OwnedQueue>> for Queue {
    fn from(queue: Arc<OwnedQueue>) -> Self {
        Self::Owned(queue)
    }
}

impl From<SystemQueue> for Queue {
    fn from(queue: SystemQueue) -> Self {
        Self::System(queue)
    }
}

/// What an item does.
pub trait WorkItem: Send + Sync + Sized + 'static {
    /// Runs once for each time that the item was enqueued, but never twice at
    /// the same time. `work` is the item itself, to be enqueued again, with what
    /// it was created with.
    ///
    /// In process context, and may sleep, unless the queue is one with `WQ_BH`:
    /// then in softirq context.
    fn run(work: &Work<Self>);
}

/// Creates an initialiser of a [`Work`](crate::workqueue::Work) item with lock
/// classes of its own: `new_work!(QUEUE, ITEM)`.
#[macro_export]
macro_rules! new_work {
    ($queue:expr, $item:expr $(, $name:literal)? $(,)?) => {
        $crate::workqueue::Work::new(
            $queue,
            $item,
            ::kernel::optional_name!($($name)?),
            $crate::workqueue::LockClasses {
                work: ::kernel::static_lock_class!(),
                bh_work: ::kernel::static_lock_class!(),
                timer: ::kernel::static_lock_class!(),
            },
        )
    };
}
pub use crate::new_work;

/// The lock classes of items that are created in one place.
///
/// Lock debugging takes the running of an item for a lock, which must not be
/// taken in process and in softirq context. So there is one for each.
#[doc(hidden)]
pub struct LockClasses {
    pub work: Pin<&'static LockClassKey>,
    pub bh_work: Pin<&'static LockClassKey>,
    pub timer: Pin<&'static LockClassKey>,
}

/// An item of work, which can be enqueued again and again, at once or after a
/// delay. In C it is a `struct delayed_work`.
///
/// It belongs to whom it is a field of, as in C, and dereferences to what it was
/// created with.
///
/// # Unloading
///
/// *Unregister waits*: dropping the item takes it out of the queue, stops its
/// timer, waits until it does not run, and keeps it from being enqueued by
/// itself. This holds on the kernel's queues too.
///
/// Whoever is to have it run before does [`flush`](Self::flush). It must not be
/// dropped by itself, which would wait for itself.
///
/// # Invariants
///
/// `work` is initialised, and its function is `Self::run`.
///
/// # Examples
///
/// ```ignore
/// struct Countdown(Atomic<u32>);
///
/// impl WorkItem for Countdown {
///     fn run(work: &Work<Self>) {
///         let left = work.0.fetch_sub(1, Relaxed);
///         pr_info!("{left}\n");
///         if left > 0 {
///             work.enqueue_delayed(msecs_to_jiffies(1000));
///         }
///     }
/// }
///
/// try_pin_init!(Self {
///     work <- new_work!(SystemQueue::Dfl, Countdown(Atomic::new(10))),
///     _: { work.enqueue(); },
/// })
/// ```
#[pin_data(PinnedDrop)]
pub struct Work<T: WorkItem> {
    #[pin]
    work: Opaque<bindings::delayed_work>,
    queue: Queue,
    #[pin]
    item: T,
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Work<T> where T: WorkItem);

// SAFETY: An item may be enqueued and dropped in any thread, and `T` is `Send`.
unsafe impl<T: WorkItem> Send for Work<T> {}

// SAFETY: Work is enqueued and cancelled atomically, and `T` is `Sync`.
unsafe impl<T: WorkItem> Sync for Work<T> {}

impl<T: WorkItem> Work<T> {
    /// For [`new_work!`](macro@crate::new_work).
    pub fn new<E>(
        queue: impl Into<Queue>,
        item: impl PinInit<T, E>,
        name: &'static CStr,
        classes: LockClasses,
    ) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        let queue = queue.into();
        let class = match queue.is_bh() {
            true => classes.bh_work,
            false => classes.work,
        };
        // INVARIANT: `work` is initialised here.
        try_pin_init!(Self {
            work <- Opaque::ffi_init(|slot: *mut bindings::delayed_work| {
                // SAFETY: `slot` can be written to, names and keys are static.
                // For the function unregister waits: see `drop`. The timer's is
                // what a `delayed_work` has, with the flag that this asks for.
                unsafe {
                    bindings::init_work_with_key(
                        &raw mut (*slot).work,
                        Some(Self::run),
                        false,
                        name.as_char_ptr(),
                        class.as_ptr(),
                    );
                    bindings::timer_init_key(
                        &raw mut (*slot).timer,
                        Some(bindings::delayed_work_timer_fn),
                        bindings::TIMER_IRQSAFE,
                        name.as_char_ptr(),
                        classes.timer.as_ptr(),
                    );
                }
            }),
            queue,
            item <- item,
            _pin: PhantomPinned,
        }? Error)
    }

    /// # Safety
    ///
    /// `work` is that of a `Self` that is not dropped meanwhile.
    unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        let work = kernel::container_of!(work, bindings::delayed_work, work);
        // SAFETY: By the function's requirements.
        T::run(unsafe { &*kernel::container_of!(Opaque::cast_from(work), Self, work) });
    }

    /// Enqueues the item. Returns false, and does nothing, when it is in the
    /// queue already, or is to be after a delay; or when it is being dropped.
    ///
    /// While it runs it can be enqueued, and then runs again. In any context.
    pub fn enqueue(&self) -> bool {
        self.enqueue_delayed(0)
    }

    /// Enqueues the item when `delay` is over, unless it is dropped before. Else
    /// as [`enqueue`](Self::enqueue).
    pub fn enqueue_delayed(&self, delay: Jiffies) -> bool {
        // SAFETY: By the type invariants; the queue is there as long as `self`.
        // Unregister waits: `drop` takes the item out of it again.
        unsafe {
            bindings::queue_delayed_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                self.queue.as_ptr(),
                self.work.get(),
                delay,
            )
        }
    }

    /// Waits until the item has run, if it is in the queue or runs; an item with
    /// a delay does so at once. Returns whether there was anything to wait for.
    /// May sleep.
    ///
    /// Not from the item itself.
    pub fn flush(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { bindings::flush_delayed_work(self.work.get()) }
    }

    /// Takes the item out of the queue, or out of its delay, and waits until it
    /// does not run. Returns whether it was taken out. Afterwards it can be
    /// enqueued as before; in vain while this waits. May sleep.
    ///
    /// Not from the item itself.
    pub fn cancel(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { bindings::cancel_delayed_work_sync(self.work.get()) }
    }
}

impl<T: WorkItem> Deref for Work<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

#[pinned_drop]
impl<T: WorkItem> PinnedDrop for Work<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants. Unregister waits: when this returns the
        // function has returned, the item is in no queue and its timer does not
        // run; it cannot be enqueued any more, not by itself while this waits
        // either.
        unsafe { bindings::disable_delayed_work_sync(self.work.get()) };
    }
}
