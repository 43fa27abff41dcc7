// SPDX-License-Identifier: GPL-2.0-only

//! Memory that a device uses goes before the device does.

use kernel::prelude::*;
use lkm::{
    dma::Coherent,
    platform::Device,
    sync::IrqSpinLock, //
};

pub struct Keeper<'lock> {
    pub kept: &'lock IrqSpinLock<Option<Coherent<'static>>>,
}

impl Keeper<'_> {
    pub fn misuse(&self, device: &Device) -> Result {
        let memory: Coherent<'static> = Coherent::new(device, 4096)?; //~ must outlive `'static`
        *self.kept.lock() = Some(memory);
        Ok(())
    }
}
