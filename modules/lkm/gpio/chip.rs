// SPDX-License-Identifier: GPL-2.0-only

//! A GPIO controller: lines that others use, in the kernel and in user space.
//!
//! C headers: [`include/linux/gpio/driver.h`](srctree/include/linux/gpio/driver.h),
//! [`include/linux/irq.h`](srctree/include/linux/irq.h),
//! [`include/linux/irqdomain.h`](srctree/include/linux/irqdomain.h),
//! [`include/linux/irq_work.h`](srctree/include/linux/irq_work.h)
//!
//! The `kernel` crate has no GPIO controllers, and no interrupt controllers.
//!
//! C's half is in `helpers/gpio_chip.c`. Who only wants interrupts to play with uses C's
//! `irq_sim`. It is not used here: when two CPUs fire at a time, it can take a line for one
//! that it does not have, and handle interrupt 0.

use crate::{
    alive::{
        Alive,
        Stop, //
    },
    bindings,
    compat::CStrExt,
    errno, //
};
use core::{
    ffi::CStr,
    marker::PhantomPinned,
    ops::Deref,
    ptr, //
};
use kernel::{
    error::from_err_ptr,
    prelude::*, //
};

/// What a controller does with its lines.
///
/// A line has a number, from 0 on, below the number of lines that the controller was
/// registered with. A level is `true` when it is high. The kernel takes care of lines that
/// are active when they are low: these are levels as they are.
///
/// Methods can run at the same time, for the same line, too. The kernel remembers which
/// lines are outputs. At first none is.
///
/// An error is the error of who has called, which can be user space: for numbers from 512
/// on see [`Operations`](crate::file::Operations).
///
/// # Context
///
/// With [`CAN_SLEEP`](Self::CAN_SLEEP) all methods run in process context and may sleep.
/// Without it they run in any context except NMI, also with interrupts off, and must not
/// sleep. An [`IrqSpinLock`](crate::sync::IrqSpinLock) protects what they share.
///
/// # Unloading
///
/// See [`Registration`]. Removing the controller waits for methods that run, so each must
/// end.
pub trait Chip: Send + Sync + 'static {
    /// Whether methods may sleep, as they do for a chip behind a slow bus. Who must not
    /// sleep cannot use the lines then.
    const CAN_SLEEP: bool = false;

    /// Makes the line an input.
    ///
    /// # Errors
    ///
    /// The caller gets the error. The line stays what it was.
    fn direction_input(&self, line: u32) -> Result;

    /// Makes the line an output with this level.
    ///
    /// # Errors
    ///
    /// The caller gets the error. The line stays what it was.
    fn direction_output(&self, line: u32, level: bool) -> Result;

    /// The level of the line, be it an input or an output.
    ///
    /// # Errors
    ///
    /// The caller gets the error.
    fn get(&self, line: u32) -> Result<bool>;

    /// Changes the level of the line, which is an output. For user space it can also be one
    /// that [`direction_output`](Self::direction_output) has refused to make one.
    ///
    /// # Errors
    ///
    /// The caller gets the error.
    fn set(&self, line: u32, level: bool) -> Result;
}

