// SPDX-License-Identifier: GPL-2.0-only

//! Workqueues: code that runs later, in a thread of the kernel.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)
//!
//! Reference: <https://docs.kernel.org/core-api/workqueue.html>
//!
//! The `kernel` crate's [`workqueue`](kernel::workqueue) module has no function
//! that creates or destroys a queue, or that flushes, cancels or disables an
//! item. An enqueued item belongs to the queue until it runs, and does not hold
//! the module: the module can be unloaded before the item has run. The functions
//! `system()` and `system_unbound()` return deprecated queues; the kernel logs a
//! warning when one is first used (Linux 6.18 does not). There is no function for the
//! queues that replace them.
//!
//! Here an item belongs to the module, and no item outlives its owner.

use crate::{
    alive::{
        self,
        Alive,
        Runner,
        Stop, //
    },
    bindings,
    compat::{
        lock_class,
        system_dfl_long_wq,
        CStrExt, //
    },
    errno::error,
    time::jiffies, //
};
use core::{
    ffi::CStr,
    marker::PhantomPinned,
    mem::ManuallyDrop,
    ops::Deref,
    ptr, //
};
use kernel::{
    alloc,
    prelude::*,
    static_lock_class,
    sync::{
        rcu,
        Arc,
        LockClassKey, //
    },
    time::Delta,
    types::Opaque, //
};

/// The flags of an [`OwnedQueue`]: where and when its items run.
///
/// [`OwnedQueue::new`] takes either [`PERCPU`](Self::PERCPU) or
/// [`UNBOUND`](Self::UNBOUND). Other flags are added with `|`.
///
/// # Examples
///
/// ```
/// use lkm::workqueue::Flags;
///
/// let flags = Flags::UNBOUND | Flags::HIGHPRI;
/// assert!(flags.contains(Flags::HIGHPRI));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(bindings::wq_flags);

impl Flags {
    /// No flag, for [`OwnedQueue::new_ordered`].
    pub const NONE: Self = Self(0);
    /// `WQ_PERCPU`: items run on the CPU that enqueued them.
    pub const PERCPU: Self = Self(bindings::wq_flags_WQ_PERCPU);
    /// `WQ_UNBOUND`: items run on any CPU.
    pub const UNBOUND: Self = Self(bindings::wq_flags_WQ_UNBOUND);
    /// `WQ_BH`: items run in softirq context and must not sleep. Goes with
    /// `PERCPU` and `HIGHPRI` only.
    pub const BH: Self = Self(bindings::wq_flags_WQ_BH);
    /// `WQ_FREEZABLE`: items wait while the system is suspended.
    pub const FREEZABLE: Self = Self(bindings::wq_flags_WQ_FREEZABLE);
    /// `WQ_MEM_RECLAIM`: at least one item at a time runs even when there is no
    /// memory for another thread.
    pub const MEM_RECLAIM: Self = Self(bindings::wq_flags_WQ_MEM_RECLAIM);
    /// `WQ_HIGHPRI`: items run in threads with a nice value of -20.
    pub const HIGHPRI: Self = Self(bindings::wq_flags_WQ_HIGHPRI);
    /// `WQ_CPU_INTENSIVE`: an item that keeps a CPU busy does not keep other
    /// items from running.
    pub const CPU_INTENSIVE: Self = Self(bindings::wq_flags_WQ_CPU_INTENSIVE);
    /// `WQ_SYSFS`: the queue has a directory in `/sys/devices/virtual/workqueue`.
    pub const SYSFS: Self = Self(bindings::wq_flags_WQ_SYSFS);
    /// `WQ_POWER_EFFICIENT`: as `UNBOUND` if the kernel parameter
    /// `workqueue.power_efficient` is set.
    pub const POWER_EFFICIENT: Self = Self(bindings::wq_flags_WQ_POWER_EFFICIENT);

    /// The flags that a queue with `BH` may have.
    const WITH_BH: Self = Self(Self::BH.0 | Self::HIGHPRI.0 | Self::PERCPU.0);

    /// The flags that an ordered queue may have.
    const WITH_ORDER: Self = Self(Self::FREEZABLE.0 | Self::HIGHPRI.0 | Self::MEM_RECLAIM.0);
}

impl_flag_set!(Flags);

