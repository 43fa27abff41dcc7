// SPDX-License-Identifier: GPL-2.0-only

//! A virtual keyboard: a driver for the module vinput. Each of the two calls the other.
//!
//! Book: 24 Virtual Input Device Driver

use kernel::{
    prelude::*,
    str::CString, //
};
use lkm::{
    input::{
        Capabilities,
        Reporter,
        KEY_MAX, //
    },
    interface::Object,
    sysfs, //
};

#[path = "../vinput/api.rs"]
mod api;

use api::{
    Driver,
    Vinput, //
};

module! {
    type: Module,
    name: "vkbd",
    authors: ["lkmpg-rs"],
    description: "Emulate keyboard input events through /dev/vinput",
    license: "GPL",
}

lkm::import! {
    /// The module that makes the devices. This one can be loaded when that one is there, and
    /// that one stays as long as this.
    static VINPUT: dyn Vinput = vinput;
}

struct Vkbd;

impl Driver for Vkbd {
    fn init(&self, can: &mut Capabilities) -> Result<()> {
        for code in 1..KEY_MAX {
            can.key(code);
        }
        can.repeat();
        can.keymap();
        Ok(())
    }

    /// `+34` presses the key 34, which is "g", and `-34` releases it.
    fn send(&self, device: &Reporter, text: &[u8]) -> Result<i64> {
        let key: i64 = sysfs::parse(text)?;
        let code = u16::try_from(key.unsigned_abs()).map_err(|_| EINVAL)?;
        let pressed = key > 0;
        device.report_key(code, pressed)?;
        device.sync()?;
        let kind = match pressed {
            true => "VINPUT_PRESS",
            false => "VINPUT_RELEASE",
        };
        pr_info!("Event {kind} code {code}\n");
        Ok(key)
    }

    fn read(&self, last: i64, text: &mut [u8]) -> Result<usize> {
        let line = CString::try_from_fmt(fmt!("{last:+}\n"))?;
        let line = line.to_bytes();
        let place = text.get_mut(..line.len()).ok_or(EOVERFLOW)?;
        place.copy_from_slice(line);
        Ok(line.len())
    }
}

struct Module {
    number: u64,
    // vinput calls it. Dropping it waits until no call is left.
    _driver: Object<dyn Driver, Vkbd>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let driver = Object::<dyn Driver, _>::new(Vkbd)?;
        let number = VINPUT.register("vkbd", driver.remote())?;
        Ok(Self {
            number,
            _driver: driver,
        })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // The fields are dropped after this.
        if let Err(error) = VINPUT.unregister(self.number) {
            pr_err!("vinput does not forget: {error:?}\n");
        }
    }
}
