// SPDX-License-Identifier: GPL-2.0-only

//! The content of a frame has 65,535 bytes at most.

use kernel::prelude::*;
use lkm::netdev::{
    Driver,
    Frame,
    Netdev,
    Port, //
};

pub struct Sink;

impl Driver for Sink {
    const MAX_MTU: u32 = 65_536;

    fn transmit(&self, _port: &Port, _frame: Frame) -> Result {
        Ok(())
    }
}

pub fn misuse() -> Result<Netdev<Sink>> {
    Netdev::new(c"sink", Sink)
} //~ the content of a frame has from 68 to 65,535 bytes
