// SPDX-License-Identifier: GPL-2.0-only

//! Runs inside a VM: loads the examples' modules, runs their
//! tests and the checks that every module must pass, and reports each result
//! to the host, or on standard output where it was not our init that began.
//!
//! It is also the programs that examples bring for user space, each under its
//! own name, as busybox is many programs.

pub mod arch;
mod checks;
mod command;
pub mod configfs;
mod control;
mod demo;
pub mod disk;
mod echo_server;
mod eventually;
mod example;
mod files;
mod gpio;
mod gpio_buttons;
mod gpio_sim;
mod harness;
pub mod i2c;
pub mod keyboard;
mod kmemleak;
mod live_tasks;
mod log;
pub mod mapping;
mod modinfo;
mod module;
pub mod netdev;
pub mod netlink;
mod orders;
pub mod pci;
pub mod platform;
pub mod polling;
pub mod prelude;
mod report;
mod shell;
pub mod sigio;
pub mod signals;
mod sink_device;
mod slabs;
mod snapshot;
mod syscalls;
pub mod terminal;
mod text_file;
mod threads;
mod trouble;
pub mod usb;
mod vm;
mod waiter;

pub use example::{Example, Test};
pub use log::{Line, Log};
pub use module::Module;
pub use vm::Vm;
pub use waiter::{Waiter, process_is_in};

use std::{env, fs, io, process::ExitCode};

use anyhow::{Context, Result};
use lkmpg_proto::{Event, Mode, events_tty};
use rustix::system::{RebootCommand, reboot};

use crate::{
    harness::Harness,
    report::{Port, Report},
};

/// Called by the name of an example's program it is that program. Else it does
/// what its arguments say, and without any what the host of the VM tells it; then
/// it powers the VM off.
///
/// On a machine whose command line names no way to a host it prints an error and
/// returns.
pub fn main() -> ExitCode {
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    if let Some(program) = example::program(&name) {
        return program();
    }
    let arguments: Vec<_> = arguments.collect();
    if !arguments.is_empty() {
        return command::run(arguments);
    }
    let cmdline = match fs::read_to_string("/proc/cmdline") {
        Ok(cmdline) => cmdline,
        Err(error) => return complain(&format!("/proc/cmdline: {error}")),
    };
    let Some(tty) = events_tty(&cmdline) else {
        return complain(
            "this is not a test VM (no lkmpg.events= on the kernel command line): nothing done",
        );
    };
    let _power_off = PowerOff;
    match serve(tty) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("{error:#}")),
    }
}

fn complain(message: &str) -> ExitCode {
    eprintln!("lkmpg-guest: {message}");
    ExitCode::FAILURE
}

/// Waits for the orders that come by the terminal `tty`, and does what they say.
///
/// The VM may be saved while it waits, and restored more than once: what is done
/// before has been done in all of those VMs.
fn serve(tty: &str) -> Result<()> {
    let mut report = Port::open(tty).context("the port for events")?;
    report.send(&Event::Waiting)?;
    let orders = report.orders()?;
    orders::prepare(&orders)?;
    report.send(&Event::Begun)?;

    let vm = Vm::new()?;
    let request = orders.request;
    match request.mode {
        Mode::Test => Harness::new(vm, &mut report).run(&request),
        Mode::Demo => demo::run(vm, &mut report, &request.modules),
        Mode::Shell => shell::run(vm, &mut report, &request.modules),
    }?;
    report.send(&Event::End)
}

/// Powers the VM off when dropped, whatever happened before.
struct PowerOff;

impl Drop for PowerOff {
    fn drop(&mut self) {
        rustix::fs::sync();
        // So that an error is still read; it is no terminal when nobody reads.
        let _ = rustix::termios::tcdrain(io::stderr());
        // The kernel has no ACPI and cannot switch the machine off; a restart
        // ends the VM, which is run with -no-reboot.
        if let Err(error) = reboot(RebootCommand::Restart) {
            eprintln!("lkmpg-guest: reboot: {error}");
        }
    }
}
