// SPDX-License-Identifier: GPL-2.0-only

//! An operation has its file while it runs.

use kernel::{
    prelude::*,
    sync::SetOnce, //
};
use lkm::file::{
    Offset,
    Opened,
    Operations,
    Writer, //
};

pub struct Keeps;

static KEPT: SetOnce<&'static Opened<Keeps>> = SetOnce::new();

#[vtable]
impl Operations for Keeps {
    type Private = ();

    fn read(&self, file: &Opened<Self>, _pos: &mut Offset, _dst: &mut Writer) -> Result<usize> {
        KEPT.populate(file); //~ borrowed data escapes outside of method
        Ok(0)
    }
}
