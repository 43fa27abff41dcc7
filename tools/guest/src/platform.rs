// SPDX-License-Identifier: GPL-2.0-only

//! Platform devices and their drivers as user space has them, and how it puts the machine to
//! sleep.

use std::{fs, path::Path};

use anyhow::Result;
use rustix::{io::Errno, system::uname};

use crate::{Vm, files::write_once};

const BUS: &str = "/sys/bus/platform";
const PM_TEST: &str = "/sys/power/pm_test";

/// Whether there is such a device.
#[must_use]
pub fn exists(device: &str) -> bool {
    Path::new(&format!("{BUS}/devices/{device}")).exists()
}

/// Whether there is such a driver.
#[must_use]
pub fn has_driver(driver: &str) -> bool {
    Path::new(&format!("{BUS}/drivers/{driver}")).exists()
}

/// The driver that has `device`.
#[must_use]
pub fn driver_of(device: &str) -> Option<String> {
    let link = fs::read_link(format!("{BUS}/devices/{device}/driver")).ok()?;
    Some(link.file_name()?.to_string_lossy().into_owned())
}

/// Asks `driver` to take `device`.
///
/// # Errors
///
/// The kernel's error number, or the driver's.
pub fn bind(driver: &str, device: &str) -> Result<(), Errno> {
    write_once(format!("{BUS}/drivers/{driver}/bind"), device)
}

/// Takes `device` from `driver`.
///
/// # Errors
///
/// The kernel's error number.
pub fn unbind(driver: &str, device: &str) -> Result<(), Errno> {
    write_once(format!("{BUS}/drivers/{driver}/unbind"), device)
}

/// From now on `device` is for `driver` alone, or, if that is empty, for whom it was made for.
///
/// # Errors
///
/// The kernel's error number.
pub fn give_to(device: &str, driver: &str) -> Result<(), Errno> {
    let path = format!("{BUS}/devices/{device}/driver_override");
    write_once(path, &format!("{driver}\n"))
}

/// Whether [`give_to`] can be called while others bind. Linux 6.18 looks at what was written
/// before without a lock, and frees it then.
#[must_use]
pub fn can_give_at_any_time() -> bool {
    !uname().release().to_bytes().starts_with(b"6.18.")
}

/// Whether [`suspend`] can do anything, and all can be heard afterwards. The kernel does not open
/// a console of virtio again when it wakes up, and then QEMU throws away what is written to it.
#[must_use]
pub fn can_suspend() -> bool {
    let ports = fs::read_dir("/sys/class/virtio-ports");
    let has_port = ports.is_ok_and(|mut ports| ports.next().is_some());
    Path::new(PM_TEST).exists() && !has_port
}

/// Puts the machine to sleep, as far as its devices go, and wakes it up at once.
///
/// # Errors
///
/// The kernel's error number, or that of a driver.
pub fn suspend() -> Result<(), Errno> {
    write_once("/sys/module/suspend/parameters/pm_test_delay", "0")?;
    // Without this the machine would sleep for ever: nothing wakes it.
    write_once(PM_TEST, "devices")?;
    let result = write_once("/sys/power/state", "freeze");
    write_once(PM_TEST, "none")?;
    result
}

/// For `setup`: the first time, the kernel makes a console for that, which stays.
///
/// # Errors
///
/// When the machine does not wake up in order.
pub fn suspend_once(_: &mut Vm) -> Result<()> {
    if can_suspend() {
        suspend()?;
    }
    Ok(())
}
