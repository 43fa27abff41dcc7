// SPDX-License-Identifier: GPL-2.0-only

//! The commands that run VMs.

mod bench;
mod demo;
mod faults;
mod jobs;
mod mutate;
mod pool;
mod session;
mod shell;
mod test;
mod tree;

pub use bench::bench;
pub use demo::demo;
pub use mutate::mutate;
pub use shell::shell;
pub use test::test;