/// A GPIO controller, for as long as this value lives. It dereferences to its [`Chip`].
///
/// In the kernel one gets a line by the controller's label and the number of the line. In
/// user space there is `/dev/gpiochipN`; the tools of libgpiod, such as `gpiodetect`, find
/// the N that goes with a label. Each line is an interrupt, too, for edges, not for levels:
/// [`edge`](Self::edge) fires it.
///
/// # Unloading
///
/// *Owner held*: a line that somebody has requested, and an interrupt, keep the module, so
/// `rmmod` is refused with `EWOULDBLOCK`. The module itself counts, too: one that holds a
/// line of its own controller cannot be unloaded. `/dev/gpiochipN` alone, when it is open,
/// does not keep the module; it answers `ENODEV` when the controller is gone.
///
/// *Unregister waits*: dropping this value waits until no method runs and none can begin,
/// and until no handler of an interrupt runs. If it is dropped while lines are requested,
/// their interrupts are freed, and whatever their holders do with them fails with `ENODEV`.
/// The kernel does not free their names then. A process that has an edge of such a line
/// requested should close that file before a line of another controller becomes an
/// interrupt: that can get the old one's number, and the kernel then warns.
///
/// It also waits for processes that read from `/dev/gpiochipN`, or wait for an edge in a
/// `read(2)`, until something comes or a signal ends it: so the kernel does that. Who
/// waits in `poll(2)` is told when nobody reads any more.
///
/// When init fails, the kernel frees the module regardless of lines that are requested. *We
/// wait* then, until they are given back.
///
/// A method may drop its own controller. It does not wait then: that is done a little later.
/// So it is where an interrupt's handler drops it, and while more than 64 tasks are in methods.
/// What else the module drops in this way waits behind it.
///
/// # Examples
///
/// Two lines with a wire between them:
///
/// ```
/// # use kernel::prelude::*;
/// use kernel::sync::atomic::{Atomic, Relaxed};
/// use lkm::gpio::chip::{self, Chip};
///
/// struct Wire(Atomic<u32>);
///
/// impl Chip for Wire {
///     fn direction_input(&self, _line: u32) -> Result {
///         Ok(())
///     }
///
///     fn direction_output(&self, line: u32, level: bool) -> Result {
///         self.set(line, level)
///     }
///
///     fn get(&self, _line: u32) -> Result<bool> {
///         Ok(self.0.load(Relaxed) != 0)
///     }
///
///     fn set(&self, _line: u32, level: bool) -> Result {
///         self.0.store(level.into(), Relaxed);
///         Ok(())
///     }
/// }
///
/// let wire = chip::Registration::new(c"wire", 2, Wire(Atomic::new(0)))?;
/// wire.set(0, true)?;
/// // Whoever waits for the rising edge of line 1 gets an interrupt.
/// wire.edge(1, true)?;
/// # Ok::<(), Error>(())
/// ```
pub struct Registration<T: Chip>(Alive<Controller<T>>);

/// # Invariants
///
/// `raw` is null, or `lkm_gpio_chip_add()` returned it for `Self::OPS` and `chip`, and it is
/// not freed yet.
#[pin_data]
struct Controller<T> {
    raw: *mut bindings::lkm_gpio_chip,
    lines: u32,
    #[pin]
    chip: T,
    // C has a pointer to `chip`.
    #[pin]
    _pin: PhantomPinned,
}

assert_pinned!(Controller<T> where T);

// SAFETY: A controller may be removed on any thread that may sleep, and `T` is `Send`.
unsafe impl<T: Chip> Send for Controller<T> {}

// SAFETY: C has locks of its own, and `T` is `Sync`.
unsafe impl<T: Chip> Sync for Controller<T> {}

// SAFETY: When `stop` has returned, no function of `OPS` runs and none can begin, and no
// interrupt has a pointer to C's half, which stays until `give_back`. Until then it can be
// told of edges: it does nothing.
unsafe impl<T: Chip> Stop for Controller<T> {
    const NAME: &'static CStr = c"GPIO controllers";

    fn stop(&self) {
        if !self.raw.is_null() {
            // SAFETY: By the type invariants. This may sleep, and is called once.
            unsafe { bindings::lkm_gpio_chip_remove(self.raw) };
        }
    }

    /// True in the methods of all controllers of the module, and in all threads of
    /// interrupts: two that drop each other's would wait for each other.
    fn is_within(&self) -> bool {
        // SAFETY: This only reads.
        unsafe { bindings::lkm_gpio_within() }
    }

    fn give_back(&self) {
        if !self.raw.is_null() {
            // SAFETY: By the type invariants. It was removed, and nobody uses it any more.
            unsafe { bindings::lkm_gpio_chip_free(self.raw) };
        }
    }
}

impl<T: Chip> Registration<T> {
    /// As many lines as C's fast paths are for, with its usual configuration.
    const MOST_LINES: u32 = 512;

