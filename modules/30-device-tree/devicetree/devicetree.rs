// SPDX-License-Identifier: GPL-2.0-only

//! A driver for devices that a device tree describes.
//!
//! Book: 30 Device Tree

use kernel::{
    prelude::*,
    str::CString, //
};
use lkm::{
    devicetree::Matches,
    platform::{
        Device,
        Driver,
        Registration, //
    },
};

module! {
    type: DeviceTree,
    name: "devicetree",
    authors: ["lkmpg-rs"],
    description: "Device tree interaction example for LKMPG",
    license: "GPL",
}

// Each node says what it is, in its property `compatible`. The table is also in the module's
// file, where programs see which devices need the module.
lkm::of_table! {
    static MATCHES = [c"lkmpg,example-device", c"lkmpg,another-device"];
}

/// A property that need not be there. But one that is there must be right.
fn optional<T>(property: Result<T>) -> Result<Option<T>> {
    match property {
        Ok(it) => Ok(Some(it)),
        Err(ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the driver has for each device.
struct Found {
    label: Option<CString>,
}

impl Found {
    fn new(device: &Device) -> Result<Self> {
        // User space can give any device to this driver, also one that is in no tree.
        let name = device.node_name().ok_or(ENODEV)?;
        pr_info!("Device tree probe called for {}\n", name);

        let label = optional(device.text(c"label"))?;
        match &label {
            Some(label) => pr_info!("Found label property: {}\n", &**label),
            None => pr_info!("No label property found, using default\n"),
        }
        // In `reg`, how many numbers are an address depends on the tree. The kernel knows.
        if let Some(memory) = device.memory(0) {
            pr_info!("Found reg property: {:#x}\n", memory.start);
        }
        match optional(device.u32(c"lkmpg,custom-value"))? {
            Some(value) => pr_info!("Found custom-value property: {}\n", value),
            None => pr_info!("No custom-value found, using default: 42\n"),
        }
        // This one has no value. It is there, or it is not.
        let has_clock = match device.has(c"lkmpg,has-clock") {
            true => "present",
            false => "absent",
        };
        pr_info!("has-clock property: {}\n", has_clock);
        pr_info!("Device probe successful\n");
        Ok(Self { label })
    }
}

impl Drop for Found {
    fn drop(&mut self) {
        match &self.label {
            Some(label) => pr_info!("Removing device {}\n", &**label),
            None => pr_info!("Removing device unnamed\n"),
        }
    }
}

/// The driver.
struct Finder;

#[vtable]
impl Driver for Finder {
    type Private<'bound> = Found;

    fn matches() -> Option<Matches> {
        Some(MATCHES.matches())
    }

    fn probe<'bound>(&'bound self, device: &'bound Device) -> impl PinInit<Found, Error> + 'bound {
        Found::new(device)
    }
}

struct DeviceTree {
    _driver: Registration<Finder>,
}

impl kernel::Module for DeviceTree {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("Initializing device tree example module\n");
        let driver = Registration::new(c"lkmpg_devicetree", Finder)
            .inspect_err(|_| pr_err!("Failed to register platform driver\n"))?;
        pr_info!("Module loaded successfully\n");
        Ok(Self { _driver: driver })
    }
}

impl Drop for DeviceTree {
    fn drop(&mut self) {
        pr_info!("Cleaning up device tree example module\n");
    }
}