/// A queue that belongs to the module.
///
/// The [`Work`] items that run on it share it. [`spawn`](Self::spawn) gives it a
/// closure that runs once.
///
/// # Unloading
///
/// *Unregister waits*: dropping the last reference destroys the queue and waits
/// until all closures have run. That may sleep. Each item on the queue has a
/// reference of its own.
///
/// A closure or an item, on any queue, may drop the last reference. It does not wait
/// then: the queue is destroyed a little later.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::workqueue::{Flags, OwnedQueue};
///
/// let queue = OwnedQueue::new(c"example", Flags::UNBOUND, 1)?;
/// queue.spawn(GFP_KERNEL, || pr_info!("later\n"))?;
/// // This waits until the closure has run.
/// drop(queue);
/// # Ok::<(), Error>(())
/// ```
pub struct OwnedQueue(Alive<Workqueue>);

/// # Invariants
///
/// `queue` is null or a workqueue that only this value destroys.
struct Workqueue {
    queue: *mut bindings::workqueue_struct,
    /// Whether items run in softirq context.
    bh: bool,
}

// SAFETY: A workqueue may be used and destroyed in any thread that may sleep.
unsafe impl Send for Workqueue {}

// SAFETY: A workqueue has locks of its own.
unsafe impl Sync for Workqueue {}

// SAFETY: `destroy_workqueue()` returns when all closures have run. `stop` is for a
// queue whose handle is lost: from the module's end on no closure is given to it, as
// `OwnedQueue::spawn` shows, and those that were have run when it returns. Items stop
// by themselves.
unsafe impl Stop for Workqueue {
    const NAME: &'static CStr = c"workqueues";

    fn stop(&self) {
        if alive::is_closed() && !self.queue.is_null() {
            // SAFETY: This may sleep, and the queue is not destroyed yet.
            unsafe {
                bindings::synchronize_rcu();
                bindings::__flush_workqueue(self.queue);
            }
        }
    }

    fn is_within(&self) -> bool {
        !current_work().is_null()
    }

    fn give_back(&self) {
        if !self.queue.is_null() {
            // SAFETY: By the type invariants; this is called once, and the queue has
            // no user any more: each item keeps it until it can no longer be enqueued.
            unsafe { bindings::destroy_workqueue(self.queue) };
        }
    }
}

/// The item that the caller runs in, or null if it is not a worker.
pub(crate) fn current_work() -> *mut bindings::work_struct {
    // SAFETY: This can be called in any context.
    unsafe { bindings::current_work() }
}

