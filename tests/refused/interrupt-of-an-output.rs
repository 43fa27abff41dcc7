// SPDX-License-Identifier: GPL-2.0-only

//! Only somebody else can interrupt.

use kernel::prelude::*;
use lkm::{
    gpio::Output,
    irq::Source, //
};

pub fn misuse(lamp: Output) -> Result<Source> {
    lamp.irq() //~ no method named `irq` found
}
