// SPDX-License-Identifier: GPL-2.0-only

//! What the host and the guest of a test VM say to each other.
//!
//! The host speaks once, on the kernel command line ([`Request`]). The guest
//! answers with one JSON object a line on its second serial port ([`Event`]).

mod event;
mod request;

pub use event::{Event, Outcome, Step};
pub use request::{BadRequest, Mode, Request, events_to, events_tty};
