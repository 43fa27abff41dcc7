// SPDX-License-Identifier: GPL-2.0-only

//! The commands that run VMs.

mod bench;
mod demo;
mod faults;
mod fuzz;
mod jobs;
mod pool;
mod session;
mod shell;
mod test;

pub use bench::bench;
pub use demo::demo;
pub use fuzz::fuzz;
pub use shell::shell;
pub use test::test;
