// SPDX-License-Identifier: GPL-2.0-only

//! PCI devices as user space sees them: `/sys/bus/pci`.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::PathBuf,
};

use anyhow::{Context, Result};
use rustix::io::Errno;

use crate::files::write_once;

const DEVICES: &str = "/sys/bus/pci/devices";
const DRIVERS: &str = "/sys/bus/pci/drivers";
const RESCAN: &str = "/sys/bus/pci/rescan";

/// Where the command register is, and its bit that lets a device access memory.
const COMMAND: u64 = 4;
const MASTER: u16 = 1 << 2;

/// QEMU's device for teaching.
pub const EDU: (u16, u16) = (0x1234, 0x11e8);

/// A PCI device, by its address. It may be gone.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct PciDevice(String);

impl PciDevice {
    /// The devices with these numbers of vendor and device, by their addresses.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    pub fn all((vendor, device): (u16, u16)) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(DEVICES).context(DEVICES)? {
            let it = Self(entry?.file_name().to_string_lossy().into_owned());
            // One may be on its way out.
            let has = |file: &str, wanted: u16| {
                fs::read_to_string(it.path(file))
                    .is_ok_and(|text| text.trim_end() == format!("{wanted:#06x}"))
            };
            if has("vendor", vendor) && has("device", device) {
                found.push(it);
            }
        }
        found.sort();
        Ok(found)
    }

    /// The first of them.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn first(numbers: (u16, u16)) -> Result<Self> {
        let found = Self::all(numbers)?.into_iter().next();
        found.with_context(|| format!("no PCI device {numbers:04x?}"))
    }

    /// Its address, such as `0000:00:01.0`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0
    }

    /// A file of it in sysfs.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        PathBuf::from(DEVICES).join(&self.0).join(file)
    }

    /// Whether it is there.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.path("vendor").exists()
    }

    /// The driver that has it.
    #[must_use]
    pub fn driver(&self) -> Option<String> {
        let driver = fs::read_link(self.path("driver")).ok()?;
        Some(driver.file_name()?.to_string_lossy().into_owned())
    }

    /// Gives it to a driver.
    ///
    /// # Errors
    ///
    /// The kernel's error number, or the driver's.
    pub fn bind(&self, driver: &str) -> Result<(), Errno> {
        write_once(format!("{DRIVERS}/{driver}/bind"), &self.0)
    }

    /// Takes it from a driver.
    ///
    /// # Errors
    ///
    /// The kernel's error number: `NODEV` when the driver does not have it.
    pub fn unbind(&self, driver: &str) -> Result<(), Errno> {
        write_once(format!("{DRIVERS}/{driver}/unbind"), &self.0)
    }

    /// The kernel forgets it, as if it were pulled out.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn remove(&self) -> Result<(), Errno> {
        write_once(self.path("remove"), "1")
    }

    /// The kernel looks for devices that it does not know.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn rescan() -> Result<(), Errno> {
        write_once(RESCAN, "1")
    }

    /// Only this driver may have it; with an empty name any that is for such devices. Nobody may
    /// look for one meanwhile: Linux 6.18 has no lock for that.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn override_driver(&self, driver: &str) -> Result<(), Errno> {
        write_once(self.path("driver_override"), &format!("{driver}\n"))
    }

    /// Has user space count among those who use it, or no longer, while it has no driver.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn enable(&self, is_used: bool) -> Result<(), Errno> {
        write_once(self.path("enable"), if is_used { "1" } else { "0" })
    }

    /// Whether it may access memory by itself.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn is_master(&self) -> Result<bool> {
        let mut command = [0; 2];
        let config = File::open(self.path("config"))?;
        config.read_exact_at(&mut command, COMMAND)?;
        Ok(u16::from_le_bytes(command) & MASTER != 0)
    }
}
