// SPDX-License-Identifier: GPL-2.0-only

//! Virtual terminals: the consoles that share the machine's screen and keyboard.
//!
//! C headers: [`include/linux/vt_kern.h`](srctree/include/linux/vt_kern.h),
//! [`include/linux/console_struct.h`](srctree/include/linux/console_struct.h),
//! [`include/uapi/linux/kd.h`](srctree/include/uapi/linux/kd.h)
//!
//! The `kernel` crate has no consoles.
//!
//! Consoles come and go, and so do the terminals on them. Here they are looked at under
//! the lock of the consoles only, and a terminal is used with a reference to it.

use crate::{
    bindings,
    print::Hashed, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    error::to_result,
    prelude::*,
    task::might_sleep, //
};

/// How many consoles there can be.
pub const MAX_NR_CONSOLES: u32 = bindings::lkm_vt_LKM_MAX_NR_CONSOLES;

/// The number of the console that is in the foreground. Console 0 is `/dev/tty1`. May sleep.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// pr_info!("the screen shows /dev/tty{}\n", lkm::vt::foreground() + 1);
/// ```
pub fn foreground() -> u32 {
    Tty::of_foreground().0
}

/// A console that exists.
pub struct Console {
    number: u32,
    tty: Hashed<c_void>,
}

impl Console {
    /// The console of that number, if there is one: each comes into being when it is first
    /// opened, or comes to the foreground. May sleep.
    ///
    /// # Examples
    ///
    /// ```
    /// # use kernel::prelude::*;
    /// use lkm::vt::{Console, MAX_NR_CONSOLES};
    ///
    /// let count = (0..MAX_NR_CONSOLES).filter_map(Console::find).count();
    /// pr_info!("there are {count} consoles\n");
    /// ```
    pub fn find(number: u32) -> Option<Self> {
        might_sleep();
        let mut tty = ptr::null();
        // SAFETY: This may sleep, and writes an address.
        let exists = unsafe { bindings::lkm_vt_console(number, &mut tty) };
        exists.then_some(Self {
            number,
            tty: Hashed(tty),
        })
    }

    /// Its number. Can be called in any context.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The address of the `struct tty_struct` that it had when it was found. It is null if
    /// nobody had it open. Can be called in any context.
    pub fn tty(&self) -> Hashed<c_void> {
        self.tty
    }
}

/// A set of the LEDs on a keyboard, combined with `|`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Leds(u32);

impl Leds {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// Scroll Lock, `LED_SCR`.
    pub const SCROLL: Self = Self(1);
    /// Num Lock, `LED_NUM`.
    pub const NUM: Self = Self(2);
    /// Caps Lock, `LED_CAP`.
    pub const CAPS: Self = Self(4);
    /// All three.
    pub const ALL: Self = Self(7);
}

impl_flag_set!(Leds);

/// The LEDs of the keyboards, as a console shows them while it is in the foreground.
///
/// Usually they say which locks are on. [`show`](Self::show) lights others instead.
/// [`restore`](Self::restore), which dropping this does too, has them say it again. The
/// locks themselves stay as they are.
///
/// The keyboards have one set of LEDs, and the last one to show something wins: another
/// value of this type, or a process with the ioctl `KDSETLED`, which is what this uses.
///
/// As long as a console shows others, it counts as in use: user space cannot free it
/// (`VT_DISALLOCATE`).
///
/// # Unloading
///
/// Nothing of the module is registered. This has a reference to a terminal of the
/// kernel's. If it is lost the LEDs stay as they are, and the console is in use for ever,
/// which does no harm to the kernel.
///
/// # Examples
///
/// ```
/// # use kernel::prelude::*;
/// use lkm::vt::{KeyboardLeds, Leds};
///
/// let mut leds = KeyboardLeds::new()?;
/// leds.show(Leds::CAPS | Leds::NUM)?;
/// // They say again which locks are on.
/// drop(leds);
/// # Ok::<(), Error>(())
/// ```
pub struct KeyboardLeds {
    /// The console that shows others.
    changed: Option<(u32, Tty)>,
}

impl KeyboardLeds {
    /// Changes nothing yet. May sleep.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the console in the foreground is not open, as on a machine where all use a
    ///   serial port. The LEDs are its terminal's.
    pub fn new() -> Result<Self> {
        match Tty::of_foreground() {
            (_, Some(_)) => Ok(Self { changed: None }),
            (_, None) => Err(ENODEV),
        }
    }

    /// Lights `leds` and no others, on the console that is in the foreground now. If that was
    /// another one before, the LEDs of the other are [restored](Self::restore). May sleep; in
    /// process context only.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the console in the foreground is not open. What was lit before is restored.
    pub fn show(&mut self, leds: Leds) -> Result {
        let (number, tty) = Tty::of_foreground();
        let is_same = matches!(&self.changed, Some((changed, _)) if *changed == number);
        if !is_same || tty.is_none() {
            self.restore();
        }
        let tty = tty.ok_or(ENODEV)?;
        tty.set_leds(leds.0 as c_ulong)?;
        // The terminal of the same console can be another one by now. What is set belongs to
        // the console.
        self.changed = Some((number, tty));
        Ok(())
    }

    /// Has the LEDs say again which locks are on. It does not matter whether the console
    /// is still in the foreground, or open. May sleep; in process context only.
    pub fn restore(&mut self) {
        // Any number that is not a set of LEDs.
        const LOCKS: c_ulong = 0xff;
        if let Some((_, tty)) = self.changed.take() {
            // The terminal keeps its console, and nobody has to be asked: it does not fail.
            let _ = tty.set_leds(LOCKS);
        }
    }
}

impl Drop for KeyboardLeds {
    /// May sleep; in process context only.
    fn drop(&mut self) {
        self.restore();
    }
}

/// A reference to the terminal of a console.
///
/// # Invariants
///
/// `lkm_vt_foreground()` returned it, and only this value puts it. It keeps C's data of the
/// console, too, also when it is no longer the console's terminal.
struct Tty(NonNull<c_void>);

// SAFETY: References to terminals are counted atomically, and belong to no thread.
unsafe impl Send for Tty {}

// SAFETY: C has locks for what `set_leds` does.
unsafe impl Sync for Tty {}

impl Tty {
    /// The console in the foreground, and its terminal if that is open. May sleep.
    fn of_foreground() -> (u32, Option<Self>) {
        might_sleep();
        let mut tty = ptr::null_mut();
        // SAFETY: This may sleep, and writes an address.
        let number = unsafe { bindings::lkm_vt_foreground(&mut tty) };
        // INVARIANT: It is a reference that was just taken.
        (number, NonNull::new(tty).map(Self))
    }

    fn set_leds(&self, leds: c_ulong) -> Result {
        // SAFETY: By the type invariants.
        to_result(unsafe { bindings::lkm_vt_set_leds(self.0.as_ptr(), leds) })
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the reference is ours. The functions that C calls
        // for the last one are the kernel's.
        unsafe { bindings::lkm_vt_put(self.0.as_ptr()) };
    }
}
