// SPDX-License-Identifier: GPL-2.0-only

//! No address has more than 64 bits.

use kernel::prelude::*;
use lkm::pci::{
    Device,
    Driver,
    Id,
    Registration, //
};

pub struct Wide;

impl Driver for Wide {
    type Data = ();

    const IDS: &'static [Id] = &[Id::new(1, 2)];

    const DMA_BITS: u32 = 65;

    fn probe(&self, _device: &Device) -> Result {
        Ok(())
    }
}

pub fn misuse() -> Result<Registration<Wide>> {
    Registration::new(c"wide", Wide)
} //~ an address has from 1 to 64 bits
