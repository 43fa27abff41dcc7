// SPDX-License-Identifier: GPL-2.0-only

//! The bytes of a `write(2)` belong to its process, and are there while it runs.

use kernel::prelude::*;
use lkm::{
    file::{
        Reader,
        Writer, //
    },
    kthread::KThread, //
};

pub fn misuse(mut src: Reader, mut dst: Writer) -> Result<[KThread; 2]> {
    Ok([
        KThread::spawn(c"later", move |_| src.skip(1))?, //~ cannot be sent between threads safely
        KThread::spawn(c"later", move |_| dst.write(b"late"))?, //~ cannot be sent between threads safely
    ])
}