    /// Registers a controller with this number of lines. From then on, and before this
    /// returns, anybody can use them. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the label is empty; there is no line, or there are more than 512;
    /// - `EEXIST`: a controller has that label. Who asks for a line by label would get one
    ///   of that;
    /// - `ENOSPC`: the kernel has no numbers left for the lines;
    /// - `ENOMEM`;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - the error of `chip`.
    pub fn new<E>(label: &'static CStr, lines: u32, chip: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        if label.is_empty() || !(1..=Self::MOST_LINES).contains(&lines) {
            return Err(EINVAL);
        }
        let controller = try_pin_init!(Controller {
            raw: ptr::null_mut(),
            lines,
            chip <- chip,
            _pin: PhantomPinned,
        }? Error);
        let controller = Alive::new(controller, |controller| {
            // SAFETY: Nothing is moved.
            let controller = unsafe { controller.get_unchecked_mut() };
            // SAFETY: The label is a string that lives as long as the module. The chip is
            // initialised and does not move, and `OPS` is for its type. Both stay until
            // `stop` has returned.
            // Unload rule, owner held: a requested line, and an interrupt, have a reference
            // to the module, which is the owner that C's half names. Unregister waits: see
            // `stop`.
            let raw = unsafe {
                bindings::lkm_gpio_chip_add(
                    label.as_char_ptr(),
                    lines,
                    T::CAN_SLEEP,
                    Controller::<T>::OPS,
                    (&raw mut controller.chip).cast(),
                )
            };
            // INVARIANT: It was just added.
            controller.raw = from_err_ptr(raw)?;
            Ok(())
        })?;
        Ok(Self(controller))
    }

    /// Tells that the level of `line` has changed to `level`. If somebody has requested the
    /// line's interrupt for such an edge, its handler runs soon, in hardirq context.
    ///
    /// Edges of a line that come before the handler begins are one interrupt. [`Chip::get`]
    /// tells the level then. An edge that comes while the interrupt is disabled fires it
    /// when it is enabled again.
    ///
    /// Can be called in any context except NMI, also from the chip's own methods.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there is no such line.
    pub fn edge(&self, line: u32, level: bool) -> Result {
        if line >= self.0.lines {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariants: `new` has returned. There is such a line.
        unsafe { bindings::lkm_gpio_chip_edge(self.0.raw, line, level) };
        Ok(())
    }
}

impl<T: Chip> Deref for Registration<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.chip
    }
}

impl<T: Chip> Controller<T> {
    const OPS: &'static bindings::lkm_gpio_ops = &bindings::lkm_gpio_ops {
        direction_input: Some(Self::direction_input),
        direction_output: Some(Self::direction_output),
        get: Some(Self::get),
        set: Some(Self::set),
    };

    /// # Safety
    ///
    /// Called by C's half only: `data` points to the `T` of a controller that is not removed
    /// during the call, and `line` is one of its lines.
    unsafe extern "C" fn direction_input(data: *mut c_void, line: c_uint) -> c_int {
        // SAFETY: By this function's contract.
        let chip = unsafe { &*data.cast::<T>() };
        done(chip.direction_input(line))
    }

    /// # Safety
    ///
    /// As for `direction_input`.
    unsafe extern "C" fn direction_output(data: *mut c_void, line: c_uint, high: bool) -> c_int {
        // SAFETY: By this function's contract.
        let chip = unsafe { &*data.cast::<T>() };
        done(chip.direction_output(line, high))
    }

    /// # Safety
    ///
    /// As for `direction_input`.
    unsafe extern "C" fn get(data: *mut c_void, line: c_uint) -> c_int {
        // SAFETY: By this function's contract.
        let chip = unsafe { &*data.cast::<T>() };
        match chip.get(line) {
            Ok(high) => high.into(),
            Err(error) => errno::to_user(error),
        }
    }

    /// # Safety
    ///
    /// As for `direction_input`.
    unsafe extern "C" fn set(data: *mut c_void, line: c_uint, high: bool) -> c_int {
        // SAFETY: By this function's contract.
        let chip = unsafe { &*data.cast::<T>() };
        done(chip.set(line, high))
    }
}

/// The return value of a function of C's that returns nothing but an error.
fn done(result: Result) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => errno::to_user(error),
    }
}
