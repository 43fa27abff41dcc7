// SPDX-License-Identifier: GPL-2.0-only

//! What only init needs is freed when init has succeeded.

use kernel::prelude::*;
use lkm::init;

pub fn misuse() -> Result {
    let mut kept = None;
    init::run(|init| kept = Some(init)) //~ borrowed data escapes outside of closure
}
