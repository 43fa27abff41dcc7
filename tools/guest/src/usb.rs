// SPDX-License-Identifier: GPL-2.0-only

//! USB devices as user space has them: `/sys/bus/usb/devices`.
//!
//! Reference: `Documentation/ABI/testing/sysfs-bus-usb`.

use std::{
    fs::{self, File},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;

use crate::{
    eventually::eventually,
    files::{names, write_once},
    platform,
    syscalls::{Argument, ioctl},
};

const DEVICES: &str = "/sys/bus/usb/devices";
const DRIVERS: &str = "/sys/bus/usb/drivers";
/// Where controllers are bound to their driver.
const CONTROLLERS: &str = "/sys/bus/pci/drivers/xhci_hcd";

/// Class, subclass and protocol of the interface of QEMU's keyboard.
pub const USB_KEYBOARD: [u8; 3] = [3, 1, 1];
/// The same of its reader of smart cards.
pub const USB_CARD_READER: [u8; 3] = [0x0b, 0, 0];

/// A device with one interface: `:1.0` of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsbDevice {
    /// Where it is plugged in: `1-1` is port 1 of bus 1.
    pub name: String,
}

impl UsbDevice {
    /// Waits for a device whose interface has this class, subclass and protocol.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn find(class: [u8; 3]) -> Result<Self> {
        let mut found = None;
        let what = format!("a USB device of the class {class:02x?}");
        eventually(&what, || {
            found = Self::look(class);
            found.is_some()
        })?;
        found.context(what)
    }

    /// The first device whose interface has this class, subclass and protocol, if there is one.
    #[must_use]
    pub fn look(class: [u8; 3]) -> Option<Self> {
        let files = [
            "bInterfaceClass",
            "bInterfaceSubClass",
            "bInterfaceProtocol",
        ];
        names(DEVICES).ok()?.into_iter().find_map(|interface| {
            let (device, _) = interface.split_once(':')?;
            for (file, expected) in files.into_iter().zip(class) {
                let path = format!("{DEVICES}/{interface}/{file}");
                let number = fs::read_to_string(path).ok()?;
                if u8::from_str_radix(number.trim(), 16) != Ok(expected) {
                    return None;
                }
            }
            Some(Self {
                name: device.to_owned(),
            })
        })
    }

    /// What the kernel calls the interface.
    #[must_use]
    pub fn interface(&self) -> String {
        format!("{}:1.0", self.name)
    }

    /// What the file `name` of the device says.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn attribute(&self, name: &str) -> Result<String> {
        let path = format!("{DEVICES}/{}/{name}", self.name);
        let text = fs::read_to_string(&path).context(path)?;
        Ok(text.trim_end().to_owned())
    }

    /// What the device says that it is, byte by byte.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn descriptors(&self) -> Result<Vec<u8>> {
        let path = format!("{DEVICES}/{}/descriptors", self.name);
        fs::read(&path).context(path)
    }

    /// The driver that is bound to the interface, if there is one.
    #[must_use]
    pub fn driver(&self) -> Option<String> {
        let link = fs::read_link(format!("{DEVICES}/{}/driver", self.interface())).ok()?;
        Some(link.file_name()?.to_string_lossy().into_owned())
    }

    /// Binds the driver called `driver` to the interface.
    ///
    /// # Errors
    ///
    /// The driver's, and when there is no such driver, or the interface is not for it.
    pub fn bind(&self, driver: &str) -> Result<(), Errno> {
        let path = format!("{DRIVERS}/{driver}/bind");
        write_once(path, &self.interface())
    }

    /// Takes the driver called `driver` off the interface.
    ///
    /// # Errors
    ///
    /// When it is not bound to it.
    pub fn unbind(&self, driver: &str) -> Result<(), Errno> {
        let path = format!("{DRIVERS}/{driver}/unbind");
        write_once(path, &self.interface())
    }

    /// Takes the interface from the device, until the result is dropped: to drivers that is as
    /// if it was unplugged, and plugged in again.
    ///
    /// # Errors
    ///
    /// When the device is gone.
    pub fn unplug(&self) -> Result<UnpluggedDevice> {
        let path = format!("{DEVICES}/{}/authorized", self.name);
        write_once(&path, "0").with_context(|| path.clone())?;
        Ok(UnpluggedDevice { path })
    }

    /// Removes the device, which is still plugged in. It comes back when its controller does.
    ///
    /// # Errors
    ///
    /// When it is gone already.
    pub fn remove(&self) -> Result<()> {
        let path = format!("{DEVICES}/{}/remove", self.name);
        write_once(&path, "1").context(path)
    }

    /// Resets the device, as any program can do that may write to its node. Drivers like those of
    /// ours lose it, and have been asked again when this returns.
    ///
    /// # Errors
    ///
    /// When the device is gone, or does not answer afterwards.
    pub fn reset(&self) -> Result<()> {
        // C's `USBDEVFS_RESET`, which is `_IO('U', 20)`.
        const RESET: u32 = ((b'U' as u32) << 8) | 20;
        let number = |file| -> Result<u32> { Ok(self.attribute(file)?.parse()?) };
        let (bus, device) = (number("busnum")?, number("devnum")?);
        let path = format!("/dev/bus/usb/{bus:03}/{device:03}");
        let node = File::options().write(true).open(&path).context(path)?;
        ioctl(node, RESET, Argument::None)?;
        Ok(())
    }
}

