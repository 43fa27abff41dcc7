// SPDX-License-Identifier: GPL-2.0-only

//! Something has to run when an interrupt comes.

use kernel::prelude::*;
use lkm::irq::{
    Handler,
    Irq,
    Source,
    Trigger, //
};

pub struct Deaf;

#[vtable]
impl Handler for Deaf {}

pub fn misuse(source: Source) -> Result<Irq<Deaf>> {
    Irq::new(source, Trigger::Rising, c"deaf", Deaf)
} //~ the handler has neither `hard` nor `thread`
