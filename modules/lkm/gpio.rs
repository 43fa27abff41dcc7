// SPDX-License-Identifier: GPL-2.0-only

//! GPIO lines: wires that a module drives, reads, or is interrupted by; and controllers of
//! one's own.
//!
//! C headers: [`include/linux/gpio/consumer.h`](srctree/include/linux/gpio/consumer.h),
//! [`include/linux/gpio/machine.h`](srctree/include/linux/gpio/machine.h)
//!
//! Reference: <https://docs.kernel.org/driver-api/gpio/consumer.html>
//!
//! The `kernel` crate has no GPIO.
//!
//! # Which line
//!
//! A chip has a label, and lines with the numbers 0, 1 and so on.
//! `/sys/kernel/debug/gpio` shows the chips, their labels, and who has which line. C also
//! has a number for each line of the whole machine. It depends on which chips were there
//! first, and new code does not use it.
//!
//! # Which direction
//!
//! A line that was asked for is a [`Gpio`]: it is left as it was. It becomes an
//! [`Output`] or an [`Input`]. Only an output can be set, and only an input can be what an
//! [interrupt](crate::irq) comes from.
//!
//! # Context
//!
//! A chip can be at the other end of a slow bus. So all of this may sleep: it is for the
//! thread of an interrupt, not for its handler. If the chip is not behind such a bus, an
//! [`AtomicInput`] can be read where one must not sleep.

use crate::{
    alive::{
        tick,
        Alive,
        Stop, //
    },
    bindings,
    compat::{
        AtomicFlag,
        CStrExt, //
    },
    errno::error,
    irq::Source, //
};
use core::{
    ffi::CStr,
    ptr, //
};

use kernel::{
    error::from_err_ptr,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Full,
        Release, //
    },
};

mod atomic;
#[cfg(all(CONFIG_IRQ_DOMAIN, CONFIG_IRQ_WORK))]
pub mod chip;

pub use atomic::AtomicInput;

/// A line that belongs to the module, and that nothing was done with yet.
///
/// Nobody else can have the line meanwhile, be it the kernel or a process. Dropping this
/// gives the line back, and so it does when it is an [`Output`] or an [`Input`]. That may
/// sleep. In a context where that cannot be, the line is given back a little later.
///
/// # Chips that go
///
/// The line keeps the module of its chip. The chip itself can go all the same: somebody
/// pulls it out, or takes it from its driver. From then on all that is done with the line
/// fails with `ENODEV`, also when a chip of that label is there again.
///
/// # Unloading
///
/// Nothing of the module is registered: the kernel has no pointer to it, and calls nothing.
/// A line whose handle is lost is given back when the module ends. Then *we wait* for those
/// who use it, and whoever uses it later gets `ESHUTDOWN`.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::gpio::Gpio;
///
/// let led = Gpio::get(c"chip", 4, c"LED")?.into_output(false)?;
/// led.set(true)?;
///
/// let button = Gpio::get(c"chip", 17, c"button")?.into_input()?;
/// pr_info!("pressed: {}\n", button.get()?);
/// # Ok::<(), Error>(())
/// ```
pub struct Gpio(Alive<Line>);

/// A line that the module drives, high or low.
///
/// # Unloading
///
/// As for a [`Gpio`].
pub struct Output(Alive<Line>);

/// A line that somebody else drives.
///
/// # Unloading
///
/// As for a [`Gpio`].
pub struct Input(Alive<Line>);

/// # Invariants
///
/// `desc` is null, or it is that of a line that was requested and not given back yet, as
/// long as it is not `closed` or somebody is in [`call`](Self::call).
struct Line {
    desc: *mut bindings::gpio_desc,
    /// How many calls run.
    calls: Atomic<i32>,
    /// Whether it was given back, or is about to be.
    closed: AtomicFlag,
}

// SAFETY: A line may be used and given back in any thread that may sleep.
unsafe impl Send for Line {}

// SAFETY: The kernel has locks for a line.
unsafe impl Sync for Line {}

// SAFETY: C has no pointer to the module for a line, and gets none.
unsafe impl Stop for Line {
    const NAME: &'static CStr = c"GPIO lines";

    fn stop(&self) {
        if self.desc.is_null() || self.closed.xchg(true, Full) {
            return;
        }
        // Unload rule, we wait: there can be calls at the end of the module only. Who drops
        // the handle has the only one.
        while self.calls.load(Acquire) > 0 {
            tick();
        }
        // SAFETY: By the type invariants. Nobody uses the line any more.
        unsafe { bindings::gpiod_put(self.desc) };
    }
}

impl Line {
    /// Calls `f`, a function of C, with the line, and returns what it returns if that is not
    /// negative.
    fn call(&self, f: impl FnOnce(*mut bindings::gpio_desc) -> c_int) -> Result<c_int> {
        // Either `stop` sees that we are here, or we see that it has begun.
        self.calls.fetch_add(1, Full);
        let result = match self.closed.load(Acquire) {
            false => returned(f(self.desc)),
            true => Err(error(bindings::ESHUTDOWN)),
        };
        self.calls.fetch_add(-1, Release);
        result
    }
}

/// What a function of C has returned: a number, or an error if it is negative.
fn returned(value: c_int) -> Result<c_int> {
    match value < 0 {
        true => Err(without_defer(Error::from_errno(value))),
        false => Ok(value),
    }
}

