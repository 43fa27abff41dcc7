// SPDX-License-Identifier: GPL-2.0-only

//! A file may be read as long as its directory is there.

use kernel::{
    prelude::*,
    sync::atomic::Atomic, //
};
use lkm::{
    debugfs::Dir,
    file::mode, //
};

pub fn misuse(dir: &Dir) -> Result {
    let count = Atomic::new(0_u32);
    dir.value(c"count", mode!(0o400), &count) //~ `count` does not live long enough
}
