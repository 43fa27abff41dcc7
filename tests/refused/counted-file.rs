// SPDX-License-Identifier: GPL-2.0-only

//! A file that is being opened is not whole yet, and one that is being released is gone
//! already: an operation cannot count it.

use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use lkm::file::File;

pub fn misuse(file: &File) -> ARef<File> {
    file.into() //~ the trait bound `lkm::file::File: AlwaysRefCounted` is not satisfied
}
