// SPDX-License-Identifier: GPL-2.0-only

//! A variable that takes much of the stack. The compiler sees nothing wrong in it.

use core::hint::black_box;

pub fn misuse() {
    let _ = black_box([1_u8; 4000]);
} //~ bytes of the stack: put what is big into a KBox
