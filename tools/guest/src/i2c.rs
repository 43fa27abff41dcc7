// SPDX-License-Identifier: GPL-2.0-only

//! I2C buses as user space has them: `/sys/bus/i2c`.
//!
//! Reference: `Documentation/i2c/instantiating-devices.rst`.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

use anyhow::{Context, Result};

use crate::files::names;

const DEVICES: &str = "/sys/bus/i2c/devices";
const DRIVERS: &str = "/sys/bus/i2c/drivers";

/// A bus, by the number that the kernel has given it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct I2cBus(u32);

impl I2cBus {
    /// The bus whose adapter is called `name`.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn find(name: &str) -> Result<Self> {
        let found = names(DEVICES)?.into_iter().find_map(|device| {
            let number = device.strip_prefix("i2c-")?.parse().ok()?;
            // It may be gone by now.
            let text = fs::read_to_string(format!("{DEVICES}/{device}/name")).ok()?;
            (text.trim_end() == name).then_some(Self(number))
        });
        found.with_context(|| format!("there is no I2C bus called {name}"))
    }

    /// Whether there is a bus whose adapter is called `name`.
    #[must_use]
    pub fn exists(name: &str) -> bool {
        Self::find(name).is_ok()
    }

    /// Tells the kernel that there is such a device.
    ///
    /// # Errors
    ///
    /// [`Errno::BUSY`](rustix::io::Errno::BUSY) at the root when the address is taken, and
    /// when the bus is gone.
    pub fn add(self, kind: &str, address: u16) -> io::Result<()> {
        let path = format!("{DEVICES}/i2c-{}/new_device", self.0);
        write(&path, &format!("{kind} {address:#x}\n"))
    }

    /// Tells the kernel that the device is gone.
    ///
    /// # Errors
    ///
    /// When it was not [added](Self::add), and when the bus is gone.
    pub fn delete(self, address: u16) -> io::Result<()> {
        let path = format!("{DEVICES}/i2c-{}/delete_device", self.0);
        write(&path, &format!("{address:#x}\n"))
    }

    /// What the kernel calls the device at `address`.
    #[must_use]
    pub fn device(self, address: u16) -> String {
        format!("{}-{address:04x}", self.0)
    }

    /// Whether the kernel has a device at `address`.
    #[must_use]
    pub fn has(self, address: u16) -> bool {
        Path::new(DEVICES).join(self.device(address)).exists()
    }

    /// The name of the driver that has the device at `address`.
    #[must_use]
    pub fn driver(self, address: u16) -> Option<String> {
        let link = format!("{DEVICES}/{}/driver", self.device(address));
        let driver = fs::read_link(link).ok()?;
        Some(driver.file_name()?.to_string_lossy().into_owned())
    }

    /// Gives the device at `address` to a driver.
    ///
    /// # Errors
    ///
    /// The driver's, and when the device is not of its kind.
    pub fn bind(self, driver: &str, address: u16) -> io::Result<()> {
        write(&format!("{DRIVERS}/{driver}/bind"), &self.device(address))
    }

    /// Takes the device at `address` from its driver.
    ///
    /// # Errors
    ///
    /// When the driver does not have it.
    pub fn unbind(self, driver: &str, address: u16) -> io::Result<()> {
        write(&format!("{DRIVERS}/{driver}/unbind"), &self.device(address))
    }
}

/// Writes to a file that there is, once: more often would be tried on `EINTR`, which can be the
/// error of a driver.
fn write(path: &str, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    let written = file.write(text.as_bytes())?;
    assert_eq!(written, text.len());
    Ok(())
}

/// Whether there is a driver of that name.
#[must_use]
pub fn driver_exists(name: &str) -> bool {
    Path::new(DRIVERS).join(name).exists()
}