impl OwnedQueue {
    /// Creates a queue. May sleep.
    ///
    /// Worker threads show `name`, cut after 31 bytes, while they run an item
    /// of the queue. At most `max_active` items run at a time: on each CPU, or
    /// in all with [`Flags::UNBOUND`]. 0 stands for 1024. A limit of 1 does not
    /// mean that items run in order; [`new_ordered`](Self::new_ordered) creates
    /// a queue that keeps the order.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `flags` has neither or both of `PERCPU` and `UNBOUND`,
    ///   `max_active` is more than 2048, `flags` has `SYSFS` and `name` is empty, or `flags` has `BH` together with a flag
    ///   other than `PERCPU` and `HIGHPRI` or with a `max_active` other than 0;
    /// - `ENOMEM`: no memory, or `flags` has `SYSFS` and `name` is in use there;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub fn new(name: &CStr, flags: Flags, max_active: u32) -> Result<Arc<Self>> {
        let bh = flags.contains(Flags::BH);
        if flags.contains(Flags::PERCPU) == flags.contains(Flags::UNBOUND)
            || max_active > bindings::wq_consts_WQ_MAX_ACTIVE
            || flags.contains(Flags::SYSFS) && name.is_empty()
            || bh && (!Flags::WITH_BH.contains(flags) || max_active != 0)
        {
            return Err(EINVAL);
        }
        Self::create(name, flags, max_active)
    }

    /// Creates a queue that runs one item at a time, in the order in which the
    /// items were enqueued, on any CPU. `name` is as in [`new`](Self::new). May
    /// sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `flags` has a flag other than `FREEZABLE`, `HIGHPRI` and
    ///   `MEM_RECLAIM`;
    /// - `ENOMEM`: no memory;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends.
    pub fn new_ordered(name: &CStr, flags: Flags) -> Result<Arc<Self>> {
        if !Flags::WITH_ORDER.contains(flags) {
            return Err(EINVAL);
        }
        let ordered = Flags::UNBOUND | Flags(bindings::wq_flags___WQ_ORDERED);
        Self::create(name, ordered | flags, 1)
    }

    fn create(name: &CStr, flags: Flags, max_active: u32) -> Result<Arc<Self>> {
        let queue = try_init!(Workqueue {
            queue: ptr::null_mut(),
            bh: flags.contains(Flags::BH),
        }? Error);
        let queue = Alive::new(queue, |queue| {
            // SAFETY: Both strings end with a NUL byte and are copied.
            let created = unsafe {
                bindings::alloc_workqueue_noprof(
                    c"%s".as_char_ptr(),
                    flags.0,
                    max_active as c_int,
                    name.as_char_ptr(),
                )
            };
            if created.is_null() {
                return Err(ENOMEM);
            }
            // INVARIANT: The queue was just created, and nothing else has its
            // pointer.
            queue.get_mut().queue = created;
            Ok(())
        })?;
        Ok(Arc::new(Self(queue), GFP_KERNEL)?)
    }

    /// Enqueues `closure`, which runs once and is dropped then. Can be called in
    /// any context in which memory may be allocated with `flags`.
    ///
    /// A closure that captures more than 1 KiB does not compile: a kernel stack has room
    /// for few such. What is big belongs into a `KBox` or a `KVec`.
    ///
    /// # Errors
    ///
    /// In case of an error `closure` is dropped and does not run.
    ///
    /// - `ENOMEM`: no memory;
    /// - `ESHUTDOWN`: the module ends.
    pub fn spawn<F>(&self, flags: alloc::Flags, closure: F) -> Result
    where
        F: FnOnce() + Send + 'static,
    {
        assert_small!(F);
        // One lock class for each context, as for items.
        let class = match self.is_bh() {
            true => static_lock_class!(),
            false => static_lock_class!(),
        };
        let spawned = KBox::pin_init(Spawned::new(closure, class), flags)?;
        // The module's end waits for who is here and was not too late.
        let guard = rcu::read_lock();
        if alive::is_closed() {
            drop(guard);
            return Err(error(bindings::ESHUTDOWN));
        }
        // SAFETY: Nothing is moved out of the box.
        let spawned = KBox::into_raw(unsafe { Pin::into_inner_unchecked(spawned) });
        // SAFETY: The item stays until `Spawned::run`, which is called exactly
        // once, frees it.
        // Unload rule, unregister waits: dropping the queue returns when the
        // function has returned, and so does `stop` at the module's end.
        unsafe {
            bindings::queue_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                self.as_ptr(),
                Opaque::cast_into(&raw const (*spawned).work),
            )
        };
        Ok(())
    }

    pub(crate) fn as_ptr(&self) -> *mut bindings::workqueue_struct {
        self.0.queue
    }

    /// Whether items run in softirq context.
    pub(crate) fn is_bh(&self) -> bool {
        self.0.bh
    }

    /// Waits until all items and closures that are in the queue now have run.
    /// Does not wait for those that are enqueued later. May sleep.
    ///
    /// An item or a closure on this queue must not call this: it would wait for
    /// itself.
    pub fn flush(&self) {
        // SAFETY: The queue exists as long as its handle.
        unsafe { bindings::__flush_workqueue(self.as_ptr()) };
    }
}

/// Initialises a work item. Lock debugging treats the running of the item as a
/// lock of the class `class`, called `name`.
///
/// # Safety
///
/// `slot` can be written to. `run` may be called with `slot` from the moment the
/// item is enqueued until it is cancelled or has run.
pub(crate) unsafe fn init_work(
    slot: *mut bindings::work_struct,
    run: unsafe extern "C" fn(*mut bindings::work_struct),
    name: &'static kernel::str::CStr,
    class: Pin<&'static LockClassKey>,
) {
    let name = name.as_char_ptr();
    // SAFETY: By this function's contract. Name and key are static.
    unsafe { bindings::init_work_with_key(slot, Some(run), false, name, lock_class(class)) };
}

