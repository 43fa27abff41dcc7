// SPDX-License-Identifier: GPL-2.0-only

//! The keyboard's LEDs, and the consoles that it can be in front of.
//!
//! Reference: `Documentation/input/event-codes.rst`, ioctl_console(2)

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result};
use rustix::{io::Errno, ioctl::opcode};

use crate::{
    eventually::eventually,
    files::names,
    syscalls::{Argument, errno, ioctl},
};

/// Where the kernel says what its input devices have.
const DEVICES: &str = "/sys/class/input";

/// An ioctl: which LEDs of an input device are lit.
const EVIOCGLED: u32 = opcode::read::<[u8; 8]>(b'E', 0x19);

/// A set of LEDs, as input devices number them.
pub type Leds = u64;
/// Num Lock.
pub const NUM: Leds = 1;
/// Caps Lock.
pub const CAPS: Leds = 2;
/// Scroll Lock.
pub const SCROLL: Leds = 4;
/// All three.
pub const ALL: Leds = NUM | CAPS | SCROLL;

/// A keyboard with these LEDs.
pub struct Keyboard(File);

impl Keyboard {
    /// The first one that the machine has. The kernel looks for keyboards while programs run
    /// already, so this waits up to two minutes for one.
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn find() -> Result<Self> {
        let mut found = None;
        eventually("a keyboard with LEDs", || {
            found = Self::look().ok();
            found.is_some()
        })?;
        found.context("a keyboard with LEDs")
    }

    fn look() -> Result<Self> {
        let mut names = names(DEVICES).context(DEVICES)?;
        names.retain(|name| name.starts_with("event"));
        let has_leds = |name: &String| {
            let file = Path::new(DEVICES)
                .join(name)
                .join("device/capabilities/led");
            let leds = fs::read_to_string(file).unwrap_or_default();
            leds_of(&leds) & ALL == ALL
        };
        let name = names.iter().find(|name| has_leds(name));
        let name = name.context("there is no keyboard with LEDs")?;
        let path = Path::new("/dev/input").join(name);
        let file = File::open(&path).with_context(|| path.display().to_string())?;
        Ok(Self(file))
    }

    /// The LEDs that are lit.
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    pub fn leds(&self) -> Result<Leds> {
        let mut leds = [0; 8];
        ioctl(&self.0, EVIOCGLED, Argument::Buffer(&mut leds))?;
        Ok(Leds::from_le_bytes(leds) & ALL)
    }
}

/// Reads a set as it is in sysfs: words in hexadecimal, the lowest last.
fn leds_of(text: &str) -> Leds {
    let last = text.split_whitespace().next_back().unwrap_or_default();
    Leds::from_str_radix(last, 16).unwrap_or_default()
}

/// Opens the console with this number; 0 is the one in the foreground.
///
/// # Errors
///
/// As `File::open`.
pub fn console(number: u32) -> Result<File> {
    let path = format!("/dev/tty{number}");
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let file = options.custom_flags(libc::O_NOCTTY).open(&path);
    file.context(path)
}

/// The number of the console in the foreground.
///
/// # Errors
///
/// When the kernel does not say.
pub fn foreground() -> Result<u32> {
    const VT_GETSTATE: u32 = 0x5603;
    let mut state = [0; 6];
    ioctl(console(0)?, VT_GETSTATE, Argument::Buffer(&mut state))?;
    Ok(u16::from_ne_bytes([state[0], state[1]]).into())
}

/// Brings the console with this number to the foreground, and waits until it is there.
///
/// # Errors
///
/// When the kernel refuses.
pub fn activate(number: u32) -> Result<()> {
    const VT_ACTIVATE: u32 = 0x5606;
    const VT_WAITACTIVE: u32 = 0x5607;
    let any = console(0)?;
    let number = || Argument::Number(number as usize);
    ioctl(&any, VT_ACTIVATE, number())?;
    ioctl(&any, VT_WAITACTIVE, number())?;
    Ok(())
}

/// Frees the console with this number, which is neither open nor in the foreground. The
/// kernel is done with one that was closed a little later, so this waits up to two minutes.
///
/// # Errors
///
/// When the kernel refuses.
pub fn disallocate(number: u32) -> Result<()> {
    let mut freed = Ok(());
    let is_busy = |error: &anyhow::Error| errno(error) == Some(Errno::BUSY);
    eventually(&format!("/dev/tty{number} to be free"), || {
        freed = try_disallocate(number);
        !freed.as_ref().is_err_and(is_busy)
    })?;
    freed
}

/// As [`disallocate`], without waiting.
///
/// # Errors
///
/// When the kernel refuses: [`Errno::BUSY`] as long as somebody has the console.
pub fn try_disallocate(number: u32) -> Result<()> {
    const VT_DISALLOCATE: u32 = 0x5608;
    let number = Argument::Number(number as usize);
    ioctl(console(0)?, VT_DISALLOCATE, number)?;
    Ok(())
}

/// Turns the locks of a console on or off, as its user does with the keys.
///
/// # Errors
///
/// When the kernel refuses.
pub fn set_locks(console: &File, locks: Leds) -> Result<()> {
    const KDSKBLED: u32 = 0x4b65;
    // Consoles number them otherwise.
    let numbers: [(Leds, usize); 3] = [(SCROLL, 1), (NUM, 2), (CAPS, 4)];
    let on = numbers.iter().filter(|(lock, _)| locks & lock != 0);
    let sum: usize = on.map(|(_, number)| number).sum();
    ioctl(console, KDSKBLED, Argument::Number(sum))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read() {
        assert_eq!(leds_of("7\n"), ALL);
        assert_eq!(leds_of("1 3\n"), NUM | CAPS);
        assert_eq!(leds_of("0\n"), 0);
    }
}
