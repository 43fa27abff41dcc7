// SPDX-License-Identifier: GPL-2.0-only

//! An operation has its file while it runs.

use kernel::prelude::*;
use lkm::file::{
    Offset,
    Opened,
    Operations,
    Writer, //
};

pub struct Keeps;

fn keep(_file: &'static Opened<Keeps>) {}

#[vtable]
impl Operations for Keeps {
    type Private = ();

    fn read(&self, file: &Opened<Self>, _pos: &mut Offset, _dst: &mut Writer) -> Result<usize> {
        keep(file); //~ borrowed data escapes outside of method
        Ok(0)
    }
}
