// SPDX-License-Identifier: GPL-2.0-only

//! A binary file that has no function for writing, but a mode that allows it.

use lkm::{
    file::mode,
    sysfs::BinAttribute, //
};

//~ can be written, but has no function for it
pub static ROM: BinAttribute<()> =
    BinAttribute::read_only(c"rom", mode!(0o644), 4, |(), _buffer, _offset| Ok(0));
