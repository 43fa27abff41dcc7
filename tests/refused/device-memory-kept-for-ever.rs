// SPDX-License-Identifier: GPL-2.0-only

//! What is kept for ever, as in a static, is there when the device is gone.

use kernel::prelude::*;
use lkm::{
    dma::{
        Direction,
        Streaming, //
    },
    platform::Device,
};

pub fn misuse(device: &Device) -> Result<Streaming<'static>> {
    Streaming::new(device, 4096, Direction::Both) //~ must outlive `'static`
}
