// SPDX-License-Identifier: GPL-2.0-only

//! The commands that run VMs.

mod demo;
mod jobs;
mod pool;
mod session;
mod shell;
mod test;

pub use demo::demo;
pub use shell::shell;
pub use test::test;
