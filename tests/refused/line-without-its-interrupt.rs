// SPDX-License-Identifier: GPL-2.0-only

//! A line is given back after its interrupt. So it belongs to that.

use kernel::prelude::*;
use lkm::gpio::Input;

pub fn misuse(button: Input) -> Result<bool> {
    let _source = button.irq()?;
    button.get() //~ borrow of moved value: `button`
}
