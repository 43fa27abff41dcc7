// SPDX-License-Identifier: GPL-2.0-only

//! Lines for code that must not sleep.

use super::Input;
use crate::{
    bindings,
    errno::error, //
};
use kernel::prelude::*;

impl Input {
    /// The line for code that must not sleep, such as the handler of an interrupt, or that
    /// must not be interrupted. Can be called in any context.
    ///
    /// # Errors
    ///
    /// - `EOPNOTSUPP`: the line's controller is behind something that makes one wait, such as
    ///   a slow bus;
    /// - `ESHUTDOWN`: the module ends.
    pub fn atomic(&self) -> Result<AtomicInput<'_>> {
        let sleeps = self.0.call(|desc| {
            // SAFETY: In `call` the line is there. This reads a flag that does not change.
            unsafe { bindings::gpiod_cansleep(desc) }
        })?;
        match sleeps {
            0 => Ok(AtomicInput(self)),
            _ => Err(error(bindings::EOPNOTSUPP)),
        }
    }
}

/// An [`Input`] whose level can be read without sleeping: [`Input::atomic`] makes one.
///
/// # Unloading
///
/// Nothing is registered: it borrows the line.
///
/// # Invariants
///
/// The line's controller does not sleep.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use core::ffi::CStr;
/// use lkm::gpio::Gpio;
///
/// fn is_pressed(label: &CStr) -> Result<bool> {
///     let button = Gpio::get(label, 0, c"button")?.into_input()?;
///     let button = button.atomic()?;
///     // Here: with interrupts off.
///     button.get()
/// }
/// ```
#[derive(Clone, Copy)]
pub struct AtomicInput<'a>(&'a Input);

impl AtomicInput<'_> {
    /// The level, as [`Input::get`] has it. Can be called in any context except NMI, also
    /// with interrupts off.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the controller is gone;
    /// - `ESHUTDOWN`: the module ends;
    /// - the controller's error.
    pub fn get(&self) -> Result<bool> {
        let Self(Input(line)) = self;
        let level = line.call(|desc| {
            // SAFETY: In `call` the line is there. By the type invariants this does not sleep.
            unsafe { bindings::gpiod_get_value(desc) }
        })?;
        Ok(level != 0)
    }
}
