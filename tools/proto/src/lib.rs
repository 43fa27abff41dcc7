// SPDX-License-Identifier: GPL-2.0-only

//! What the host and the guest of a test VM say to each other.
//!
//! The guest has a serial port for this. It says that it waits; the host answers
//! with its [`Orders`], and the guest tells what happens. Each of them writes one
//! JSON object a line: the guest [`Event`]s.

mod catalog;
mod event;
mod request;

pub use catalog::{Catalog, Check};
pub use event::{Event, Outcome, Step};
pub use request::{
    FILES_DEVICE, FILES_VENDOR, Mode, Module, Orders, Request, events_to, events_tty,
};

use serde::Serialize;

/// `value` as one line of JSON, newline included.
fn to_line(value: &impl Serialize) -> String {
    let mut line = serde_json::to_string(value).expect("it is plain data");
    line.push('\n');
    line
}
