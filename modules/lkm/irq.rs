// SPDX-License-Identifier: GPL-2.0-only

//! Interrupts: code that runs when a device, or a line, wants attention.
//!
//! C header: [`include/linux/interrupt.h`](srctree/include/linux/interrupt.h)
//!
//! Reference: <https://docs.kernel.org/core-api/genericirq.html>
//!
//! The `kernel` crate's [`irq`](kernel::irq) takes interrupts of a device that a driver is
//! bound to, and of none else: it has nothing for a GPIO line, or for a number. It also
//! relies on its value being dropped.
//!
//! # Two halves
//!
//! | method | when it runs | what it may do |
//! | --- | --- | --- |
//! | [`Handler::hard`] | at once, in the place of what the CPU was doing | not sleep. Take locks that turn interrupts off, wake somebody, enqueue work |
//! | [`Handler::thread`] | soon, in a thread of the interrupt's own | sleep: lock a mutex, drive a GPIO line, wait for a device |
//!
//! A handler has either or both. With both, the first decides whether the second runs.

#[cfg(CONFIG_GPIOLIB)]
use crate::gpio::Input;
#[cfg(CONFIG_PCI)]
use crate::pci::Vector;
use crate::{
    alive::{
        current_runner,
        Alive,
        Runner,
        Stop, //
    },
    bindings,
    compat::CStrExt,
    file::is_name, //
};
use core::{
    ffi::CStr,
    marker::PhantomPinned,
    ops::Deref,
    ptr, //
};
use kernel::{
    error::{
        to_result,
        VTABLE_DEFAULT_ERROR, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// What on a line is an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// What was set for the line before, by the firmware or a driver. For a GPIO line that
    /// may be nothing at all.
    Unchanged,
    /// It goes from low to high.
    Rising,
    /// It goes from high to low.
    Falling,
    /// It goes from low to high, or from high to low.
    BothEdges,
    /// It is high. The interrupt comes again as long as that lasts.
    High,
    /// It is low. The interrupt comes again as long as that lasts.
    Low,
}

impl Trigger {
    fn flags(self) -> u32 {
        match self {
            Self::Unchanged => bindings::IRQF_TRIGGER_NONE,
            Self::Rising => bindings::IRQF_TRIGGER_RISING,
            Self::Falling => bindings::IRQF_TRIGGER_FALLING,
            Self::BothEdges => bindings::IRQF_TRIGGER_RISING | bindings::IRQF_TRIGGER_FALLING,
            Self::High => bindings::IRQF_TRIGGER_HIGH,
            Self::Low => bindings::IRQF_TRIGGER_LOW,
        }
    }
}

/// Where an interrupt comes from: a number, and the GPIO line or the PCI device if it is one's.
///
/// [`Input::irq`](crate::gpio::Input::irq) makes one of a line,
/// [`Device::msi`](crate::pci::Device::msi) and [`Device::intx`](crate::pci::Device::intx) one
/// of a PCI device.
pub struct Source {
    number: u32,
    #[cfg(CONFIG_GPIOLIB)]
    input: Option<Input>,
    #[cfg(CONFIG_PCI)]
    vector: Option<Vector>,
}

impl Source {
    /// The interrupt with this number, which is the kernel's own for it, as
    /// `/proc/interrupts` shows. The number of a line that may go with its chip can
    /// belong to another one then. The line of a PCI device may go with the device's driver, and
    /// the kernel warns of a handler that it still has then. Nobody can have a device's messages
    /// by their number. Can be called in any context.
    pub fn from_number(number: u32) -> Self {
        Self {
            number,
            #[cfg(CONFIG_GPIOLIB)]
            input: None,
            #[cfg(CONFIG_PCI)]
            vector: None,
        }
    }

    #[cfg(CONFIG_GPIOLIB)]
    pub(crate) fn of_input(number: u32, input: Input) -> Self {
        Self {
            input: Some(input),
            ..Self::from_number(number)
        }
    }

    #[cfg(CONFIG_PCI)]
    pub(crate) fn of_vector(number: u32, vector: Vector) -> Self {
        Self {
            vector: Some(vector),
            ..Self::from_number(number)
        }
    }

    /// Whether others may have handlers of the interrupt, too.
    #[cfg(CONFIG_PCI)]
    fn is_shared(&self) -> bool {
        self.vector.as_ref().is_some_and(Vector::is_shared)
    }

    #[cfg(not(CONFIG_PCI))]
    fn is_shared(&self) -> bool {
        false
    }

    /// The PCI device that a handler goes with, or null.
    #[cfg(CONFIG_PCI)]
    fn owner(&self) -> *const c_void {
        match &self.vector {
            Some(vector) => vector.device().owner(),
            None => ptr::null(),
        }
    }

    #[cfg(not(CONFIG_PCI))]
    fn owner(&self) -> *const c_void {
        ptr::null()
    }

    /// Fails for a message of a device that is not known: when that goes, nobody would remove the
    /// handler.
    fn check_number(&self) -> Result {
        // SAFETY: This only looks.
        match self.owner().is_null() && unsafe { bindings::lkm_irq_is_message(self.number) } {
            true => Err(EINVAL),
            false => Ok(()),
        }
    }

    /// Fails if the chip of the line has gone meanwhile, and the number with it.
    fn check(&self) -> Result {
        #[cfg(CONFIG_GPIOLIB)]
        {
            let number = self.input.as_ref().map(Input::irq_number).transpose()?;
            if number.is_some_and(|number| number != self.number) {
                return Err(ENODEV);
            }
        }
        Ok(())
    }

    /// The number. Can be called in any context.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The line that it comes from. [`None`] if only the number is known. Can be called in
    /// any context.
    #[cfg(CONFIG_GPIOLIB)]
    pub fn input(&self) -> Option<&Input> {
        self.input.as_ref()
    }
}

/// What is to be done next about an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing: it did not come from the device. If that is so very often, the kernel turns
    /// the interrupt off. Where devices share a line, each handler is asked.
    NotMine,
    /// Nothing: all is done.
    Done,
    /// [`Handler::thread`] is to run. If the handler has none, this is the same as `Done`.
    WakeThread,
}

