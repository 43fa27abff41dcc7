// SPDX-License-Identifier: GPL-2.0-only

//! Pages that are gone cannot be mapped.

use kernel::prelude::*;
use lkm::file::{
    Mappable,
    Opened,
    Operations,
    SharedPages, //
};

pub struct Own;

#[vtable]
impl Operations for Own {
    type Private = ();

    fn mmap<'a>(&'a self, _file: &'a Opened<Self>) -> Result<Mappable<'a>> {
        let pages = SharedPages::new(1)?;
        Ok(pages.writable()) //~ cannot return value referencing local variable `pages`
    }
}