/// C asks a driver to try again later, for which there is no error in user space.
fn without_defer(error: Error) -> Error {
    match error {
        EPROBE_DEFER => ENODEV,
        error => error,
    }
}

fn into_output(line: Alive<Line>, level: bool) -> Result<Output> {
    // SAFETY: In `call` the line is there, by the type invariants.
    line.call(|desc| unsafe { bindings::gpiod_direction_output(desc, level.into()) })?;
    Ok(Output(line))
}

fn into_input(line: Alive<Line>) -> Result<Input> {
    // SAFETY: In `call` the line is there, by the type invariants.
    line.call(|desc| unsafe { bindings::gpiod_direction_input(desc) })?;
    Ok(Input(line))
}

fn get(line: &Alive<Line>) -> Result<bool> {
    // SAFETY: In `call` the line is there, by the type invariants.
    let level = line.call(|desc| unsafe { bindings::gpiod_get_value_cansleep(desc) })?;
    Ok(level != 0)
}

impl Gpio {
    /// Asks for the line with the number `offset` of the chip with the label `chip_label`.
    /// `consumer` is what others see of who has it. May sleep.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: there is no such chip, or it is about to go;
    /// - `EINVAL`: the chip has no such line, or the line cannot be used. The kernel may say
    ///   in the log which lines there are;
    /// - `EBUSY`: somebody has the line;
    /// - `ENOMEM`: no memory;
    /// - `EPERM`, `ESHUTDOWN`: the module's init has not begun, or the module ends;
    /// - those of the chip.
    pub fn get(chip_label: &CStr, offset: u32, consumer: &CStr) -> Result<Self> {
        // The largest number means something else to C.
        let offset = match u16::try_from(offset) {
            Ok(offset) if offset < u16::MAX => offset,
            _ => return Err(EINVAL),
        };
        let line = try_init!(Line {
            desc: ptr::null_mut(),
            calls: Atomic::new(0),
            closed: AtomicFlag::new(false),
        }? Error);
        let line = Alive::new(line, |line| {
            // SAFETY: Both are strings. C looks at the first one, and copies the second.
            let desc = from_err_ptr(unsafe {
                bindings::lkm_gpiod_get(chip_label.as_char_ptr(), offset, consumer.as_char_ptr())
            });
            // INVARIANT: The line was just requested.
            line.get_mut().desc = desc.map_err(without_defer)?;
            Ok(())
        })?;
        Ok(Self(line))
    }

    /// Has the module drive the line, to `level` at first: high is `true`. May sleep.
    ///
    /// # Errors
    ///
    /// In case of an error the line is given back.
    ///
    /// - `ENODEV`: the chip is gone;
    /// - `ESHUTDOWN`: the module ends;
    /// - those of the chip, such as `EIO` for a line that can only be read.
    pub fn into_output(self, level: bool) -> Result<Output> {
        into_output(self.0, level)
    }

    /// Lets somebody else drive the line. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`into_output`](Self::into_output).
    pub fn into_input(self) -> Result<Input> {
        into_input(self.0)
    }
}

impl Output {
    /// Drives the line to `level`: high is `true`. May sleep.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the chip is gone;
    /// - `ESHUTDOWN`: the module ends;
    /// - those of the chip.
    pub fn set(&self, level: bool) -> Result {
        // SAFETY: In `call` the line is there, by the type invariants.
        let set = |desc| unsafe { bindings::gpiod_set_value_cansleep(desc, level.into()) };
        self.0.call(set).map(drop)
    }

    /// What the line is driven to, as the chip says. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`set`](Self::set), and:
    ///
    /// - `EIO`: the chip cannot say that.
    pub fn get(&self) -> Result<bool> {
        get(&self.0)
    }

    /// Lets somebody else drive the line. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`Gpio::into_output`].
    pub fn into_input(self) -> Result<Input> {
        into_input(self.0)
    }
}

impl Input {
    /// What the line is driven to: high is `true`. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`Output::get`].
    pub fn get(&self) -> Result<bool> {
        get(&self.0)
    }

    /// Has the module drive the line, to `level` at first. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`Gpio::into_output`].
    pub fn into_output(self, level: bool) -> Result<Output> {
        into_output(self.0, level)
    }

    /// Makes the line what an interrupt comes from, for
    /// [`Irq::new`](crate::irq::Irq::new). The line belongs to the interrupt then, and is
    /// given back after it. May sleep.
    ///
    /// # Errors
    ///
    /// In case of an error the line is given back.
    ///
    /// - `ENXIO`: the chip has no interrupts;
    /// - `ENODEV`: the chip is gone, or not ready;
    /// - `ESHUTDOWN`: the module ends;
    /// - those of the chip.
    pub fn irq(self) -> Result<Source> {
        Ok(Source::of_input(self.irq_number()?, self))
    }

    /// The number of the line's interrupt. May sleep.
    pub(crate) fn irq_number(&self) -> Result<u32> {
        let number = self.0.call(|desc| {
            // SAFETY: In `call` the line is there, by the type invariants.
            unsafe { bindings::gpiod_to_irq(desc) }
        })?;
        // CAST: It is not negative.
        Ok(number as u32)
    }
}