/// A closure in a queue.
#[pin_data]
struct Spawned<F> {
    #[pin]
    work: Opaque<bindings::work_struct>,
    closure: Option<F>,
}

impl<F: FnOnce()> Spawned<F> {
    fn new(closure: F, class: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` can be written to. `run` is called once, when the
            // item is in a box that `spawn` has given up.
            work <- Opaque::ffi_init(|slot| unsafe {
                init_work(slot, Self::run, kernel::c_str!("OwnedQueue::spawn"), class)
            }),
            closure: Some(closure),
        })
    }

    /// # Safety
    ///
    /// `work` is the field of a `Self` in a [`KBox`]. The caller gives up the
    /// box.
    unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        // SAFETY: By this function's contract. A worker no longer touches the
        // item once it has called the function.
        let mut spawned = unsafe {
            let spawned = kernel::container_of!(Opaque::cast_from(work), Self, work);
            KBox::from_raw(spawned.cast_mut())
        };
        // The item is freed last: to C another one at its address, with the same function,
        // is this one, and waits until this has returned.
        if let Some(closure) = spawned.closure.take() {
            closure();
        }
    }
}

/// The kernel's shared queues.
///
/// They also run the items of others, so an item should be short. `system_wq` and
/// `system_unbound_wq` are left out: both are deprecated. [`Percpu`](Self::Percpu) and
/// [`Dfl`](Self::Dfl) replace them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemQueue {
    /// `system_percpu_wq`: items run on the CPU that enqueued them.
    Percpu,
    /// `system_highpri_wq`: as `Percpu`, in threads with a nice value of -20.
    Highpri,
    /// `system_long_wq`: as `Percpu`, for items that take long.
    Long,
    /// `system_dfl_wq`, the default: items run on any CPU.
    Dfl,
    /// `system_dfl_long_wq`: as `Dfl`, for items that take long. Linux 6.18 has no such
    /// queue: there it is `Dfl`'s.
    DflLong,
    /// `system_freezable_wq`: as `Percpu`, but items wait while the system is
    /// suspended.
    Freezable,
    /// `system_power_efficient_wq`: as `Percpu`, or as `Dfl` if the kernel
    /// parameter `workqueue.power_efficient` is set.
    PowerEfficient,
    /// `system_freezable_power_efficient_wq`: as `PowerEfficient`, but items wait
    /// while the system is suspended.
    FreezablePowerEfficient,
    /// `system_bh_wq`: items run in softirq context and must not sleep.
    Bh,
    /// `system_bh_highpri_wq`: as `Bh`, in the softirq with the highest priority.
    BhHighpri,
}

impl SystemQueue {
    fn as_ptr(self) -> *mut bindings::workqueue_struct {
        // SAFETY: The pointers are set at boot and do not change.
        unsafe {
            match self {
                Self::Percpu => bindings::system_percpu_wq,
                Self::Highpri => bindings::system_highpri_wq,
                Self::Long => bindings::system_long_wq,
                Self::Dfl => bindings::system_dfl_wq,
                Self::DflLong => system_dfl_long_wq(),
                Self::Freezable => bindings::system_freezable_wq,
                Self::PowerEfficient => bindings::system_power_efficient_wq,
                Self::FreezablePowerEfficient => bindings::system_freezable_power_efficient_wq,
                Self::Bh => bindings::system_bh_wq,
                Self::BhHighpri => bindings::system_bh_highpri_wq,
            }
        }
    }
}

/// The queue that an item runs on.
#[derive(Clone)]
pub enum Queue {
    /// A queue that belongs to the module.
    Owned(Arc<OwnedQueue>),
    /// A shared queue of the kernel.
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
    /// the same time. `work` is the item itself: it dereferences to `Self`, and
    /// can be enqueued again.
    ///
    /// Runs in process context and may sleep. On a queue with [`Flags::BH`],
    /// and on [`SystemQueue::Bh`] and [`SystemQueue::BhHighpri`], it runs in
    /// softirq context and must not sleep.
    fn run(work: &Work<Self>);
}

/// Creates a [`Work`](crate::workqueue::Work) item with lock classes of its own:
/// `new_work!(QUEUE, ITEM)?` or `new_work!(QUEUE, ITEM, NAME)?`. May sleep.
///
/// QUEUE is an [`OwnedQueue`](crate::workqueue::OwnedQueue) in an `Arc`, or a
/// [`SystemQueue`](crate::workqueue::SystemQueue). ITEM is a value or an
/// initialiser. Lock debugging shows NAME, a string literal, or else file and
/// line.
///
/// # Errors
///
/// - `ENOMEM`: no memory;
/// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
/// - the error of ITEM.
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
/// Lock debugging treats the running of an item as a lock. Such a lock must not
/// be taken in both process and softirq context, so there is a class for each.
#[doc(hidden)]
pub struct LockClasses {
    pub work: Pin<&'static LockClassKey>,
    pub bh_work: Pin<&'static LockClassKey>,
    pub timer: Pin<&'static LockClassKey>,
}

/// A work item. It can be enqueued again and again, at once or after a delay.
/// In C it is a `struct delayed_work`.
///
/// It owns a value, which [`WorkItem::run`] works on, and dereferences to it.
///
/// # Unloading
///
/// *Unregister waits*: dropping the item takes it out of the queue, stops its
/// timer and waits until it is not running. Meanwhile it cannot enqueue itself.
/// This holds on the kernel's queues too. Dropping may sleep.
///
/// To have an enqueued item run first, call [`flush`](Self::flush).
///
/// An item, or anything else that runs on a workqueue, may drop items, and itself. It
/// does not wait then: all this is done a little later.
///
/// # Examples
///
/// ```
/// use kernel::{
///     prelude::*,
///     sync::atomic::{Atomic, Relaxed},
///     time::Delta,
/// };
/// use lkm::workqueue::{new_work, SystemQueue, Work, WorkItem};
///
/// struct Countdown(Atomic<i32>);
///
/// impl WorkItem for Countdown {
///     fn run(work: &Work<Self>) {
///         let left = work.0.fetch_add(-1, Relaxed);
///         pr_info!("{left}\n");
///         if left > 0 {
///             work.enqueue_delayed(Delta::from_millis(1000));
///         }
///     }
/// }
///
/// let work = new_work!(SystemQueue::Dfl, Countdown(Atomic::new(10)))?;
/// work.enqueue();
/// # Ok::<(), Error>(())
/// ```
pub struct Work<T: WorkItem>(Alive<Item<T>>);

/// # Invariants
///
/// - `work` is initialised, and its function is `Self::run`;
/// - `wq` is the workqueue that `queue` keeps.
#[pin_data]
struct Item<T> {
    #[pin]
    work: Opaque<bindings::delayed_work>,
    wq: *mut bindings::workqueue_struct,
    // Keeps what `wq` points to.
    _queue: Queue,
    #[pin]
    item: T,
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Item<T> where T);

// SAFETY: An item may be enqueued and dropped in any thread, and `T` is `Send`.
unsafe impl<T: WorkItem> Send for Item<T> {}

// SAFETY: Items are enqueued and cancelled atomically, and `T` is `Sync`.
unsafe impl<T: WorkItem> Sync for Item<T> {}

// SAFETY: When `stop` has returned, the function has returned, the item is in no
// queue and its timer is stopped. It stays disabled: to enqueue it does nothing.
unsafe impl<T: WorkItem> Stop for Item<T> {
    const NAME: &'static CStr = c"work items";
    const HAS_RUNNER: bool = true;

    fn stop(&self) {
        // SAFETY: By the type invariants, and this may sleep.
        unsafe { bindings::disable_delayed_work_sync(self.work.get()) };
    }

    fn runner(&self) -> Runner {
        // SAFETY: This only computes an address.
        unsafe { &raw const (*self.work.get()).work }.cast()
    }

    /// True in all workers: to lock debugging the items of a `new_work!` are the same.
    fn is_within(&self) -> bool {
        !current_work().is_null()
    }
}

impl<T: WorkItem> Work<T> {
    /// For [`new_work!`](macro@crate::new_work), which supplies `name` and `classes`. May
    /// sleep.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: no memory;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `item`.
    pub fn new<E>(
        queue: impl Into<Queue>,
        item: impl PinInit<T, E>,
        name: &'static kernel::str::CStr,
        classes: LockClasses,
    ) -> Result<Self>
    where
        Error: From<E>,
    {
        let queue = queue.into();
        let class = match queue.is_bh() {
            true => classes.bh_work,
            false => classes.work,
        };
        // INVARIANT: `work` is initialised here.
        let item = try_pin_init!(Item {
            work <- Opaque::ffi_init(|slot: *mut bindings::delayed_work| {
                // SAFETY: `slot` can be written to; names and keys are static.
                // The timer's function and flag are those of a `delayed_work`.
                // Unload rule, unregister waits: see `stop`.
                unsafe {
                    init_work(&raw mut (*slot).work, Item::<T>::run, name, class);
                    bindings::timer_init_key(
                        &raw mut (*slot).timer,
                        Some(bindings::delayed_work_timer_fn),
                        bindings::TIMER_IRQSAFE,
                        name.as_char_ptr(),
                        lock_class(classes.timer),
                    );
                }
            }),
            wq: queue.as_ptr(),
            _queue: queue,
            item <- item,
            _pin: PhantomPinned,
        }? Error);
        Ok(Self(Alive::new(item, |_| Ok(()))?))
    }

    /// Enqueues the item. Does nothing and returns `false` if the item is already
    /// in the queue, has a delay that is not over, or is being dropped.
    ///
    /// An item that is running can be enqueued: it then runs again. Can be called
    /// in any context except NMI.
    pub fn enqueue(&self) -> bool {
        self.enqueue_delayed(Delta::ZERO)
    }

    /// Enqueues the item when `delay` is over, unless it is dropped before.
    /// Otherwise does what [`enqueue`](Self::enqueue) does. The kernel's timers hold 12
    /// days or more, which depends on `CONFIG_HZ`. A longer delay ends when that time is
    /// over. Can be called in any context except NMI.
    pub fn enqueue_delayed(&self, delay: Delta) -> bool {
        // SAFETY: By the type invariants. The queue exists as long as the item.
        // Unload rule, unregister waits: `stop` takes the item out of the queue.
        unsafe {
            bindings::queue_delayed_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                self.0.wq,
                self.0.work.get(),
                jiffies(delay) as c_ulong,
            )
        }
    }

    /// Enqueues the item when `delay` is over, also if it is in the queue already or has
    /// another delay, which no longer counts. Returns whether there was one. This is C's
    /// `mod_delayed_work()`.
    ///
    /// Otherwise does what [`enqueue_delayed`](Self::enqueue_delayed) does. Can be called
    /// in any context except NMI.
    pub fn modify_delayed(&self, delay: Delta) -> bool {
        // SAFETY: As in `enqueue_delayed`. It leaves alone what is being dropped.
        // Unload rule, unregister waits: as there.
        unsafe {
            bindings::mod_delayed_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                self.0.wq,
                self.0.work.get(),
                jiffies(delay) as c_ulong,
            )
        }
    }

