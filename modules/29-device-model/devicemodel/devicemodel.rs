// SPDX-License-Identifier: GPL-2.0-only

//! A driver, and a device for it: what the kernel calls when they find each other, when the
//! machine goes to sleep and wakes up, and when they part.
//!
//! Book: 29 Standardizing the interfaces: The Device Model

use kernel::prelude::*;
use lkm::platform::{
    Device,
    Driver,
    OwnDevice,
    Property,
    Registration, //
};

module! {
    type: DeviceModel,
    name: "devicemodel",
    authors: ["lkmpg-rs"],
    description: "Linux Device Model example",
    license: "GPL",
}

/// The driver.
struct Greeters;

/// What the driver has for each device, until they part.
struct Greeter;

impl Greeter {
    fn new(device: &Device) -> Result<Self> {
        // User space can give any device to this driver.
        if !device.has(c"greeting") || !device.has(c"number") {
            return Err(ENODEV);
        }
        let (greeting, number) = (device.text(c"greeting")?, device.u32(c"number")?);
        pr_info!("devicemodel probe\n");
        pr_info!("devicemodel greeting: {}; {}\n", &*greeting, number);
        Ok(Self)
    }
}

impl Drop for Greeter {
    fn drop(&mut self) {
        pr_info!("devicemodel example removed\n");
    }
}

#[vtable]
impl Driver for Greeters {
    type Private<'bound> = Greeter;

    fn probe<'bound>(
        &'bound self,
        device: &'bound Device,
    ) -> impl PinInit<Greeter, Error> + 'bound {
        Greeter::new(device)
    }

    // Processes are stopped by now. A real driver would save what its device forgets.
    fn suspend(_greeter: Pin<&Greeter>) -> Result {
        pr_info!("devicemodel example suspend\n");
        Ok(())
    }

    fn resume(_greeter: Pin<&Greeter>) -> Result {
        pr_info!("devicemodel example resume\n");
        Ok(())
    }
}

struct DeviceModel {
    _driver: Registration<Greeters>,
    _device: OwnDevice,
}

impl kernel::Module for DeviceModel {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("devicemodel init\n");
        let driver = Registration::new(c"devicemodel_example", Greeters)
            .inspect_err(|_| pr_err!("Unable to register driver\n"))?;
        // Hardware would be found by a bus, or by the device tree. By its name the kernel knows
        // which driver this one is for.
        let properties = [
            (c"greeting", Property::Text(c"hello")),
            (c"number", Property::U32(42)),
        ];
        let device = OwnDevice::new(c"devicemodel_example", &properties)?;
        Ok(Self {
            _driver: driver,
            _device: device,
        })
    }
}

impl Drop for DeviceModel {
    fn drop(&mut self) {
        pr_info!("devicemodel exit\n");
    }
}