/// What happens after an interrupt. A handler has [`hard`](Self::hard),
/// [`thread`](Self::thread), or both; one that has neither does not compile.
///
/// Both get the handler shared: they can run at the same time, on different CPUs, and while
/// others use the handler by its [`Irq`]. Neither runs twice at the same time. They can run
/// before [`Irq::new`] has returned.
#[vtable]
pub trait Handler: Send + Sync + 'static {
    /// Runs with interrupts off, mostly in hard interrupt context: it must not sleep, and all
    /// else on this CPU waits for it. Some drivers call it in process context, and one interrupt
    /// that came when nobody had it may come again in a softirq. Locks that it takes must be such that turn interrupts off
    /// everywhere, as an [`IrqSpinLock`](crate::sync::IrqSpinLock). With `PREEMPT_RT` such a
    /// lock can sleep: there it must not take any. Of GPIO lines it can only use those that are
    /// [atomic](crate::gpio::Input::atomic).
    ///
    /// Without this, `thread` runs for each interrupt. So it does where the chip of the line
    /// can only be asked by who may sleep: there this is never called.
    fn hard(&self) -> Reply {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Runs in process context, in a thread that only this interrupt has, or in that of its
    /// chip, and may sleep.
    ///
    /// The thread runs once more if an interrupt comes while it runs. If several come, it is
    /// once for all of them: what must not be lost is for `hard` to count. A line that
    /// interrupts for as long as it is [high](Trigger::High) or [low](Trigger::Low) does not
    /// before this has returned.
    ///
    /// The thread has real-time priority: other threads on the CPU wait while it is busy.
    fn thread(&self, _source: &Source) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// A handler of an interrupt, for as long as this value lives. It dereferences to the
/// handler.
///
/// It owns the line that the interrupt comes from, if there is one. So the line is given back
/// after the interrupt.
///
/// # Chips that go
///
/// A GPIO chip can go while a line of it is here. Then the interrupt comes no more: the
/// kernel has removed the handler. Nothing else changes, and nobody says so.
///
/// This can be dropped at the same moment. Then both may remove the handler, which does no
/// harm, but the kernel warns of who comes second. A
/// [controller](crate::gpio::chip::Registration) of the same module avoids that.
///
/// A PCI device can go, too, or its driver from it. Before that the handler is removed, and
/// waited for.
///
/// The kernel does not see an interrupt that is just being requested: it may come into being
/// when its chip is gone. A controller of the same module waits for that. See
/// [`limits`](crate::limits) for others.
///
/// # Unloading
///
/// *Unregister waits*: dropping this removes the handler, and waits until it is running
/// nowhere. That may sleep. So a `thread` that waits must come to an end when the module
/// wants to leave.
///
/// Where it cannot wait, as in the handler itself, dropping it does not: the handler is
/// removed a little later.
///
/// # Examples
///
/// A button that turns on a lamp:
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::{
///     gpio::{Gpio, Output},
///     irq::{Handler, Irq, Source, Trigger},
/// };
///
/// struct Button(Output);
///
/// #[vtable]
/// impl Handler for Button {
///     fn thread(&self, _source: &Source) {
///         let _ = self.0.set(true);
///     }
/// }
///
/// let lamp = Gpio::get(c"chip", 4, c"lamp")?.into_output(false)?;
/// let button = Gpio::get(c"chip", 17, c"button")?.into_input()?.irq()?;
/// let irq = Irq::new(button, Trigger::Rising, c"button", Button(lamp))?;
/// # Ok::<(), Error>(())
/// ```
///
/// A counter that misses nothing, of an interrupt whose number is known:
///
/// ```
/// use kernel::{
///     prelude::*,
///     sync::atomic::{Atomic, Relaxed},
/// };
/// use lkm::irq::{Handler, Irq, Reply, Source, Trigger};
///
/// struct Counter(Atomic<u32>);
///
/// #[vtable]
/// impl Handler for Counter {
///     fn hard(&self) -> Reply {
///         self.0.fetch_add(1, Relaxed);
///         Reply::Done
///     }
/// }
///
/// let counter = Counter(Atomic::new(0));
/// let irq = Irq::new(Source::from_number(7), Trigger::Unchanged, c"counter", counter)?;
/// pr_info!("{} so far\n", irq.0.load(Relaxed));
/// # Ok::<(), Error>(())
/// ```
pub struct Irq<T: Handler>(Alive<Action<T>>);

/// # Invariants
///
/// - `desc` is 0, or a reference that `lkm_irq_get()` returned and that was not put yet, after
///   the interrupt was given `Self::HARD` and `Self::THREAD` with a pointer to this value. If it
///   is 0, no interrupt has them;
/// - `runner` is 0 or what runs `T::thread`: a task, or a work item.
#[pin_data]
struct Action<T> {
    desc: Atomic<usize>,
    runner: Atomic<usize>,
    source: Source,
    #[pin]
    handler: T,
    // The kernel has a pointer to it.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Action<T> where T);

// SAFETY: When `stop` has returned, no function of the value runs or will, and the kernel has
// no pointer to the value that it uses.
unsafe impl<T: Handler> Stop for Action<T> {
    const NAME: &'static CStr = c"interrupt handlers";
    /// `T::hard` waits for nobody.
    const HAS_RUNNER: bool = true;
    const HAS_OWNER: bool = true;

    fn stop(&self) {
        let desc = self.desc();
        if !desc.is_null() {
            // SAFETY: By the type invariants, and this may sleep. Nobody else has the cookie.
            unsafe { bindings::lkm_irq_free(desc, self.source.number, self.cookie()) };
        }
    }

    fn give_back(&self) {
        let desc = self.desc();
        if !desc.is_null() {
            // SAFETY: By the type invariants. Nobody waits for handlers any more.
            unsafe { bindings::lkm_irq_put(desc) };
        }
    }

    fn runner(&self) -> Runner {
        self.runner.load(Relaxed) as Runner
    }

    fn owner(&self) -> *const c_void {
        self.source.owner()
    }
}

impl<T: Handler> Irq<T> {
    /// Has `handler` answer the interrupt that comes from `source`. May sleep.
    ///
    /// `/proc/interrupts` shows `name`. The thread is called `irq/NUMBER-name`, and
    /// `/proc/irq/NUMBER` has a directory of that name. If there is something called so, the
    /// kernel prints a warning.
    ///
    /// # Errors
    ///
    /// In case of an error `handler` is dropped, and the line of `source` is given back.
    ///
    /// - `EINVAL`: `name` is no file name;
    /// - `EINVAL`: there is no interrupt with that number, or it cannot be had, as the message of
    ///   a device, or the line has no such trigger;
    /// - `EINVAL`: the handler has no `thread`, and only that could be called;
    /// - `ENOTCONN`: that number stands for no interrupt;
    /// - `ENODEV`: the chip of the line is gone, or no driver has the PCI device any more;
    /// - `EBUSY`: somebody has the interrupt, and does not share it. The kernel prints a line;
    /// - `EIO`: it is the number of a line that is driven by the kernel;
    /// - `ENOSYS`: the interrupt has no chip, or not any more;
    /// - `ENOMEM`: no memory;
    /// - `EINTR`: the caller is being killed;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - those of the chip, and the error of `handler`.
    pub fn new<E>(
        source: Source,
        trigger: Trigger,
        name: &'static CStr,
        handler: impl PinInit<T, E>,
    ) -> Result<Self>
    where
        Error: From<E>,
    {
        const {
            assert!(
                T::HAS_HARD || T::HAS_THREAD,
                "the handler has neither `hard` nor `thread`"
            )
        };
        // It is a directory in `/proc/irq`.
        if !is_name(name) {
            return Err(EINVAL);
        }
        // It goes with the device that it is of.
        #[cfg(CONFIG_PCI)]
        let device = source.vector.as_ref().map(|it| it.device().clone());
        #[cfg(CONFIG_PCI)]
        let _making = device.as_ref().map(|it| it.making()).transpose()?;
        let action = try_pin_init!(Action {
            desc: Atomic::new(0),
            runner: Atomic::new(0),
            source,
            handler <- handler,
            _pin: PhantomPinned,
        }? Error);
        let action = Alive::new_of(action, |action| {
            // The handler can run before `request_threaded_irq()` returns.
            let action = action.into_ref().get_ref();
            action.source.check_number()?;
            // SAFETY: It is ended below.
            let request = unsafe { bindings::lkm_irq_request_begin() };
            // SAFETY: The functions are for such a pointer, and what it points to stays
            // where it is until `stop`. The name is a string that lives as long as the
            // module.
            // Unload rule, unregister waits: see `stop`.
            let result = to_result(unsafe {
                bindings::request_threaded_irq(
                    action.source.number,
                    Action::<T>::HARD,
                    Action::<T>::THREAD,
                    (trigger.flags() | Action::<T>::FLAGS | action.shared()) as c_ulong,
                    name.as_char_ptr(),
                    action.cookie(),
                )
            });
            if result.is_ok() {
                // SAFETY: This takes a number.
                let desc = unsafe { bindings::lkm_irq_get(action.source.number) };
                // INVARIANT: The interrupt was requested. If it has gone meanwhile, C has
                // removed the handler and waited for it.
                action.desc.store(desc.expose_provenance(), Relaxed);
            }
            // SAFETY: It was begun above.
            unsafe { bindings::lkm_irq_request_end(request) };
            result?;
            action.source.check()
        })?;
        Ok(Self(action))
    }

    /// Where the interrupt comes from. Can be called in any context; to use the line may
    /// sleep.
    pub fn source(&self) -> &Source {
        &self.0.source
    }

    /// The number of the interrupt. Can be called in any context.
    pub fn number(&self) -> u32 {
        self.0.source.number
    }

    /// Waits until the handler has done all that it had to do when this was called. May
    /// sleep.
    ///
    /// # Errors
    ///
    /// - `EDEADLK`: the caller is the thread of this interrupt, or that thread waits in this
    ///   way, or by a drop, for the caller.
    pub fn sync(&self) -> Result {
        self.0.wait(|action| {
            let desc = action.desc();
            if !desc.is_null() {
                // SAFETY: By the type invariants: it is put when nobody has the handle any
                // more. This may sleep.
                unsafe { bindings::lkm_irq_sync(desc, action.source.number) };
            }
        })
    }
}

impl<T: Handler> Deref for Irq<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.handler
    }
}

impl<T: Handler> Action<T> {
    const HARD: bindings::irq_handler_t = if T::HAS_HARD { Some(Self::hard) } else { None };

    const THREAD: bindings::irq_handler_t = if T::HAS_THREAD {
        Some(Self::thread)
    } else {
        None
    };

    /// A line that is high or low stays off until the thread has dealt with it. With that
    /// flag, or the other one, `hard` is not made to run in a thread by `threadirqs` on the
    /// kernel's command line.
    const FLAGS: u32 = if T::HAS_THREAD {
        bindings::IRQF_ONESHOT
    } else {
        bindings::IRQF_NO_THREAD
    };

    /// The flag of an interrupt that others have, too.
    fn shared(&self) -> u32 {
        match self.source.is_shared() {
            true => bindings::IRQF_SHARED,
            false => 0,
        }
    }

    /// The interrupt's descriptor, or null.
    fn desc(&self) -> *mut c_void {
        // CAST: It was a pointer.
        self.desc.load(Relaxed) as *mut c_void
    }

    /// What the kernel knows the handler by.
    fn cookie(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// # Safety
    ///
    /// `cookie` is that of a `Self`, which is not freed during the call.
    unsafe extern "C" fn hard(_irq: c_int, cookie: *mut c_void) -> c_uint {
        // SAFETY: By this function's contract: to free it waits for this.
        let this = unsafe { &*cookie.cast::<Self>() };
        #[cfg(all(CONFIG_PROVE_LOCKING, not(CONFIG_PREEMPT_RT)))]
        // SAFETY: This is called for an interrupt.
        unsafe {
            bindings::lkm_irq_hard_begin();
        }
        match this.handler.hard() {
            Reply::NotMine => bindings::irqreturn_IRQ_NONE,
            Reply::WakeThread if T::HAS_THREAD => bindings::irqreturn_IRQ_WAKE_THREAD,
            Reply::Done | Reply::WakeThread => bindings::irqreturn_IRQ_HANDLED,
        }
    }

    /// # Safety
    ///
    /// `cookie` is that of a `Self`, which is not freed during the call.
    unsafe extern "C" fn thread(_irq: c_int, cookie: *mut c_void) -> c_uint {
        // SAFETY: By this function's contract: to free it waits for this.
        let this = unsafe { &*cookie.cast::<Self>() };
        // INVARIANT: Nobody else runs it meanwhile.
        this.runner.store(current_runner().addr(), Relaxed);
        this.handler.thread(&this.source);
        // INVARIANT: It has run.
        this.runner.store(0, Relaxed);
        bindings::irqreturn_IRQ_HANDLED
    }
}