/// What the file `uevent` of the interface called `name` says, if that can be read.
#[must_use]
pub fn uevent(name: &str) -> Option<String> {
    fs::read_to_string(format!("{DEVICES}/{name}/uevent")).ok()
}

/// Whether there is such a driver.
#[must_use]
pub fn has_driver(driver: &str) -> bool {
    Path::new(&format!("{DRIVERS}/{driver}")).exists()
}

/// Tells `driver` of another product that it is for.
///
/// # Errors
///
/// When there is no such driver.
pub fn add_id(driver: &str, vendor: u16, product: u16) -> Result<(), Errno> {
    let path = format!("{DRIVERS}/{driver}/new_id");
    write_once(path, &format!("{vendor:04x} {product:04x}"))
}

/// Has `driver` forget what [`add_id`] has told it.
///
/// # Errors
///
/// When there is no such driver.
pub fn remove_id(driver: &str, vendor: u16, product: u16) -> Result<(), Errno> {
    let path = format!("{DRIVERS}/{driver}/remove_id");
    write_once(path, &format!("{vendor:04x} {product:04x}"))
}

/// A device that has no interface.
#[must_use]
#[derive(Debug)]
pub struct UnpluggedDevice {
    path: String,
}

impl Drop for UnpluggedDevice {
    /// Drivers have been asked when this returns.
    fn drop(&mut self) {
        // The device may be gone altogether.
        let _ = write_once(&self.path, "1");
    }
}

/// A USB controller, with all that is plugged in.
#[derive(Clone, Debug)]
pub struct UsbController {
    pci: String,
}

impl UsbController {
    /// That of `device`.
    ///
    /// # Errors
    ///
    /// When the device is gone.
    pub fn of(device: &UsbDevice) -> Result<Self> {
        let path = format!("{DEVICES}/{}", device.name);
        let path = fs::canonicalize(&path).context(path)?;
        let pci = before_root_hub(&path).with_context(|| path.display().to_string())?;
        Ok(Self { pci })
    }

    /// Takes it from its driver, until the result is dropped: all of its devices are gone.
    ///
    /// # Errors
    ///
    /// When its driver does not have it.
    pub fn unplug(&self) -> Result<UnpluggedController> {
        let path = format!("{CONTROLLERS}/unbind");
        write_once(&path, &self.pci).context(path)?;
        ensure!(
            !Path::new(CONTROLLERS).join(&self.pci).exists(),
            "{} is still there",
            self.pci
        );
        Ok(UnpluggedController(self.clone()))
    }

    /// Puts the machine to sleep, and wakes it up. QEMU's controller forgets its devices then, and
    /// Linux 6.18 does not find them again. So its driver begins anew.
    ///
    /// # Errors
    ///
    /// As [`platform::suspend`] and [`unplug`](Self::unplug).
    pub fn suspend(&self) -> Result<()> {
        platform::suspend()?;
        drop(self.unplug()?);
        Ok(())
    }
}

/// A controller that its driver does not have.
#[must_use]
#[derive(Debug)]
pub struct UnpluggedController(UsbController);

impl Drop for UnpluggedController {
    fn drop(&mut self) {
        // Who needs the devices looks for them.
        let _ = write_once(format!("{CONTROLLERS}/bind"), &self.0.pci);
    }
}

/// The part of `path` before the root hub, `usbN`.
fn before_root_hub(path: &Path) -> Option<String> {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    let hub = parts.iter().position(|part| part.starts_with("usb"))?;
    Some(parts.get(hub.checked_sub(1)?)?.clone().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_is_before_its_root_hub() {
        let path = Path::new("/sys/devices/pci0000:00/0000:00:03.0/usb1/1-1");
        assert_eq!(before_root_hub(path).as_deref(), Some("0000:00:03.0"));
        assert_eq!(before_root_hub(Path::new("/sys/devices/1-1")), None);
    }
}