    /// Whether the item is in the queue or has a delay that is not over. One that runs is
    /// not pending, unless it was enqueued again. Can be called in any context.
    pub fn is_pending(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { bindings::lkm_work_is_pending(self.0.work.get()) }
    }

    /// Waits until the item has run, if it is in the queue or running. An item
    /// with a delay is enqueued at once. Returns whether there was anything to
    /// wait for. May sleep.
    ///
    /// The item itself must not call this.
    pub fn flush(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { bindings::flush_delayed_work(self.0.work.get()) }
    }

    /// Takes the item out of the queue, or ends its delay, and waits until it is
    /// not running. Returns whether it was taken out. While this waits, enqueuing
    /// the item does nothing; afterwards the item can be enqueued as before. May
    /// sleep.
    ///
    /// The item itself must not call this.
    pub fn cancel(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { bindings::cancel_delayed_work_sync(self.0.work.get()) }
    }
}

impl<T: WorkItem> Item<T> {
    /// # Safety
    ///
    /// `work` is the field of a `Self` in an `Alive`, which is not freed during the
    /// call.
    unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        let work = kernel::container_of!(work, bindings::delayed_work, work);
        let item = kernel::container_of!(Opaque::cast_from(work), Self, work);
        // SAFETY: By this function's contract: to free the item waits for this.
        T::run(&ManuallyDrop::new(Work(unsafe { Alive::lend(item) })));
    }
}

impl<T: WorkItem> Deref for Work<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.item
    }
}
