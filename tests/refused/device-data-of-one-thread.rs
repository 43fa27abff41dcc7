// SPDX-License-Identifier: GPL-2.0-only

//! Any thread can take a device from its driver, with what the driver has of it.

use core::marker::PhantomData;
use kernel::prelude::*;
use lkm::pci::{
    Device,
    Driver,
    Id, //
};

pub struct Local;

impl Driver for Local {
    type Data = PhantomData<*const u8>; //~ cannot be sent between threads safely

    const IDS: &'static [Id] = &[Id::new(1, 2)];

    fn probe(&self, _device: &Device) -> Result<Self::Data> {
        Ok(PhantomData)
    }
}
